"""Client frames, read with suspicion: strict JSON, then each field by the contract's rules.

Refused as malformed: anything but one object, duplicate names, NaN and infinities, nesting deeper than eight.
"""

from __future__ import annotations

import json
import re
from typing import Any, NoReturn

from agent.core.instruments import OrderType, Side
from agent.devnet.purpleflea.decimals import NotDecimal, OffGrid, parse_steps
from agent.devnet.purpleflea.markets import Market
from agent.devnet.purpleflea.orders import Place

DEPTH_MAX = 8
CLIENT_ID = re.compile(r"[A-Za-z0-9_-]{1,36}")
MS_RANGE = range(10**12, 10**13)
NS_RANGE = range(10**18, 10**19)
STPS = ("cancel_taker", "cancel_maker", "cancel_both")


class Refused(Exception):
    """The request cannot be read; `code` of the contract's reject codes, and whose order it was if that is known."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(f"{code}: {text}")
        self.code = code
        self.text = text


class Literal(str):
    """A JSON number that was no integer, as it was written."""


def read_object(data: str | bytes) -> dict[str, Any]:
    """One JSON object. Raises Refused(MALFORMED)."""
    try:
        found = json.loads(data, object_pairs_hook=_pairs, parse_constant=_constant, parse_float=Literal)
    except (ValueError, RecursionError) as error:
        raise Refused("MALFORMED", str(error)[:100]) from None
    if not isinstance(found, dict):
        raise Refused("MALFORMED", "a frame is one object")
    if _depth(found) > DEPTH_MAX:
        raise Refused("MALFORMED", "nested too deep")
    return found


def client_id(frame: dict[str, Any], name: str = "client_order_id") -> str:
    """A client order id. Raises Refused(MALFORMED)."""
    value = frame.get(name)
    if not isinstance(value, str) or CLIENT_ID.fullmatch(value) is None:
        raise Refused("MALFORMED", f"{name}: 1 to 36 of A-Z a-z 0-9 _ -")
    return value


def whole(frame: dict[str, Any], name: str, *, default: int | None = None, low: int = 0) -> int:
    """An integer field, not below `low`. Raises Refused(MALFORMED)."""
    value = frame.get(name, default)
    if not isinstance(value, int) or isinstance(value, bool) or value < low:
        raise Refused("MALFORMED", f"{name}: a whole number from {low}")
    return value


def flag(frame: dict[str, Any], name: str, *, default: bool = False) -> bool:
    value = frame.get(name, default)
    if not isinstance(value, bool):
        raise Refused("MALFORMED", f"{name}: true or false")
    return value


def wall_ns(frame: dict[str, Any], name: str) -> int | None:
    """An instant in nanoseconds, or None where it is left out. Raises Refused(MALFORMED) for other units."""
    if frame.get(name) is None:
        return None
    value = whole(frame, name)
    if value not in NS_RANGE:
        raise Refused("MALFORMED", f"{name}: nanoseconds of Unix time")
    return value


def steps(frame: dict[str, Any], name: str, market: Market, *, takes_numbers: bool = False) -> int:
    """A price in ticks or a quantity in lots. Raises Refused: MALFORMED, BAD_TICK or BAD_LOT."""
    value = frame.get(name)
    if takes_numbers and isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str) or (isinstance(value, Literal) and not takes_numbers):
        raise Refused("MALFORMED", f"{name}: a decimal string")
    is_price = name == "price"
    try:
        return parse_steps(value, market.instrument.tick if is_price else market.instrument.lot)
    except NotDecimal:
        raise Refused("MALFORMED", f"{name}: a decimal string") from None
    except OffGrid:
        raise Refused("BAD_TICK" if is_price else "BAD_LOT", f"{name} is off the grid") from None


def place(frame: dict[str, Any], markets: dict[str, Market], *, takes_numbers: bool = False) -> Place:
    """A place request. Raises Refused with the first thing that is wrong."""
    name = client_id(frame)
    symbol = frame.get("symbol")
    market = markets.get(symbol) if isinstance(symbol, str) else None
    if market is None:
        raise Refused("UNKNOWN_SYMBOL", "symbol")
    side, kind = frame.get("side"), frame.get("type")
    if side not in ("buy", "sell"):
        raise Refused("BAD_SIDE", "side: buy or sell")
    if kind not in ("market", "limit", "ioc", "fok", "post_only"):
        raise Refused("BAD_TYPE", "type: market, limit, ioc, fok or post_only")
    if "timestamp" in frame and whole(frame, "timestamp") not in MS_RANGE:
        raise Refused("MALFORMED", "timestamp: milliseconds of Unix time")
    stp = frame.get("stp", "cancel_taker")
    if stp not in STPS:
        raise Refused("MALFORMED", f"stp: one of {', '.join(STPS)}")
    slippage = whole(frame, "max_slippage_ticks") if frame.get("max_slippage_ticks") is not None else None
    price = None
    if kind != "market" or frame.get("price") is not None:
        price = steps(frame, "price", market, takes_numbers=takes_numbers)
    if price is None and slippage is None:
        raise Refused("MALFORMED", "market: a price or max_slippage_ticks")
    return Place(
        client_order_id=name,
        symbol=market.symbol,
        side=Side(side),
        kind=OrderType(kind),
        lots=steps(frame, "quantity", market, takes_numbers=takes_numbers),
        price_ticks=price,
        max_slippage_ticks=slippage,
        is_reduce_only=flag(frame, "reduce_only"),
        stp=stp,
        good_till_ns=wall_ns(frame, "good_till_ns"),
    )


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name is there twice")
    return found


def _constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is no JSON")


def _depth(value: Any) -> int:
    if isinstance(value, dict):
        return 1 + max((_depth(each) for each in value.values()), default=0)
    if isinstance(value, list):
        return 1 + max((_depth(each) for each in value), default=0)
    return 0
