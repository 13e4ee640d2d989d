"""What the chain says of a bundle that landed: every figure is read from its receipt, none from our prediction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from agent.chain.client import Rpc
from agent.chain.discovery import view
from agent.chain.jsonrpc import RpcError
from agent.engine.chain_worth import BALANCE_OF
from agent.engine.executor import Executor
from agent.engine.hunter import Hunter
from agent.engine.result import BookRow, Ending, Mismatch, RunResult, TransactionResult
from agent.engine.tracked import Mined, Tracked
from agent.eth.hexes import address_text, from_quantity, to_data
from agent.eth.keccak import keccak256
from agent.eth.units import Address

_TRANSFER = to_data(keccak256(b"Transfer(address,address,uint256)"))
_WITHDRAWAL = to_data(keccak256(b"Withdrawal(address,uint256)"))


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


def book(hunter: Hunter, one: Tracked, mined: Mined, result: RunResult, *, is_state_known: bool) -> None:
    """Close the bundle with the chain's figures.

    `is_state_known`: the block was built on exactly the state that was simulated (a case), so any difference from the
    prediction is a defect of ours and recorded as one. Elsewhere the block may have moved our pools first.
    """
    assert one.candidate is not None and one.candidate.terms is not None
    priority_wei = mined.gas_used * one.candidate.terms.max_priority_fee_wei
    value_wei = _value_wei(one, mined)
    one.mined = mined
    one.bid_wei = mined.payment_wei + priority_wei
    one.gas_wei = mined.fee_wei - priority_wei
    one.net_landed_wei = value_wei - mined.fee_wei - mined.payment_wei
    if mined.status != 1:
        reason = "mined with status 0"
        hunter.on_ended(one, outcome=Ending.REVERTED, reason=reason, gas_paid_wei=mined.fee_wei, net_wei=-mined.fee_wei)
    else:
        hunter.on_ended(
            one,
            outcome=Ending.LANDED,
            reason=_difference(one, mined),
            gas_paid_wei=mined.fee_wei,
            bid_paid_wei=mined.payment_wei,
            net_wei=one.net_landed_wei,
        )
        if is_state_known and one.reason:
            result.mismatches.append(
                Mismatch(one.opportunity.id, one.candidate.execution.gross_amount, mined.gross_amount)
            )
            result.warnings.append(f"{one.opportunity.id}: {one.reason}")
    result.transactions.append(
        TransactionResult(
            hash=mined.hash,
            block=mined.block,
            index=mined.index,
            status=mined.status,
            gas_used=mined.gas_used,
            fee_wei=mined.fee_wei,
            coinbase_payment_wei=mined.payment_wei,
            profit_wei=one.net_landed_wei,
            opportunity=one.opportunity.id,
        )
    )


def _value_wei(one: Tracked, mined: Mined) -> int:
    """What was earned, in ETH: exact in WETH; in another token at the candidate's price, rounded down."""
    assert one.candidate is not None
    predicted_wei, predicted_amount = one.candidate.value_wei or 0, one.candidate.execution.gross_amount
    if mined.gross_amount == predicted_amount or not predicted_amount:
        return predicted_wei if mined.status == 1 else 0
    return predicted_wei * mined.gross_amount // predicted_amount


def _difference(one: Tracked, mined: Mined) -> str:
    """How the mined run differs from the simulated one; empty where it does not."""
    assert one.candidate is not None
    execution = one.candidate.execution
    if (mined.gross_amount, mined.gas_used) == (execution.gross_amount, execution.gas_used):
        return ""
    return (
        f"predicted {execution.gross_amount} with {execution.gas_used} gas, "
        f"paid {mined.gross_amount} with {mined.gas_used}: the block had moved its pools"
    )


class Books:
    """What vault and operators held at the start, to be compared with the chain at the end."""

    def __init__(self, executor: Executor, vault: dict[Address, int], operators_wei: int) -> None:
        self._executor = executor
        self._vault = vault
        self._operators_wei = operators_wei

    @classmethod
    async def open(cls, rpc: Rpc, executor: Executor, *, tokens: Sequence[Address]) -> Books:
        """Read the balances of now."""
        return cls(executor, await _vault_balances(rpc, executor, tokens), await _ether(rpc, executor.operators))

    async def close(self, rpc: Rpc, hunter: Hunter, result: RunResult) -> list[BookRow]:
        """Booked against read, for each token of the vault and the operators' ETH; any difference is a warning."""
        now = await _vault_balances(rpc, self._executor, tuple(self._vault))
        booked = dict.fromkeys(self._vault, 0)
        for one in hunter.tracked.values():
            if one.outcome == Ending.LANDED and one.mined is not None:
                token = one.opportunity.start_token
                booked[token] = booked.get(token, 0) + one.mined.kept_amount
        vault, operators = address_text(self._executor.vault), "operators"
        rows = [
            BookRow(account=vault, token=to_data(token), booked=booked[token], chain=now[token] - before)
            for token, before in self._vault.items()
        ]
        fees_wei = sum(mined.fee_wei for mined in result.transactions)
        spent_wei = await _ether(rpc, self._executor.operators) - self._operators_wei
        rows.append(BookRow(account=operators, token="ETH", booked=-fees_wei, chain=spent_wei))
        for row in rows:
            if row.booked != row.chain:
                result.warnings.append(
                    f"books differ: {row.account} {row.token}: {row.booked} booked, {row.chain} on chain"
                )
        return rows


async def _vault_balances(rpc: Rpc, executor: Executor, tokens: Sequence[Address]) -> dict[Address, int]:
    calls = [(token, BALANCE_OF + executor.vault.rjust(32, b"\0")) for token in tokens]
    answers = await view(rpc, calls, sender=executor.operators[0], block="latest")
    return {
        token: int.from_bytes(answer, "big")
        for token, answer in zip(tokens, answers, strict=True)
        if answer is not None
    }


async def _ether(rpc: Rpc, accounts: Sequence[Address]) -> int:
    answers = await rpc.batch([("eth_getBalance", [to_data(account), "latest"]) for account in accounts])
    for answer in answers:
        if isinstance(answer, RpcError):
            raise answer
    return sum(from_quantity(str(answer)) for answer in answers)
