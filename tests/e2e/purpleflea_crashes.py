"""Named points of an order's way at which a process made for it kills itself.

Each point is the instant before or behind one call. The calls are wrapped from outside, so that nothing of the agent
knows of it.
"""

from __future__ import annotations

import errno
import os
import signal
from collections.abc import Callable
from typing import Any

from agent.core.effects.orders import Amend, CancelOrder, Place
from agent.core.events.orders import Fill, OrderAck, PlaceRequested
from agent.core.step import Core
from agent.engine.venue_shell import VenueShell
from agent.journal.keeper import Keeper
from agent.journal.writer import JournalWriter
from agent.ports.disk import SystemFile
from agent.venues.purpleflea.client import PurpleFleaClient

Matches = Callable[..., bool]


def _is_order(journal: Any, event: Any, **more: Any) -> bool:
    return isinstance(event, PlaceRequested)


def _lets_out(journal: Any, effects: Any, **more: Any) -> bool:
    return any(isinstance(effect, Place | Amend) for effect in effects)


def _is_request(client: Any, effect: Any, stamp: Any) -> bool:
    return isinstance(effect, Place | Amend | CancelOrder)


def _steps_order(core: Any, event: Any, stamp: Any) -> bool:
    return isinstance(event, PlaceRequested)


def _is_ack(shell: Any, event: Any) -> bool:
    return isinstance(event, OrderAck)


def _books_fill(core: Any, event: Any, stamp: Any) -> bool:
    return isinstance(event, Fill)


def _always(*args: Any, **more: Any) -> bool:
    return True


CALLS: dict[str, tuple[type, str, Matches]] = {
    "event_recorded": (JournalWriter, "event", _is_order),
    "stepped": (Core, "step", _steps_order),
    "effects_recorded": (JournalWriter, "effects", _lets_out),
    "sent": (PurpleFleaClient, "send", _is_request),
    "ack_received": (VenueShell, "take", _is_ack),
    "fill_booked": (Core, "step", _books_fill),
    "snapshot_written": (Keeper, "_write_snapshot", _always),
    "segment_rolled": (Keeper, "roll", _always),
}
POINTS = tuple(f"{when}_{name}" for name in CALLS for when in ("before", "after"))


def dies_at(point: str, at: int) -> None:
    """This process kills itself when it passes the point for the `at`-th time."""
    when, _, name = point.partition("_")
    owner, method, matches = CALLS[name]
    original = getattr(owner, method)
    left = at

    def passes() -> None:
        nonlocal left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def wrapped(*args: Any, **more: Any) -> Any:
        is_meant = matches(*args, **more)
        if is_meant and when == "before":
            passes()
        answer = original(*args, **more)
        if is_meant and when == "after":
            passes()
        return answer

    setattr(owner, method, wrapped)


def fails_sync(at: int) -> None:
    """The `at`-th sync of a file fails as a broken disk lets it fail; any later one says that all is well again."""
    sync, left = SystemFile.sync, at

    def wrapped(self: SystemFile) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        sync(self)

    SystemFile.sync = wrapped  # type: ignore[method-assign] # this process is made for it
