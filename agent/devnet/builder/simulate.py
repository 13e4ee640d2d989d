"""`eth_callBundle`: what a bundle would do, on the state asked for.

On the head and for the block that comes next, the bundle is mined and taken back: exact in every respect. On an older
state, or for a later block, `eth_simulateV1` runs it with every transfer of ether traced; nonces, which anvil does not
check there, are checked here. The same call gives the value of many mempool transactions at the top of a block.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from agent.chain.jsonrpc import RpcError
from agent.devnet.anvil import Anvil
from agent.devnet.builder.block import BlockMaker
from agent.devnet.pending import PendingTransaction
from agent.errors import ProtocolError, Rejected
from agent.eth.hexes import from_data, from_quantity, to_data, to_quantity
from agent.eth.units import Address
from agent.sim.simulator import BlockEnv

_TRANSFER = "0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef"
_ETHER = "0x" + "ee" * 20
"""Where `traceTransfers` says that ether moved: a log of `Transfer(from, to, value)` at this address."""
_BATCH_MEMBERS = 100


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
    try:
        answer = await node.call("eth_simulateV1", _request(transactions, env), to_quantity(state_block))
    except ProtocolError as error:
        raise _invalid(error.message, transactions[0]) from None
    return _results(transactions, env, answer[0]["calls"])


async def simulate_each(
    node: Anvil, sequences: Sequence[Sequence[PendingTransaction]], env: BlockEnv
) -> list[list[SimulatedTransaction] | None]:
    """Each sequence by itself on the head, nonces taken as right; None where the node could not run it."""
    results: list[list[SimulatedTransaction] | None] = []
    for start in range(0, len(sequences), _BATCH_MEMBERS):
        members = sequences[start : start + _BATCH_MEMBERS]
        answers = await node.rpc.batch([("eth_simulateV1", (_request(member, env), "latest")) for member in members])
        results += [
            None if isinstance(answer, RpcError) else _results(member, env, answer[0]["calls"])
            for member, answer in zip(members, answers, strict=True)
        ]
    return results


def _request(transactions: Sequence[PendingTransaction], env: BlockEnv) -> dict[str, Any]:
    overrides = {
        "number": to_quantity(env.number),
        "time": to_quantity(env.timestamp),
        "baseFeePerGas": to_quantity(env.base_fee_wei),
        "feeRecipient": to_data(env.fee_recipient),
        "gasLimit": to_quantity(env.gas_limit),
        "prevRandao": f"0x{env.prev_randao:064x}",
    }
    calls = [_call_of(transaction) for transaction in transactions]
    return {
        "blockStateCalls": [{"blockOverrides": overrides, "calls": calls}],
        "validation": True,
        "traceTransfers": True,
    }


def _results(
    transactions: Sequence[PendingTransaction], env: BlockEnv, frames: Sequence[dict[str, Any]]
) -> list[SimulatedTransaction]:
    results = []
    for transaction, frame in zip(transactions, frames, strict=True):
        is_success = from_quantity(frame["status"]) == 1
        gas_used = from_quantity(frame["gasUsed"])
        gained_wei = gas_used * transaction.tip_wei(env.base_fee_wei) + _net_transfers(frame["logs"], env.fee_recipient)
        if transaction.sender == env.fee_recipient:
            gained_wei -= gas_used * (env.base_fee_wei + transaction.tip_wei(env.base_fee_wei))
        results.append(
            _result(
                transaction,
                env,
                is_success=is_success,
                gas_used=gas_used,
                difference_wei=gained_wei,
                output=from_data(frame["returnData"]),
                error="" if is_success else "execution reverted",
            )
        )
    return results


def _net_transfers(logs: Sequence[dict[str, Any]], account: Address) -> int:
    """Ether that an account received less what it sent, in traced transfers."""
    word = to_data(bytes(12) + account)
    net_wei = 0
    for log in logs:
        if log["address"].lower() == _ETHER and log["topics"][0] == _TRANSFER:
            amount_wei = from_quantity(log["data"])
            net_wei += amount_wei * ((log["topics"][2] == word) - (log["topics"][1] == word))
    return net_wei


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
    call: dict[str, Any] = {
        "from": to_data(transaction.sender),
        "nonce": to_quantity(transaction.nonce),
        "gas": to_quantity(transaction.gas_limit),
        "value": to_quantity(transaction.value_wei),
        "input": transaction.rpc["input"],
    }
    if transaction.to is not None:  # anvil refuses a creation
        call["to"] = to_data(transaction.to)
    for name in ("accessList", "authorizationList", "maxFeePerGas", "maxPriorityFeePerGas"):
        if name in transaction.rpc:
            call[name] = transaction.rpc[name]
    if "maxFeePerGas" not in call:
        call["gasPrice"] = to_quantity(transaction.max_fee_wei)
    return call
