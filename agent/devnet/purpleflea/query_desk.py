"""Requests that only read: order status, open orders, executions, the account, subscriptions, the time."""

from __future__ import annotations

from typing import Any

from agent.devnet.purpleflea import frames, reading
from agent.devnet.purpleflea.floor import Caller
from agent.devnet.purpleflea.order_desk import find_order
from agent.devnet.purpleflea.reading import Refused
from agent.devnet.purpleflea.sessions import CHANNELS, DEPTH_MAX, PRIVATE, Session


def order_status(caller: Caller, frame: dict[str, Any]) -> None:
    """W22: handled in its turn among all requests of the connection, so the answer is evidence about earlier ones."""
    floor, engine = caller.floor, caller.floor.engine
    order = find_order(caller, frame)
    engine.begin(floor.now())
    floor.flush()
    as_of = engine.executions[caller.account.account_id].last_seq
    if order is None:
        ids = {name: frame[name] for name in ("client_order_id", "order_id") if isinstance(frame.get(name), str)}
        answer = {"type": "order_state", **ids, "status": "not_found", "never_seen": True, "as_of_exec_seq": as_of}
        caller.answer(answer)
        return
    row = frames.order_row(engine.markets[order.place.symbol], order) if order.place.symbol in engine.markets else {}
    caller.answer({"type": "order_state", **row, "as_of_exec_seq": as_of})


def open_orders(caller: Caller, frame: dict[str, Any]) -> None:
    """W24."""
    floor, engine = caller.floor, caller.floor.engine
    engine.begin(floor.now())
    floor.flush()
    account_id = caller.account.account_id
    rows = [
        frames.order_row(engine.markets[order.place.symbol], order) for order in engine.open_orders[account_id].values()
    ]
    symbol = frame.get("symbol")
    if symbol is not None:
        rows = [row for row in rows if row["symbol"] == symbol]
    as_of = engine.executions[account_id].last_seq
    caller.answer({"type": "open_orders", "as_of_exec_seq": as_of, "orders": rows, "complete": True})


def fills_since(caller: Caller, frame: dict[str, Any]) -> None:
    """W25: everything numbered from `from_exec_seq` on, that one included."""
    replay(caller, reading.whole(frame, "from_exec_seq", low=0))


def replay(caller: Caller, first_seq: int) -> None:
    """The kept frames from `first_seq`, then `replay_done`; `complete` is false where older ones were asked for."""
    executions = caller.floor.engine.executions[caller.account.account_id]
    for kept in executions.since(first_seq):
        caller.answer(kept)
    caller.answer(
        {
            "type": "replay_done",
            "to_exec_seq": executions.last_seq,
            "complete": max(first_seq, 1) >= min(executions.first_kept, executions.last_seq + 1),
        }
    )


def account(caller: Caller, frame: dict[str, Any]) -> None:
    """W26 on request."""
    caller.floor.engine.begin(caller.floor.now())
    caller.floor.flush()
    caller.answer(caller.floor.account_frame(caller.member))


def ping(caller: Caller, frame: dict[str, Any]) -> None:
    """W28."""
    answer = {"type": "pong", "id": frame.get("id"), "server_ts_ns": caller.floor.now().wall_ns}
    if "client_ts_ns" in frame:
        answer["client_ts_ns"] = frame["client_ts_ns"]
    caller.answer(answer)


def subscribe(caller: Caller, frame: dict[str, Any]) -> None:
    """W3: `subscribed`, then per symbol its instrument, snapshot and tick; then the replay that was asked for."""
    floor, session = caller.floor, _session(caller)
    channels, symbols = _lists(frame)
    depth = min(reading.whole(frame, "depth", default=DEPTH_MAX, low=1), DEPTH_MAX)
    since = reading.whole(frame, "since_exec_seq") if frame.get("since_exec_seq") is not None else None
    rejected: list[dict[str, str]] = []
    taken: list[tuple[str, str]] = []
    for channel in channels:
        if channel not in CHANNELS:
            rejected.append({"channel": channel, "symbol": "*", "code": "MALFORMED"})
        elif channel in PRIVATE - {"status"} and not caller.key.may("read", "trade"):
            rejected.append({"channel": channel, "symbol": "*", "code": "KEY_SCOPE"})
        else:
            for symbol in symbols or floor.engine.markets:
                if symbol in floor.engine.markets:
                    taken.append((channel, symbol))
                else:
                    rejected.append({"channel": channel, "symbol": symbol, "code": "UNKNOWN_SYMBOL"})
            if channel in ("orders", "account"):
                taken.append((channel, "*"))
    caller.answer(
        {
            "type": "subscribed",
            "channels": [channel for channel in channels if any(channel == each for each, _ in taken)],
            "symbols": list(dict.fromkeys(symbol for _, symbol in taken if symbol != "*")),
            "rejected": rejected,
        }
    )
    for symbol in dict.fromkeys(symbol for channel, symbol in taken if channel not in ("orders", "account")):
        floor.send(session, floor.engine.markets[symbol].frame(floor.engine.status[symbol]))
    for channel, symbol in taken:
        _take(caller, session, channel, symbol, depth)
    if any(channel == "orders" for channel, _ in taken):
        first, session.resume_seq = since if since is not None else session.resume_seq, None
        if first is not None:
            replay(caller, first + 1)


def unsubscribe(caller: Caller, frame: dict[str, Any]) -> None:
    """W5."""
    session = _session(caller)
    channels, symbols = _lists(frame)
    for channel in channels:
        for symbol in symbols or list(caller.floor.engine.markets):
            _of(session, channel).discard(symbol)
            if channel == "orderbook":
                session.books.pop(symbol, None)
        session.has_orders &= channel != "orders"
        session.has_account &= channel != "account"
    caller.answer({"type": "unsubscribed", "channels": channels, "symbols": symbols, "rejected": []})


def _take(caller: Caller, session: Session, channel: str, symbol: str, depth: int) -> None:
    floor = caller.floor
    if channel == "orders":
        session.has_orders = True
    elif channel == "account":
        if symbol == "*":
            session.has_account = True
            floor.send(session, floor.account_frame(caller.member))
    elif channel == "orderbook":
        floor.market_data.subscribe_book(session, symbol, depth)
    else:
        _of(session, channel).add(symbol)
        if channel == "ticker":
            floor.market_data.tick(symbol, [session], is_forced=True)
        elif channel == "status":
            status = {"type": "status", "symbol": symbol, "status": str(floor.engine.status[symbol])}
            floor.send(session, {**status, "from_ns": floor.engine.now.wall_ns})


def _of(session: Session, channel: str) -> set[str]:
    known = {"ticker": session.tickers, "trades": session.trades, "fills": session.fills, "status": session.statuses}
    return known.get(channel, set())


def _session(caller: Caller) -> Session:
    assert caller.session is not None, "subscriptions are a matter of connections"
    return caller.session


def _lists(frame: dict[str, Any]) -> tuple[list[str], list[str]]:
    found = []
    for name in ("channels", "symbols"):
        value = frame.get(name, [])
        if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
            raise Refused("MALFORMED", f"{name}: a list of words")
        found.append(list(dict.fromkeys(value)))
    return found[0], found[1]
