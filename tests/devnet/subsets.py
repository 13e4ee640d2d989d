"""A bundle is atomic only by courtesy: whatever part of it lands, in whatever order, may cost its gas and no more.

`try_every_subset` executes each ordered subset of a bundle's transactions on the world's state, with foreign
transactions before, between and behind, now and in later blocks, takes each block back, and tells every loss: a token
or ether balance of ours that fell by more than the gas of our own transactions. A test asserts that there is none.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import permutations

import msgspec

from agent.devnet.anvil import Anvil
from agent.devnet.builder.block import BlockMaker, MinedBlock
from agent.devnet.pending import PendingTransaction
from agent.eth.hexes import from_quantity, to_data, to_quantity
from agent.eth.units import Address
from agent.sim.simulator import BlockEnv

LATER_BLOCKS = (0, 1, 64)
SLOT_S = 12
_BALANCE_OF = bytes.fromhex("70a08231")


class Loss(msgspec.Struct, frozen=True):
    """What one execution cost beyond gas. `token` None is ether."""

    transactions: tuple[bytes, ...]
    """What was sent, in order; foreign ones included."""
    blocks_later: int
    holder: Address
    token: Address | None
    fell_by: int


class Trials(msgspec.Struct):
    """What was tried, and every loss found."""

    executions: int = 0
    executed_transactions: int = 0
    """Transactions of the bundle that were mined, over all executions: proof that something was tried."""
    losses: list[Loss] = []


def ordered_subsets(
    transactions: Sequence[PendingTransaction],
) -> Iterator[tuple[PendingTransaction, ...]]:
    """Every ordered subset: 65 of four transactions, the empty one included."""
    for size in range(len(transactions) + 1):
        yield from permutations(transactions, size)


def with_foreign(
    own: Sequence[PendingTransaction], foreign: Sequence[PendingTransaction]
) -> Iterator[tuple[PendingTransaction, ...]]:
    """The subset alone, and with the foreign transactions, in their order, spread over the gaps in every way."""
    yield tuple(own)
    if foreign:
        yield from _spread(tuple(own), tuple(foreign))


def _spread(
    own: tuple[PendingTransaction, ...], foreign: tuple[PendingTransaction, ...]
) -> Iterator[tuple[PendingTransaction, ...]]:
    if not own or not foreign:
        yield own + foreign
        return
    for rest in _spread(own[1:], foreign):
        yield own[:1] + rest
    for rest in _spread(own, foreign[1:]):
        yield foreign[:1] + rest


async def try_every_subset(
    anvil: Anvil,
    bundle: Sequence[PendingTransaction],
    env: BlockEnv,
    *,
    senders: frozenset[Address],
    holders: Sequence[Address],
    tokens: Sequence[Address],
    foreign: Sequence[PendingTransaction] = (),
    later_blocks: Sequence[int] = LATER_BLOCKS,
) -> Trials:
    """Execute them all from the state where the node stands, which it stands on again afterwards.

    `senders` are our keys: their own gas is the price that may be paid. `holders` are the accounts whose balances
    count (owner, executor, keys), in `tokens` and in ether. Nobody else may use the node meanwhile.
    """
    trials = Trials()
    for blocks_later in later_blocks:
        snapshot = await anvil.call("evm_snapshot")
        if blocks_later:
            await anvil.call("anvil_mine", to_quantity(blocks_later))
        at = msgspec.structs.replace(
            env, number=env.number + blocks_later, timestamp=env.timestamp + SLOT_S * (blocks_later + 1)
        )
        before = await _balances(anvil, holders, tokens)
        for own in ordered_subsets(bundle):
            for sequence in with_foreign(own, foreign):
                await _try(anvil, sequence, at, blocks_later, senders, holders, tokens, before, own, trials)
        await anvil.call("evm_revert", snapshot)
    return trials


async def _try(
    anvil: Anvil,
    sequence: Sequence[PendingTransaction],
    env: BlockEnv,
    blocks_later: int,
    senders: frozenset[Address],
    holders: Sequence[Address],
    tokens: Sequence[Address],
    before: dict[tuple[Address, Address | None], int],
    own: Sequence[PendingTransaction],
    trials: Trials,
) -> None:
    maker = BlockMaker(anvil)
    block = await maker.make(sequence, env)
    after = await _balances(anvil, holders, tokens)
    await maker.undo(block)
    trials.executions += 1
    trials.executed_transactions += sum(transaction.hash in block.index_by_hash for transaction in own)
    gas_wei = {sender: _gas_wei(block, sequence, sender) for sender in senders}
    for (holder, token), had in before.items():
        allowed = gas_wei.get(holder, 0) if token is None else 0
        fell_by = had - after[holder, token] - allowed
        if fell_by > 0:
            hashes = tuple(transaction.hash for transaction in sequence)
            trials.losses.append(Loss(hashes, blocks_later, holder, token, fell_by))


def _gas_wei(block: MinedBlock, sequence: Sequence[PendingTransaction], sender: Address) -> int:
    """What a sender paid for the gas of its own transactions, fees and tips."""
    paid = 0
    for transaction in sequence:
        index = block.index(transaction.hash)
        if transaction.sender == sender and index is not None:
            receipt = block.receipts[index]
            paid += from_quantity(receipt["gasUsed"]) * from_quantity(receipt["effectiveGasPrice"])
    return paid


async def _balances(
    anvil: Anvil, holders: Sequence[Address], tokens: Sequence[Address]
) -> dict[tuple[Address, Address | None], int]:
    balances: dict[tuple[Address, Address | None], int] = {}
    for holder in holders:
        balances[holder, None] = from_quantity(await anvil.call("eth_getBalance", to_data(holder), "latest"))
        for token in tokens:
            call = {"from": to_data(holder), "to": to_data(token), "data": to_data(_BALANCE_OF + bytes(12) + holder)}
            balances[holder, token] = int.from_bytes(
                bytes.fromhex((await anvil.call("eth_call", call, "latest"))[2:]), "big"
            )
    return balances
