"""Planted bugs of what an order may not pass."""

from __future__ import annotations

from typing import Any

from agent.core.desk.stopping import Stopping
from agent.core.events import Stamp
from agent.core.instruments import Side
from agent.core.orders.machine import Machine
from agent.core.orders.order import Order
from agent.core.orders.outcome import Outcome
from agent.core.orders.table import OrderState
from agent.core.risk import check_view, checks, evidence_checks, limit_checks
from agent.core.risk.breakers.aggregate import Breakers
from agent.core.risk.exposure import Exposure, worst_exposure
from agent.core.risk.modes import ACTIVE, Mode
from agent.core.risk.rate import Bucket
from agent.core.signals.admission import Admission
from agent.core.standing import PULSE_LOST_NS, Standing
from agent.devnet.virtual.planted.swap import bug


def _netted(*, reserved_buy_lots: int, reserved_sell_lots: int, **known: Any) -> Exposure:
    return worst_exposure(
        reserved_buy_lots=max(0, reserved_buy_lots - reserved_sell_lots),
        reserved_sell_lots=max(0, reserved_sell_lots - reserved_buy_lots),
        **known,
    )


def _reserve_without_the_cancelled(
    self: Any, order: Order, state: OrderState, asks_for_owed: bool, stamp: Stamp, out: Outcome
) -> None:
    _reserve(self, order, state, asks_for_owed, stamp, out)
    if state is OrderState.PENDING_CANCEL and order.reserved_lots:
        symbol = self.symbols[order.symbol]
        if order.side is Side.BUY:
            symbol.reserved_buy -= order.reserved_lots
        else:
            symbol.reserved_sell -= order.reserved_lots
        order.reserved_lots = 0


_reserve = Machine._reserve


def _without(*rows: Any) -> Any:
    return tuple(row for row in checks.CHECKS if row not in rows)


def _always_a_token(self: Bucket, now_ns: int) -> int:
    return 0


def _restart_from_nothing(self: Breakers, monotonic_ns: int) -> None:
    self.holds.clear()
    self.symbol_holds.clear()
    self.symbol_modes.clear()
    self.global_mode = ACTIVE
    _on_restart(self, monotonic_ns)


def _restart_with_a_new_day(self: Breakers, monotonic_ns: int) -> None:
    if self.day is not None:
        self.day -= 1
    _on_restart(self, monotonic_ns)


_on_restart = Breakers.on_restart


def _begin_unhalted(self: Standing, *args: Any, **kwargs: Any) -> None:
    _begin(self, *args, **(kwargs | {"is_reset": True}))


_begin = Standing.begin


def _guard_is_well(self: Standing, now_ns: int) -> int:
    return 0


def _silent_early(self: Standing, now_ns: int) -> str:
    return "no pulse" if self.heard_ns is not None and now_ns - self.heard_ns > PULSE_LOST_NS // 2 else ""


def _no_fence(self: Stopping, stamp: Any, out: Outcome) -> None:
    """A halt lets what rests rest."""


def _never_silent(self: Standing, now_ns: int) -> str:
    return ""


def _always_active(self: Breakers, symbol: str = "") -> Mode:
    return ACTIVE


def _admit_again(self: Admission, *args: Any, **kwargs: Any) -> Any:
    self.state.seen.clear()
    return _judge(self, *args, **kwargs)


_judge = Admission.judge

LIMITS = (
    bug(
        "open-orders-netted",
        "open buys and sells are set off against each other",
        (check_view, "worst_exposure", _netted),
    ),
    bug(
        "reservation-freed-early",
        "an order is not reserved for once its cancel is sent",
        (Machine, "_reserve", _reserve_without_the_cancelled),
    ),
    bug("position-limit-off", "nothing bounds a position", (checks, "CHECKS", _without(limit_checks.positions))),
    bug("order-rate-off", "there is always a token for an order", (Bucket, "take", _always_a_token)),
    bug(
        "old-book-traded",
        "an order is decided on whatever book there is",
        (checks, "CHECKS", _without(evidence_checks.market_data, evidence_checks.decision)),
    ),
    bug(
        "breakers-reset-at-restart",
        "a new process knows of no breaker",
        (Breakers, "on_restart", _restart_from_nothing),
    ),
    bug("breakers-do-not-bind", "what a breaker says is not asked", (Breakers, "mode", _always_active)),
    bug("day-begins-at-restart", "a new process begins a new day", (Breakers, "on_restart", _restart_with_a_new_day)),
    bug("halt-ends-at-restart", "a new process is not halted", (Standing, "begin", _begin_unhalted)),
    bug(
        "guard-not-needed",
        "orders go out without a guard that lives",
        (Standing, "guard_age_ns", _guard_is_well),
        (Standing, "silence", _never_silent),
    ),
    bug(
        "halts-beside-a-guard",
        "a guard that is a little late counts as dead",
        (Standing, "silence", _silent_early),
    ),
    bug("halt-leaves-orders", "a halt cancels nothing", (Stopping, "fence", _no_fence)),
    bug("signal-replayed", "a signal that comes again is a new one", (Admission, "judge", _admit_again)),
)
