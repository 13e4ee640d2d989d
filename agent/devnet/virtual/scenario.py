"""What a world is made of, and how it went."""

from __future__ import annotations

import msgspec

from agent.devnet.virtual import actions as act
from agent.devnet.virtual.crashes import Crash
from agent.devnet.virtual.faults import PPM
from agent.devnet.virtual.oracles import Violation
from agent.devnet.virtual.profile import Profile
from agent.devnet.virtual.venue_books import DEPOSIT_ATOMS

ACTIVE_NS = 20_000_000_000


class Scenario(msgspec.Struct, frozen=True, kw_only=True):
    """All that a world is made of. Two worlds of one scenario are the same to the last byte."""

    seed: int
    profile: Profile
    actions: tuple[act.Action, ...]
    active_ns: int = ACTIVE_NS
    """So long it acts; then it heals."""
    crash: Crash | None = None
    """A death at a named point."""


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """How a world went."""

    seed: int
    violation: Violation | None
    steps: int
    virtual_ns: int
    fired: dict[str, int]
    """Faults by name, how often each struck."""
    reached: dict[str, int]
    """States worth reaching, how often each was."""
    digest: str
    """Of every event, its stamp and its effects, in order."""


class Finding(BaseException):
    """An oracle's word; ends the world. No handler of the agent may take it."""

    def __init__(self, violation: Violation) -> None:
        super().__init__(f"{violation.oracle}: {violation.detail}")
        self.violation = violation


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What the world holds the agent to, worked out from its risk profile without its help."""

    orders_per_s: int
    position_atoms: int


RISK: dict[str, tuple[int, int]] = {
    "conservative": (10, 50_000),
    "standard": (50, 150_000),
    "aggressive": (200, 300_000),
}
"""Orders a second, and the largest position in ppm of the account's value."""


def limits_of(profile: Profile) -> Limits:
    """Of the account's first value; the agent's own may only be lower."""
    orders_per_s, position_ppm = RISK[profile.risk]
    return Limits(orders_per_s=orders_per_s, position_atoms=DEPOSIT_ATOMS * position_ppm // PPM)
