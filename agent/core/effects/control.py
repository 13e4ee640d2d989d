"""What the core asks of the shell and of people."""

from __future__ import annotations

from typing import Literal

import msgspec


class Stop(msgspec.Struct, frozen=True, tag="stop", gc=False):
    """The agent is halted from here on."""

    by: str
    reason: str


class ArmTimer(msgspec.Struct, frozen=True, tag="arm_timer", gc=False):
    """Bring `TimerFired(name)` at this monotonic time; a timer of the same name is replaced."""

    name: str
    at_monotonic_ns: int


class DisarmTimer(msgspec.Struct, frozen=True, tag="disarm_timer", gc=False):
    name: str


class Alarm(msgspec.Struct, frozen=True, tag="alarm", gc=False):
    """Something a person must hear of. `code` is a stable word, `subject` what it is about."""

    severity: Literal["notice", "warning", "critical"]
    code: str
    subject: str
    detail: str


class ModeChanged(msgspec.Struct, frozen=True, tag="mode_changed", kw_only=True, gc=False):
    """What may be traded changed, for a symbol or (empty) for all: the breaker that did it, and the figures."""

    symbol: str = ""
    mode: str
    by: str
    detail: str


class DayRolled(msgspec.Struct, frozen=True, tag="day_rolled", gc=False):
    """A new UTC day began: its start value, by which the day's loss is measured."""

    day: int
    nav_start_atoms: int


class PositionAdopted(msgspec.Struct, frozen=True, tag="position_adopted", kw_only=True, gc=False):
    """A person took the venue's figure for ours: a symbol's position, or a currency's balance, without an execution."""

    symbol: str = ""
    lots_before: int = 0
    lots: int = 0
    price_ticks: int = 0
    """At which the difference in lots was booked: its cost, or what closed it."""
    currency: str = ""
    cash_atoms: int = 0
    """What the balance changed by."""
    reason: str


ControlEffect = Stop | ArmTimer | DisarmTimer | Alarm | ModeChanged | DayRolled | PositionAdopted
