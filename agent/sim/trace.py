"""Simulation by `debug_traceCall`, for nodes that offer no `eth_simulateV1`.

One call at a time: `callTracer` gives gas, output and logs, `prestateTracer` in diff mode what the call changed, and
that becomes the state override of the next call. So a sequence costs one round trip per call, and sequences go
side by side in batches. Source: go-ethereum `eth/tracers/native/{call,prestate}.go`; slots that a diff leaves out of
`post` though they stand in `pre` became zero.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from agent.chain.jsonrpc import Request, RpcError
from agent.dex.pool import Log
from agent.errors import ProtocolError
from agent.eth.hexes import from_data, from_quantity, to_data
from agent.eth.units import Address, Hash32
from agent.sim import rules, wire
from agent.sim.node import MAX_ROUNDS, BatchRpc, next_nonces
from agent.sim.simulator import BlockEnv, Call, CallResult, Override, Simulation, Slot

_METHOD = "debug_traceCall"
_ZERO_WORD = "0x" + "0" * 64


class _Frame(msgspec.Struct, frozen=True, rename="camel"):
    gas_used: str
    output: str = "0x"
    error: str | None = None
    calls: tuple[_Frame, ...] = ()
    logs: tuple[_FrameLog, ...] = ()


class _FrameLog(msgspec.Struct, frozen=True):
    address: str
    topics: tuple[str, ...] = ()
    data: str = "0x"
    position: str | int = 0
    """How many subcalls the frame had made before this log."""


class _Account(msgspec.Struct, frozen=True):
    balance: str | None = None
    nonce: int | str | None = None
    code: str | None = None
    storage: dict[str, str] = {}


class _Diff(msgspec.Struct, frozen=True):
    pre: dict[str, _Account]
    post: dict[str, _Account]


class _Run:
    """One sequence: how far it has come, and the state its calls have left so far."""

    __slots__ = ("calls", "outcome", "results", "state", "unknown")

    def __init__(self, calls: tuple[Call, ...], overrides: tuple[Override, ...]) -> None:
        self.calls = calls
        self.state: dict[str, Any] = wire.state_overrides(overrides, ())
        self.unknown: dict[Slot, None] = {}
        self.results: list[CallResult] = []
        self.outcome: Simulation | None = None


class TraceSimulator:
    """As `NodeSimulator`, on the state `at`."""

    def __init__(self, rpc: BatchRpc, *, at: str | Hash32 = "latest", max_rounds: int = MAX_ROUNDS) -> None:
        self._rpc = rpc
        self._at: Any = at if isinstance(at, str) else {"blockHash": to_data(at)}
        self._max_rounds = max_rounds

    def on(self, at: str | Hash32) -> TraceSimulator:
        """The same node, positioned at another state."""
        return TraceSimulator(self._rpc, at=at, max_rounds=self._max_rounds)

    async def simulate(
        self,
        sequences: Sequence[tuple[Call, ...]],
        env: BlockEnv,
        *,
        assume: frozenset[Slot] = frozenset(),
        overrides: tuple[Override, ...] = (),
    ) -> list[Simulation]:
        """One Simulation per sequence, in order."""
        rules.check_env(env)
        runs = [_Run(calls, overrides) for calls in sequences]
        await self._refuse_early(runs, env, overrides)
        rounds = max((len(calls) for calls in sequences), default=0) + self._max_rounds
        for _ in range(rounds):
            open_runs = [run for run in runs if run.outcome is None and len(run.results) < len(run.calls)]
            if not open_runs:
                break
            await self._round(open_runs, env)
        return [self._finished(run, env, assume) for run in runs]

    async def _refuse_early(self, runs: list[_Run], env: BlockEnv, overrides: tuple[Override, ...]) -> None:
        senders = rules.senders_to_check(call for run in runs for call in run.calls)
        answers = await self._rpc.batch([("eth_getTransactionCount", [to_data(a), self._at]) for a in senders])
        nonces = next_nonces(senders, answers, overrides)
        for run in runs:
            if refusal := rules.broken_rule(run.calls, env) or rules.broken_nonce(run.calls, nonces):
                run.outcome = Simulation(calls=(), refused=refusal)

    async def _round(self, runs: list[_Run], env: BlockEnv) -> None:
        requests: list[Request] = []
        for run in runs:
            call = wire.call_object(run.calls[len(run.results)])
            options = {"blockOverrides": wire.block_overrides(env), "stateOverrides": run.state}
            for tracer, settings in (("callTracer", {"withLog": True}), ("prestateTracer", {"diffMode": True})):
                trace = {"tracer": tracer, "tracerConfig": settings} | options
                requests.append((_METHOD, [call, self._at, trace]))
        answers = await self._rpc.batch(requests)
        for run, frame, diff in zip(runs, answers[::2], answers[1::2], strict=True):
            if isinstance(frame, RpcError):
                self._judge(run, frame)
            elif isinstance(diff, RpcError):
                self._judge(run, diff)
            else:
                self._advance(run, frame, diff)

    def _judge(self, run: _Run, error: RpcError) -> None:
        slot = wire.unknown_slot(error.text)
        if slot is None:
            run.outcome = Simulation(calls=(), missing=tuple(run.unknown), refused=error.message)
        elif slot.slot is None or slot in run.unknown:
            run.unknown[slot] = None
            run.outcome = Simulation(calls=(), missing=tuple(run.unknown))
        else:
            run.unknown[slot] = None
            account = run.state.setdefault(to_data(slot.address), {})
            account.setdefault("stateDiff", {})[f"0x{slot.slot:064x}"] = _ZERO_WORD

    def _advance(self, run: _Run, frame: Any, diff: Any) -> None:
        try:
            run.results.append(_result(msgspec.convert(frame, _Frame)))
            _merge(run.state, msgspec.convert(diff, _Diff))
        except ValueError as error:
            raise ProtocolError(f"not a trace: {error}", method=_METHOD) from error

    def _finished(self, run: _Run, env: BlockEnv, assume: frozenset[Slot]) -> Simulation:
        missing = tuple(slot for slot in run.unknown if slot not in assume or slot.slot is None)
        assumed = tuple(slot for slot in run.unknown if slot in assume and slot.slot is not None)
        if run.outcome is not None:
            return msgspec.structs.replace(run.outcome, missing=run.outcome.missing and missing, assumed=assumed)
        if len(run.results) < len(run.calls):
            return Simulation(calls=(), missing=missing, assumed=assumed, refused="needs too many unknown slots")
        results = tuple(run.results)
        if refusal := rules.broken_gas_limit(run.calls, results, env):
            return Simulation(calls=(), missing=missing, assumed=assumed, refused=refusal)
        return Simulation(calls=results, missing=missing, assumed=assumed)


def _result(frame: _Frame) -> CallResult:
    return CallResult(
        is_success=frame.error is None,
        gas_used=from_quantity(frame.gas_used),
        return_data=from_data(frame.output),
        logs=tuple(_logs(frame)) if frame.error is None else (),
        error=frame.error or "",
    )


def _logs(frame: _Frame) -> list[Log]:
    """The logs in the order of execution: a frame's own between those of its subcalls. Failed frames leave none."""
    if frame.error is not None:
        return []
    found: list[Log] = []
    waiting = list(frame.logs)
    for index, call in enumerate(frame.calls):
        while waiting and _position(waiting[0]) <= index:
            found.append(_log(waiting.pop(0)))
        found += _logs(call)
    return found + [_log(log) for log in waiting]


def _log(log: _FrameLog) -> Log:
    return Log(Address(from_data(log.address)), tuple(map(from_data, log.topics)), from_data(log.data))


def _position(log: _FrameLog) -> int:
    return log.position if isinstance(log.position, int) else from_quantity(log.position)


def _merge(state: dict[str, Any], diff: _Diff) -> None:
    """Writes what a call changed over the state that the next call finds."""
    for address, after in diff.post.items():
        entry = state.setdefault(address, {})
        if after.balance is not None:
            entry["balance"] = after.balance
        if after.nonce is not None:
            entry["nonce"] = hex(after.nonce) if isinstance(after.nonce, int) else after.nonce
        if after.code is not None:
            entry["code"] = after.code
        if after.storage:
            entry.setdefault("stateDiff", {}).update(after.storage)
    for address, before in diff.pre.items():
        entry = state.setdefault(address, {})
        if address not in diff.post:
            entry.update(balance="0x0", nonce="0x0", code="0x")
        kept = diff.post.get(address, _Account()).storage
        for slot in before.storage:
            if slot not in kept:
                entry.setdefault("stateDiff", {})[slot] = _ZERO_WORD
