"""Ranked order: the best-paying order first, by profit or by gas price, as rbuilder's ordering builders do it.

An order is a bundle, a private transaction or one mempool transaction. Each is first executed alone at the top of
the block, after earlier mempool transactions of its senders where nonces need them. Then the best that is ready is
committed, again and again; one that is worth less than 95 % of its first value at its place goes back once with its
lower value, and one that fails is out. All of this is decided by mining: a whole sequence is tried at once, what
stands before the first order that does not hold is committed for good, and the rest is tried anew.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from agent.devnet.builder.block import PAYOUT_GAS, BlockMaker, MinedBlock, Payout
from agent.devnet.builder.bundles import Bundle
from agent.devnet.builder.outcome import BuiltBlock, Drop, Placement
from agent.devnet.builder.refunds import CombinedRefunds, Refund
from agent.devnet.builder.rules import Ordering, Reason, Worth, keeps_value, rank, sorting_value
from agent.devnet.builder.simulate import simulate_each
from agent.devnet.builder.verdict import judge
from agent.devnet.pending import PendingTransaction
from agent.eth.units import Address, Hash32
from agent.sim.simulator import BlockEnv

MAX_REINSERTIONS = 1
"""rbuilder's `failed_order_retries` of its example configuration."""


class _Order(msgspec.Struct, eq=False):
    """One candidate. `own` are the transactions still wanted; listed ones that fail are shed on the way."""

    id: str
    bundle: Bundle
    is_mempool: bool
    own: list[PendingTransaction]
    dropped: tuple[Hash32, ...] = ()
    worth: Worth | None = None
    """Its present value; None once it is out for good."""
    reinsertions: int = 0
    pays_directly: bool = True
    """False for a mempool transaction that moved no ether to the builder at the top of the block."""

    def worth_in(self, payments: dict[Hash32, int], block: MinedBlock) -> Worth:
        """Value where it stands in this block."""
        hashes = [transaction.hash for transaction in self.own]
        return Worth(self.id, sum(payments.get(h, 0) for h in hashes), sum(block.gas_used(h) for h in hashes))


class _Build:
    """The state of one build."""

    def __init__(self, maker: BlockMaker, env: BlockEnv, ordering: Ordering) -> None:
        self.maker = maker
        self.anvil = maker.node
        self.env = env
        self.ordering = ordering
        self.drops: list[Drop] = []
        self.left_out: dict[Hash32, str] = {}

    def drop(self, order: _Order, reason: Reason, detail: str) -> None:
        """Note that an order is out."""
        if order.is_mempool:
            self.left_out[order.bundle.transactions[0].hash] = f"{reason}: {detail}"
        else:
            self.drops.append(Drop(order.bundle, reason, detail))


async def build_ranked(
    maker: BlockMaker,
    env: BlockEnv,
    *,
    ordering: Ordering,
    public: Sequence[PendingTransaction],
    bundles: Sequence[Bundle],
    nonces: dict[Address, int],
) -> tuple[BuiltBlock, MinedBlock]:
    """Build the block on the state where the node stands; `nonces` are the senders' on that state."""
    build = _Build(maker, env, ordering)
    orders = [_Order(str(bundle.uuid), bundle, False, list(bundle.transactions)) for bundle in bundles]
    orders += [_Order("0x" + tx.hash.hex(), Bundle(transactions=(tx,), block_number=None), True, [tx]) for tx in public]
    await _value_mempool_on_top(build, [order for order in orders if order.is_mempool], public, nonces)
    for order in orders:
        if order.worth is None:
            await _execute_on_top(build, order, public, nonces)
    return await _fill(build, [order for order in orders if order.worth is not None], nonces)


async def _value_mempool_on_top(
    build: _Build, orders: Sequence[_Order], public: Sequence[PendingTransaction], nonces: dict[Address, int]
) -> None:
    """Value many mempool transactions at once; those that cannot be simulated so, or pay nothing, stay without.

    The node does not check nonces there: whether one is ready is seen when its turn comes.
    """
    sequences = [[*_parents(order.own, public, nonces), *order.own] for order in orders]
    for order, results in zip(orders, await simulate_each(build.anvil, sequences, build.env), strict=True):
        if results is not None and results[-1].coinbase_difference_wei > 0:
            order.worth = Worth(order.id, results[-1].coinbase_difference_wei, results[-1].gas_used)
            order.pays_directly = results[-1].sent_to_coinbase_wei != 0


async def _execute_on_top(
    build: _Build, order: _Order, public: Sequence[PendingTransaction], nonces: dict[Address, int]
) -> None:
    """Value of an order at the top of the block, by mining it; noted as dropped if it cannot be built."""
    own = list(order.own)
    parents = _parents(own, public, nonces)
    while own:
        block = await build.maker.make([*parents, *own], build.env)
        payments = await build.maker.payments(block, [tx.hash for tx in own], build.env.fee_recipient)
        if order.is_mempool:
            reason, detail = _judge_mempool(block, own[0])
            leave_out: tuple[Hash32, ...] = ()
        else:
            behind = parents[-1].hash if parents else None
            verdict = await judge(build.maker, block, order.bundle, own, build.env, behind=behind)
            reason, detail, leave_out = verdict.reason, verdict.detail, verdict.leave_out
        await build.maker.undo(block)
        if leave_out:
            own = [transaction for transaction in own if transaction.hash not in leave_out]
            continue
        if reason is not None:
            build.drop(order, reason, detail)
            return
        hashes = [transaction.hash for transaction in own]
        worth = Worth(order.id, sum(payments.values()), sum(block.gas_used(h) for h in hashes))
        if worth.profit_wei > 0:
            order.worth = worth
        else:
            reason = Reason.NEGATIVE_PROFIT if worth.profit_wei < 0 else Reason.NO_PROFIT
            build.drop(order, reason, f"it pays the builder {worth.profit_wei} wei")
        return
    build.drop(order, Reason.EMPTY_BUNDLE, "every transaction was left out")


def _parents(
    own: Sequence[PendingTransaction], public: Sequence[PendingTransaction], nonces: dict[Address, int]
) -> list[PendingTransaction]:
    """Mempool transactions that must come before `own` by nonce."""
    first: dict[Address, int] = {}
    for transaction in own:
        first[transaction.sender] = min(transaction.nonce, first.get(transaction.sender, transaction.nonce))
    needed = [tx for tx in public if tx.sender in first and nonces.get(tx.sender, 0) <= tx.nonce < first[tx.sender]]
    return sorted(needed, key=lambda tx: tx.nonce)


def _judge_mempool(block: MinedBlock, transaction: PendingTransaction) -> tuple[Reason | None, str]:
    """A mempool transaction may revert; it only has to be executed."""
    if transaction.hash in block.index_by_hash:
        return None, ""
    return Reason.INVALID_TRANSACTION, block.refused.get(transaction.hash, "the node left it out of the block")


async def _fill(build: _Build, orders: list[_Order], nonces: dict[Address, int]) -> tuple[BuiltBlock, MinedBlock]:
    committed: list[_Order] = []
    while True:
        waiting = [order for order in orders if order.worth is not None and order not in committed]
        sequence = [*committed, *_ready_in_turn(build, committed, waiting, nonces)]
        transactions = [tx for order in sequence for tx in order.own]
        block = await build.maker.make(transactions, build.env)
        payments = await _payments(build, block, sequence)
        refunds = CombinedRefunds(build.env.base_fee_wei)
        paid: dict[str, tuple[Worth, Refund | None]] = {}
        held = await _hold(build, block, payments, sequence, committed, refunds, paid)
        if len(held) == len(sequence) and (payouts := _payouts(refunds)):
            await build.maker.undo(block)
            wanted = len(block.receipts) + len(payouts)
            block = await build.maker.make(transactions, build.env, payouts=payouts)
            if len(block.receipts) != wanted:
                held = _without_last_refunded(build, sequence)
        if len(held) == len(sequence):
            await build.maker.keep(block)
            for order in waiting:
                if order not in sequence:
                    build.drop(order, Reason.INVALID_TRANSACTION, "nonce too high: an earlier transaction is missing")
            return _outcome(build, block, sequence, paid), block
        await build.maker.undo(block)
        committed = held


async def _payments(build: _Build, block: MinedBlock, sequence: Sequence[_Order]) -> dict[Hash32, int]:
    """Fees of all, and for whoever pays the builder directly that payment as well."""
    payments = {h: build.maker.fees(block, h, build.env) for h in block.index_by_hash}
    direct = [tx.hash for order in sequence if order.pays_directly for tx in order.own]
    return payments | await build.maker.payments_by_calls(block, direct, build.env)


def _payouts(refunds: CombinedRefunds) -> list[Payout]:
    return [Payout(Address(to), wei) for to, wei in refunds.payout_wei_by_recipient.items() if wei]


def _without_last_refunded(build: _Build, sequence: list[_Order]) -> list[_Order]:
    """The payouts do not fit the block: the last refunded order gives way, and what follows it is tried anew."""
    last = max(i for i, order in enumerate(sequence) if order.bundle.refund_percent)
    build.drop(sequence[last], Reason.GAS_LEFT, f"a payout of {PAYOUT_GAS} gas does not fit the block")
    sequence[last].worth = None
    return sequence[:last]


def _ready_in_turn(
    build: _Build, committed: Sequence[_Order], queue: Sequence[_Order], nonces: dict[Address, int]
) -> list[_Order]:
    """The waiting orders in the order of commits to come: the best whose nonces are ready, each time."""
    by_id = {order.id: order for order in queue}
    waiting = [by_id[worth.order_id] for worth in rank((o.worth for o in queue if o.worth), build.ordering)]
    next_nonce = dict(nonces)
    for order in committed:
        _advance(order, next_nonce)
    result: list[_Order] = []
    while (ready := next((order for order in waiting if _is_ready(order, next_nonce)), None)) is not None:
        waiting.remove(ready)
        _advance(ready, next_nonce)
        result.append(ready)
    return result


def _is_ready(order: _Order, next_nonce: dict[Address, int]) -> bool:
    """No transaction of it waits for an earlier nonce; a used nonce is for the commit to judge."""
    seen = dict(next_nonce)
    for transaction in order.own:
        if transaction.nonce > seen.get(transaction.sender, 0) and order.bundle.listed(transaction.hash) == "none":
            return False
        seen[transaction.sender] = max(seen.get(transaction.sender, 0), transaction.nonce + 1)
    return True


def _advance(order: _Order, next_nonce: dict[Address, int]) -> None:
    for transaction in order.own:
        next_nonce[transaction.sender] = max(next_nonce.get(transaction.sender, 0), transaction.nonce + 1)


async def _hold(
    build: _Build,
    block: MinedBlock,
    payments: dict[Hash32, int],
    sequence: Sequence[_Order],
    committed: Sequence[_Order],
    refunds: CombinedRefunds,
    paid: dict[str, tuple[Worth, Refund | None]],
) -> list[_Order]:
    """What holds, from the front up to the first order that does not.

    That one sheds a transaction, or goes back with a lower worth, or is out for good and has no worth left.
    """
    held: list[_Order] = []
    behind: Hash32 | None = None
    for order in sequence:
        if order.is_mempool:
            reason, detail = _judge_mempool(block, order.own[0])
        else:
            verdict = await judge(build.maker, block, order.bundle, order.own, build.env, behind=behind)
            reason, detail = verdict.reason, verdict.detail
            if verdict.leave_out:
                order.own = [tx for tx in order.own if tx.hash not in verdict.leave_out]
                order.dropped += verdict.leave_out
                if order.own:
                    return held
                reason, detail = Reason.EMPTY_BUNDLE, "every transaction was left out"
        here = order.worth_in(payments, block)
        if reason is None and order not in committed:
            assert order.worth is not None
            top, in_place = sorting_value(order.worth, build.ordering), sorting_value(here, build.ordering)
            if not keeps_value(top=top, in_place=in_place):
                reason, detail = Reason.LOWER_INSERTED_VALUE, f"{in_place} in place, {top} at the top"
                if order.reinsertions < MAX_REINSERTIONS and here.profit_wei > 0:
                    order.reinsertions += 1
                    order.worth = here
                    return held
            elif here.profit_wei <= 0:
                reason = Reason.NEGATIVE_PROFIT if here.profit_wei < 0 else Reason.NO_PROFIT
                detail = f"it pays the builder {here.profit_wei} wei"
        refund = None
        if reason is None and order.bundle.refund_percent:
            refund = _refund(order, payments, refunds)
            if refund is None:
                reason, detail = Reason.NOT_ENOUGH_REFUND_FOR_GAS, f"it pays the builder {here.profit_wei} wei"
        if reason is not None:
            build.drop(order, reason, detail)
            order.worth = None
            return held
        paid[order.id] = (here, refund)
        held.append(order)
        behind = order.own[-1].hash
    return held


def _refund(order: _Order, payments: dict[Hash32, int], refunds: CombinedRefunds) -> Refund | None:
    """The share of what the refund transactions (by default the last) paid; to the first sender by default."""
    bundle = order.bundle
    hashes = bundle.refund_transactions or (bundle.transactions[-1].hash,)
    recipient = bundle.refund_recipient or bundle.transactions[0].sender
    profit_wei = max(0, sum(payments.get(h, 0) for h in hashes))
    if bundle.is_refund_delayed:  # no payout in the block, so no gas to bear
        share_wei = profit_wei * bundle.refund_percent // 100
        return Refund(refund_wei=share_wei, payout_cost_wei=0, builder_keeps_wei=profit_wei - share_wei)
    return refunds.add(recipient, profit_wei=profit_wei, percent=bundle.refund_percent)


def _outcome(
    build: _Build, block: MinedBlock, sequence: Sequence[_Order], paid: dict[str, tuple[Worth, Refund | None]]
) -> BuiltBlock:
    placements = []
    for order in sequence:
        if order.is_mempool:
            continue
        worth, refund = paid[order.id]
        indices = tuple(index for tx in order.own if (index := block.index(tx.hash)) is not None)
        refund_wei = refund.refund_wei if refund else 0
        placements.append(Placement(order.bundle, indices, worth.profit_wei, order.dropped, refund_wei))
    return BuiltBlock(
        number=block.number,
        hash=block.hash,
        ordering=build.ordering,
        receipts=block.receipts,
        placements=tuple(placements),
        drops=tuple(build.drops),
        left_out={h: why for h, why in build.left_out.items() if h not in block.index_by_hash},
    )
