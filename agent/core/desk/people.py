"""What a person at a terminal may do to a running account. Every command has a reason, and none loosens a limit at once."""

from __future__ import annotations

from collections.abc import Callable

from agent.core.desk.adopting import Adopting
from agent.core.desk.placing import Placing
from agent.core.desk.state import DeskState
from agent.core.effects.control import Alarm
from agent.core.events import Stamp
from agent.core.events.control import OperatorCommand
from agent.core.orders.orders import OwnOrders
from agent.core.orders.outcome import Outcome
from agent.core.risk.modes import PAUSED, REDUCE_ONLY
from agent.core.risk.profiles import PROFILES
from agent.core.session import Session
from agent.core.standing import Standing

OPERATOR, AFTER_RESET = "operator", "reset"
"""Who holds a mode: a person, and the state behind a halt that a person reset."""


class People:
    """Carries out commands; one that means nothing is told and changes nothing."""

    __slots__ = ("_adopt_rate", "_adopting", "_orders", "_placing", "_standing", "_state")

    def __init__(
        self,
        state: DeskState,
        standing: Standing,
        orders: OwnOrders,
        session: Session,
        placing: Placing,
        adopt_rate: Callable[[Stamp], None],
    ) -> None:
        self._state = state
        self._standing = standing
        self._orders = orders
        self._adopting = Adopting(state, orders, session)
        self._placing = placing
        self._adopt_rate = adopt_rate

    def commanded(self, event: OperatorCommand, stamp: Stamp, out: Outcome) -> None:
        breakers = self._state.breakers
        if event.action == "reset_breaker":
            out.effects.extend(breakers.reset(event.target, event.reason, stamp, symbol=event.symbol))
        elif event.action == "reset_halt" and self._standing.is_halted and event.reason.strip():
            self._reset_halt(event, stamp, out)
        elif event.action == "set_profile" and event.target in PROFILES:
            out.effects.extend(breakers.set_profile(PROFILES[event.target], event.reason, stamp))
            self._adopt_rate(stamp)
        elif event.action == "allow_order":
            self._orders.allow(event.target)
        elif event.action == "pause":
            out.effects.extend(breakers.hold(OPERATOR, PAUSED, event.reason, stamp, symbol=event.target))
        elif event.action == "resume":
            for source in (OPERATOR, AFTER_RESET):
                out.effects.extend(breakers.release(source, event.reason, symbol=event.target))
        elif event.action == "adopt_position":
            self._adopting.ask(event.target, event.reason, stamp, out)
        elif event.action == "cancel_all":
            self._placing.withdraw(event.target, stamp, out)
            self._orders.fence("account", stamp, out, event.target)
        else:
            out.effects.append(Alarm("warning", "COMMAND_REFUSED", event.action, f"target {event.target!r}"))

    def _reset_halt(self, event: OperatorCommand, stamp: Stamp, out: Outcome) -> None:
        """A halt of the core itself, which the guard holds no latch for. What reduces may go out, until `resume`."""
        detail = f"it was {self._standing.halted_by}: {self._standing.halt_reason}; {event.reason}"
        self._standing.reset()
        out.effects.append(Alarm("warning", "HALT_RESET", "halt", detail))
        out.effects.extend(self._state.breakers.hold(AFTER_RESET, REDUCE_ONLY, event.reason, stamp))
