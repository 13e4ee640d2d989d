"""The venue's side of the measurement with the whole core, up to where `tick_loop.c` takes over: a session that is live.

It answers what a client of the contract asks at the start (executions, open orders, account), gives one market with its
book, and waits until the client has nothing left to say.
"""

from __future__ import annotations

import json
import socket
import time
from typing import Any

from benchmarks.venue_market import BTC, hello

QUIET_S = 0.5
BOOK_SEQ = 123_456
"""That of the tick in `venue_market`, so that the tick is held against the book as it is in life."""
CASH = "1000000000.000000"


def framed(payload: bytes) -> bytes:
    """A text frame of a server."""
    size = len(payload)
    return b"\x81" + (bytes([size]) if size < 126 else b"\x7e" + size.to_bytes(2, "big")) + payload


def go_live(connection: socket.socket) -> None:
    """Say hello, describe the market, answer all questions. Raises AssertionError where the client does not ask them."""
    connection.sendall(framed(hello()) + framed(encoded(_instrument())))
    connection.settimeout(QUIET_S)
    answered: set[str] = set()
    data = b""
    try:
        while received := connection.recv(65_536):
            data += received
            while (taken := _client_frame(data)) is not None:
                payload, data = taken
                if payload:
                    asked = json.loads(payload)
                    answered.add(asked["action"])
                    for answer in _answers(asked):
                        connection.sendall(framed(encoded(answer)))
    except TimeoutError:
        connection.settimeout(None)
    missing = {"subscribe", "open_orders", "account"} - answered
    if missing:
        raise AssertionError(f"the client did not ask for {', '.join(sorted(missing))}; it said {sorted(answered)}")
    connection.sendall(framed(encoded(snapshot())))  # fresh, however long all that took


def encoded(frame: dict[str, Any]) -> bytes:
    return json.dumps(frame, separators=(",", ":")).encode()


def _answers(asked: dict[str, Any]) -> list[dict[str, Any]]:
    about = {"req_id": asked.get("req_id", "")}
    match asked["action"]:
        case "subscribe":
            said: list[dict[str, Any]] = [{"type": "subscribed"}]
            return [*said, snapshot()] if "orderbook" in asked["channels"] else said
        case "fills_since":
            return [{"type": "replay_done", "to_exec_seq": 0, **about}]
        case "open_orders":
            return [{"type": "open_orders", "as_of_exec_seq": 0, "orders": [], "complete": True, **about}]
        case "account":
            balances = [{"ccy": "USDC", "total": CASH}]
            return [{"type": "account", "as_of_exec_seq": 0, "balances": balances, "positions": [], **about}]
        case "ping":
            return [{"type": "pong", "id": asked["id"], "server_ts_ns": time.time_ns()}]
        case _:
            return []


def _instrument() -> dict[str, Any]:
    return {
        "type": "instrument",
        "symbol": BTC.symbol,
        "tick": "0.1",
        "lot": "0.001",
        "min_qty": "0.001",
        "min_notional": "10.000000",
        "max_qty": "1000.000",
        "price_band_bps": BTC.price_band_bps,
        "maker_fee_ppm": BTC.maker_fee_ppm,
        "taker_fee_ppm": BTC.taker_fee_ppm,
        "quote_atoms_per_tick_lot": BTC.tick_value_atoms,
    }


def snapshot() -> dict[str, Any]:
    """The market's book, fresh."""
    return {
        "type": "book_snapshot",
        "symbol": BTC.symbol,
        "book_seq": BOOK_SEQ,
        "bids": [[f"{600_014 - level}"[:-1] + "." + f"{600_014 - level}"[-1], "1.000"] for level in range(20)],
        "asks": [[f"{600_016 + level}"[:-1] + "." + f"{600_016 + level}"[-1], "1.000"] for level in range(20)],
        "exchange_ts": time.time_ns() // 1_000,
    }


def _client_frame(data: bytes) -> tuple[bytes, bytes] | None:
    """The payload of the first frame (empty where it is no text) and what follows it; None while it is not whole."""
    if len(data) < 2:
        return None
    size, at = data[1] & 0x7F, 2
    if size == 126:
        size, at = int.from_bytes(data[2:4], "big"), 4
    if len(data) < at + 4 + size:
        return None
    key, body = data[at : at + 4], data[at + 4 : at + 4 + size]
    payload = bytes(byte ^ key[place & 3] for place, byte in enumerate(body))
    return (payload if data[0] == 0x81 else b""), data[at + 4 + size :]
