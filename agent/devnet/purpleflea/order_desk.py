"""Requests that change orders: place, amend, cancel, cancel all.

Each is judged at the door first (scope, epoch, time, rates), then by the engine. A place that the venue has already
judged under the same client id is answered as stored, whatever the door would say now.
"""

from __future__ import annotations

from typing import Any

from agent.core.instruments import Side
from agent.devnet.purpleflea import reading
from agent.devnet.purpleflea.floor import Caller
from agent.devnet.purpleflea.orders import Order
from agent.devnet.purpleflea.reading import Refused

FENCES = ("none", "session", "account")


def place(caller: Caller, frame: dict[str, Any]) -> None:
    """W12."""
    floor, engine = caller.floor, caller.floor.engine
    takes_numbers = caller.session is not None and caller.session.is_article
    try:
        request = reading.place(frame, engine.markets, takes_numbers=takes_numbers)
        epoch = caller.member.epoch if takes_numbers else reading.whole(frame, "session_epoch")
        expire_ns = reading.wall_ns(frame, "expire_ns")
    except Refused as refused:
        reject(caller, frame, refused)
        return
    now = floor.now()
    code, more = "", {}
    if (caller.account.account_id, request.client_order_id) not in engine.orders:
        if not (caller.key.may("trade") or (caller.key.may("reduce") and request.is_reduce_only)):
            code = "KEY_SCOPE"
        elif epoch != caller.member.epoch:
            code = "STALE_EPOCH"
        elif expire_ns is not None and now.wall_ns >= expire_ns:
            code = "TOO_LATE"
        elif caller.member.has_deadman_fired:
            code = "DEADMAN_FIRED"
        elif not caller.member.limits.orders.take(now.mono_ns):
            code = "RATE_LIMIT"
            more["retry_after_ms"] = -(-caller.member.limits.orders.wait_ns(now.mono_ns) // 1_000_000)
    if code:
        engine.reject(caller.account, request, caller.origin, code, now, **more)
    else:
        engine.place(caller.account, request, caller.origin, now)
    floor.flush(caller)


def reject(caller: Caller, frame: dict[str, Any], refused: Refused) -> None:
    """A place that could not even be read. Nothing is kept of it."""
    name = frame.get("client_order_id")
    answer = {"type": "reject", "code": refused.code, "text": refused.text}
    if isinstance(name, str):
        answer["client_order_id"] = name[:64]
    caller.answer(answer)


def find_order(caller: Caller, frame: dict[str, Any]) -> Order | None:
    """The caller's order by either id. Raises Refused(MALFORMED) where there is none."""
    engine = caller.floor.engine
    if frame.get("client_order_id") is not None:
        return engine.orders.get((caller.account.account_id, reading.client_id(frame)))
    order_id = frame.get("order_id")
    if not isinstance(order_id, str):
        raise Refused("MALFORMED", "client_order_id or order_id")
    found = engine.by_order_id.get(order_id)
    return found if found is not None and found.account == caller.account.account_id else None


def cancel(caller: Caller, frame: dict[str, Any]) -> None:
    """W14."""
    floor = caller.floor
    try:
        order = find_order(caller, frame)
    except Refused as refused:
        _refuse_change(caller, "cancel_reject", frame, refused.code)
        return
    now = floor.now()
    floor.engine.begin(now)
    if not caller.key.may("trade", "cancel"):
        _refuse_change(caller, "cancel_reject", frame, "KEY_SCOPE", order)
    elif not caller.member.limits.cancels.take(now.mono_ns):
        wait_ms = -(-caller.member.limits.cancels.wait_ns(now.mono_ns) // 1_000_000)
        _refuse_change(caller, "cancel_reject", frame, "RATE_LIMIT", order, retry_after_ms=wait_ms)
    elif order is None:
        _refuse_change(caller, "cancel_reject", frame, "UNKNOWN_ORDER")
    elif not order.is_open:
        _refuse_change(caller, "cancel_reject", frame, "TOO_LATE_TO_CANCEL", order)
    else:
        floor.engine.cancel(order, "user", now)
    floor.flush(caller)


def amend(caller: Caller, frame: dict[str, Any]) -> None:
    """W17. Quantity is the new total; quantity or price left out stay as they are."""
    floor, engine = caller.floor, caller.floor.engine
    order: Order | None = None
    now = floor.now()
    try:
        order = find_order(caller, frame)
        if order is None:
            raise Refused("UNKNOWN_ORDER", "")
        market = engine.markets[order.place.symbol]
        lots = order.lots if frame.get("quantity") is None else reading.steps(frame, "quantity", market)
        price = order.price_ticks if frame.get("price") is None else reading.steps(frame, "price", market)
        new_id = frame.get("new_client_order_id")
        if new_id is not None:
            new_id = reading.client_id(frame, "new_client_order_id")
        epoch = reading.whole(frame, "session_epoch")
        if not caller.key.may("trade"):
            raise Refused("KEY_SCOPE", "")
        if epoch != caller.member.epoch:
            raise Refused("STALE_EPOCH", "")
        if not caller.member.limits.orders.take(now.mono_ns):
            raise Refused("RATE_LIMIT", "")
    except Refused as refused:
        _refuse_change(caller, "amend_reject", frame, refused.code, order)
        return
    code = engine.amend(order, lots=lots, price_ticks=price, new_client_id=new_id, now=now)
    if code:
        _refuse_change(caller, "amend_reject", frame, code, order)
    floor.flush(caller)


def cancel_all(caller: Caller, frame: dict[str, Any]) -> None:
    """W20. With `fence=account` the epoch rises first, so that nothing of an older session is taken any more."""
    floor, engine, member = caller.floor, caller.floor.engine, caller.member
    fence, symbol, side = frame.get("fence", "none"), frame.get("symbol"), frame.get("side")
    if fence not in FENCES or side not in (None, "buy", "sell") or not (symbol is None or symbol in engine.markets):
        caller.answer(_error("MALFORMED", "cancel_all: symbol, side or fence"))
        return
    if not caller.key.may("trade", "cancel"):
        caller.answer(_error("KEY_SCOPE", "cancel_all"))
        return
    own = caller.session if caller.session is not None and caller.session.is_trader else None
    if fence == "account":
        member.epoch += 1
        if own is not None:
            own.epoch = member.epoch
    chosen = [
        order
        for order in engine.open_orders[caller.account.account_id].values()
        if (symbol is None or order.place.symbol == symbol) and (side is None or order.place.side is Side(side))
    ]
    engine.cancel_many(floor.conduct.cancel_all(chosen), "user", floor.now())
    floor.flush()
    caller.answer(
        {
            "type": "cancel_all_done",
            "canceled": [order.client_order_id for order in chosen],
            "failed": [],
            "exec_seq": engine.executions[caller.account.account_id].last_seq,
            "session_epoch": member.epoch,
        }
    )
    if fence != "none":
        floor.end_epoch(member, "fence", but=own)


def _refuse_change(
    caller: Caller, kind: str, frame: dict[str, Any], code: str, order: Order | None = None, **more: Any
) -> None:
    answer: dict[str, Any] = {"type": kind, "code": code, **more}
    for name in ("client_order_id", "order_id"):
        if isinstance(frame.get(name), str):
            answer[name] = frame[name][:64]
    if order is not None:
        market = caller.floor.engine.markets[order.place.symbol]
        answer |= {"client_order_id": order.client_order_id, "order_id": order.order_id}
        answer |= {"status": order.status, "cum_qty": market.lots_text(order.cum_lots)}
    caller.answer(answer)


def _error(code: str, text: str) -> dict[str, Any]:
    return {"type": "error", "code": code, "text": text, "fatal": False}
