"""Other processes, as the agent sees them: its guard, which watches every run that may place orders.

The real one is a process behind a socket; in virtual time it is a few lines of the simulation.
"""

from __future__ import annotations

from typing import Literal, Protocol

import msgspec

NO_VENUE_AGE_MS = 0xFFFF_FFFF
"""`venue_age_ms` of a run without a session at a venue."""


class Figures(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What a beat tells the guard. Amounts in atoms of the account's currency, on chain in wei."""

    event_seq: int
    """Journal sequence of the last stepped event; a beat is an event, so it rises with each one."""
    event_crc: int
    """The check sum of that event's record."""
    digest: bytes
    """The journal's last digest, 16 bytes."""
    mode: Literal["normal", "reduce_only", "cancel_only", "halted"] = "normal"
    exec_seq: int = 0
    """The last execution of the account that was applied."""
    next_order: int = 0
    """Counter of the next client order id of this run."""
    nav_atoms: int = 0
    day_loss_atoms: int = 0
    exposure_atoms: int = 0
    """Worst case: every open order filled on the worse side."""
    orders_last_second: int = 0
    venue_age_ms: int = NO_VENUE_AGE_MS
    """Since the venue was last heard."""


class GuardListener(Protocol):
    """Who is told. `on_gone` is called once, and last: nothing may be placed any more."""

    def on_pulse(self, is_armed: bool) -> None: ...
    def on_gone(self, reason: str) -> None: ...


class Guard(Protocol):
    """A guard that watches this run. None of the methods but `leave` waits."""

    @property
    def is_armed(self) -> bool:
        """Whether it could stop us now: it reaches the venue, and its halting transactions fit."""

    @property
    def must_reduce(self) -> bool:
        """A person has reset a halt: this run may only reduce."""

    def store_progress(self, event_seq: int, crc: int) -> None:
        """After every completed step: where the core stands."""

    def beat(self, figures: Figures) -> None:
        """A sign of life, from the step of a timer, 50 ms apart; never from another thread."""

    async def leave(self) -> None:
        """The run ends in order; the guard cancels and looks for what it left."""

    def abandon(self) -> None:
        """The core is broken: no beat and no good-bye, so that the guard latches and stops what is left."""
