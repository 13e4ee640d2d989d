"""Planted bugs of epochs and fences: what an order must not pass, and what must not count any more."""

from __future__ import annotations

from typing import Any

import msgspec

from agent.core.events import Stamp
from agent.core.events import orders as events
from agent.core.orders.evidence import Evidence
from agent.core.orders.ingress import Ingress
from agent.core.orders.orders import OwnOrders
from agent.core.orders.outcome import Outcome
from agent.core.risk import checks, evidence_checks
from agent.core.risk.check_view import CheckView
from agent.core.risk.exposure import Exposure
from agent.devnet.virtual.planted.swap import bug


def _never_fenced(self: OwnOrders, symbol: str) -> bool:
    return False


def _fence_without_an_epoch(self: Any, event: events.FenceDone, stamp: Stamp, out: Outcome) -> None:
    _on_fence(self, msgspec.structs.replace(event, epoch=self.state.epoch), stamp, out)


_on_fence = OwnOrders._on_fence


def _any_session_will_do(view: CheckView, exposure: Exposure) -> Any:
    return evidence_checks.session(msgspec.structs.replace(view, is_epoch_current=True), exposure)


def _take_of_any_epoch(self: Ingress, event: Any, stamp: Stamp, out: Outcome) -> None:
    _take(self, msgspec.structs.replace(event, epoch=self._machine.state.epoch), stamp, out)


_take = Ingress.take


def _refusal_of_any_epoch(self: OwnOrders, handler: Any) -> Any:
    return handler


def _asked_whenever(self: Evidence, order: Any, asked: Any) -> bool:
    return True


SESSIONS = (
    bug(
        "fence-ignored",
        "orders go out while the fate of another is unknown and no fence has passed",
        (OwnOrders, "is_fenced", _never_fenced),
    ),
    bug(
        "fence-without-epoch",
        "the epoch that a fence has raised is not taken over",
        (OwnOrders, "_on_fence", _fence_without_an_epoch),
    ),
    bug(
        "decision-outlives-session",
        "what was decided under an earlier session goes out",
        (
            checks,
            "CHECKS",
            tuple(_any_session_will_do if row is evidence_checks.session else row for row in checks.CHECKS),
        ),
    ),
    bug(
        "epoch-not-checked",
        "a frame counts whatever epoch it is of",
        (Ingress, "take", _take_of_any_epoch),
        (OwnOrders, "_of_this_epoch", _refusal_of_any_epoch),
    ),
    bug(
        "not-found-of-any-epoch",
        "that an order is not found is final, though it may have been under way when that was asked",
        (Evidence, "_is_behind", _asked_whenever),
    ),
)
