"""What comes into the core from people, clocks, the guard and the shell itself."""

from __future__ import annotations

from typing import Literal

import msgspec


class RunStarted(msgspec.Struct, frozen=True, tag="run_started", kw_only=True):
    """The first event of every run. What an earlier run left is carried on; its clock, session and prices are not."""

    run_epoch: int
    """Higher than that of any earlier run: ids are made of it."""
    is_reset: bool = False
    """A person has reset a halt with the guard's tool: only reducing is allowed until a person resumes."""


class HaltAsked(msgspec.Struct, frozen=True, tag="halt"):
    """A person, the guard or the shell wants everything stopped."""

    by: str
    reason: str


class TimerFired(msgspec.Struct, frozen=True, tag="timer"):
    """A deadline that `ArmTimer` asked for has come; `name` is the one it was armed under."""

    name: str


class GuardPulse(msgspec.Struct, frozen=True, tag="guard_pulse", gc=False):
    """The guard is alive and armed; its age is the distance to the stamp of this event."""

    is_armed: bool


class GuardGone(msgspec.Struct, frozen=True, tag="guard_gone"):
    """The guard's process or socket ended: nothing may be placed any more."""

    reason: str


class JournalHealth(msgspec.Struct, frozen=True, tag="journal_health"):
    """The journal can, or cannot, take what an order needs; told when it changes. A healthy one may still be slow."""

    is_healthy: bool
    detail: str = ""


class ClockStepped(msgspec.Struct, frozen=True, tag="clock_step", gc=False):
    """The wall clock moved by more than a second against the monotonic one."""

    by_ns: int


class ClockAgreed(msgspec.Struct, frozen=True, tag="clock_agreed", gc=False):
    """Two sources agree again on the time: what a step of the clock degraded may go on."""


Action = Literal[
    "reset_breaker", "reset_halt", "pause", "resume", "set_profile", "allow_order", "adopt_position", "cancel_all"
]


class OperatorCommand(msgspec.Struct, frozen=True, tag="operator", kw_only=True):
    """A person at a terminal. `reason` is theirs and is kept; it is never parsed."""

    action: Action
    reason: str
    target: str = ""
    """Breaker, profile, order or symbol, as the action needs."""
    symbol: str = ""
    """`reset_breaker`: of a hold that one symbol has for itself."""
    value: int = 0


class StrategyAlive(msgspec.Struct, frozen=True, tag="strategy_alive"):
    """A strategy has seen what became of its orders; without it, it may enter only so many times."""

    strategy: str


ControlEvent = (
    RunStarted
    | HaltAsked
    | TimerFired
    | GuardPulse
    | GuardGone
    | JournalHealth
    | ClockStepped
    | ClockAgreed
    | OperatorCommand
    | StrategyAlive
)
