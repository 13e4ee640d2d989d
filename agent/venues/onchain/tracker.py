"""What a mined block says about a bundle of ours: where it landed, or who took its place and for how much.

Pure functions over a block's transactions and receipts. Payments inside a transaction (a contract that sends to
the fee recipient) leave no trace in receipts; they are known only where a trace or a balance gives them, and
a rival's price is then a lower bound that says so.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import msgspec

from agent.errors import ProtocolError
from agent.eth.hexes import from_quantity, to_address, to_hash
from agent.eth.keccak import keccak256
from agent.eth.receipts import ReceiptLog, receipt_from_rpc
from agent.eth.units import Address, Hash32
from agent.venues.onchain.outcomes import Landing

_NOT_A_MOVE = frozenset(
    keccak256(signature) for signature in (b"Transfer(address,address,uint256)", b"Approval(address,address,uint256)")
)
"""Events of a pool's own share token; they leave its price where it was."""


class MinedTransaction(msgspec.Struct, frozen=True):
    """A transaction with its receipt, as far as payments and pools go."""

    hash: Hash32
    index: int
    sender: Address
    to: Address | None
    value_wei: int
    gas_used: int
    priority_fee_wei: int
    """Per gas, at the block's base fee."""
    is_success: bool
    logs: tuple[ReceiptLog, ...]


class MinedBlock(msgspec.Struct, frozen=True):
    """A block with its receipts, in order."""

    number: int
    hash: Hash32
    fee_recipient: Address
    base_fee_wei: int
    timestamp_s: int
    gas_limit: int
    gas_used: int
    transactions: tuple[MinedTransaction, ...]


class PoolKey(msgspec.Struct, frozen=True, gc=False):
    """A pool as its events name it: by contract, and by id where one contract holds many."""

    address: Address
    pool_id: Hash32 | None = None


class Payment(msgspec.Struct, frozen=True, gc=False):
    """What a transaction, with those of the same sender right behind it, gave the fee recipient; wei."""

    priority_fees_wei: int
    transfers_wei: int
    inside_wei: int | None
    """Sent from within contracts; None: receipts cannot tell."""

    @property
    def paid_wei(self) -> int:
        """All that is known to have been paid; at least this much when `inside_wei` is None."""
        return self.priority_fees_wei + self.transfers_wei + (self.inside_wei or 0)


class Rival(msgspec.Struct, frozen=True, gc=False):
    """The first transaction of the block that moved a pool of ours where we wanted to."""

    transaction: Hash32
    index: int
    payment: Payment
    pools: tuple[PoolKey, ...]


def mined_block_from_rpc(block: Mapping[str, Any], receipts: Sequence[Mapping[str, Any]]) -> MinedBlock:
    """A node's block object, with whole transactions, and the receipts of all of them.

    ProtocolError when the two do not belong together or a field is missing: half a block tells nothing.
    """
    try:
        base_fee_wei = from_quantity(block["baseFeePerGas"])
        objects = block["transactions"]
        if [receipt["transactionHash"] for receipt in receipts] != [obj["hash"] for obj in objects]:
            raise ValueError("the receipts are not those of the block's transactions in order")
        return MinedBlock(
            number=from_quantity(block["number"]),
            hash=to_hash(block["hash"]),
            fee_recipient=to_address(block["miner"]),
            base_fee_wei=base_fee_wei,
            timestamp_s=from_quantity(block["timestamp"]),
            gas_limit=from_quantity(block["gasLimit"]),
            gas_used=from_quantity(block["gasUsed"]),
            transactions=tuple(
                _mined(index, obj, receipt, base_fee_wei)
                for index, (obj, receipt) in enumerate(zip(objects, receipts, strict=True))
            ),
        )
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise ProtocolError(
            f"a node gave a block that cannot be read: {type(error).__name__} {str(error)[:100]}",
            method="eth_getBlockReceipts",
            hint="ask another node; what happened in the block stays unknown until then",
        ) from error


def landings(block: MinedBlock, hashes: Sequence[Hash32]) -> tuple[Landing | None, ...]:
    """Where each of our transactions stands in the block; None for those it does not hold."""
    by_hash = {mined.hash: mined for mined in block.transactions}
    found = [by_hash.get(wanted) for wanted in hashes]
    return tuple(None if m is None else Landing(block.number, m.index, m.is_success) for m in found)


def find_rival(
    block: MinedBlock,
    *,
    pools: Collection[PoolKey],
    ours: Collection[Hash32],
    target: Hash32 | None,
    least_pools: int = 1,
    inside_payments_wei: Mapping[Hash32, int] | None = None,
) -> Rival | None:
    """Who moved at least `least_pools` of our pools in the block, from behind our target on (from the top for a head).

    Our own transactions and the target do not count. When the target is not in the block there was nothing to
    backrun and there is no rival. `inside_payments_wei` are payments from within contracts, where traced.
    """
    start = 0
    if target is not None:
        place = next((mined.index for mined in block.transactions if mined.hash == target), None)
        if place is None:
            return None
        start = place + 1
    for mined in block.transactions[start:]:
        if mined.hash in ours:
            continue
        moved = _moved(mined, pools)
        if len(moved) >= least_pools:
            return Rival(mined.hash, mined.index, payment(block, mined, inside_payments_wei), moved)
    return None


def payment(
    block: MinedBlock, mined: MinedTransaction, inside_payments_wei: Mapping[Hash32, int] | None = None
) -> Payment:
    """What a transaction and the plain transfers to the fee recipient that its sender put right behind it paid."""
    fees, transfers = mined.gas_used * mined.priority_fee_wei, 0
    if mined.to == block.fee_recipient and mined.is_success:
        transfers += mined.value_wei
    for following in block.transactions[mined.index + 1 :]:
        if following.sender != mined.sender or following.to != block.fee_recipient:
            break
        fees += following.gas_used * following.priority_fee_wei
        transfers += following.value_wei if following.is_success else 0
    inside = None if inside_payments_wei is None else inside_payments_wei.get(mined.hash, 0)
    return Payment(fees, transfers, inside)


def _mined(index: int, obj: Mapping[str, Any], receipt: Mapping[str, Any], base_fee_wei: int) -> MinedTransaction:
    parsed = receipt_from_rpc(receipt)
    to = obj.get("to")
    return MinedTransaction(
        hash=to_hash(obj["hash"]),
        index=index,
        sender=to_address(obj["from"]),
        to=None if to is None else to_address(to),
        value_wei=from_quantity(obj["value"]),
        gas_used=from_quantity(receipt["gasUsed"]),
        # The receipt's price, not the offer: what was paid per gas above the base fee.
        priority_fee_wei=from_quantity(receipt["effectiveGasPrice"]) - base_fee_wei,
        is_success=parsed.is_success,
        logs=parsed.logs,
    )


def _moved(mined: MinedTransaction, pools: Collection[PoolKey]) -> tuple[PoolKey, ...]:
    """The pools of ours that the transaction's events name, in the order of its first event of each."""
    found: dict[PoolKey, None] = {}
    for log in mined.logs:
        if not log.topics or log.topics[0] in _NOT_A_MOVE:
            continue
        keys = [PoolKey(log.address)]
        if len(log.topics) > 1:
            keys.append(PoolKey(log.address, log.topics[1]))
        found.update(dict.fromkeys(key for key in keys if key in pools))
    return tuple(found)
