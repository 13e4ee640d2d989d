"""Liquidation marks: what a position would bring if it were closed now, and how that ages.

A mark is the best bid and ask of the last good book. For two seconds it counts as it stands; after that it is a guess,
and a guess is made worse: by 50 basis points for every ten seconds begun since the mark, by a tenth at most. All
rounding is against us.
"""

from __future__ import annotations

import msgspec

FRESH_NS = 2_000_000_000
HAIRCUT_STEP_NS = 10_000_000_000
HAIRCUT_STEP_BPS = 50
HAIRCUT_MAX_BPS = 1_000
BPS = 10_000


class Mark(msgspec.Struct, gc=False):
    """The last good best prices of a symbol."""

    bid_ticks: int
    ask_ticks: int
    at_ns: int
    """Monotonic arrival of the book they come from."""
    wall_ns: int
    """The same on the wall clock, which goes on while the agent is down."""

    def haircut_bps(self, now_ns: int) -> int:
        """0 for a fresh mark; else 50 for each ten seconds begun (rounded up), at most 1,000."""
        age_ns = now_ns - self.at_ns
        if age_ns <= FRESH_NS:
            return 0
        return min(HAIRCUT_MAX_BPS, -(-age_ns // HAIRCUT_STEP_NS) * HAIRCUT_STEP_BPS)

    def value_atoms(self, lots: int, tick_value_atoms: int, haircut_bps: int) -> int:
        """Signed worth of signed `lots`: long at the bid, short at the ask, the haircut against us, rounded down."""
        price_ticks = self.bid_ticks if lots > 0 else self.ask_ticks
        full_atoms = lots * price_ticks * tick_value_atoms
        if not haircut_bps:
            return full_atoms
        return full_atoms * (BPS - haircut_bps if lots > 0 else BPS + haircut_bps) // BPS


class Rate(msgspec.Struct, frozen=True, gc=False):
    """Worth of a currency that no traded instrument prices: `numerator` account atoms for `denominator` of its own."""

    numerator: int
    denominator: int

    def value_atoms(self, atoms: int) -> int:
        """In account atoms, rounded down (a debt becomes greater)."""
        return atoms * self.numerator // self.denominator


class Valuation(msgspec.Struct, frozen=True):
    """Net asset value in the account currency, and how far it can be believed."""

    nav_atoms: int
    """Without what is unpriceable."""
    stale: tuple[str, ...] = ()
    """Open symbols valued at a worsened old mark."""
    unpriceable: tuple[str, ...] = ()
    """Symbols and currencies held that have no price at all: the value above is then no value."""

    @property
    def is_valid(self) -> bool:
        """Every part has a fresh price: may start a day and may be a high."""
        return not self.stale and not self.unpriceable
