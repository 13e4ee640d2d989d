"""The hunter where its core fails, or its clock is set: nothing leaves that was decided on what is suspect."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import msgspec
import pytest

from agent.core.codes import Code
from agent.core.events import Event, Stamp
from agent.core.events.chain import SelectionMade
from agent.core.events.control import ClockAgreed, ClockStepped, HaltAsked, TimerFired
from agent.core.step import Core
from agent.engine.chain_clock import agrees
from agent.engine.stepping import CoreStopped
from agent.journal.reader import JournalReader
from agent.journal.records import EVENT
from agent.journal.schema import decode_event
from tests.engine.test_hunter import BETTER, ENV, FACTS, HEAD, POOLS, SETTINGS, Bench, _codes, behind

SECOND_NS = 1_000_000_000
HEAD_NS = HEAD.timestamp_s * SECOND_NS


class Planted(RuntimeError):
    pass


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path, settings=SETTINGS)


def break_at(kind: type, monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on the core fails at this kind of event."""
    step = Core.step

    def broken(self: Core, event: Event, stamp: Stamp) -> Any:
        if type(event) is kind:
            raise Planted
        return step(self, event, stamp)

    monkeypatch.setattr(Core, "step", broken)


def events(bench: Bench) -> list[Event]:
    return [decode_event(record) for record in JournalReader(bench.folder).records() if record.type == EVENT]


async def test_a_core_that_fails_where_bundles_are_chosen_sends_none(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    bench.hunter.on_broken = lambda: told.append("broken")
    await bench.find(POOLS)
    break_at(SelectionMade, monkeypatch)
    with pytest.raises(Planted):
        await bench.hunter.close_slot()
    assert bench.relay.bundles == []
    assert told == ["broken"]


async def test_after_a_failure_nothing_is_stepped_recorded_or_sent(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    await bench.find(POOLS)
    await bench.hunter.close_slot()
    break_at(TimerFired, monkeypatch)
    assert bench.hunter.tell(TimerFired("beat")) is None
    assert isinstance(bench.hunter.stepper.broken, Planted)
    recorded = events(bench)
    with pytest.raises(CoreStopped):
        await bench.find(BETTER, target=behind(9))
    with pytest.raises(CoreStopped):
        bench.hunter.take(HaltAsked("person", "late"))
    assert bench.hunter.tell(TimerFired("beat")) is None
    assert await _closes_in_vain(bench)
    assert events(bench) == recorded
    assert len(bench.relay.bundles) == 1


async def _closes_in_vain(bench: Bench) -> bool:
    return await bench.hunter.close_slot() == []


async def test_a_failure_while_a_bundle_is_prepared_keeps_it_here(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    await bench.find(POOLS)
    until_synced = bench.hunter._decisions.journal.until_synced

    async def broken_meanwhile() -> None:
        await until_synced()
        break_at(TimerFired, monkeypatch)
        bench.hunter.tell(TimerFired("beat"))

    bench.hunter._decisions.journal.until_synced = broken_meanwhile  # type: ignore[method-assign] # the wait is the moment
    with pytest.raises(CoreStopped):
        await bench.hunter.close_slot()
    assert bench.relay.bundles == []


async def test_a_failure_stops_what_was_about_to_be_withdrawn(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    await bench.find(POOLS)
    await bench.hunter.close_slot()
    bench.hunter.take(HaltAsked("person", "drill"))
    break_at(TimerFired, monkeypatch)
    bench.hunter.tell(TimerFired("beat"))
    for _ in range(10):
        await asyncio.sleep(0)
    assert bench.relay.cancelled == [], "the guard answers for it"


async def test_after_a_step_of_the_clock_nothing_goes_out_until_a_head_agrees(bench: Bench) -> None:
    bench.clock.now_ns += 3_600 * SECOND_NS
    await bench.find(POOLS)
    assert await bench.hunter.close_slot() == []
    assert _codes(bench) == [Code.REDUCE_ONLY]
    assert bench.hunter._decisions.core.standing.clock_problem
    assert [alarm.code for alarm in bench.hunter.alarms] == ["CLOCK_STEP"]


async def test_a_step_of_the_clock_is_in_the_journal_before_the_event_that_came_with_it(bench: Bench) -> None:
    bench.clock.now_ns -= 2 * SECOND_NS
    bench.hunter.take(TimerFired("beat"))
    assert events(bench)[-2:] == [ClockStepped(-2 * SECOND_NS), TimerFired("beat")]


async def test_a_clock_that_only_runs_is_no_step(bench: Bench) -> None:
    for _ in range(5):
        bench.clock.now_ns += 600 * SECOND_NS
        bench.clock.running_ns += 600 * SECOND_NS
        bench.hunter.take(TimerFired("beat"))
    assert not any(isinstance(event, ClockStepped) for event in events(bench))


async def test_a_head_of_now_ends_what_a_step_of_the_clock_began(bench: Bench) -> None:
    bench.clock.now_ns = HEAD_NS + 3 * SECOND_NS
    bench.hunter.on_head(HEAD, ENV, FACTS, is_dated=True)
    assert sum(isinstance(event, ClockStepped) for event in events(bench)) == 1
    assert sum(isinstance(event, ClockAgreed) for event in events(bench)) == 1
    await bench.find(POOLS)
    assert len(await bench.hunter.close_slot()) == 1


async def test_a_head_of_another_time_ends_nothing(bench: Bench) -> None:
    bench.clock.now_ns = HEAD_NS + 13 * SECOND_NS
    bench.hunter.on_head(HEAD, ENV, FACTS, is_dated=True)
    await bench.find(POOLS)
    assert await bench.hunter.close_slot() == []


async def test_a_local_world_has_a_time_of_its_own_that_proves_nothing(bench: Bench) -> None:
    bench.clock.now_ns = HEAD_NS + 3 * SECOND_NS
    bench.hunter.on_head(HEAD, ENV, FACTS)
    await bench.find(POOLS)
    assert await bench.hunter.close_slot() == []


async def test_heads_that_agree_say_nothing_where_nothing_was_set(bench: Bench) -> None:
    bench.clock.now_ns, bench.clock.running_ns = HEAD_NS, 1
    bench.hunter.on_head(HEAD, ENV, FACTS, is_dated=True)
    head = msgspec.structs.replace(HEAD, number=101, block_hash="0xab", timestamp_s=HEAD.timestamp_s + 12)
    bench.clock.now_ns += 12 * SECOND_NS
    bench.clock.running_ns += 12 * SECOND_NS
    bench.hunter.on_head(head, ENV, msgspec.structs.replace(FACTS, head_hash="0xab"), is_dated=True)
    assert sum(isinstance(event, ClockAgreed) for event in events(bench)) == 1  # of the first, which was a step


@pytest.mark.parametrize(
    ("late_ns", "holds"),
    [
        (-500_000_001, False),
        (-500_000_000, True),
        (0, True),
        (12 * SECOND_NS, True),
        (12 * SECOND_NS + 1, False),
    ],
)
def test_a_head_agrees_from_half_a_second_early_to_the_end_of_its_slot(late_ns: int, holds: bool) -> None:
    assert agrees(HEAD.timestamp_s, HEAD_NS + late_ns) is holds
