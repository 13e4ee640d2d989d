"""Simulation by doing it and taking it back: a snapshot, the calls mined as a block, the receipts, the snapshot back.

For development nodes without tracing, and as the yardstick the others are measured against. It needs a node that is
ours alone: one sequence at a time, and nobody else's transactions may wait in its pool. Receipts hold no return data,
and anvil 1.7 chooses `prev_randao` itself. What the node leaves out of the block (it does so without a word when
state is unknown) is refused as a whole, as nobody says which slot was missing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from agent.chain.jsonrpc import Request, RpcError
from agent.dex.pool import Log
from agent.errors import ProtocolError, SetupError
from agent.eth.hexes import to_data, to_quantity
from agent.eth.receipts import receipt_from_rpc
from agent.eth.units import Address
from agent.sim import rules, wire
from agent.sim.node import BatchRpc
from agent.sim.simulator import BlockEnv, Call, CallResult, Override, Simulation, Slot


class SnapshotSimulator:
    """Runs on the node's latest state, which must be the parent of the block that `env` describes."""

    def __init__(self, rpc: BatchRpc) -> None:
        self._rpc = rpc
        self._turn = asyncio.Lock()

    async def simulate(
        self,
        sequences: Sequence[tuple[Call, ...]],
        env: BlockEnv,
        *,
        assume: frozenset[Slot] = frozenset(),
        overrides: tuple[Override, ...] = (),
    ) -> list[Simulation]:
        """One Simulation per sequence, in order. `assume` has no use here: what is missing is never named."""
        rules.check_env(env)
        async with self._turn:
            return [await self._one(calls, env, overrides) for calls in sequences]

    async def _one(self, calls: tuple[Call, ...], env: BlockEnv, overrides: tuple[Override, ...]) -> Simulation:
        if refusal := rules.broken_rule(calls, env):
            return Simulation(calls=(), refused=refusal)
        if not calls:
            return Simulation(calls=())
        (snapshot,) = await self._all([("evm_snapshot", [])])
        try:
            return await self._mined(calls, env, overrides)
        finally:
            is_back, _ = await self._all([("evm_revert", [snapshot]), ("anvil_dropAllTransactions", [])])
            if is_back is not True:
                raise SetupError("the node lost its snapshot, its state is not what it was", code="E_SNAPSHOT")

    async def _mined(self, calls: tuple[Call, ...], env: BlockEnv, overrides: tuple[Override, ...]) -> Simulation:
        await self._all([*_environment(env), *_plantings(overrides)])
        senders = dict.fromkeys(to_data(call.sender) for call in calls)
        await self._all([("anvil_impersonateAccount", [sender]) for sender in senders])
        hashes: list[str] = []
        for position, call in enumerate(calls):
            # One by one: the members of a batch may be carried out in any order.
            (answer,) = await self._rpc.batch([("eth_sendTransaction", [wire.call_object(call)])])
            if isinstance(answer, RpcError):
                return Simulation(calls=(), refused=f"call {position}: {answer.message}")
            hashes.append(answer)
        await self._all([("evm_mine", [])])
        (rows,) = await self._all([("eth_getBlockReceipts", [to_quantity(env.number)])])
        if [row["transactionHash"] for row in rows or ()] != hashes:
            return Simulation(calls=(), refused=f"the node mined {len(rows or ())} of {len(calls)} calls")
        return Simulation(calls=_results(rows))

    async def _all(self, requests: Sequence[Request]) -> list[Any]:
        results = []
        for request in requests:
            (answer,) = await self._rpc.batch([request])
            if isinstance(answer, RpcError):
                raise answer
            results.append(answer)
        return results


def _environment(env: BlockEnv) -> list[Request]:
    return [
        ("anvil_setCoinbase", [to_data(env.fee_recipient)]),
        ("evm_setNextBlockTimestamp", [to_quantity(env.timestamp)]),
        ("anvil_setNextBlockBaseFeePerGas", [to_quantity(env.base_fee_wei)]),
        ("evm_setBlockGasLimit", [to_quantity(env.gas_limit)]),
    ]


def _plantings(overrides: tuple[Override, ...]) -> list[Request]:
    requests: list[Request] = []
    for override in overrides:
        at = to_data(override.address)
        if override.code is not None:
            requests.append(("anvil_setCode", [at, to_data(override.code)]))
        if override.balance_wei is not None:
            requests.append(("anvil_setBalance", [at, to_quantity(override.balance_wei)]))
        if override.nonce is not None:
            requests.append(("anvil_setNonce", [at, to_quantity(override.nonce)]))
        requests += [("anvil_setStorageAt", [at, to_quantity(k), f"0x{v:064x}"]) for k, v in override.slots]
    return requests


def _results(rows: Sequence[dict[str, Any]]) -> tuple[CallResult, ...]:
    try:
        receipts = [receipt_from_rpc(row) for row in rows]
    except ValueError as error:
        raise ProtocolError(str(error), method="eth_getBlockReceipts") from error
    results, before = [], 0
    for receipt in receipts:
        results.append(
            CallResult(
                is_success=receipt.is_success,
                gas_used=receipt.cumulative_gas_used - before,
                return_data=b"",
                logs=tuple(Log(Address(log.address), tuple(log.topics), log.data) for log in receipt.logs),
                error="" if receipt.is_success else "reverted",
            )
        )
        before = receipt.cumulative_gas_used
    return tuple(results)
