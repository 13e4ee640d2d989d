"""Whatever a peer sends: typed events, or one more counted frame. Never an exception, never long."""

from __future__ import annotations

import json
import random
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.effects.orders import CancelAll, QueryAccount, QueryOpen, QueryStatus
from agent.core.events import Stamp
from tests.venues.purpleflea import test_private as frames
from tests.venues.purpleflea.worlds import NOW_NS, NOW_US, Session, hello

SEEDS = [
    hello(),
    *(
        json.dumps(frame).encode()
        for frame in (
            frames.FILL,
            frames.ACK,
            frames.CANCELED,
            frames.AMENDED,
            {**frames.STATE, "req_id": "q1"},
            {**frames.OPEN, "req_id": "q2"},
            {
                "type": "cancel_all_done",
                "req_id": "q4",
                "canceled": ["a"],
                "failed": [],
                "exec_seq": 3,
                "session_epoch": 2,
            },
            {
                "type": "account",
                "req_id": "q3",
                "as_of_exec_seq": 1,
                "balances": [{"ccy": "USDC", "total": "1.5"}],
                "positions": [],
            },
            {"type": "reject", "client_order_id": "aaa", "code": "INTERNAL", "exec_seq": 3},
            {"type": "cancel_reject", "client_order_id": "aaa", "code": "RATE_LIMIT", "retry_after_ms": 5},
            {"type": "trade_correct", "exec_seq": 3, "trade_id": "t", "qty": "0.001", "price": "1.0"},
            {
                "type": "tick",
                "symbol": "BTC-USDC",
                "price": "100.1",
                "exchange_ts": NOW_US,
                "bid": "1.0",
                "book_seq": 1,
            },
            {
                "type": "book_snapshot",
                "symbol": "BTC-USDC",
                "book_seq": 1,
                "bids": [["1.0", "1"]],
                "asks": [],
                "exchange_ts": NOW_US,
            },
            {
                "type": "book_delta",
                "symbol": "BTC-USDC",
                "prev_seq": 1,
                "book_seq": 2,
                "bids": [],
                "asks": [["2.0", "0"]],
                "exchange_ts": NOW_US,
            },
            {
                "type": "trade",
                "symbol": "BTC-USDC",
                "trade_id": "t",
                "price": "1.0",
                "qty": "1",
                "aggressor": "buy",
                "exchange_ts": NOW_US,
            },
            {
                "type": "instrument",
                "symbol": "BTC-USDC",
                "tick": "0.1",
                "lot": "0.001",
                "min_qty": "0.001",
                "min_notional": "10",
                "max_qty": "9",
                "price_band_bps": 5,
                "maker_fee_ppm": -5,
                "taker_fee_ppm": 5,
                "quote_atoms_per_tick_lot": 100,
            },
            {"type": "status", "symbol": "BTC-USDC", "status": "halted", "from_ns": NOW_NS},
            {"type": "pong", "id": 1, "server_ts_ns": NOW_NS},
            {"type": "subscribed", "rejected": [{"channel": "trades", "symbol": "BTC-USDC", "code": "X"}]},
            {"type": "epoch_ended", "session_epoch": 1, "reason": "fence"},
            {"type": "error", "code": "X", "req_id": "q1", "fatal": False},
            {"type": "drain", "in_ms": 5},
        )
    ),
]
PIECES = [
    b'"',
    b"{",
    b"}",
    b"[",
    b"]",
    b",",
    b":",
    b"\\",
    b"null",
    b"-1",
    b"1e400",
    b"NaN",
    b"0.1",
    b"\xff",
    b"\x00",
    b"9" * 40,
]


def fresh(*, is_article: bool = False) -> Session:
    session = Session(is_live=not is_article, malformed_per_minute=1_000_000)
    if is_article:
        session.wait(2_000_000_000)
    session.snapshot()
    stamp = Stamp(5, session.monotonic_ns, session.wall_ns)
    for effect in (QueryStatus("aaa"), QueryOpen(), QueryAccount(), CancelAll(request_id="f", fence="account")):
        session.protocol.send(effect, stamp)
    return session


def judge(session: Session, data: bytes) -> None:
    before = session.protocol.counters["malformed"]
    start_ns = time.thread_time_ns()
    events = session.hear(data)
    took_ns = time.thread_time_ns() - start_ns
    assert isinstance(events, list)
    assert session.protocol.counters["malformed"] <= before + 1
    assert took_ns < 10_000_000 or len(data) > 65_536, f"{took_ns} ns for {data[:80]!r}"
    for alarm in session.protocol.alarms:
        assert alarm.detail.isprintable() and alarm.detail.isascii()
    if session.protocol.must_close:
        session.connect()
        session.hear(hello(session_epoch=1 << 40))
    session.protocol.outbox.clear()
    session.protocol.alarms.clear()


def mutated(draw: random.Random) -> bytes:
    data = bytearray(draw.choice(SEEDS))
    for _ in range(draw.randrange(1, 5)):
        at = draw.randrange(len(data) + 1)
        match draw.randrange(5):
            case 0:
                data[at:at] = draw.choice(PIECES)
            case 1:
                del data[at : at + draw.randrange(1, 9)]
            case 2 if at < len(data):
                data[at] = draw.randrange(256)
            case 3:
                other = draw.choice(SEEDS)
                cut = draw.randrange(len(other))
                data[at:at] = other[cut : cut + draw.randrange(1, 40)]
            case _:
                data[at:at] = data[at : at + draw.randrange(1, 20)]
    return bytes(data)


@pytest.mark.parametrize("seed", range(4))
def test_mutated_frames_are_events_or_one_counted_frame(seed: int) -> None:
    draw = random.Random(seed)
    session = fresh(is_article=seed == 3)
    for _ in range(2_000):
        judge(session, mutated(draw))
    assert session.protocol.counters["malformed"] > 500


@given(st.binary(max_size=300))
def test_any_bytes_are_events_or_one_counted_frame(data: bytes) -> None:
    judge(fresh(), data)


values: st.SearchStrategy[Any] = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.text(max_size=12)
    | st.sampled_from(["BTC-USDC", "buy", "open", "aaa", "q1", "0.001", "100.1", "", "1" * 60, NOW_US, NOW_NS])
    | st.lists(st.lists(st.sampled_from(["1.0", "0", "-1", "x"]), max_size=3), max_size=3)
)


@given(st.sampled_from(SEEDS), st.data())
def test_frames_with_any_value_in_any_field_are_events_or_one_counted_frame(seed: bytes, data: st.DataObject) -> None:
    frame = json.loads(seed)
    for field in data.draw(st.lists(st.sampled_from(sorted(frame)), min_size=1, max_size=4, unique=True)):
        if field != "type":
            frame[field] = data.draw(values)
    for is_article in (False, True):
        judge(fresh(is_article=is_article), json.dumps(frame).encode())


@pytest.mark.leisure
@pytest.mark.slow
def test_many_mutated_frames() -> None:
    draw = random.Random(99)
    session = fresh()
    for _ in range(100_000):
        judge(session, mutated(draw))
