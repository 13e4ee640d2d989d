"""What `Breakers` tells the core: modes and their changes, latches and resets, days, profiles, restarts."""

from __future__ import annotations

import msgspec
import pytest

from agent.core.accounts.marks import Valuation
from agent.core.instruments import Side
from agent.core.risk.breakers import Breakers
from agent.core.risk.modes import HALTED, KILLED, PAUSED, REDUCE_ONLY, Level
from agent.core.risk.profiles import AGGRESSIVE, CONSERVATIVE, PPM, STANDARD, tighter
from tests.core.risk.making import (
    DAY_NS,
    SECOND_NS,
    alarms,
    book,
    breakers,
    days,
    modes,
    restored,
    see_nav,
    stamp,
    with_limits,
)

SYMBOL = "X-Q"
NAV = 1_000_000


@pytest.fixture
def held() -> Breakers:
    """Running since the first second of a day, worth a million."""
    made = breakers()
    see_nav(made, NAV, 0)
    return made


def lose_the_day(held: Breakers, at_ns: int = SECOND_NS) -> None:
    see_nav(held, NAV - NAV * STANDARD.day_loss_ppm // PPM, at_ns)


class TestValue:
    def test_the_first_value_starts_the_day(self) -> None:
        assert days(see_nav(breakers(), NAV, 0)) == [(0, NAV)]

    def test_an_account_that_nothing_was_paid_into_is_not_ruined(self) -> None:
        held = breakers()
        assert see_nav(held, 0, 0) == ()
        assert (held.nav_ref_atoms, held.loss_today_atoms) == (0, 0), "no limit lets anything pass"
        held.on_flow(500, stamp(1))
        assert days(see_nav(held, 500, 1)) == [(0, 500)]
        assert held.nav_ref_atoms == 500

    def test_no_value_left_halts(self, held: Breakers) -> None:
        effects = see_nav(held, 0, 1)
        assert held.mode().level is Level.HALTED
        assert ("HALTED", "valuation") in alarms(effects)

    def test_something_without_a_price_halts(self, held: Breakers) -> None:
        effects = held.on_nav(Valuation(NAV, (), ("PTS",)), stamp(1))
        assert modes(effects) == ["HALTED"]
        see_nav(held, NAV, 2)
        assert held.is_halted, "until a person has looked"
        assert modes(held.reset("valuation", "the rate of PTS is set", stamp(3))) == ["ACTIVE"]

    def test_old_prices_let_positions_only_be_reduced_while_they_are_old(self, held: Breakers) -> None:
        assert modes(see_nav(held, NAV - 10, 1, is_stale=True)) == ["REDUCE_ONLY"]
        assert modes(see_nav(held, NAV - 20, 2, is_stale=True)) == []
        assert modes(see_nav(held, NAV, 3)) == ["ACTIVE"]

    def test_a_guess_starts_no_day_and_is_no_high(self, held: Breakers) -> None:
        see_nav(held, NAV + 500, 2 * SECOND_NS, is_stale=True)
        assert held.drawdown.high_nav_atoms == NAV
        see_nav(held, NAV - 500, DAY_NS - 1, is_stale=True)
        assert days(see_nav(held, NAV, DAY_NS)) == [(1, NAV)]

    def test_a_guess_may_trip(self, held: Breakers) -> None:
        see_nav(held, NAV // 2, 1, is_stale=True)
        assert {"day_loss", "drawdown"} <= held.holds.keys()

    def test_limits_do_not_grow_by_profit_of_the_day_nor_by_its_loss(self, held: Breakers) -> None:
        see_nav(held, NAV + 100, 1)
        assert held.nav_ref_atoms == NAV
        see_nav(held, NAV - 100, 2)
        assert held.nav_ref_atoms == NAV - 100
        held.on_flow(50_000, stamp(3))
        assert held.nav_ref_atoms == NAV - 100 + 50_000


class TestLatches:
    def test_a_halt_is_told_once_as_a_mode_and_as_an_alarm(self, held: Breakers) -> None:
        effects = see_nav(held, NAV * 97 // 100, 1)
        assert modes(effects) == ["HALTED"]
        assert alarms(effects) == [("HALTED", "day_loss")]
        assert see_nav(held, NAV * 96 // 100, 2) == ()

    def test_a_profit_does_not_open_it(self, held: Breakers) -> None:
        lose_the_day(held)
        see_nav(held, 2 * NAV, 2 * SECOND_NS)
        assert held.is_halted

    @pytest.mark.parametrize("reason", ["", "  "])
    def test_a_reset_needs_a_reason(self, held: Breakers, reason: str) -> None:
        lose_the_day(held)
        see_nav(held, NAV, DAY_NS)
        assert alarms(held.reset("day_loss", reason, stamp(DAY_NS))) == [("RESET_REFUSED", "day_loss")]
        assert held.is_halted

    def test_a_reset_waits_for_the_next_day(self, held: Breakers) -> None:
        lose_the_day(held)
        assert alarms(held.reset("day_loss", "please", stamp(DAY_NS - 1))) == [("RESET_REFUSED", "day_loss")]
        held.on_time(stamp(DAY_NS))
        effects = held.reset("day_loss", "understood", stamp(DAY_NS))
        assert alarms(effects) == [("BREAKER_RESET", "day_loss")]
        assert modes(effects) == ["ACTIVE"]

    def test_what_is_not_latched_is_not_reset(self, held: Breakers) -> None:
        assert alarms(held.reset("streak", "why not", stamp(1))) == [("RESET_REFUSED", "streak")]

    def test_a_reset_of_the_drawdown_takes_the_present_value_as_the_high(self) -> None:
        held = breakers(with_limits(day_loss_ppm=PPM))
        see_nav(held, NAV, 0)
        see_nav(held, NAV * 8 // 10, SECOND_NS)
        assert held.mode().words == "HALTED"
        see_nav(held, NAV * 8 // 10, DAY_NS)
        assert modes(held.reset("drawdown", "a new start", stamp(DAY_NS))) == ["ACTIVE"]
        assert modes(see_nav(held, NAV * 8 // 10, DAY_NS + SECOND_NS)) == []
        assert modes(see_nav(held, NAV * 72 // 100, DAY_NS + 2 * SECOND_NS)) == ["SIZE(500000)"]

    def test_a_halt_by_pauses_is_reset_on_a_later_day(self) -> None:
        held = breakers(with_limits(losses=1))
        for number in range(3):
            now = stamp(number * 301 * SECOND_NS)
            held.on_time(now)
            held.on_episode(-1, now)
        assert held.mode().words == "HALTED"
        held.on_time(stamp(2_000 * SECOND_NS))
        assert held.mode().words == "HALTED", "the end of the pause is no end of the halt"
        held.on_time(stamp(DAY_NS))
        held.on_episode(-1, stamp(DAY_NS))
        assert modes(held.reset("streak", "understood", stamp(DAY_NS))) == ["ACTIVE"]
        assert held.streak.count == 0
        assert modes(held.on_episode(-1, stamp(DAY_NS))) == ["PAUSED"]

    def test_a_latched_hold_is_neither_released_nor_lowered(self, held: Breakers) -> None:
        held.hold("guard", HALTED, "no pulse", stamp(1), is_latched=True)
        assert held.hold("guard", REDUCE_ONLY, "pulse again", stamp(2)) == ()
        assert held.release("guard", "pulse again") == ()
        assert modes(held.hold("guard", KILLED, "worse", stamp(3))) == ["KILLED"]
        assert held.release("guard", "pulse again") == (), "what was latched stays so at a stricter level"
        assert modes(held.reset("guard", "a person looked", stamp(4))) == ["ACTIVE"]


class TestModes:
    def test_the_strictest_of_all_holds_counts(self, held: Breakers) -> None:
        assert modes(held.hold("person", PAUSED, "lunch", stamp(1))) == ["PAUSED"]
        assert modes(held.hold("guard", REDUCE_ONLY, "pulse 300 ms", stamp(2))) == ["REDUCE_ONLY"]
        assert modes(held.release("person", "back")) == []
        assert modes(held.release("guard", "pulse")) == ["ACTIVE"]

    def test_a_symbol_has_holds_of_its_own(self, held: Breakers) -> None:
        assert modes(held.hold("fence", REDUCE_ONLY, "unknown order", stamp(1), symbol=SYMBOL)) == ["X-Q REDUCE_ONLY"]
        assert held.mode("other").words == "ACTIVE"
        held.hold("person", HALTED, "stop", stamp(2))
        assert held.mode(SYMBOL).words == "HALTED"
        held.release("person", "go")
        assert held.mode(SYMBOL).words == "REDUCE_ONLY"
        assert modes(held.release("fence", "settled", symbol=SYMBOL)) == ["X-Q ACTIVE"]
        assert held.symbol_holds == held.symbol_modes == {}

    def test_a_symbol_under_a_stricter_general_mode_tells_nothing_new(self, held: Breakers) -> None:
        held.hold("person", HALTED, "stop", stamp(1))
        assert modes(held.hold("fence", REDUCE_ONLY, "unknown order", stamp(2), symbol=SYMBOL)) == []

    def test_a_smaller_size_and_resting_orders_alone_hold_together(self) -> None:
        held = breakers(with_limits(day_loss_ppm=PPM))
        see_nav(held, NAV, 0)
        see_nav(held, NAV * 9 // 10, SECOND_NS)
        held.on_order_finished(SYMBOL, Side.BUY, 5, 5 * 10_030, 20_000, stamp(2 * SECOND_NS))
        assert held.mode(SYMBOL).words == "SIZE(500000)+LIMIT_ONLY"
        assert held.size_multiplier_ppm == PPM // 2
        assert held.position_limit_ppm == STANDARD.position_ppm // 2

    def test_after_a_drawdown_the_scaled_limit_is_reached_by_selling(self) -> None:
        held = breakers(with_limits(day_loss_ppm=PPM))
        see_nav(held, NAV, 0)
        lots = NAV * STANDARD.position_ppm // PPM // 2  # 1.1 times what will be the limit
        assert held.shed_lots(lots, 1, 1) == 0
        see_nav(held, NAV * 9 // 10, SECOND_NS)
        limit_lots = NAV * 9 // 10 * STANDARD.position_ppm // PPM // 2
        assert held.shed_lots(lots, 1, 1) == lots - limit_lots + 1

    def test_a_position_that_fell_below_its_limit_may_grow_again(self, held: Breakers) -> None:
        lots = NAV * STANDARD.position_ppm // PPM
        held.on_position(SYMBOL, lots, 1, 1, stamp(1))
        assert held.on_position(SYMBOL, lots, 1, 1, stamp(2)) == ()
        assert modes(held.on_position(SYMBOL, lots - 1, 1, 1, stamp(3))) == ["X-Q ACTIVE"]


class TestPause:
    def test_the_mode_comes_back_at_the_exact_nanosecond(self) -> None:
        held = breakers(with_limits(losses=1))
        assert modes(held.on_episode(-1, stamp(7))) == ["PAUSED"]
        assert held.on_time(stamp(7 + 300 * SECOND_NS - 1)) == ()
        assert modes(held.on_time(stamp(7 + 300 * SECOND_NS))) == ["ACTIVE"]

    def test_a_winning_episode_does_not_trip(self) -> None:
        held = breakers(with_limits(losses=2))
        held.on_episode(-1, stamp(0))
        assert held.on_episode(5, stamp(1)) == ()
        assert held.on_episode(-1, stamp(2)) == ()


class TestDays:
    def test_counts_begin_anew(self, held: Breakers) -> None:
        held.count_order(700)
        held.count_order(55)
        assert (held.orders_today, held.notional_today_atoms) == (2, 755)
        held.on_time(stamp(DAY_NS - 1))
        assert (held.orders_today, held.notional_today_atoms) == (2, 755)
        held.on_time(stamp(DAY_NS))
        assert (held.orders_today, held.notional_today_atoms) == (0, 0)

    def test_a_day_that_begins_before_the_first_value_starts_from_nothing(self) -> None:
        held = breakers()
        assert days(held.on_time(stamp(0))) == []
        assert days(held.on_time(stamp(DAY_NS))) == [(1, 0)]

    def test_a_day_without_events_is_passed_over(self, held: Breakers) -> None:
        see_nav(held, NAV - 1_000, SECOND_NS)
        assert days(held.on_time(stamp(5 * DAY_NS + 1))) == [(5, NAV - 1_000)]
        assert held.loss_today_atoms == 0


class TestSlippage:
    CALM = book([(9_999, 50)], [(10_001, 50)])

    def test_the_way_back(self, held: Breakers) -> None:
        held.on_order_finished(SYMBOL, Side.SELL, 5, 5 * 9_900, 20_000, stamp(0))
        told = [modes(held.on_book(SYMBOL, self.CALM, stamp(s * SECOND_NS))) for s in (1, 31, 59, 60, 61)]
        assert told == [[], [], [], ["X-Q ACTIVE"], []]

    def test_a_crossed_or_empty_book_is_no_evidence(self, held: Breakers) -> None:
        held.on_order_finished(SYMBOL, Side.BUY, 5, 5 * 10_100, 20_000, stamp(0))
        for seconds in (30, 60, 90):
            crossed = book([(10_001, 50)], [(10_000, 50)])
            held.on_book(SYMBOL, crossed, stamp(seconds * SECOND_NS))
            held.on_book(SYMBOL, book([], []), stamp(seconds * SECOND_NS))
        assert held.mode(SYMBOL).words == "LIMIT_ONLY"

    def test_a_restart_keeps_the_hold_and_forgets_the_calm(self, held: Breakers) -> None:
        held.on_order_finished(SYMBOL, Side.BUY, 5, 5 * 10_100, 20_000, stamp(0))
        held.on_book(SYMBOL, self.CALM, stamp(1))
        held.on_time(stamp(50 * SECOND_NS))
        held = restored(held)
        held.on_restart(7 * SECOND_NS)
        # 10 s of the hold are left; the calm needs its 30 s from the first book on.
        for at_s, mode in ((7, "LIMIT_ONLY"), (36, "LIMIT_ONLY"), (37, "ACTIVE")):
            held.on_book(SYMBOL, self.CALM, stamp(51 * SECOND_NS, at_s * SECOND_NS))
            assert held.mode(SYMBOL).words == mode

    def test_only_a_hundred_orders_are_remembered(self, held: Breakers) -> None:
        for lots in [*range(1, 101), *[1_000] * 60]:
            held.on_order_finished(SYMBOL, Side.BUY, lots, lots * 10_000, 20_000, stamp(0))
        state = held.slippage[SYMBOL]
        assert state.recent_lots == [*range(61, 101), *[1_000] * 60]
        assert state.sorted_lots == sorted(state.recent_lots)
        assert state.median_lots == 1_000


class TestDrawdown:
    def test_the_high_moves_once_a_second_and_forgets_nothing(self, held: Breakers) -> None:
        see_nav(held, NAV + 100, SECOND_NS)
        see_nav(held, NAV + 300, SECOND_NS + 1)
        see_nav(held, NAV + 200, SECOND_NS + 2)
        assert held.drawdown.high_nav_atoms == NAV + 100
        see_nav(held, NAV + 50, 2 * SECOND_NS)
        assert held.drawdown.high_nav_atoms == NAV + 300

    def test_the_second_runs_from_the_last_move_of_the_high(self, held: Breakers) -> None:
        see_nav(held, NAV + 100, SECOND_NS)
        see_nav(held, NAV, 5 * SECOND_NS // 2)
        see_nav(held, NAV + 200, 3 * SECOND_NS)
        assert held.drawdown.high_nav_atoms == NAV + 200

    def test_a_restart_does_not_stop_the_high(self, held: Breakers) -> None:
        see_nav(held, NAV + 100, 10 * SECOND_NS)
        held.on_restart(3)
        see_nav(held, NAV + 200, 11 * SECOND_NS, 4)
        see_nav(held, NAV + 200, 12 * SECOND_NS, 3 + SECOND_NS)
        assert held.drawdown.high_nav_atoms == NAV + 200

    def test_a_deeper_fall_starts_the_way_back_anew(self) -> None:
        held = breakers(with_limits(day_loss_ppm=PPM))
        fall = {0: 0, 1: 100, 2: 70, 850: 150, 851: 120, 910: 120, 1_750: 120, 1_751: 120}
        told = [modes(see_nav(held, NAV * (1_000 - f) // 1_000, s * SECOND_NS)) for s, f in fall.items()]
        assert told == [[], ["SIZE(500000)"], [], ["SIZE(250000)"], [], [], [], ["SIZE(500000)"]]

    def test_the_fall_is_told_in_ppm_rounded_up(self, held: Breakers) -> None:
        see_nav(held, NAV - 1, 1)
        assert held.drawdown.fall_ppm() == 1
        see_nav(held, 3 * NAV, 2)
        see_nav(held, 2 * NAV, 3)
        assert held.drawdown.fall_ppm() == 333_334
        assert breakers().drawdown.fall_ppm() == 0

    def test_after_everything_was_withdrawn_the_next_value_starts_a_new_fund(self, held: Breakers) -> None:
        see_nav(held, NAV + 50, SECOND_NS)
        see_nav(held, NAV + 90, SECOND_NS + 1)
        held.on_flow(-NAV - 90, stamp(SECOND_NS + 2))
        assert (held.drawdown.units, see_nav(held, 0, SECOND_NS + 3)) == (0, ())
        held.on_flow(700, stamp(SECOND_NS + 4))
        see_nav(held, 700, 3 * SECOND_NS)
        drawdown = held.drawdown
        assert (drawdown.units, drawdown.high_nav_atoms, drawdown.high_units) == (700, 700, 700)
        assert held.mode().words == "ACTIVE"

    def test_a_deposit_into_a_ruined_fund_buys_units_at_no_less_than_an_atom(self, held: Breakers) -> None:
        see_nav(held, -5, 1)
        held.on_flow(3, stamp(2))
        assert held.drawdown.units == NAV + 3 * NAV

    def test_a_reset_forgets_the_mark_that_waited(self) -> None:
        held = breakers(with_limits(day_loss_ppm=PPM))
        see_nav(held, NAV, 0)
        see_nav(held, NAV + 1, SECOND_NS)
        see_nav(held, NAV + 9, SECOND_NS + 1)
        see_nav(held, NAV // 2, SECOND_NS + 2)
        held.on_time(stamp(DAY_NS))
        held.reset("drawdown", "a new start", stamp(DAY_NS))
        see_nav(held, NAV // 2, DAY_NS + SECOND_NS)
        assert held.drawdown.high_nav_atoms == NAV // 2

    def test_a_restart_goes_on_with_the_recovery(self) -> None:
        held = breakers(with_limits(day_loss_ppm=PPM))
        for at_s, nav in ((0, NAV), (1, NAV * 9 // 10), (2, NAV), (802, NAV)):
            see_nav(held, nav, at_s * SECOND_NS)
        held = restored(held)
        held.on_restart(0)
        assert modes(see_nav(held, NAV, 5_000 * SECOND_NS, 100 * SECOND_NS - 1)) == []
        assert modes(see_nav(held, NAV, 5_000 * SECOND_NS, 100 * SECOND_NS)) == ["ACTIVE"]


class TestProfiles:
    def test_a_tighter_profile_holds_at_once(self, held: Breakers) -> None:
        held.set_profile(CONSERVATIVE, "a quiet week", stamp(1))
        assert held.profile == CONSERVATIVE
        assert held.next_profile is None
        see_nav(held, NAV * 99 // 100, 2)
        assert held.is_halted

    def test_a_looser_profile_holds_from_the_next_day(self, held: Breakers) -> None:
        held.set_profile(AGGRESSIVE, "a loud week", stamp(1))
        assert msgspec.structs.replace(held.profile, name="standard") == STANDARD
        effects = held.on_time(stamp(DAY_NS))
        assert held.profile == AGGRESSIVE
        assert alarms(effects) == [("PROFILE_CHANGED", "aggressive")]

    def test_of_a_mixed_one_each_limit_takes_its_own_time(self, held: Breakers) -> None:
        mixed = msgspec.structs.replace(STANDARD, name="mixed", losses=3, day_loss_ppm=50_000, gap_ppm=60_000)
        held.set_profile(mixed, "a test", stamp(1))
        assert (held.profile.losses, held.profile.day_loss_ppm, held.profile.gap_ppm) == (3, 30_000, 60_000)
        held.on_time(stamp(DAY_NS))
        assert held.profile == mixed

    def test_a_change_of_mind_the_same_day_cannot_loosen(self, held: Breakers) -> None:
        held.set_profile(CONSERVATIVE, "down", stamp(1))
        held.set_profile(STANDARD, "up again", stamp(2))
        assert held.profile.day_loss_ppm == CONSERVATIVE.day_loss_ppm
        held.on_time(stamp(DAY_NS))
        assert held.profile == STANDARD

    def test_tighter_is_strict_in_every_limit(self) -> None:
        both = tighter(AGGRESSIVE, msgspec.structs.replace(CONSERVATIVE, gap_ppm=1))
        assert both.gap_ppm == AGGRESSIVE.gap_ppm
        assert msgspec.structs.replace(both, gap_ppm=CONSERVATIVE.gap_ppm) == CONSERVATIVE

    @pytest.mark.parametrize(
        "wrong", [{"orders_per_s": 0}, {"losses": 0}, {"drawdown_ppm": 500_000}, {"day_loss_ppm": -1}]
    )
    def test_a_profile_that_makes_no_sense_is_refused(self, wrong: dict[str, int]) -> None:
        with pytest.raises(ValueError, match="standard"):
            with_limits(**wrong)


def test_all_of_it_survives_a_restart() -> None:
    held = breakers(with_limits(losses=2, day_loss_ppm=200_000))
    see_nav(held, NAV, 0)
    see_nav(held, NAV * 9 // 10, SECOND_NS)
    held.on_order_finished(SYMBOL, Side.BUY, 5, 5 * 10_100, 20_000, stamp(2 * SECOND_NS))
    for _ in range(2):
        held.on_episode(-1, stamp(2 * SECOND_NS))
    held.hold("guard", HALTED, "no pulse", stamp(2 * SECOND_NS), is_latched=True)
    held.count_order(77)
    held.set_profile(AGGRESSIVE, "tomorrow", stamp(2 * SECOND_NS))
    again = restored(held)
    assert again == held
    assert again.mode(SYMBOL) == held.mode(SYMBOL)
    assert modes(again.reset("guard", "looked", stamp(3 * SECOND_NS))) == ["PAUSED"]
