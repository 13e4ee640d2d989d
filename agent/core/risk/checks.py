"""The checks before every order, in their order; the first that fails is the reason.

Theory of operation. Rows 1 and 2 ask whether anything may go out, rows 3 to 9 whether what is known is good enough to
act on, rows 10 to 20 whether this order keeps its limits. Row 21, the tokens of the order rate, is the caller's,
because an order that lacks one waits. `check` runs when an order is decided and again when it leaves the queue.

A *reducing* order, on the other side than the position and not larger than what of it is left by what waits on that
side already, passes every limit of mode, size, exposure and loss: a limit must never keep a position from being
closed. It passes no check of evidence, since closing on a wrong book is no protection. Cancels do not come here.

What is missing denies: no book, no mark, no pulse, no last trade. A missing balance is zero.

The set of checks follows what regulators ask of market access: thresholds set ahead for credit, price and size, order
by order and over a short time, and for orders that look like duplicates (SEC rule 15c3-5 (c)(1)), and a collar, value,
volume and repeated-execution limits (EU 2017/589, articles 15 and 16).
"""

from __future__ import annotations

from collections.abc import Callable

from agent.core.codes import Code
from agent.core.instruments import TAKING
from agent.core.risk import evidence_checks, limit_checks
from agent.core.risk.all_clear import is_clear
from agent.core.risk.check_view import CheckView
from agent.core.risk.exposure import Exposure
from agent.core.risk.modes import Level

Refusal = tuple[Code, str]

_CODES = {
    Level.LIMIT_ONLY: Code.LIMIT_ONLY,
    Level.PAUSED: Code.PAUSED,
    Level.REDUCE_ONLY: Code.REDUCE_ONLY,
    Level.HALTED: Code.HALTED,
    Level.KILLED: Code.KILLED,
}

_UNKNOWN = Exposure(0, 0, 0, False)


def check(view: CheckView) -> Refusal | None:
    """The first reason against the order, or None."""
    order = view.order
    # Fields of a wrong kind are refused in row 7; nothing is computed with them before.
    is_countable = type(order.lots) is int and type(order.price_ticks) is int
    exposure = view.exposure() if is_countable else _UNKNOWN
    if is_countable and is_clear(view, exposure):
        return None
    return reason(view, exposure)


def reason(view: CheckView, exposure: Exposure) -> Refusal | None:
    """Row by row: the first reason against the order."""
    for row in CHECKS:
        refusal = row(view, exposure)
        if refusal is not None:
            return refusal
    return None


def warning(view: CheckView) -> Refusal | None:
    """What is worth telling of an order that passed: a reducing one below the venue's minimum, which may refuse it."""
    return evidence_checks.notional_too_small(view)


def _alive(view: CheckView, exposure: Exposure) -> Refusal | None:
    """1. No latch, and a guard that lives."""
    if view.is_latched:
        return Code.KILLED, "latched"
    age_ns, limit_ns = view.guard_age_ns, view.account.max_guard_age_ns
    if age_ns is None:
        return Code.GUARD_LOST, "no guard"
    if age_ns > limit_ns and (not exposure.is_reducing or age_ns > 2 * limit_ns):
        return Code.GUARD_LOST, f"pulse {age_ns} ns old of {limit_ns}"
    return None


def _mode(view: CheckView, exposure: Exposure) -> Refusal | None:
    """2. What the breakers let out."""
    order = view.order
    level = view.mode.refuses(order.order_type in TAKING, exposure.is_reducing)
    if level is not None:
        return _CODES[level], view.mode.words
    if order.is_reduce_only and not exposure.is_reducing:
        return Code.REDUCE_ONLY, f"{order.side} {order.lots} lots do not reduce a position of {view.position_lots}"
    return None


CHECKS: tuple[Callable[[CheckView, Exposure], Refusal | None], ...] = (
    _alive,
    _mode,
    evidence_checks.session,
    evidence_checks.journal,
    evidence_checks.instrument,
    evidence_checks.fence,
    evidence_checks.fields,
    evidence_checks.market_data,
    evidence_checks.decision,
    limit_checks.duplicate,
    limit_checks.collar,
    limit_checks.size,
    limit_checks.crossing,
    limit_checks.positions,
    limit_checks.funds,
    limit_checks.loss_budget,
    limit_checks.open_orders,
    limit_checks.day,
    limit_checks.repeated,
)
