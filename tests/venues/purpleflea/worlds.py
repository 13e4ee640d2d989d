"""Instruments, frames and sessions that the tests of the venue share."""

from __future__ import annotations

import json
from typing import Any

from agent.core.events import Event
from agent.core.instruments import Instrument, Step
from agent.venues.purpleflea.options import Options
from agent.venues.purpleflea.protocol import PurpleFleaProtocol

NOW_NS = 1_700_000_000_000_000_000
NOW_US = NOW_NS // 1_000
MS = 1_000_000
SECOND = 1_000 * MS
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
ETH = Instrument(
    symbol="ETH-USDC",
    base="ETH",
    quote="USDC",
    tick=Step(25, 2),
    lot=Step(1, 2),
    tick_value_atoms=2_500,
    quote_digits=6,
    min_lots=1,
    max_lots=1_000_000,
    min_notional_atoms=10_000_000,
    price_band_bps=1_000,
    maker_fee_ppm=-50,
    taker_fee_ppm=450,
)


def options(**changed: Any) -> Options:
    return Options(**{"symbols": ("BTC-USDC", "ETH-USDC"), **changed})


def encoded(**frame: Any) -> bytes:
    return json.dumps(frame, separators=(",", ":")).encode()


def hello(**changed: Any) -> bytes:
    return encoded(
        **{
            "type": "hello",
            "protocol": "pf.v1",
            "session_epoch": 1,
            "conn_id": "c1",
            "server_ts_ns": NOW_NS,
            "heartbeat_ms": 1_000,
            "limits": {"orders_per_s": 20, "cancels_per_s": 40, "max_open": 30, "max_frame": 1 << 20},
            "features": ["orders"],
            "last_exec_seq": 0,
            **changed,
        }
    )


class Session:
    """A protocol in a session, with a clock that the test moves."""

    def __init__(self, *, is_live: bool = True, **changed: Any) -> None:
        self.protocol = PurpleFleaProtocol(options(**changed), [BTC, ETH])
        self.monotonic_ns = 10 * SECOND
        self.wall_ns = NOW_NS
        self.connect()
        if is_live:
            self.hear(hello())
            self.protocol.outbox.clear()

    def connect(self) -> None:
        self.protocol.opened(self.monotonic_ns, self.wall_ns)

    def hear(self, data: bytes) -> list[Event]:
        return self.protocol.frame(data, self.monotonic_ns, self.wall_ns)

    def say(self, **frame: Any) -> list[Event]:
        return self.hear(encoded(**frame))

    def wait(self, ns: int) -> list[Event]:
        self.monotonic_ns += ns
        self.wall_ns += ns
        return self.protocol.tick(self.monotonic_ns, self.wall_ns)

    def said(self) -> list[dict[str, Any]]:
        """What the protocol wants to say of its own, taken out."""
        frames = [json.loads(data) for data in self.protocol.outbox]
        self.protocol.outbox.clear()
        return frames

    def pings(self) -> list[dict[str, Any]]:
        return [frame for frame in self.said() if frame["action"] == "ping"]

    def snapshot(self, book_seq: int = 1, **changed: Any) -> list[Event]:
        return self.say(
            **{
                "type": "book_snapshot",
                "symbol": "BTC-USDC",
                "book_seq": book_seq,
                "bids": [["100.0", "1.000"], ["99.9", "2.000"]],
                "asks": [["100.1", "1.500"], ["100.2", "3.000"]],
                "exchange_ts": self.wall_ns // 1_000,
                **changed,
            }
        )

    def delta(self, prev_seq: int = 1, **changed: Any) -> list[Event]:
        return self.say(
            **{
                "type": "book_delta",
                "symbol": "BTC-USDC",
                "prev_seq": prev_seq,
                "book_seq": prev_seq + 1,
                "bids": [["100.0", "0.500"]],
                "asks": [],
                "exchange_ts": self.wall_ns // 1_000,
                **changed,
            }
        )
