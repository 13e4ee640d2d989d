"""What faults do to requests: each may handle one, hand it on, or answer in the venue's place."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from agent.devnet.purpleflea.faults.outbound import delay_ns
from agent.devnet.purpleflea.faults.trigger import Trigger
from agent.devnet.purpleflea.floor import Caller
from agent.devnet.purpleflea.off_book import fill_from_house
from agent.devnet.purpleflea.orders import Order
from agent.devnet.purpleflea.steps import Tuning

if TYPE_CHECKING:
    from agent.devnet.purpleflea.faults.faulty_conduct import FaultyConduct

PLACES = frozenset({"place_order"})
CANCELS = frozenset({"cancel_order"})
RETRY_AFTER_MS = 1_500


class Request(NamedTuple):
    """One request on its way to its desk; `proceed` hands it to the next fault or the desk."""

    caller: Caller
    action: str
    frame: dict[str, Any]
    proceed: Callable[[], None]


def delayed(conduct: FaultyConduct, trigger: Trigger, request: Request) -> None:
    """F1 inwards: it is handled later, even if its connection is gone by then, as bytes in a kernel's buffer are."""
    conduct.later(request.caller, delay_ns(trigger), request.proceed)


def ack_last(conduct: FaultyConduct, trigger: Trigger, request: Request) -> None:
    """F7, mode numbered."""
    _tuned(request, Tuning(ack_last=True))


def dust(conduct: FaultyConduct, trigger: Trigger, request: Request) -> None:
    """F18."""
    _tuned(request, Tuning(slice_lots=int(trigger.fault.parameters.get("lots", 1))))


def late_fill(conduct: FaultyConduct, trigger: Trigger, request: Request) -> None:
    """F8: the cancellation is told, then a fill follows; with `owed` its `cum_qty` counts the fill already."""
    order = _order(request)
    if order is None or not order.is_open:
        request.proceed()
        return
    lots = int(trigger.fault.parameters.get("lots", order.leaves_lots))
    engine, floor = request.caller.floor.engine, request.caller.floor
    lots = min(lots, order.leaves_lots)
    if trigger.fault.parameters.get("owed", False):
        engine.tuning = Tuning(owed_lots=lots)
    request.proceed()
    engine.tuning = Tuning()
    fill_from_house(engine, conduct.house, order, lots, floor.now())
    floor.flush()


def filled_first(conduct: FaultyConduct, trigger: Trigger, request: Request) -> None:
    """F9."""
    _fill(conduct, request, None)
    request.proceed()


def amend_race(conduct: FaultyConduct, trigger: Trigger, request: Request) -> None:
    """F10: `amended` fills a part before the amend, `rejected` the whole."""
    order = _order(request)
    if order is not None and order.is_open:
        is_part = trigger.fault.parameters.get("mode", "amended") == "amended"
        lots = int(trigger.fault.parameters.get("lots", max(1, order.leaves_lots // 2)))
        _fill(conduct, request, min(lots, order.leaves_lots - 1) if is_part else None)
    request.proceed()


def internal(conduct: FaultyConduct, trigger: Trigger, request: Request) -> None:
    """F11."""
    caller, parameters = request.caller, trigger.fault.parameters
    if parameters.get("live", False):
        caller.is_muted = True
        request.proceed()
        caller.is_muted = False
    code = str(parameters.get("code", "INTERNAL"))
    answer = {"type": "reject", "code": code, "text": "internal error"}
    caller.answer({**answer, "client_order_id": request.frame.get("client_order_id")})


def no_answer(conduct: FaultyConduct, trigger: Trigger, request: Request) -> None:
    """F14."""
    if request.caller.session is None:
        conduct.hold_http(int(trigger.fault.parameters.get("ms", 0)))


def cut_before_ack(conduct: FaultyConduct, trigger: Trigger, request: Request) -> None:
    """F19."""
    session = request.caller.session
    if session is not None:
        conduct.wire.muted.add(session.conn_id)
    request.caller.is_muted = True
    request.proceed()
    if session is not None:
        conduct.wire.abort(session.conn_id)


def rate_limited(conduct: FaultyConduct, trigger: Trigger, request: Request) -> None:
    """F32 on a socket; HTTP requests are refused before they are read."""
    caller = request.caller
    if caller.session is None:
        request.proceed()
        return
    kinds = {"cancel_order": "cancel_reject", "amend_order": "amend_reject", "place_order": "reject"}
    answer: dict[str, Any] = {"type": kinds.get(request.action, "error"), "code": "RATE_LIMIT", "text": ""}
    answer["client_order_id"] = request.frame.get("client_order_id")
    wait_ms = retry_after_ms(trigger)
    if wait_ms is not None:
        answer["retry_after_ms"] = wait_ms
    caller.answer(answer)


def retry_after_ms(trigger: Trigger) -> int | None:
    """What F32 says about when to come back: the truth, nothing, or something useless."""
    mode = trigger.fault.parameters.get("mode", "headers")
    if mode == "none":
        return None
    return int(trigger.fault.parameters.get("retry_after_ms", RETRY_AFTER_MS if mode == "headers" else -1))


def _order(request: Request) -> Order | None:
    engine, frame = request.caller.floor.engine, request.frame
    found = engine.orders.get((request.caller.account.account_id, str(frame.get("client_order_id"))))
    return found or engine.by_order_id.get(str(frame.get("order_id")))


def _fill(conduct: FaultyConduct, request: Request, lots: int | None) -> None:
    order = _order(request)
    if order is not None and order.is_open:
        floor = request.caller.floor
        fill_from_house(floor.engine, conduct.house, order, order.leaves_lots if lots is None else lots, floor.now())
        floor.flush()


def _tuned(request: Request, tuning: Tuning) -> None:
    engine = request.caller.floor.engine
    engine.tuning = tuning
    request.proceed()
    engine.tuning = Tuning()


Effect = Callable[["FaultyConduct", Trigger, Request], None]

REQUEST_EFFECTS: dict[str, tuple[Effect, frozenset[str] | None]] = {
    "F1": (delayed, None),
    "F7": (ack_last, PLACES),
    "F8": (late_fill, CANCELS),
    "F9": (filled_first, CANCELS),
    "F10": (amend_race, frozenset({"amend_order"})),
    "F11": (internal, PLACES),
    "F14": (no_answer, frozenset({"order_status"})),
    "F18": (dust, PLACES),
    "F19": (cut_before_ack, PLACES),
    "F32": (rate_limited, frozenset({"place_order", "cancel_order", "amend_order"})),
}
"""Which requests each knob may touch; None for all."""
