"""What may still be done: a lattice of modes, and for each level what it allows, as data.

Theory of operation. Every breaker, the guard, a person and the state of the data each hold a mode; the strictest
counts. The levels are ordered, except that a smaller size and "resting orders only" are no steps of one stair: they
are kept apart in a mode and hold together (a mode at level SIZE may also be limit-only).

What reduces a position passes every mode but KILLED, and cancels pass them all: a mode is a limit on risk, never a
reason to keep it.
"""

from __future__ import annotations

from enum import IntEnum

import msgspec

from agent.core.risk.profiles import PPM


class Level(IntEnum):
    """How much is still allowed; a greater one allows less."""

    ACTIVE = 0
    LIMIT_ONLY = 1
    SIZE = 2
    PAUSED = 3
    REDUCE_ONLY = 4
    HALTED = 5
    KILLED = 6


class Allowed(msgspec.Struct, frozen=True, gc=False):
    """What a level lets out."""

    takes: bool
    """Orders that take at once and increase a position: market, ioc, fok."""
    rests: bool
    """Orders that may rest and increase a position: limit, post_only."""
    reduces: bool
    """Orders that reduce a position, of any type."""
    cancels: bool


ALLOWED: dict[Level, Allowed] = {
    Level.ACTIVE: Allowed(takes=True, rests=True, reduces=True, cancels=True),
    Level.LIMIT_ONLY: Allowed(takes=False, rests=True, reduces=True, cancels=True),
    Level.SIZE: Allowed(takes=True, rests=True, reduces=True, cancels=True),
    Level.PAUSED: Allowed(takes=False, rests=False, reduces=True, cancels=True),
    Level.REDUCE_ONLY: Allowed(takes=False, rests=False, reduces=True, cancels=True),
    Level.HALTED: Allowed(takes=False, rests=False, reduces=True, cancels=True),
    Level.KILLED: Allowed(takes=False, rests=False, reduces=False, cancels=True),
}


class Mode(msgspec.Struct, frozen=True, gc=False):
    """An element of the lattice. `size_ppm` scales order sizes and the position limit."""

    level: Level = Level.ACTIVE
    size_ppm: int = PPM
    is_limit_only: bool = False

    def joined(self, other: Mode) -> Mode:
        """Both hold: the stricter in every respect."""
        return Mode(
            max(self.level, other.level),
            min(self.size_ppm, other.size_ppm),
            self.is_limit_only or other.is_limit_only,
        )

    @property
    def allowed(self) -> Allowed:
        allowed = ALLOWED[self.level]
        return Allowed(False, allowed.rests, allowed.reduces, allowed.cancels) if self.is_limit_only else allowed

    def refuses(self, is_taker: bool, is_reducing: bool) -> Level | None:
        """The level by whose rule an order may not go out; None where it may."""
        if self.level is Level.ACTIVE:
            return None
        allowed = ALLOWED[self.level]
        if is_reducing:
            return None if allowed.reduces else self.level
        if not allowed.rests:
            return self.level
        return Level.LIMIT_ONLY if is_taker and self.is_limit_only else None

    @property
    def words(self) -> str:
        """Stable name: `ACTIVE`, `SIZE(500000)+LIMIT_ONLY`, `PAUSED`."""
        if self.level is Level.SIZE:
            return f"SIZE({self.size_ppm})" + ("+LIMIT_ONLY" if self.is_limit_only else "")
        return self.level.name

    def describe(self) -> str:
        """One line that a person can act on."""
        allowed = self.allowed
        if allowed.takes:
            opens = "by any order"
        elif allowed.rests:
            opens = "by resting orders alone"
        else:
            opens = "no"
        size = f", at {self.size_ppm} ppm of the usual size" if allowed.rests and self.size_ppm != PPM else ""
        reduces = "yes" if allowed.reduces else "no"
        return f"{self.words}: new positions: {opens}{size}; reducing: {reduces}; cancels: yes"


ACTIVE = Mode()
LIMIT_ONLY = Mode(Level.LIMIT_ONLY, PPM, True)
PAUSED = Mode(Level.PAUSED)
REDUCE_ONLY = Mode(Level.REDUCE_ONLY)
HALTED = Mode(Level.HALTED)
KILLED = Mode(Level.KILLED)


def sized(size_ppm: int) -> Mode:
    """A smaller size, all kinds of orders."""
    return Mode(Level.SIZE, size_ppm)
