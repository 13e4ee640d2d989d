"""Breaker 6: the fall of a unit's value from its highest, in steps: half size, quarter size, halt.

Theory of operation. The account is a fund of units. A deposit mints units at the present value rounded up, a withdrawal
burns them rounded down, so no flow can raise the unit value, and none can hide a fall. The highest value is kept as
the pair (NAV, units) of its mark and compared by cross multiplication, exactly. It survives restarts and only a person
lowers it. It moves at most once a second: a higher mark within the second is held back and counts with the next.

At D sizes are halved, at 1.5 D quartered, at 2 D trading halts and stays halted. The way back is one step after the
fall has been a quarter of D below the step's threshold for 15 minutes without a break, as the marks show it.
"""

from __future__ import annotations

from enum import IntEnum

import msgspec

from agent.core.risk.countdown import Countdown
from agent.core.risk.profiles import PPM, SECOND_NS

HIGH_EVERY_NS = SECOND_NS
RECOVERY_NS = 15 * 60 * SECOND_NS


class Rung(IntEnum):
    """A step of the ladder."""

    ACTIVE = 0
    HALF = 1
    QUARTER = 2
    HALT = 3


THRESHOLD_QUARTERS: dict[Rung, int] = {Rung.HALF: 4, Rung.QUARTER: 6, Rung.HALT: 8}
"""At which fall each begins, in quarters of the profile's drawdown."""
BACK_QUARTERS = 1
_ACTIVE, _HALT, _HALF_QUARTERS = Rung.ACTIVE, Rung.HALT, THRESHOLD_QUARTERS[Rung.HALF]
"""What every valuation asks for."""
SIZE_PPM: dict[Rung, int] = {Rung.ACTIVE: PPM, Rung.HALF: PPM >> 1, Rung.QUARTER: PPM >> 2, Rung.HALT: PPM >> 2}


class Drawdown(msgspec.Struct, kw_only=True):
    """Units, the high, and the rung. Amounts in atoms of the account's currency; `units` is 0 before the first value."""

    units: int = 0
    nav_atoms: int = 0
    high_nav_atoms: int = 0
    high_units: int = 0
    high_at_ns: int | None = None
    """Monotonic time of the last move of the high."""
    held_nav_atoms: int = 0
    held_units: int = 0
    """A higher mark that waits for its second to end; 0 units where none does."""
    rung: Rung = Rung.ACTIVE
    recovery: Countdown | None = None
    tripped_day: int | None = None
    """The UTC day of the halt, while it holds."""

    def on_nav(self, nav_atoms: int, is_valid: bool, limit_ppm: int, day: int, now_ns: int) -> bool:
        """Take a value. True where the rung changes. A guess (not valid) may lower the rung's mode, never the high."""
        if self.units == 0:
            if not is_valid or nav_atoms <= 0:
                return False
            self.units = self.high_units = nav_atoms
            self.nav_atoms = self.high_nav_atoms = nav_atoms
            return False
        self.nav_atoms = nav_atoms
        if is_valid:
            self._raise_high(nav_atoms, now_ns)
        rung = self.rung
        if rung is _HALT:
            return False
        reached = self._reached(limit_ppm)
        if reached > rung:
            self.rung = reached
            self.recovery = None
            if reached is Rung.HALT:
                self.tripped_day = day
            return True
        if rung is _ACTIVE:
            return False
        return self._step_back(limit_ppm, now_ns)

    def on_flow(self, atoms: int) -> None:
        """Mint (rounded up) or burn (rounded down) units for money that came or went, at the latest value."""
        if self.units == 0:
            return
        nav_atoms = max(self.nav_atoms, 1)
        if atoms > 0:
            self.units += -(-atoms * self.units // nav_atoms)
        else:
            self.units -= min(self.units, -atoms * self.units // nav_atoms)
        self.nav_atoms += atoms
        if self.units == 0:
            # Everything was withdrawn: the next value starts a new fund.
            self.held_units = 0

    def is_at_least(self, limit_ppm: int, quarters: int) -> bool:
        """The fall is at or above `quarters` of a quarter of the limit. Exact."""
        fall = self.high_nav_atoms * self.units - self.nav_atoms * self.high_units
        return 4 * fall * PPM >= quarters * limit_ppm * self.high_nav_atoms * self.units

    def fall_ppm(self) -> int:
        """The fall for display, rounded up."""
        whole = self.high_nav_atoms * self.units
        return -(-(whole - self.nav_atoms * self.high_units) * PPM // whole) if whole else 0

    def on_restart(self, last_ns: int, now_ns: int) -> None:
        """The way back goes on with what was left."""
        if self.recovery is not None:
            self.recovery.resume(last_ns, now_ns)
        if self.high_at_ns is not None:
            self.high_at_ns = now_ns

    def reset(self) -> None:
        """Arm it again, with the present value as the high: else it would trip at once."""
        self.tripped_day = None
        self.rung = Rung.ACTIVE
        self.recovery = None
        self.high_nav_atoms, self.high_units = max(self.nav_atoms, 1), max(self.units, 1)
        self.held_units = 0

    def _raise_high(self, nav_atoms: int, now_ns: int) -> None:
        if nav_atoms * self.held_units > self.held_nav_atoms * self.units or (
            self.held_units == 0 and nav_atoms * self.high_units > self.high_nav_atoms * self.units
        ):
            self.held_nav_atoms, self.held_units = nav_atoms, self.units
        if self.held_units == 0 or (self.high_at_ns is not None and now_ns - self.high_at_ns < HIGH_EVERY_NS):
            return
        self.high_nav_atoms, self.high_units = self.held_nav_atoms, self.held_units
        self.held_nav_atoms = self.held_units = 0
        self.high_at_ns = now_ns

    def _reached(self, limit_ppm: int) -> Rung:
        if not self.is_at_least(limit_ppm, _HALF_QUARTERS):
            return _ACTIVE
        if not self.is_at_least(limit_ppm, THRESHOLD_QUARTERS[Rung.QUARTER]):
            return Rung.HALF
        return Rung.HALT if self.is_at_least(limit_ppm, THRESHOLD_QUARTERS[Rung.HALT]) else Rung.QUARTER

    def _step_back(self, limit_ppm: int, now_ns: int) -> bool:
        back = THRESHOLD_QUARTERS[self.rung] - BACK_QUARTERS
        fall = self.high_nav_atoms * self.units - self.nav_atoms * self.high_units
        if 4 * fall * PPM > back * limit_ppm * self.high_nav_atoms * self.units:
            self.recovery = None
            return False
        if self.recovery is None:
            self.recovery = Countdown(RECOVERY_NS, now_ns)
            return False
        if not self.recovery.is_over(now_ns):
            return False
        self.recovery = None
        self.rung = Rung(self.rung - 1)
        return True
