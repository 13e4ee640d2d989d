"""The market, the tick and the hello that the measurements of the venue share."""

from __future__ import annotations

import json
import time

from agent.core.instruments import Instrument, Step

BTC = Instrument(
    symbol="BTC-USDC",
    base="BTC",
    quote="USDC",
    tick=Step(1, 1),
    lot=Step(1, 3),
    tick_value_atoms=100,
    quote_digits=6,
    min_lots=1,
    max_lots=1_000_000,
    min_notional_atoms=10_000_000,
    price_band_bps=1_000,
    maker_fee_ppm=-50,
    taker_fee_ppm=450,
)


def tick_text(price: str = "60001.5") -> bytes:
    """A tick with the contract's fields, 190 bytes or so; the article's client reads two of them."""
    return json.dumps(
        {
            "type": "tick",
            "symbol": "BTC-USDC",
            "price": price,
            "bid": "60001.4",
            "bid_qty": "0.120",
            "ask": "60001.6",
            "ask_qty": "0.345",
            "last_qty": "0.010",
            "book_seq": 123456,
            "exchange_ts": time.time_ns() // 1_000,
        },
        separators=(",", ":"),
    ).encode()


TICK = tick_text()


def hello() -> bytes:
    """The venue's first frame, with limits that no measurement reaches."""
    limits = {"orders_per_s": 10**9, "cancels_per_s": 10**9, "max_open": 10**9, "max_frame": 1 << 20}
    return json.dumps(
        {
            "type": "hello",
            "protocol": "pf.v1",
            "session_epoch": 1,
            "conn_id": "c1",
            "server_ts_ns": time.time_ns(),
            "heartbeat_ms": 60_000,
            "limits": limits,
            "features": [],
            "last_exec_seq": 0,
        },
        separators=(",", ":"),
    ).encode()
