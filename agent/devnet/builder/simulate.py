"""`eth_callBundle`: what a bundle would do, on the state asked for.

On the head and for the block that comes next, the bundle is mined and taken back: exact in every respect. On an older
state, or for a later block, `eth_simulateV1` runs it, with a reader of the fee recipient's balance between the
transactions; nonces, which anvil does not check there, are checked here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from agent.devnet.anvil import Anvil
from agent.devnet.builder.block import BlockMaker
from agent.devnet.pending import PendingTransaction
from agent.errors import ProtocolError, Rejected
from agent.eth.hexes import from_data, from_quantity, to_data, to_quantity
from agent.eth.keccak import keccak256
from agent.eth.units import Address
from agent.sim.simulator import BlockEnv

_READER = Address(keccak256(b"devnet balance reader")[12:])
_READER_CODE = bytes.fromhex("413160005260206000f3")
"""COINBASE BALANCE MSTORE(0) RETURN(0, 32)."""
_ASKER = Address(keccak256(b"devnet balance asker")[12:])
_READ_GAS = 40_000


class SimulatedTransaction(msgspec.Struct, frozen=True):
    """How one transaction of a bundle ended."""

    transaction: PendingTransaction
    is_success: bool
    gas_used: int
    gas_price_wei: int
    """What the sender pays for each gas."""
    priority_fees_wei: int
    coinbase_difference_wei: int
    output: bytes
    error: str = ""

    @property
    def sent_to_coinbase_wei(self) -> int:
        """What reached the fee recipient besides priority fees."""
        return self.coinbase_difference_wei - self.priority_fees_wei


async def simulate_next(
    maker: BlockMaker, node: Anvil, transactions: Sequence[PendingTransaction], env: BlockEnv
) -> list[SimulatedTransaction]:
    """Mine on the head and take it back. Rejected, in the relay's words, if a transaction cannot be executed."""
    block = await maker.make(transactions, env)
    try:
        for transaction in transactions:
            if transaction.hash not in block.index_by_hash:
                said = block.refused.get(transaction.hash) or (await maker.explain(transaction, env))[0]
                raise _invalid(said, transaction)
        payments = await maker.payments(block, [tx.hash for tx in transactions], env.fee_recipient)
        results = []
        for transaction in transactions:
            frame = await node.call("debug_traceTransaction", to_data(transaction.hash), {"tracer": "callTracer"})
            is_success = block.has_succeeded(transaction.hash)
            results.append(
                _result(
                    transaction,
                    env,
                    is_success=is_success,
                    gas_used=block.gas_used(transaction.hash),
                    difference_wei=payments[transaction.hash],
                    output=from_data(frame.get("output") or "0x"),
                    error="" if is_success else frame.get("error") or "execution reverted",
                )
            )
        return results
    finally:
        await maker.undo(block)


async def simulate_at(
    node: Anvil, transactions: Sequence[PendingTransaction], env: BlockEnv, *, state_block: int
) -> list[SimulatedTransaction]:
    """Run on the state after `state_block`, as the block `env`. Rejected as in `simulate_next`."""
    await _check_nonces(node, transactions, state_block)
    for transaction in transactions:
        if transaction.to is None:
            raise _invalid("contract creation cannot be simulated on this state here", transaction)
        if transaction.max_fee_wei < env.base_fee_wei:
            raise _invalid(
                f"max fee per gas less than block base fee: address {to_data(transaction.sender)}, "
                f"maxFeePerGas: {transaction.max_fee_wei}, baseFee: {env.base_fee_wei}",
                transaction,
            )
    calls = [_reading(0, env)]
    for i, transaction in enumerate(transactions):
        calls += [_call_of(transaction), _reading(i + 1, env)]
    request = {
        "blockStateCalls": [
            {
                "blockOverrides": {
                    "number": to_quantity(env.number),
                    "time": to_quantity(env.timestamp),
                    "baseFeePerGas": to_quantity(env.base_fee_wei),
                    "feeRecipient": to_data(env.fee_recipient),
                    "gasLimit": to_quantity(env.gas_limit + _READ_GAS * (len(transactions) + 1)),
                    "prevRandao": f"0x{env.prev_randao:064x}",
                },
                "stateOverrides": {
                    to_data(_READER): {"code": to_data(_READER_CODE)},
                    to_data(_ASKER): {"balance": to_quantity(10**24)},
                },
                "calls": calls,
            }
        ],
        "validation": True,
    }
    try:
        answer = await node.call("eth_simulateV1", request, to_quantity(state_block))
    except ProtocolError as error:
        raise _invalid(error.message, transactions[0]) from None
    frames = answer[0]["calls"]
    balances = [from_quantity(frame["returnData"]) for frame in frames[::2]]
    return [
        _result(
            transaction,
            env,
            is_success=from_quantity(frame["status"]) == 1,
            gas_used=from_quantity(frame["gasUsed"]),
            difference_wei=balances[i + 1] - balances[i],
            output=from_data(frame["returnData"]),
            error="" if from_quantity(frame["status"]) == 1 else "execution reverted",
        )
        for i, (transaction, frame) in enumerate(zip(transactions, frames[1::2], strict=True))
    ]


async def _check_nonces(node: Anvil, transactions: Sequence[PendingTransaction], state_block: int) -> None:
    expected: dict[Address, int] = {}
    for transaction in transactions:
        sender = to_data(transaction.sender)
        if transaction.sender not in expected:
            count = await node.call("eth_getTransactionCount", sender, to_quantity(state_block))
            expected[transaction.sender] = from_quantity(count)
        nonce = expected[transaction.sender]
        if transaction.nonce != nonce:
            word = "low" if transaction.nonce < nonce else "high"
            said = f"nonce too {word}: address {sender}, tx: {transaction.nonce} state: {nonce}"
            raise _invalid(said, transaction)
        expected[transaction.sender] = nonce + 1


def _invalid(said: str, transaction: PendingTransaction) -> Rejected:
    return Rejected(f"err: {said}; txhash {to_data(transaction.hash)}", method="eth_callBundle")


def _result(
    transaction: PendingTransaction,
    env: BlockEnv,
    *,
    is_success: bool,
    gas_used: int,
    difference_wei: int,
    output: bytes,
    error: str,
) -> SimulatedTransaction:
    tip_wei = transaction.tip_wei(env.base_fee_wei)
    return SimulatedTransaction(
        transaction=transaction,
        is_success=is_success,
        gas_used=gas_used,
        gas_price_wei=env.base_fee_wei + tip_wei,
        priority_fees_wei=gas_used * tip_wei,
        coinbase_difference_wei=difference_wei,
        output=output,
        error=error,
    )


def _call_of(transaction: PendingTransaction) -> dict[str, Any]:
    assert transaction.to is not None
    call: dict[str, Any] = {
        "from": to_data(transaction.sender),
        "to": to_data(transaction.to),
        "nonce": to_quantity(transaction.nonce),
        "gas": to_quantity(transaction.gas_limit),
        "value": to_quantity(transaction.value_wei),
        "input": transaction.rpc["input"],
    }
    for name in ("accessList", "authorizationList", "maxFeePerGas", "maxPriorityFeePerGas"):
        if name in transaction.rpc:
            call[name] = transaction.rpc[name]
    if "maxFeePerGas" not in call:
        call["gasPrice"] = to_quantity(transaction.max_fee_wei)
    return call


def _reading(nonce: int, env: BlockEnv) -> dict[str, Any]:
    return {
        "from": to_data(_ASKER),
        "to": to_data(_READER),
        "nonce": to_quantity(nonce),
        "gas": to_quantity(_READ_GAS),
        "maxFeePerGas": to_quantity(env.base_fee_wei),
        "maxPriorityFeePerGas": "0x0",
    }
