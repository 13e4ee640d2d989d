"""Laws that need no oracle: what must not change when something that does not matter is changed.

A world without deaths is run, and what its core was told is told again to a fresh core, changed in one way: names are
others, executions come twice, a market nobody trades is there too, the clock began at another time. What the core does
must be the same but for that.

That latencies do not matter is no law: prices go on while a frame is under way, so other orders are let out and filled.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Any

import msgspec
import pytest

from agent.core.desk.placing import RATE_TIMER
from agent.core.desk.settings import DeskSettings
from agent.core.effects import Effect
from agent.core.effects.control import ArmTimer
from agent.core.effects.orders import Place, Resynchronise
from agent.core.events import Event, Stamp
from agent.core.events.control import RunStarted, TimerFired
from agent.core.events.market import BookDelta, BookSnapshot, InstrumentDefined, MarketTick
from agent.core.events.orders import Amended, Canceled, Fill, OrderAck, TradeBusted
from agent.core.step import Core
from agent.devnet.virtual.campaign import scenario_of
from agent.devnet.virtual.market import BTC, ETH
from agent.devnet.virtual.profile import Name, Profile
from agent.devnet.virtual.program import AgentProgram, desk_settings
from agent.devnet.virtual.world import World

Step = tuple[Event, Stamp, tuple[Effect, ...]]
KINDS: tuple[Name, ...] = ("network", "venue")
SEEDS = range(12)
WORLDS = [(name, seed) for name in KINDS for seed in SEEDS]
EXECUTIONS = (OrderAck, Fill, Canceled, Amended, TradeBusted)
IDLE = msgspec.structs.replace(BTC, symbol="DOGE-USDC", base="DOGE")
SHIFT_NS = 123_456_789_000

every_world = pytest.mark.parametrize(("name", "seed"), WORLDS)


class Recorder(World):
    """A world that keeps what its first process was told, and what it did."""

    told: list[Step]

    def on_step(self, event: Event, stamp: Stamp, effects: tuple[Effect, ...]) -> None:
        if self.host.incarnation == 1:
            self.told.append((event, stamp, effects))
        super().on_step(event, stamp, effects)


@cache
def recorded(name: Name, seed: int) -> tuple[Profile, tuple[Step, ...]]:
    world = Recorder(scenario_of(seed, name), AgentProgram())
    world.told = []
    assert world.run().violation is None
    return world.scenario.profile, tuple(world.told)


def fresh(settings: DeskSettings) -> Core:
    return Core(trading=settings, needs_guard=True)


def renamed(core: Core, steps: Iterable[Step], names: dict[str, str]) -> list[tuple[Effect, ...]]:
    return [core.step(rename(event, names), stamp) for event, stamp, _ in steps]


def rename(value: Any, names: dict[str, str]) -> Any:
    """The same with other names, wherever they stand: in fields, in details, in the middle of a text."""
    text = msgspec.json.encode(value).decode()
    for at, old in enumerate(names):
        text = text.replace(old, f"\x01{at}\x01")
    for at, new in enumerate(names.values()):
        text = text.replace(f"\x01{at}\x01", new)
    return msgspec.json.decode(text, type=type(value))


def not_idle(effects: Iterable[Effect]) -> list[Effect]:
    """Without what any step may say: when the queue's next token comes, and that the idle market's book is of no use."""
    return [
        effect
        for effect in effects
        if effect != Resynchronise(IDLE.symbol) and not (isinstance(effect, ArmTimer) and effect.name == RATE_TIMER)
    ]


def orders_placed(steps: Iterable[Step]) -> int:
    return sum(type(effect) is Place for _, _, effects in steps for effect in effects)


def test_the_worlds_have_something_in_them() -> None:
    told = [recorded(name, seed)[1] for name, seed in WORLDS]
    assert sum(map(orders_placed, told)) > 20 * len(WORLDS)
    assert sum(isinstance(event, EXECUTIONS) for steps in told for event, _, _ in steps) > 20 * len(WORLDS)


@every_world
def test_what_a_core_does_follows_from_what_it_is_told(name: Name, seed: int) -> None:
    profile, steps = recorded(name, seed)
    core = fresh(desk_settings(profile))
    assert [core.step(event, stamp) for event, stamp, _ in steps] == [effects for _, _, effects in steps]


@every_world
def test_names_of_markets_do_not_matter(name: Name, seed: int) -> None:
    profile, steps = recorded(name, seed)
    names = {BTC.symbol: ETH.symbol, ETH.symbol: BTC.symbol}
    settings = desk_settings(profile)
    core = fresh(msgspec.structs.replace(settings, symbols=tuple(names[symbol] for symbol in settings.symbols)))
    done = renamed(core, steps, names)
    assert done == [tuple(rename(effect, names) for effect in effects) for _, _, effects in steps]


@every_world
def test_an_execution_that_comes_again_changes_nothing(name: Name, seed: int) -> None:
    profile, steps = recorded(name, seed)
    core, once = fresh(desk_settings(profile)), fresh(desk_settings(profile))
    again = 0
    for event, stamp, effects in steps:
        assert core.step(event, stamp) == effects
        once.step(event, stamp)
        assert core.desk is not None
        is_comparing = core.desk.session.state.round is not None  # any frame may be when the comparison is due
        if isinstance(event, EXECUTIONS) and not is_comparing:
            again += 1
            assert not_idle(core.step(event, stamp)) == []
            once.step(TimerFired("nobody's"), stamp)  # time is looked at once more here, too
    assert core.state() == once.state()
    assert again or not any(isinstance(event, EXECUTIONS) for event, _, _ in steps)


@every_world
def test_a_market_that_nobody_trades_changes_nothing_of_the_others(name: Name, seed: int) -> None:
    profile, steps = recorded(name, seed)
    settings = desk_settings(profile)
    core = fresh(msgspec.structs.replace(settings, symbols=(*settings.symbols, IDLE.symbol)))
    for event, stamp, effects in steps:
        assert core.step(event, stamp) == effects
        if isinstance(event, InstrumentDefined) and event.instrument == BTC:
            assert core.step(InstrumentDefined(IDLE), stamp) == ()
        elif isinstance(event, BookSnapshot | BookDelta | MarketTick) and event.symbol == BTC.symbol:
            assert not_idle(core.step(msgspec.structs.replace(event, symbol=IDLE.symbol), stamp)) == []


@every_world
def test_when_the_clock_began_does_not_matter(name: Name, seed: int) -> None:
    """The monotonic one: of it only differences mean anything."""
    profile, steps = recorded(name, seed)
    core = fresh(desk_settings(profile))
    for event, stamp, effects in steps:
        later = msgspec.structs.replace(stamp, monotonic_ns=stamp.monotonic_ns + SHIFT_NS)
        done = core.step(event, later)
        assert [type(effect) for effect in done] == [type(effect) for effect in effects]
        assert [effect for effect in done if type(effect) is Place] == [
            effect for effect in effects if type(effect) is Place
        ]


def test_the_records_are_of_one_process() -> None:
    for name, seed in WORLDS:
        _, steps = recorded(name, seed)
        assert [type(event) for event, _, _ in steps].count(RunStarted) == 1
