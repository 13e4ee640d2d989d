"""A head start: pools behind a pending transaction from its calldata, against executing it; and what a hunt gains.

The world is the slice with one slot of its users' transactions. The first figure is the time to know the pools behind
one of them. The second is the time from the arrival of each to its priced candidates, with and without forecasts, over
a node on the same machine and over one that is 20 ms away: the fourth question out of four is saved. Run with
`python -m benchmarks.forecast`; prints JSON.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import patch

import uvloop

from agent.chain.connect import header_at
from agent.chain.headers import Header
from agent.chain.rpc import HttpRpc
from agent.chain.websocket import WsRpc
from agent.config import load_settings
from agent.core.events.chain import ChainFacts
from agent.core.step import Core
from agent.devnet.builder import Ordering
from agent.devnet.slice import Traffic, pool_records
from agent.devnet.slice_run import SliceWorld
from agent.dex.routers.plan import NotUnderstood, Why
from agent.dex.routers.play import same_state
from agent.engine import chain_hunt
from agent.engine.candidate import Appraiser
from agent.engine.chain_facts import NO_CUTOFF_NS, pretended_facts
from agent.engine.chain_hunt import ChainHunt, next_env
from agent.engine.chain_view import ChainView
from agent.engine.forecast import Forecast, predict
from agent.engine.hunter import Hunter
from agent.engine.latency import StageClock
from agent.eth.transactions import Transaction, decode_transaction
from agent.journal.records import Run
from agent.journal.writer import JournalWriter
from agent.ports.clock import SystemClock
from agent.requests import RunRequest, WorldRequest
from agent.session.run import hunt_settings
from agent.sim.node import NodeSimulator
from agent.sim.simulator import BlockEnv, Call, Simulation, Simulator, call_from_transaction
from agent.strategies.arb.cycles import CycleIndex, index_cycles
from benchmarks.rounds import medians_ns, row

SEED = 5
GATE_KNOWN = 5.0
GATE_HUNT = 1.1
GATE_NEAR = 0.8
CALLS = {"executed": 4, "forecast": 40}
HUNTS = 5
AWAY_S = 0.020


class Arrived(NamedTuple):
    """A pending transaction whose decoding is not timed here."""

    value: Transaction

    def transaction(self) -> Transaction:
        return self.value


class FarSimulator:
    """The node, further away."""

    def __init__(self, engine: Simulator, away_s: float) -> None:
        self._engine = engine
        self._away_s = away_s

    async def simulate(self, sequences: list[tuple[Call, ...]], env: BlockEnv, **named: Any) -> list[Simulation]:
        if self._away_s:
            await asyncio.sleep(self._away_s)
        return await self._engine.simulate(sequences, env, **named)


class Bench:
    """The slice at its first head, one slot of users, and hunters that know nothing yet."""

    def __init__(self, world: SliceWorld, view: ChainView, rpc: WsRpc, folder: Path) -> None:
        self.view = view
        self.env: BlockEnv = next_env(view.header)
        self.simulator = NodeSimulator(rpc)
        traffic = Traffic(world.slice, SEED)
        sent = traffic.next_slot(base_fee_wei=self.env.base_fee_wei, timestamp_s=self.env.timestamp)
        self.transactions = [decode_transaction(signed.raw) for signed in sent]
        self._world = world
        self._folder = folder
        self._settings = hunt_settings(
            RunRequest(world=WorldRequest(kind="slice")), load_settings([], overrides={}).settings
        )
        self._cycles: CycleIndex = index_cycles(
            view.pools, start_tokens=self._settings.start_tokens, max_hops=self._settings.max_hops
        )
        self._made = 0

    def predict_all(self) -> list[Forecast | NotUnderstood]:
        return [predict(self.view.pools, transaction, self.env) for transaction in self.transactions]

    async def execute_all(self) -> list[Forecast]:
        """One after the other, as they arrive."""
        result = []
        for transaction in self.transactions:
            (simulation,) = await self.simulator.simulate([(call_from_transaction(transaction),)], self.env)
            pools, touched = self.view.pools.apply(simulation.calls[0].logs)
            result.append(Forecast(pools, touched, simulation.calls[0].is_success))
        return result

    async def hunter(self, away_s: float) -> ChainHunt:
        """A hunt at the head, whose search of the head is done."""
        simulator = FarSimulator(self.simulator, away_s)
        self._made += 1
        settings, world = self._settings, self._world
        hunter = Hunter(
            core=Core(settings.limits),
            journal=JournalWriter(self._folder / str(self._made), Run("r", "1", {}), monotonic_ns=0, wall_ns=0),
            clock=SystemClock(),
            stages=StageClock(),
            appraiser=Appraiser(simulator, world.executor, settings, probe=world.identities.probe),
            cycles=self._cycles,
            screen=None,
            operators=world.identities.operators,
            relays=[],
            chain_id=1,
            settings=settings,
        )

        async def facts(header: Header) -> ChainFacts:
            return pretended_facts(
                executor=world.executor,
                chain_id=1,
                head_hash=header.hash,
                operators_wei=10**20,
                head_age_ns=0,
                cutoff_ns=NO_CUTOFF_NS,
            )

        hunt = ChainHunt(hunter, self.view, simulator, facts)
        await hunt.on_header(self.view.header)
        return hunt

    async def hunted_ns(self, away_s: float) -> tuple[int, list[str]]:
        """Nanoseconds from the users' arrival to priced candidates, each user alone; and what was held."""
        hunt = await self.hunter(away_s)
        started = time.perf_counter_ns()
        for transaction in self.transactions:
            await hunt.on_pending([Arrived(transaction)])  # type: ignore[list-item]
        took_ns = time.perf_counter_ns() - started
        return took_ns, [one.opportunity.id for one in hunt.hunter.held()]


def run() -> dict[str, object]:
    """Nanoseconds by both ways, and the ratios with their gates."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner, tempfile.TemporaryDirectory() as folder:
        world = runner.run(SliceWorld.open(seed=SEED, ordering=Ordering.PROFIT))
        http = HttpRpc(world.anvil.rpc_url)
        websocket = runner.run(WsRpc.connect(world.anvil.ws_url))
        try:
            head = runner.run(header_at(http, None))
            view = runner.run(ChainView.load(http, head, pool_records(world.slice), sender=world.identities.probe))
            bench = Bench(world, view, websocket, Path(folder))
            _check_equal(bench.predict_all(), runner.run(bench.execute_all()))
            ways = {"executed": lambda: runner.run(bench.execute_all()), "forecast": bench.predict_all}
            known = medians_ns(ways, calls=CALLS, clock_ns=time.perf_counter_ns)
            near, far = _hunts(runner, bench, 0.0), _hunts(runner, bench, AWAY_S)
        finally:
            runner.run(http.close())
            runner.run(websocket.close())
            runner.run(world.close())
    count = len(bench.transactions)
    return {
        "name": "forecast",
        "transactions": count,
        "median_ns_each": {
            name: round(statistics.median(values) / count) for name, values in known.items()
        },
        "rows": [
            row("F1", "the pools behind a transaction: executed / forecast", known, "executed", "forecast",
                gate=GATE_KNOWN),
            row("F2", "arrival to candidates, node 20 ms away: without forecasts / with", far, "waiting", "ahead",
                gate=GATE_HUNT),
            row("F3", "the same, node on this machine: no slower", near, "waiting", "ahead", gate=GATE_NEAR),
        ],
    }  # fmt: skip


def _hunts(runner: asyncio.Runner, bench: Bench, away_s: float) -> dict[str, list[float]]:
    """One figure per round and way, taking turns."""
    figures: dict[str, list[float]] = {"waiting": [], "ahead": []}
    for turn in range(HUNTS):
        held: dict[str, list[str]] = {}
        for name in sorted(figures, reverse=bool(turn % 2)):
            if name == "ahead":
                took_ns, held[name] = runner.run(bench.hunted_ns(away_s))
            else:
                with patch.object(chain_hunt, "predict", lambda *_: NotUnderstood(Why.NO_ROUTER)):
                    took_ns, held[name] = runner.run(bench.hunted_ns(away_s))
            figures[name].append(took_ns)
        if held["waiting"] != held["ahead"] or not held["ahead"]:
            raise AssertionError("both ways must hold the same opportunities")
    return figures


def _check_equal(forecasts: Sequence[Forecast | NotUnderstood], executed: Sequence[Forecast]) -> None:
    for forecast, found in zip(forecasts, executed, strict=True):
        if (
            isinstance(forecast, NotUnderstood)
            or forecast.touched != found.touched
            or any(not same_state(forecast.pools[address], found.pools[address]) for address in found.touched)
        ):
            raise AssertionError("both ways must know the same pools before they are timed")


if __name__ == "__main__":
    print(json.dumps(run(), indent=2))
