"""What the chain says of a bundle that landed: every figure is read from its receipt, none from our prediction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from agent.engine.executor import Executor
from agent.engine.hunter import Hunter, Tracked
from agent.engine.result import Mismatch, RunResult, TransactionResult
from agent.eth.hexes import from_quantity, to_data
from agent.eth.keccak import keccak256
from agent.eth.units import Address

_TRANSFER = to_data(keccak256(b"Transfer(address,address,uint256)"))
_WITHDRAWAL = to_data(keccak256(b"Withdrawal(address,uint256)"))


class Mined(msgspec.Struct, frozen=True, kw_only=True):
    """Our transaction in a block. `kept_amount` went to the vault, in the start token."""

    hash: str
    block: int
    index: int
    status: int
    gas_used: int
    fee_wei: int
    payment_wei: int
    kept_amount: int

    @property
    def gross_amount(self) -> int:
        """Payment exists only where the start token is WETH, so the sum is in one unit."""
        return self.kept_amount + self.payment_wei


def landed_transaction(
    one: Tracked, receipts: Sequence[Mapping[str, Any]], executor: Executor, *, base_fee_wei: int
) -> Mined | None:
    """Our transaction in these receipts, or None."""
    if one.signed is None:
        return None
    wanted = to_data(one.signed.hash)
    for receipt in receipts:
        if receipt["transactionHash"] == wanted:
            return _mined(receipt, one, executor, base_fee_wei=base_fee_wei)
    return None


def _mined(receipt: Mapping[str, Any], one: Tracked, executor: Executor, *, base_fee_wei: int) -> Mined:
    gas_used = from_quantity(receipt["gasUsed"])
    price_wei = from_quantity(receipt.get("effectiveGasPrice") or hex(base_fee_wei))
    token = to_data(one.opportunity.start_token)
    kept = payment = 0
    for log in receipt["logs"]:
        topics = log["topics"]
        if log["address"] != token or not topics:
            continue
        if topics[0] == _TRANSFER and topics[1:] == [_topic(executor.address), _topic(executor.vault)]:
            kept += from_quantity(log["data"])
        elif topics[0] == _WITHDRAWAL and topics[1:] == [_topic(executor.address)]:
            payment += from_quantity(log["data"])
    return Mined(
        hash=receipt["transactionHash"],
        block=from_quantity(receipt["blockNumber"]),
        index=from_quantity(receipt["transactionIndex"]),
        status=from_quantity(receipt["status"]),
        gas_used=gas_used,
        fee_wei=gas_used * price_wei,
        payment_wei=payment,
        kept_amount=kept,
    )


def _topic(address: Address) -> str:
    return to_data(address.rjust(32, b"\0"))


def book(hunter: Hunter, one: Tracked, mined: Mined, result: RunResult) -> None:
    """Close the bundle with the chain's figures, and record any difference from what was predicted."""
    assert one.candidate is not None and one.candidate.terms is not None
    execution = one.candidate.execution
    priority_wei = mined.gas_used * one.candidate.terms.max_priority_fee_wei
    bid_wei = mined.payment_wei + priority_wei
    gas_wei = mined.fee_wei - priority_wei
    if mined.status != 1:
        hunter.on_ended(
            one,
            outcome="reverted",
            reason="mined with status 0",
            gas_paid_wei=mined.fee_wei,
            bid_paid_wei=0,
            net_wei=-mined.fee_wei,
        )
        net_wei = -mined.fee_wei
    else:
        value_wei = one.candidate.value_wei or 0
        net_wei = value_wei - gas_wei - bid_wei
        hunter.on_ended(
            one,
            outcome="landed",
            reason="",
            gas_paid_wei=mined.fee_wei,
            bid_paid_wei=mined.payment_wei,
            net_wei=net_wei,
        )
        if mined.gross_amount != execution.gross_amount:
            result.mismatches.append(Mismatch(one.opportunity.id, execution.gross_amount, mined.gross_amount))
        if (mined.gas_used, mined.payment_wei) != (execution.gas_used, execution.payment_wei):
            result.warnings.append(
                f"{one.opportunity.id} was predicted to use {execution.gas_used} gas and pay {execution.payment_wei} wei, "
                f"and used {mined.gas_used} and paid {mined.payment_wei}"
            )
    result.transactions.append(
        TransactionResult(
            hash=mined.hash,
            block=mined.block,
            index=mined.index,
            status=mined.status,
            gas_used=mined.gas_used,
            fee_wei=mined.fee_wei,
            coinbase_payment_wei=mined.payment_wei,
            profit_wei=net_wei,
            opportunity=one.opportunity.id,
        )
    )
