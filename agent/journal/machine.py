"""What a journal is replayed through: the core, behind the three things that a replay asks of it.

The one place that knows how a core is made from what a run's first record holds, and how its state is taken and put
back.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar

import msgspec

from agent.core.desk.settings import DeskSettings
from agent.core.effects import Effect
from agent.core.events import Event, Stamp
from agent.core.limits import RiskLimits
from agent.core.step import Core
from agent.journal.errors import CorruptJournal
from agent.journal.records import Run


class Machine(Protocol):
    """A core that can be stepped, and whose state can be had as bytes."""

    def step(self, event: Event, stamp: Stamp) -> tuple[Effect, ...]:
        """The effects of one event."""

    def state(self) -> bytes | None:
        """The whole state, the same bytes for the same state in any process; None where the core cannot give it."""


LIMITS, TRADING, NEEDS_GUARD = "limits", "trading", "needs_guard"
"""Keys of `Run.settings`."""

Kind = TypeVar("Kind")

MakeMachine = Callable[[Run, bytes | None], Machine]
"""A machine for a run, with the state it starts from; None is a fresh one."""


class CoreMachine:
    """The core of a run, made with the limits and settings that its first record holds."""

    def __init__(self, core: Core) -> None:
        self.core = core
        self.step = core.step
        self.state = core.state


def make_core(run: Run, state: bytes | None) -> Machine:
    """Raises CorruptJournal where the run holds no settings of a core, or the state is none of it."""
    if LIMITS not in run.settings and TRADING not in run.settings:
        raise CorruptJournal("the first record holds no limits", path="", sequence=1)
    try:
        core = Core(
            _decoded(run, LIMITS, RiskLimits),
            trading=_decoded(run, TRADING, DeskSettings),
            needs_guard=run.settings.get(NEEDS_GUARD) == "yes",
            state=state,
        )
    except msgspec.DecodeError as error:
        raise CorruptJournal(f"the snapshot is of another core: {error}", path="", sequence=0) from None
    return CoreMachine(core)


def limits_of(run: Run) -> RiskLimits:
    """The limits of bundles that a run was started with."""
    limits = _decoded(run, LIMITS, RiskLimits)
    if limits is None:
        raise CorruptJournal("the first record holds no limits", path="", sequence=1)
    return limits


def core_settings(
    limits: RiskLimits | None = None, trading: DeskSettings | None = None, *, needs_guard: bool = False
) -> dict[str, str]:
    """What `Run.settings` must hold so that a replay makes the same core."""
    settings = {NEEDS_GUARD: "yes" if needs_guard else "no"}
    if limits is not None:
        settings[LIMITS] = msgspec.json.encode(limits).decode()
    if trading is not None:
        settings[TRADING] = msgspec.json.encode(trading).decode()
    return settings


def _decoded(run: Run, key: str, kind: type[Kind]) -> Kind | None:
    text = run.settings.get(key)
    if text is None:
        return None
    try:
        return msgspec.json.decode(text, type=kind)
    except msgspec.DecodeError:
        raise CorruptJournal(f"the first record's {key} cannot be read", path="", sequence=1) from None
