"""The breakers at the last atom, lot and nanosecond, and what each of them answers where nothing changes."""

from __future__ import annotations

import msgspec
import pytest

from agent.core.accounts.marks import Valuation
from agent.core.effects.control import Alarm, DayRolled, ModeChanged
from agent.core.instruments import Side
from agent.core.market import Book
from agent.core.risk.breakers import Breakers, Hold
from agent.core.risk.breakers.day_loss import DayLoss
from agent.core.risk.breakers.drawdown import RECOVERY_NS, Drawdown, Rung
from agent.core.risk.breakers.slippage import Slippage
from agent.core.risk.breakers.streak import PAUSE_NS, Streak, StreakTrip
from agent.core.risk.countdown import Countdown
from agent.core.risk.modes import HALTED, KILLED, PAUSED, REDUCE_ONLY, Level
from agent.core.risk.profiles import AGGRESSIVE, CONSERVATIVE, PPM, PROFILES, STANDARD, Profile
from tests.core.risk.making import (
    DAY_NS,
    SECOND_NS,
    alarms,
    book,
    breakers,
    modes,
    readable,
    see_nav,
    stamp,
    with_limits,
)

SYMBOL = "X-Q"
NAV = 1_000_000


@pytest.fixture
def held() -> Breakers:
    made = breakers()
    see_nav(made, NAV, 0)
    return made


class TestDays:
    def test_before_the_first_time_an_event_has_its_own_day(self) -> None:
        now = stamp(3 * DAY_NS)
        held = breakers()
        assert see_nav(breakers(), NAV, 3 * DAY_NS) == (DayRolled(3, NAV),)
        assert held.on_nav(Valuation(NAV), now) == (DayRolled(3, NAV),)
        held.hold("person", PAUSED, "lunch", now)
        held.on_position(SYMBOL, NAV, 1, 1, now)
        held.on_order_finished(SYMBOL, Side.BUY, 5, 5 * 10_100, 20_000, now)
        held.on_episode(-1, now)
        days = {source: hold.day for source, hold in (held.holds | held.symbol_holds[SYMBOL]).items()}
        assert days == {"person": 3, "position": 3, "slippage": 3}

    def test_a_reset_before_the_first_time_is_of_its_own_day(self) -> None:
        held = breakers()
        held.on_nav(Valuation(NAV), stamp(3 * DAY_NS))
        held.on_nav(Valuation(NAV // 2), stamp(3 * DAY_NS))
        assert alarms(held.reset("day_loss", "seen", stamp(4 * DAY_NS - 1))) == [("RESET_REFUSED", "day_loss")]
        assert alarms(held.reset("day_loss", "seen", stamp(4 * DAY_NS))) == [("BREAKER_RESET", "day_loss")]

    def test_no_wall_clock_brings_a_day_back(self, held: Breakers) -> None:
        held.on_time(stamp(5 * DAY_NS))
        assert held.on_time(stamp(4 * DAY_NS)) == ()
        held.hold("person", PAUSED, "lunch", stamp(4 * DAY_NS))
        assert held.holds["person"].day == 5

    def test_what_happens_within_a_day_is_of_the_day_that_was_rolled_to(self, held: Breakers) -> None:
        held.on_time(stamp(DAY_NS))
        held.hold("person", PAUSED, "lunch", stamp(DAY_NS - 1))
        assert held.holds["person"].day == 1


class TestValue:
    def test_an_account_of_one_atom_is_worth_something(self) -> None:
        held = breakers(with_limits(day_loss_ppm=PPM))
        assert see_nav(held, 1, 0) == (DayRolled(0, 1),)
        assert held.nav_ref_atoms == 1

    def test_one_atom_left_is_no_ruin_of_the_valuation(self, held: Breakers) -> None:
        see_nav(held, 1, 1)
        assert "valuation" not in held.holds
        see_nav(held, 0, 2)
        assert held.holds["valuation"] == Hold(HALTED, "the net asset value is 0", 0, is_latched=True)
        assert held.symbol_holds == {}
        see_nav(held, NAV, 3)
        assert held.holds["valuation"].is_latched, "that the value came back is for a person to see"

    def test_what_has_no_price_or_an_old_one_is_named(self, held: Breakers) -> None:
        held.on_nav(Valuation(NAV, ("A-Q", "B-Q")), stamp(1))
        assert held.holds["valuation"] == Hold(REDUCE_ONLY, "old prices for A-Q, B-Q", 0)
        held.on_nav(Valuation(NAV, ("A-Q",), ("P", "R")), stamp(2))
        assert held.holds["valuation"] == Hold(HALTED, "no price for P, R", 0, is_latched=True)


class TestDayLoss:
    def test_the_limit_is_exact_for_any_amount(self) -> None:
        large = DayLoss(nav_start_atoms=10**30 + 1, nav_atoms=10**30 + 1)
        assert large.limit_atoms(30_000) == 3 * 10**28 + 1

    def test_it_trips_once_and_remembers_when(self) -> None:
        day_loss = DayLoss()
        assert day_loss.on_nav(NAV, True, 30_000, 1) is False
        assert day_loss.on_nav(NAV // 2, True, 30_000, 1) is True
        assert day_loss.on_nav(NAV // 4, True, 30_000, 2) is False
        assert day_loss.tripped_day == 1

    def test_a_guess_before_the_first_value_trips_nothing(self) -> None:
        assert DayLoss().on_nav(5, False, 0, 1) is False

    def test_where_nothing_may_be_lost_a_loss_of_nothing_is_none(self) -> None:
        day_loss = DayLoss()
        assert [day_loss.on_nav(nav, True, 0, 1) for nav in (NAV, NAV + 1, NAV, NAV - 1)] == [False] * 3 + [True]

    def test_a_single_atom_that_came_is_a_deposit(self) -> None:
        day_loss = DayLoss(nav_start_atoms=10, nav_atoms=10)
        day_loss.on_flow(1)
        day_loss.on_flow(-2)
        assert (day_loss.deposits_atoms, day_loss.withdrawals_atoms, day_loss.nav_atoms) == (1, 2, 9)
        assert (day_loss.loss_atoms, day_loss.base_atoms) == (0, 8)
        assert day_loss.figures_atoms() == (9, 0, 8)

    def test_a_new_day_has_no_flows(self) -> None:
        day_loss = DayLoss(nav_start_atoms=10, nav_atoms=12, nav_valid_atoms=12, deposits_atoms=3, withdrawals_atoms=4)
        day_loss.on_day()
        assert day_loss == DayLoss(nav_start_atoms=12, nav_atoms=12, nav_valid_atoms=12)


class TestDrawdown:
    LIMIT = 100_000

    def test_each_value_says_whether_the_step_changed(self) -> None:
        """Down by a tenth, on the step, deeper, at the bottom; and the way back, a quarter of an hour for a step."""
        fund, day = Drawdown(), 7
        navs = [
            (1_000, 0, False), (950, 1, False), (900, 2, True), (900, 3, False), (899, 4, False),
            (925, 5, False), (925, 5 + RECOVERY_NS - 1, False), (925, 5 + RECOVERY_NS, True),
            (1_000, 6 + RECOVERY_NS, False),
            (800, 7 + RECOVERY_NS, True), (700, 8 + RECOVERY_NS, False), (1_000, 9 + RECOVERY_NS, False),
        ]  # fmt: skip
        assert [fund.on_nav(nav, True, self.LIMIT, day, at_ns) for nav, at_ns, _ in navs] == [one for _, _, one in navs]
        assert (fund.rung, fund.tripped_day) == (Rung.HALT, 7)

    def test_a_relapse_is_no_change_and_begins_the_way_back_anew(self) -> None:
        fund = Drawdown()
        for nav, at_ns in ((1_000, 0), (900, 1), (930, 2)):
            fund.on_nav(nav, True, self.LIMIT, 0, at_ns)
        assert fund.recovery == Countdown(RECOVERY_NS, 2)
        assert fund.on_nav(924, True, self.LIMIT, 0, 3) is False
        assert fund.recovery is None

    @pytest.mark.parametrize(("nav", "is_valid"), [(5, False), (0, True), (-5, True), (-5, False)])
    def test_a_fund_begins_with_a_value_that_is_one(self, nav: int, is_valid: bool) -> None:
        fund = Drawdown()
        assert fund.on_nav(nav, is_valid, self.LIMIT, 0, 0) is False
        assert fund == Drawdown()

    def test_the_smallest_fund_mints_and_burns(self) -> None:
        fund = Drawdown()
        fund.on_nav(1, True, self.LIMIT, 0, 0)
        fund.on_flow(5)
        assert (fund.units, fund.nav_atoms) == (6, 6)
        fund.on_flow(1)
        fund.on_flow(-6)
        assert (fund.units, fund.nav_atoms) == (1, 1)
        fund.on_flow(0)
        assert (fund.units, fund.nav_atoms) == (1, 1)

    @pytest.mark.parametrize("units_left", [1, 500])
    def test_a_mark_that_waits_for_its_second_outlives_a_flow(self, units_left: int) -> None:
        fund = Drawdown(units=1_000, nav_atoms=1_000, high_nav_atoms=1_000, high_units=1_000)
        fund.on_nav(1_100, True, self.LIMIT, 0, 0)
        fund.on_nav(2_000, True, self.LIMIT, 0, 1)
        fund.on_flow(-2 * (1_000 - units_left))
        assert fund.units == units_left
        assert (fund.held_nav_atoms, fund.held_units) == (2_000, 1_000)
        fund.on_flow(-2 * units_left)
        assert (fund.units, fund.held_units) == (0, 0), "but not the end of the fund"

    def test_behind_a_restart_the_second_begins_anew(self) -> None:
        fund = Drawdown(units=1_000, nav_atoms=1_000, high_nav_atoms=1_000, high_units=1_000)
        fund.on_nav(1_100, True, self.LIMIT, 0, 9 * SECOND_NS)
        fund.on_restart(9 * SECOND_NS, 5)
        fund.on_nav(1_200, True, self.LIMIT, 0, 5 + SECOND_NS - 1)
        assert fund.high_nav_atoms == 1_100
        fund.on_nav(1_200, True, self.LIMIT, 0, 5 + SECOND_NS)
        assert fund.high_nav_atoms == 1_200

    def test_a_reset_of_the_smallest_fund_has_its_value_as_the_high(self) -> None:
        fund = Drawdown(units=1, nav_atoms=1, high_nav_atoms=9, high_units=1, rung=Rung.HALT, tripped_day=3)
        fund.reset()
        assert fund == Drawdown(units=1, nav_atoms=1, high_nav_atoms=1, high_units=1)

    def test_a_halt_by_it_keeps_the_quarter_size_and_its_limits(self) -> None:
        held = breakers(with_limits(day_loss_ppm=PPM))
        see_nav(held, NAV, 0)
        see_nav(held, NAV // 2, SECOND_NS)
        assert (held.is_halted, held.size_multiplier_ppm) == (True, PPM // 4)
        assert held.position_limit_ppm == STANDARD.position_ppm // 4


class TestStreak:
    def test_behind_its_halt_no_loss_pauses_any_more(self) -> None:
        streak = Streak()
        trips = []
        for number in range(5):
            streak.on_time(number * PAUSE_NS)
            trips.append(streak.on_episode(-1, 1, 4, number * PAUSE_NS))
        assert trips == [StreakTrip.PAUSE, StreakTrip.PAUSE, StreakTrip.HALT, None, None]
        assert streak.tripped_day == 4

    def test_its_halt_says_which_pause_it_was(self) -> None:
        held = breakers(with_limits(losses=1))
        for number in range(3):
            now = stamp(number * PAUSE_NS)
            held.on_time(now)
            effects = held.on_episode(-1, now)
        assert alarms(effects) == [("HALTED", "streak")]
        assert held.holds["streak"] == Hold(HALTED, "pause 3 of the day", 0, is_latched=True)
        assert held.streak.tripped_day == 0


class TestSlippage:
    LIMIT = 3_000

    def test_each_order_and_book_says_whether_it_changed_something(self) -> None:
        slippage = Slippage()
        calm = book([(9_999, 50)], [(10_001, 50)])
        assert slippage.median_lots == 0
        assert slippage.on_book(calm, self.LIMIT, 0) is False
        bad = (Side.BUY, 5, 5 * 10_100, 20_000)
        assert [slippage.on_order(*bad, self.LIMIT, at_ns) for at_ns in (0, 1)] == [True, False]
        assert slippage.on_book(calm, self.LIMIT, 0) is False
        assert slippage.on_book(calm, self.LIMIT, 60 * SECOND_NS) is True
        assert slippage.on_book(calm, self.LIMIT, 60 * SECOND_NS) is False

    def test_an_order_without_a_middle_does_not_count(self) -> None:
        slippage = Slippage()
        assert slippage.on_order(Side.BUY, 5, 500, 0, self.LIMIT, 0) is False
        assert slippage == Slippage()

    def test_a_hundredth_of_the_median_counts_and_less_is_dust(self) -> None:
        slippage = Slippage()
        for _ in range(3):
            slippage.on_order(Side.BUY, 200, 200 * 10_000, 20_000, self.LIMIT, 0)
        assert slippage.on_order(Side.BUY, 1, 20_000, 20_000, self.LIMIT, 0) is False
        assert slippage.average_fp == 0
        assert slippage.on_order(Side.BUY, 2, 2 * 20_000, 20_000, self.LIMIT, 0) is True

    @pytest.mark.parametrize(("distance", "is_calm"), [(15, True), (16, False)])
    def test_half_the_limit_is_calm_and_more_is_not(self, distance: int, is_calm: bool) -> None:
        """Half a limit of 3,000 ppm is 15 ticks at a middle of 10,000."""
        slippage = Slippage()
        slippage.on_order(Side.BUY, 2, 2 * 10_100, 20_000, self.LIMIT, 0)
        slippage.on_book(book([(10_000 - distance, 50)], [(10_000 + distance, 50)]), self.LIMIT, 1)
        assert (slippage.calm is not None) is is_calm

    @pytest.mark.parametrize("bad", [book([(10_001, 50)], [(10_000, 50)]), book([(9_999, 50)], []), book([], [])])
    def test_a_book_that_cannot_be_believed_is_never_calm(self, bad: Book) -> None:
        slippage = Slippage()
        slippage.on_order(Side.BUY, 2, 2 * 10_100, 20_000, self.LIMIT, 0)
        for at_s in (1, 40, 80):
            assert slippage.on_book(bad, self.LIMIT, at_s * SECOND_NS) is False
            assert slippage.calm is None

    def test_the_average_is_told_rounded_up(self, held: Breakers) -> None:
        effects = held.on_order_finished(SYMBOL, Side.BUY, 3, 3 * 10_090 + 1, 20_000, stamp(1))
        (changed,) = effects
        assert changed == ModeChanged(
            symbol=SYMBOL, mode="LIMIT_ONLY", by="slippage", detail="average 9034 ppm of 3000"
        )


class TestHolds:
    def test_only_a_halt_is_an_alarm_and_only_the_first_of_a_source(self, held: Breakers) -> None:
        assert alarms(held.hold("person", PAUSED, "lunch", stamp(1))) == []
        first = held.hold("person", HALTED, "stop", stamp(2))
        assert Alarm("critical", "HALTED", "person", "stop") in first
        assert alarms(held.hold("person", HALTED, "again", stamp(3))) == []
        assert alarms(held.hold("person", KILLED, "worse", stamp(4))) == []
        assert alarms(held.hold("guard", HALTED, "no pulse", stamp(5))) == [("HALTED", "guard")]

    def test_a_latched_hold_keeps_its_first_words_and_its_first_day(self, held: Breakers) -> None:
        held.hold("guard", HALTED, "no pulse", stamp(1), is_latched=True)
        assert held.hold("guard", HALTED, "still none", stamp(2), is_latched=True) == ()
        assert held.holds["guard"] == Hold(HALTED, "no pulse", 0, is_latched=True)
        held.on_time(stamp(2 * DAY_NS))
        held.hold("guard", KILLED, "killed", stamp(2 * DAY_NS))
        assert held.holds["guard"] == Hold(KILLED, "killed", 0, is_latched=True)

    def test_a_position_at_its_limit_says_by_how_much(self, held: Breakers) -> None:
        lots = NAV * STANDARD.position_ppm // PPM
        readable(held.on_position(SYMBOL, lots, 1, 1, stamp(1)))
        words = "150000 lots at 1 are at the limit of 150000 ppm"
        assert held.symbol_holds == {SYMBOL: {"position": Hold(REDUCE_ONLY, words, 0)}}
        assert held.mode(SYMBOL).level is Level.REDUCE_ONLY


class TestWhatPeopleAreTold:
    def test_of_a_reset(self, held: Breakers) -> None:
        def severities(reason: str, at_ns: int) -> list[str]:
            return [e.severity for e in readable(held.reset("day_loss", reason, stamp(at_ns))) if isinstance(e, Alarm)]

        assert severities("why not", 1) == ["notice"]
        see_nav(held, NAV // 2, 1)
        see_nav(held, NAV // 2, 2)
        assert severities("", 2) == severities("too soon", 2) == ["warning"]
        held.on_time(stamp(DAY_NS))
        effects = held.reset("day_loss", "seen", stamp(DAY_NS))
        assert Alarm("warning", "BREAKER_RESET", "day_loss", "seen") in readable(effects)

    def test_the_mode_after_a_reset_is_told_with_the_persons_reason(self, held: Breakers) -> None:
        held.hold("guard", HALTED, "no pulse", stamp(1), is_latched=True)
        told = held.reset("guard", "pulse again", stamp(2))
        assert told[-1] == ModeChanged(mode="ACTIVE", by="guard", detail="pulse again")
        assert modes(told) == ["ACTIVE"]

    def test_of_a_profile(self, held: Breakers) -> None:
        (down,) = held.set_profile(CONSERVATIVE, "quiet", stamp(1))
        assert down == Alarm("warning", "PROFILE_CHANGED", "conservative", "at once: quiet")
        (up,) = held.set_profile(AGGRESSIVE, "loud", stamp(2))
        assert isinstance(up, Alarm) and up.code == "PROFILE_CHANGED"
        assert not up.detail.startswith("at once") and up.detail.endswith(": loud")
        (rolled, _) = readable(held.on_time(stamp(DAY_NS)))
        assert isinstance(rolled, Alarm) and (rolled.severity, rolled.subject) == ("notice", "aggressive")

    def test_the_end_of_a_restart_is_the_new_clock(self, held: Breakers) -> None:
        held.on_restart(77)
        assert held.seen_ns == 77


class TestProfiles:
    @pytest.mark.parametrize("profile", PROFILES.values(), ids=PROFILES)
    def test_an_order_may_be_a_fifth_of_the_position_and_all_positions_three_of_them(self, profile: Profile) -> None:
        figures = msgspec.structs.asdict(profile)
        assert 5 * figures["order_notional_ppm"] == figures["position_ppm"] == figures["max_net_ppm"]
        assert figures["max_gross_ppm"] == 3 * figures["position_ppm"]
        assert figures["day_notional_ppm"] == 20 * PPM

    def test_a_step_of_the_drawdown_cannot_be_nothing(self) -> None:
        with pytest.raises(ValueError, match="drawdown_ppm"):
            with_limits(drawdown_ppm=0)
        assert with_limits(drawdown_ppm=1).drawdown_ppm == 1
        assert with_limits(drawdown_ppm=499_999).drawdown_ppm == 499_999
