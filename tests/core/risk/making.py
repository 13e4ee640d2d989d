"""Times, values and books as the tests of the breakers need them."""

from __future__ import annotations

import msgspec

from agent.core.accounts.marks import Valuation
from agent.core.effects.control import Alarm, ControlEffect, DayRolled, ModeChanged
from agent.core.events import Stamp
from agent.core.events.market import BookSnapshot, Level
from agent.core.market import Book
from agent.core.risk.breakers import Breakers
from agent.core.risk.profiles import STANDARD, Profile
from tests.core.kept import effects_as_kept

SECOND_NS = 1_000_000_000
DAY_NS = 86_400 * SECOND_NS


def stamp(wall_ns: int, monotonic_ns: int | None = None) -> Stamp:
    return Stamp(0, wall_ns if monotonic_ns is None else monotonic_ns, wall_ns)


def with_limits(**limits: int) -> Profile:
    """The standard profile with other figures."""
    return msgspec.structs.replace(STANDARD, **limits)


MADE: list[Breakers] = []
"""Those of the test that runs: at its end each must come back from a snapshot as it is."""


def breakers(profile: Profile = STANDARD) -> Breakers:
    MADE.append(Breakers(profile=profile))
    return MADE[-1]


def see_nav(
    held: Breakers, nav_atoms: int, at_ns: int, monotonic_ns: int | None = None, *, is_stale: bool = False
) -> tuple[ControlEffect, ...]:
    """An event at a time, after which the account is worth that much."""
    now = stamp(at_ns, monotonic_ns)
    valuation = Valuation(nav_atoms, ("X-Q",) if is_stale else ())
    return readable((*held.on_time(now), *held.on_nav(valuation, now)))


def readable(effects: tuple[ControlEffect, ...]) -> tuple[ControlEffect, ...]:
    effects_as_kept(effects)
    return effects


def modes(effects: tuple[ControlEffect, ...]) -> list[str]:
    """The modes an event led to, a symbol before its own."""
    readable(effects)
    return [f"{effect.symbol} {effect.mode}".strip() for effect in effects if isinstance(effect, ModeChanged)]


def alarms(effects: tuple[ControlEffect, ...]) -> list[tuple[str, str]]:
    readable(effects)
    return [(effect.code, effect.subject) for effect in effects if isinstance(effect, Alarm)]


def days(effects: tuple[ControlEffect, ...]) -> list[tuple[int, int]]:
    return [(effect.day, effect.nav_start_atoms) for effect in effects if isinstance(effect, DayRolled)]


def book(bids: list[Level], asks: list[Level], at_ns: int = 0) -> Book:
    made = Book("X-Q")
    made.apply_snapshot(
        BookSnapshot(symbol="X-Q", book_seq=1, bids=tuple(bids), asks=tuple(asks), exchange_ns=at_ns), stamp(at_ns)
    )
    return made


def restored(held: Breakers) -> Breakers:
    """As a snapshot brings it back."""
    return msgspec.json.decode(msgspec.json.encode(held), type=Breakers)
