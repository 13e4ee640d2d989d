"""All breakers together: the one mode that counts, and who holds it.

Theory of operation. Each breaker is a small state of its own. What it says is entered as a *hold*: a mode under the
breaker's name, for all symbols or for one. The core, the guard and a person enter holds the same way. A change of the
mode is told as an effect, so it is in the journal and at the guard. A latched hold is taken away by `reset` alone.

Time comes in only as the stamps of events, and `on_time` is called first with each: it rolls the UTC day by the wall
clock, and ends pauses by the monotonic one. The whole is plain data: what was held before a restart is held after it.
"""

from __future__ import annotations

import msgspec

from agent.core.accounts.marks import Valuation
from agent.core.effects.control import Alarm, ControlEffect, DayRolled
from agent.core.events import Stamp
from agent.core.instruments import Side
from agent.core.market import Book
from agent.core.risk.breakers.day_loss import DayLoss
from agent.core.risk.breakers.drawdown import SIZE_PPM, Drawdown, Rung
from agent.core.risk.breakers.holds import Effects, Hold, Holds
from agent.core.risk.breakers.slippage import ONE_FP, Slippage
from agent.core.risk.breakers.streak import PAUSE_NS, Streak, StreakTrip
from agent.core.risk.exposure import Standing, excess_lots, standing
from agent.core.risk.modes import HALTED, LIMIT_ONLY, PAUSED, REDUCE_ONLY, Level, Mode, sized
from agent.core.risk.profiles import PPM, SECOND_NS, Profile, tighter

DAY_NS = 86_400 * SECOND_NS
DAY_LOSS, POSITION, STREAK, SLIPPAGE, DRAWDOWN = "day_loss", "position", "streak", "slippage", "drawdown"
VALUATION = "valuation"
_WITHIN = Standing.WITHIN
NEXT_DAY = frozenset({DAY_LOSS, STREAK, DRAWDOWN})
"""Breakers whose latch a person opens only on a later UTC day than the trip."""


class Breakers(Holds, kw_only=True):
    """The breakers of one account. Create with a profile; amounts are atoms of the account's currency."""

    profile: Profile
    next_profile: Profile | None = None
    """A looser one that begins with the next UTC day."""
    day: int | None = None
    """UTC day of the latest event."""
    seen_ns: int = 0
    """Monotonic time of the latest event."""
    day_loss: DayLoss = msgspec.field(default_factory=DayLoss)
    streak: Streak = msgspec.field(default_factory=Streak)
    drawdown: Drawdown = msgspec.field(default_factory=Drawdown)
    slippage: dict[str, Slippage] = msgspec.field(default_factory=dict)
    """By symbol: lots and books are the symbol's own."""
    orders_today: int = 0
    notional_today_atoms: int = 0

    # What the checks read.

    @property
    def size_multiplier_ppm(self) -> int:
        """Scale of order sizes and position limits after a drawdown."""
        return self.global_mode.size_ppm

    @property
    def position_limit_ppm(self) -> int:
        """The position limit as scaled, rounded down."""
        return self.profile.position_ppm * self.global_mode.size_ppm // PPM

    @property
    def nav_ref_atoms(self) -> int:
        """Reference of position and notional limits; 0 before the first value, which lets nothing pass."""
        return self.day_loss.nav_ref_atoms

    @property
    def loss_today_atoms(self) -> int:
        return self.day_loss.loss_atoms

    @property
    def loss_limit_atoms(self) -> int:
        """The day's loss at which trading halts."""
        return self.day_loss.limit_atoms(self.profile.day_loss_ppm)

    # Events.

    def on_time(self, stamp: Stamp) -> Effects:
        """Bring everything up to an event's time; first for every event."""
        self.seen_ns = stamp.monotonic_ns
        day = utc_day(stamp)
        is_over = self.streak.pause is not None and self.streak.on_time(stamp.monotonic_ns)
        if day == self.day and not is_over:
            return ()
        effects: list[ControlEffect] = []
        if is_over:  # a halt that the pause led to is latched and stays
            self._let_go(STREAK, "", "the pause is over", effects)
        if self.day is None:
            self.day = day
        elif day > self.day:
            self._roll(day, effects)
        return tuple(effects)

    def on_nav(self, valuation: Valuation, stamp: Stamp) -> Effects:
        """Take a valuation. Call it only once every open position had a first book: what has no price halts."""
        effects: list[ControlEffect] = []
        day = self._day(stamp)
        if valuation.unpriceable:
            detail = f"no price for {', '.join(valuation.unpriceable)}"
            self._enter(VALUATION, "", Hold(HALTED, detail, day, is_latched=True), effects)
            return tuple(effects)
        nav_atoms, is_valid = valuation.nav_atoms, not valuation.stale
        drawdown = self.drawdown
        if drawdown.units == 0 and (nav_atoms <= 0 or not is_valid):
            return ()  # nothing was ever paid in: there is no value to lose, and nothing to trade with
        if nav_atoms <= 0:
            detail = f"the net asset value is {nav_atoms}"
            self._enter(VALUATION, "", Hold(HALTED, detail, day, is_latched=True), effects)
        elif not is_valid:
            if VALUATION not in self.holds:
                detail = f"old prices for {', '.join(valuation.stale)}"
                self._enter(VALUATION, "", Hold(REDUCE_ONLY, detail, day), effects)
        elif VALUATION in self.holds:
            self._let_go(VALUATION, "", "every price is fresh", effects)
        day_loss, profile = self.day_loss, self.profile
        is_first = day_loss.nav_start_atoms is None
        if day_loss.on_nav(nav_atoms, is_valid, profile.day_loss_ppm, day):
            detail = f"lost {day_loss.loss_atoms} of {self.loss_limit_atoms}"
            self._enter(DAY_LOSS, "", Hold(HALTED, detail, day, is_latched=True), effects)
        if is_first and day_loss.nav_start_atoms is not None:
            effects.append(DayRolled(day, day_loss.nav_start_atoms))
        if drawdown.on_nav(nav_atoms, is_valid, profile.drawdown_ppm, day, stamp.monotonic_ns):
            self._enter_rung(day, effects)
        return tuple(effects)

    def on_flow(self, atoms: int, stamp: Stamp) -> Effects:
        """Money came (+) or went (-), in the account's currency; before the valuation that has it in."""
        self.day_loss.on_flow(atoms)
        self.drawdown.on_flow(atoms)
        return ()

    def on_order_finished(
        self, symbol: str, side: Side, lots: int, cost_lot_ticks: int, bid_plus_ask_ticks: int, stamp: Stamp
    ) -> Effects:
        """A taker order came to its end. `lots` filled for Σ lots · ticks; bid + ask as they were when it was decided.

        The average is told rounded up.
        """
        slippage = self.slippage.get(symbol)
        if slippage is None:
            slippage = self.slippage[symbol] = Slippage()
        limit_ppm = self.profile.slippage_ppm
        if not slippage.on_order(side, lots, cost_lot_ticks, bid_plus_ask_ticks, limit_ppm, stamp.monotonic_ns):
            return ()
        assert slippage.average_fp is not None
        detail = f"average {-(-slippage.average_fp // ONE_FP)} ppm of {limit_ppm}"
        effects: list[ControlEffect] = []
        self._enter(SLIPPAGE, symbol, Hold(LIMIT_ONLY, detail, self._day(stamp)), effects)
        return tuple(effects)

    def on_book(self, symbol: str, book: Book, stamp: Stamp) -> Effects:
        """A book changed: it may show that slippage is low again."""
        slippage = self.slippage.get(symbol)
        if slippage is None or slippage.hold is None:
            return ()
        if not slippage.on_book(book, self.profile.slippage_ppm, stamp.monotonic_ns):
            return ()
        effects: list[ControlEffect] = []
        self._let_go(SLIPPAGE, symbol, "the book implies little slippage", effects)
        return tuple(effects)

    def on_episode(self, result_atoms: int, stamp: Stamp) -> Effects:
        """An episode ended; only the sign of its result matters. `on_time` came before with the same stamp."""
        day = self._day(stamp)
        trip = self.streak.on_episode(result_atoms, self.profile.losses, day, stamp.monotonic_ns)
        if trip is None:
            return ()
        effects: list[ControlEffect] = []
        streak = self.streak
        if trip is StreakTrip.HALT:
            detail = f"pause {streak.pauses_today} of the day"
            self._enter(STREAK, "", Hold(HALTED, detail, day, is_latched=True), effects)
        else:
            detail = f"{streak.count} losses in a row, {PAUSE_NS} ns"
            self._enter(STREAK, "", Hold(PAUSED, detail, day), effects)
        return tuple(effects)

    def on_position(
        self, symbol: str, position_lots: int, mark_ticks: int, tick_value_atoms: int, stamp: Stamp
    ) -> Effects:
        """A position or its mark changed: at its limit nothing may be added to it. `shed_lots` says what must go."""
        limit_ppm = self.position_limit_ppm
        stands = standing(position_lots, mark_ticks, tick_value_atoms, self.nav_ref_atoms, limit_ppm)
        holds = self.symbol_holds.get(symbol)
        is_held = holds is not None and POSITION in holds
        if (stands is not _WITHIN) == is_held:
            return ()
        effects: list[ControlEffect] = []
        if is_held:
            self._let_go(POSITION, symbol, "below the limit", effects)
        else:
            detail = f"{position_lots} lots at {mark_ticks} are at the limit of {limit_ppm} ppm"
            self._enter(POSITION, symbol, Hold(REDUCE_ONLY, detail, self._day(stamp)), effects)
        return tuple(effects)

    def shed_lots(self, position_lots: int, mark_ticks: int, tick_value_atoms: int) -> int:
        """Lots that reduce-only orders must bring down now, rounded up.

        A position is let be up to 1.25 times its limit. After a drawdown the scaled limit counts at once, and there is
        a minute for it.
        """
        limit_ppm, nav_ref_atoms = self.position_limit_ppm, self.nav_ref_atoms
        stands = standing(position_lots, mark_ticks, tick_value_atoms, nav_ref_atoms, limit_ppm)
        if stands is Standing.WITHIN or (stands is Standing.AT_LIMIT and self.drawdown.rung is Rung.ACTIVE):
            return 0
        return excess_lots(position_lots, mark_ticks, tick_value_atoms, nav_ref_atoms, limit_ppm)

    def count_order(self, notional_atoms: int) -> None:
        """An order left: for the day's counts."""
        self.orders_today += 1
        self.notional_today_atoms += notional_atoms

    def on_restart(self, monotonic_ns: int) -> None:
        """A new process, hence a new monotonic clock. All that was held stays; countdowns go on where they stood."""
        last_ns = self.seen_ns
        self.streak.on_restart(last_ns, monotonic_ns)
        self.drawdown.on_restart(last_ns, monotonic_ns)
        for slippage in self.slippage.values():
            slippage.on_restart(last_ns, monotonic_ns)
        self.seen_ns = monotonic_ns

    # People and the core.

    def hold(
        self, source: str, mode: Mode, detail: str, stamp: Stamp, *, symbol: str = "", is_latched: bool = False
    ) -> Effects:
        """Keep up a mode under a name of one's own; a latched one is not lowered by a later call, nor by `release`."""
        effects: list[ControlEffect] = []
        self._enter(source, symbol, Hold(mode, detail, self._day(stamp), is_latched), effects)
        return tuple(effects)

    def reset(self, breaker: str, reason: str, stamp: Stamp, *, symbol: str = "") -> Effects:
        """A person takes a latched hold away: with a reason, and for the breakers in `NEXT_DAY` on a later UTC day."""
        held = self._holds_of(symbol).get(breaker)
        if held is None or not held.is_latched:
            return (Alarm("notice", "RESET_REFUSED", breaker, "it is not latched"),)
        if not reason.strip():
            return (Alarm("warning", "RESET_REFUSED", breaker, "a reset needs a reason"),)
        if breaker in NEXT_DAY and self._day(stamp) <= held.day:
            return (Alarm("warning", "RESET_REFUSED", breaker, "only on a later UTC day than the trip"),)
        if breaker == DAY_LOSS:
            self.day_loss.reset()
        elif breaker == STREAK:
            self.streak.reset()
        elif breaker == DRAWDOWN:
            self.drawdown.reset()
        effects: list[ControlEffect] = [Alarm("warning", "BREAKER_RESET", breaker, reason)]
        self._let_go(breaker, symbol, reason, effects, is_reset=True)
        return tuple(effects)

    def set_profile(self, profile: Profile, reason: str, stamp: Stamp) -> Effects:
        """Change limits: each that tightens at once, each that loosens with the next UTC day."""
        self.profile = tighter(self.profile, profile)
        self.next_profile = None if self.profile == profile else profile
        when = "at once" if self.next_profile is None else "what is looser with the next UTC day"
        return (Alarm("warning", "PROFILE_CHANGED", profile.name, f"{when}: {reason}"),)

    def _day(self, stamp: Stamp) -> int:
        return self.day if self.day is not None else utc_day(stamp)

    def _roll(self, day: int, effects: list[ControlEffect]) -> None:
        self.day = day
        self.day_loss.on_day()
        self.streak.on_day()
        self.orders_today = 0
        self.notional_today_atoms = 0
        if self.next_profile is not None:
            self.profile, self.next_profile = self.next_profile, None
            effects.append(Alarm("notice", "PROFILE_CHANGED", self.profile.name, "in force with the new day"))
        effects.append(DayRolled(day, self.day_loss.nav_start_atoms or 0))

    def _enter_rung(self, day: int, effects: list[ControlEffect]) -> None:
        rung = self.drawdown.rung
        detail = f"{self.drawdown.fall_ppm()} ppm below the high, {self.profile.drawdown_ppm} is a step"
        if rung is Rung.ACTIVE:
            self._let_go(DRAWDOWN, "", detail, effects)
        elif rung is Rung.HALT:
            mode = Mode(Level.HALTED, SIZE_PPM[rung])
            self._enter(DRAWDOWN, "", Hold(mode, detail, day, is_latched=True), effects)
        else:
            self._enter(DRAWDOWN, "", Hold(sized(SIZE_PPM[rung]), detail, day), effects)


def utc_day(stamp: Stamp) -> int:
    """The number of the UTC day of an event since 1970, rounded down."""
    return stamp.wall_ns // DAY_NS
