"""The venue as the public article shows it: three kinds of frames, numbers for strings, no ids and no acknowledgements.

A client that sends orders here can never know what became of them; that is what this mode is for.
"""

from __future__ import annotations

from typing import Any

import msgspec


def told(frame: dict[str, Any]) -> dict[str, Any] | None:
    """A frame as the article's client would see it; None where it has no word for it."""
    kind = frame["type"]
    if kind == "tick":
        return {
            "type": "tick",
            "symbol": frame["symbol"],
            "price": _number(frame["price"]),
            "exchange_ts": frame["exchange_ts"],
        }
    if kind == "fill":
        return {
            "type": "fill",
            "symbol": frame["symbol"],
            "side": frame["side"],
            "quantity": _number(frame["qty"]),
            "price": _number(frame["price"]),
            "exchange_ts": frame["exchange_ts"],
        }
    return {"type": "reject", "reason": frame["code"]} if kind == "reject" else None


def heard(frame: dict[str, Any], count: int) -> dict[str, Any]:
    """A request of the article's client with what the desk needs; its orders have no id, so they get one."""
    return {"client_order_id": f"article-{count}", **frame} if frame.get("action") == "place_order" else frame


def _number(text: str) -> msgspec.Raw:
    return msgspec.Raw(text.encode())
