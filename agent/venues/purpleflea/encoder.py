"""What we say to the venue: effects as frames. A new order is put together from parts that are made once.

Every text that is put into a frame as it is, is an id that we made or a symbol that was checked when its market was
defined, so nothing needs escaping; the rest goes through a JSON encoder.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import msgspec

from agent.core.effects.orders import Amend, CancelAll, Place
from agent.venues.purpleflea.markets import Market

_json = msgspec.json.Encoder().encode
_SYMBOL = re.compile(r"[A-Za-z0-9:._-]{1,64}", re.ASCII)


def place(effect: Place, market: Market, timestamp_ms: int, stp: str) -> bytes:
    """`place_order`; market orders carry their worst price as every other one does."""
    # By their plain texts: hashing a member of an enumeration costs more than the rest of this line.
    key = (effect.side._value_, effect.order_type._value_, effect.is_reduce_only)
    head = market.places.get(key)
    if head is None:
        head = market.places[key] = _place_head(market.instrument.symbol, *key, stp)
    name = effect.client_order_id
    quantity, price = market.lots.text(effect.lots), market.prices.text(effect.price_ticks)
    return (
        f'{head}{quantity}","price":"{price}'
        f'","timestamp":{timestamp_ms},"client_order_id":"{name}","req_id":"p{name}'
        f'","session_epoch":{effect.epoch},"expire_ns":{effect.expire_ns}}}'
    ).encode()


def cancel(client_order_id: str) -> bytes:
    return f'{{"action":"cancel_order","client_order_id":"{client_order_id}","req_id":"c{client_order_id}"}}'.encode()


def amend(effect: Amend, market: Market) -> bytes:
    name = effect.client_order_id
    return (
        f'{{"action":"amend_order","client_order_id":"{name}","quantity":"{market.lots.text(effect.total_lots)}'
        f'","price":"{market.prices.text(effect.price_ticks)}","req_id":"a{name}","session_epoch":{effect.epoch}}}'
    ).encode()


def cancel_all(effect: CancelAll, request_id: str) -> bytes:
    symbol = f',"symbol":"{known_symbol(effect.symbol)}"' if effect.symbol else ""
    return f'{{"action":"cancel_all","req_id":"{request_id}","fence":"{effect.fence}"{symbol}}}'.encode()


def order_status(client_order_id: str, request_id: str) -> bytes:
    return f'{{"action":"order_status","client_order_id":"{client_order_id}","req_id":"{request_id}"}}'.encode()


def open_orders(request_id: str) -> bytes:
    return f'{{"action":"open_orders","req_id":"{request_id}"}}'.encode()


def account(request_id: str) -> bytes:
    return f'{{"action":"account","req_id":"{request_id}"}}'.encode()


def fills_since(exec_seq: int, request_id: str) -> bytes:
    return f'{{"action":"fills_since","from_exec_seq":{exec_seq},"req_id":"{request_id}"}}'.encode()


def deadman(timeout_ms: int) -> bytes:
    return f'{{"action":"deadman","timeout_ms":{timeout_ms}}}'.encode()


def set_cod(grace_ms: int) -> bytes:
    """Cancel on disconnect, for the orders of this connection."""
    return f'{{"action":"set_cod","enabled":true,"scope":"connection","grace_ms":{grace_ms}}}'.encode()


def subscribe(channels: Sequence[str], symbols: Sequence[str], *, depth: int | None = None) -> bytes:
    frame: dict[str, object] = {"action": "subscribe", "channels": list(channels), "symbols": list(symbols)}
    if depth is not None:
        frame["depth"] = depth
    return _json(frame)


def ping(number: int, wall_ns: int) -> bytes:
    return f'{{"action":"ping","id":{number},"client_ts_ns":{wall_ns}}}'.encode()


def pong(number: int | str, wall_ns: int) -> bytes:
    return _json({"action": "pong", "id": number, "client_ts_ns": wall_ns})


def known_symbol(text: str) -> str:
    """`text` if it can stand in a frame as it is. ValueError otherwise: no venue has such a market."""
    if _SYMBOL.fullmatch(text) is None:
        raise ValueError("not a symbol")
    return text


def _place_head(symbol: str, side: str, order_type: str, is_reduce_only: bool, stp: str) -> str:
    flags = f',"stp":"{stp}"' + (',"reduce_only":true' if is_reduce_only else "")
    return (
        f'{{"action":"place_order","symbol":"{known_symbol(symbol)}","side":"{side}","type":"{order_type}"'
        f'{flags},"quantity":"'
    )
