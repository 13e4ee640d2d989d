"""Other processes, as the agent sees them: its guard, which watches every run that may place orders.

The real form is a process behind a socket (agent.engine.guard_link), the simulated one a few lines in virtual time
(agent.devnet.virtual.guard). tests/ports/test_processes_conformance.py holds both to what is said here.
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
    """The check sum of that event's record, 32 bits."""
    digest: bytes
    """The journal's last digest, 16 bytes."""
    mode: Literal["normal", "reduce_only", "cancel_only", "halted"] = "normal"
    exec_seq: int = 0
    """The last execution of the account that was applied."""
    next_order: int = 0
    """Counter of the next client order id of this run."""
    nav_atoms: int = 0
    """Worth of the account; 0 while it is not known."""
    day_loss_atoms: int = 0
    """Lost since the day began; negative where something was won."""
    exposure_atoms: int = 0
    """Worst case: every open order filled on the worse side."""
    orders_last_second: int = 0
    """Ids taken within the last second."""
    venue_age_ms: int = NO_VENUE_AGE_MS
    """Since the venue was last heard, also where the session is lost by now."""


class GuardListener(Protocol):
    """Who is told of the guard, on the thread of the run's loop."""

    def on_pulse(self, is_armed: bool) -> None:
        """It lives; `is_armed` as `Guard.is_armed` is from now on."""

    def on_gone(self, reason: str) -> None:
        """Its process ended, it tripped, or what it said is not to be trusted: nothing may be placed any more.

        Called at most once, and last; never behind `leave` or `abandon`.
        """


class Guard(Protocol):
    """A guard that watches this run.

    Nothing here raises or waits for the guard, whatever became of it. Behind its end, `leave` and `abandon` the run is
    not watched: `is_armed` is False, and what is told goes nowhere.
    """

    @property
    def is_armed(self) -> bool:
        """Whether it could stop us now: it reaches the venue, and its halting transactions fit."""

    @property
    def must_reduce(self) -> bool:
        """A person has reset a halt: this run may only reduce, until a person says more. Fixed when the run begins."""

    def store_progress(self, event_seq: int, crc: int) -> None:
        """After every completed step: where the core stands. A guard sees it without being told, also of a hung process."""

    def beat(self, figures: Figures) -> None:
        """A sign of life, from the step of a timer, 50 ms apart; never from another thread, which may outlive a hung core.

        A guard that does not read loses it.
        """

    async def leave(self) -> None:
        """The run ends in order; the guard cancels and looks for what it left. A second one says nothing."""

    def abandon(self) -> None:
        """The core is broken: no beat and no good-bye, so that the guard latches and stops what is left."""
