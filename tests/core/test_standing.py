"""Halt, guard, journal and clock: what each changes for both venues, and what is said of it."""

from __future__ import annotations

import pytest

from agent.core.effects.control import Alarm, Stop
from agent.core.effects.orders import Refuse
from agent.core.errors import ContradictoryEvent
from agent.core.events import Event, Stamp
from agent.core.events.control import (
    ClockAgreed,
    ClockStepped,
    GuardGone,
    GuardPulse,
    JournalHealth,
    OperatorCommand,
    RunStarted,
    TimerFired,
)
from agent.core.events.orders import PlaceRequested
from agent.core.instruments import OrderType, Side
from agent.core.limits import RiskLimits
from agent.core.risk.modes import ACTIVE, REDUCE_ONLY
from agent.core.standing import PULSE_LOST_NS, Standing
from agent.core.step import Core
from tests.core.kept import effects_as_kept

LIMITS = RiskLimits(min_net_wei=1, max_gas_wei_per_day=0, max_exposure_wei=0, max_bundles_per_block=0)


class TestGuard:
    def test_where_none_is_needed_its_pulse_is_always_young_and_its_silence_nothing(self) -> None:
        standing = Standing(needs_guard=False, heard_ns=0)
        assert standing.guard_age_ns(10**18) == 0
        assert standing.silence(10**18) == ""

    def test_a_pulse_ages_from_when_it_was_heard_and_an_unarmed_one_is_none(self) -> None:
        standing = Standing(needs_guard=True)
        assert standing.guard_age_ns(5) is None
        standing.on_pulse(True, 7)
        assert standing.guard_age_ns(10) == 3
        standing.on_pulse(False, 11)
        assert standing.guard_age_ns(12) is None

    def test_a_silence_of_half_a_second_is_borne_and_no_longer(self) -> None:
        standing = Standing(needs_guard=True)
        assert standing.silence(10**18) == "", "before a run nothing is expected"
        standing.begin(100, is_reset=False)
        assert standing.silence(100 + PULSE_LOST_NS) == ""
        assert standing.silence(101 + PULSE_LOST_NS) == f"no pulse for {PULSE_LOST_NS + 1} ns"
        standing.on_pulse(False, 101)
        assert standing.silence(101 + PULSE_LOST_NS) == "", "one that is not armed lives all the same"

    def test_a_run_that_never_hears_it_stops(self) -> None:
        core = Core(LIMITS, needs_guard=True)
        step(core, RunStarted(run_epoch=1), 50)
        assert step(core, TimerFired("beat"), 50 + PULSE_LOST_NS) == ()
        (stop,) = step(core, TimerFired("beat"), 51 + PULSE_LOST_NS)
        assert stop == Stop("guard", f"no pulse for {PULSE_LOST_NS + 1} ns")
        assert step(core, TimerFired("beat"), 60 + PULSE_LOST_NS) == (), "once"

    def test_one_that_is_gone_stops_by_its_own_name(self) -> None:
        core = Core(LIMITS, needs_guard=True)
        assert step(core, GuardGone("its socket ended")) == (Stop("guard", "its socket ended"),)
        assert step(core, GuardGone("again")) == ()


class TestJournalAndClock:
    def test_an_ill_journal_is_a_problem_with_or_without_words(self) -> None:
        standing = Standing()
        assert standing.on_event(JournalHealth(False, "poisoned")) == (
            Alarm("critical", "JOURNAL", "journal", "poisoned"),
        )
        assert standing.journal_problem == "poisoned"
        assert standing.on_event(JournalHealth(False)) == ()
        assert standing.journal_problem == "not healthy"
        assert standing.on_event(JournalHealth(True, "slow")) == (Alarm("notice", "JOURNAL", "journal", "slow"),)
        assert standing.journal_problem == ""

    def test_a_step_of_the_clock_lets_only_reduce_until_two_sources_agree(self) -> None:
        standing = Standing()
        assert standing.mode == ACTIVE
        (alarm,) = standing.on_event(ClockStepped(2_000_000_000))
        assert alarm == Alarm("warning", "CLOCK_STEP", "clock", "the wall clock moved by 2000000000 ns")
        assert standing.mode == REDUCE_ONLY
        assert standing.on_event(ClockAgreed()) == ()
        assert standing.mode == ACTIVE

    def test_a_pulse_changes_neither(self) -> None:
        standing = Standing(journal_problem="poisoned", clock_problem="moved")
        assert standing.on_event(GuardPulse(True)) == ()
        assert (standing.journal_problem, standing.clock_problem) == ("poisoned", "moved")

    def test_a_run_begins_with_journal_and_clock_of_its_own_and_keeps_the_halt(self) -> None:
        standing = Standing(journal_problem="poisoned", clock_problem="moved", pulse_ns=5)
        standing.halt("person", "drill")
        standing.begin(9, is_reset=False)
        assert standing == Standing(halted_by="person", halt_reason="drill", heard_ns=9)
        standing.begin(9, is_reset=True)
        assert standing == Standing(heard_ns=9)


class TestCoreOfAChain:
    """Where there is no order book."""

    def test_what_concerns_both_venues_is_heard(self) -> None:
        core = Core(LIMITS)
        for event in (RunStarted(run_epoch=1), TimerFired("beat"), TimerFired("x"), GuardPulse(True), ClockAgreed()):
            assert step(core, event) == ()
        assert step(core, JournalHealth(False, "full")) == (Alarm("critical", "JOURNAL", "journal", "full"),)

    def test_what_only_an_order_book_understands_is_a_defect(self) -> None:
        with pytest.raises(ContradictoryEvent, match="OperatorCommand"):
            step(Core(LIMITS), OperatorCommand(action="pause", reason="lunch"))

    def test_an_order_is_refused_by_whose_it_is(self) -> None:
        wish = PlaceRequested(
            strategy="maker", symbol="BTC-USDC", side=Side.BUY, order_type=OrderType.LIMIT, lots=1, price_ticks=1
        )
        (refusal,) = step(Core(LIMITS), wish)
        assert isinstance(refusal, Refuse)
        assert (refusal.subject, refusal.detail) == ("maker:BTC-USDC", "limit buy BTC-USDC")


def step(core: Core, event: Event, now_ns: int = 0) -> tuple[object, ...]:
    effects = core.step(event, Stamp(0, now_ns, now_ns))
    effects_as_kept(effects)
    return effects
