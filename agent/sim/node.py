"""Simulation by a node's `eth_simulateV1`: anvil, geth, reth and whoever follows the execution API.

All sequences of a call go out as one JSON-RPC batch, and so does each further round. A node that forks an archive
of one block names the first state that it lacks and gives up; that slot is then overridden with zero and the
sequence sent again, until it runs. So what is missing is found completely, slot by slot, and each sequence pays only
for itself. A missing account ends its sequence at once: anvil 1.7.1 reads an account even where it is overridden.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import msgspec

from agent.chain.jsonrpc import Request, RpcError
from agent.errors import ProtocolError
from agent.eth.hexes import from_quantity, to_data
from agent.eth.units import Address, Hash32
from agent.sim import rules, wire
from agent.sim.simulator import BlockEnv, Call, CallResult, Override, Simulation, Slot

MAX_ROUNDS = 64
"""Slots one sequence may lack. Real ones lack up to about ten; a sequence that walks a list could lack thousands."""


class BatchRpc(Protocol):
    """What this module needs of a node: results in the order asked, a failed member as its RpcError."""

    async def batch(self, calls: Sequence[Request], /) -> list[Any | RpcError]: ...


class _Run:
    """One sequence on its way: the slots taken as zero so far, and how it ended."""

    __slots__ = ("calls", "outcome", "unknown")

    def __init__(self, calls: tuple[Call, ...]) -> None:
        self.calls = calls
        self.unknown: dict[Slot, None] = {}
        self.outcome: tuple[CallResult, ...] | str | None = None
        """Results, or the reason of a refusal; None while it still runs."""


class NodeSimulator:
    """Runs sequences on the state `at`: a tag, or the hash of a block that the node holds."""

    def __init__(self, rpc: BatchRpc, *, at: str | Hash32 = "latest", max_rounds: int = MAX_ROUNDS) -> None:
        self._rpc = rpc
        self._at = at
        self._max_rounds = max_rounds

    def on(self, at: str | Hash32) -> NodeSimulator:
        """The same node, positioned at another state."""
        return NodeSimulator(self._rpc, at=at, max_rounds=self._max_rounds)

    async def simulate(
        self,
        sequences: Sequence[tuple[Call, ...]],
        env: BlockEnv,
        *,
        assume: frozenset[Slot] = frozenset(),
        overrides: tuple[Override, ...] = (),
    ) -> list[Simulation]:
        """One Simulation per sequence, in order. ProtocolError where the node itself fails, not where a member does."""
        rules.check_env(env)
        runs = [_Run(calls) for calls in sequences]
        for run in runs:
            run.outcome = rules.broken_rule(run.calls, env) or (() if not run.calls else None)
        senders = rules.senders_to_check(call for run in runs if run.outcome is None for call in run.calls)
        for _ in range(self._max_rounds + 1):
            open_runs = [run for run in runs if run.outcome is None]
            if not open_runs:
                break
            await self._round(open_runs, env, overrides, senders)
            senders = ()  # asked for along with the first round
        return [_simulation(run, assume) for run in runs]

    async def _round(
        self, runs: list[_Run], env: BlockEnv, overrides: tuple[Override, ...], senders: tuple[Address, ...]
    ) -> None:
        at = _block_parameter(self._at)
        requests: list[Request] = [("eth_getTransactionCount", [to_data(sender), at]) for sender in senders]
        for run in runs:
            state = wire.state_overrides(overrides, run.unknown)
            requests.append(("eth_simulateV1", wire.simulate_params(run.calls, env, state, at=at)))
        answers = await self._rpc.batch(requests)
        nonces = next_nonces(senders, answers[: len(senders)], overrides)
        for run, answer in zip(runs, answers[len(senders) :], strict=True):
            if refusal := rules.broken_nonce(run.calls, nonces):
                run.outcome = refusal
            elif isinstance(answer, RpcError):
                self._judge(run, answer)
            else:
                results = _decode(answer, calls=len(run.calls))
                run.outcome = rules.broken_gas_limit(run.calls, results, env) or results

    def _judge(self, run: _Run, error: RpcError) -> None:
        slot = wire.unknown_slot(error.text)
        if slot is None:
            run.outcome = error.message
        elif slot in run.unknown or slot.slot is None:
            run.unknown[slot] = None
            run.outcome = ()  # overriding it does not help: unknown, without figures
        else:
            run.unknown[slot] = None


def _simulation(run: _Run, assume: frozenset[Slot]) -> Simulation:
    missing = tuple(slot for slot in run.unknown if slot not in assume or slot.slot is None)
    assumed = tuple(slot for slot in run.unknown if slot in assume and slot.slot is not None)
    if isinstance(run.outcome, str):
        return Simulation(calls=(), missing=missing, assumed=assumed, refused=run.outcome)
    if run.outcome is None:
        return Simulation(
            calls=(), missing=missing, assumed=assumed, refused=f"needs more than {len(run.unknown) - 1} unknown slots"
        )
    if not run.outcome and not missing and run.calls:
        # An allowed slot that the node asked for again although it was overridden.
        return Simulation(calls=(), missing=assumed)
    return Simulation(calls=run.outcome, missing=missing, assumed=assumed)


def _decode(answer: Any, *, calls: int) -> tuple[CallResult, ...]:
    try:
        blocks = msgspec.convert(answer, tuple[wire.WireBlock, ...])
        results = tuple(wire.call_result(call) for block in blocks for call in block.calls)
    except ValueError as error:  # msgspec's is one, too
        raise ProtocolError(f"not a simulation's result: {error}", method="eth_simulateV1") from error
    if len(results) != calls:
        raise ProtocolError(f"{len(results)} results for {calls} calls", method="eth_simulateV1")
    return results


def next_nonces(
    senders: Sequence[Address], answers: Sequence[Any | RpcError], overrides: Sequence[Override]
) -> Mapping[Address, int]:
    """Next nonces by sender; one whose account the node does not know is left out, the simulation will say so."""
    nonces: dict[Address, int] = {}
    for sender, answer in zip(senders, answers, strict=True):
        if isinstance(answer, RpcError):
            continue
        try:
            nonces[sender] = from_quantity(answer)
        except (ValueError, AttributeError) as error:
            raise ProtocolError(f"not a nonce: {str(answer)[:80]}", method="eth_getTransactionCount") from error
    return nonces | {override.address: override.nonce for override in overrides if override.nonce is not None}


def _block_parameter(at: str | Hash32) -> Any:
    return at if isinstance(at, str) else {"blockHash": to_data(at)}
