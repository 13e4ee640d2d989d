"""Books in their sequence: what is believed, what starts one anew, and how often a snapshot is asked for."""

from __future__ import annotations

import json
import zlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.effects.orders import Resynchronise
from agent.core.events import Stamp
from agent.core.events.market import BookDelta, BookSnapshot, BookStale, MarketTick, TradePrint
from agent.core.instruments import Side
from agent.core.market import Book
from agent.venues.purpleflea.decimals import text_of
from agent.venues.purpleflea.protocol import PurpleFleaProtocol
from tests.venues.purpleflea.worlds import BTC, MS, NOW_NS, NOW_US, SECOND, Session, hello, options

ASK = {"action": "subscribe", "channels": ["orderbook"], "symbols": ["BTC-USDC"], "depth": 50}


def live() -> Session:
    session = Session()
    session.snapshot()
    return session


def test_a_snapshot_and_its_deltas_go_on_in_ticks_and_lots() -> None:
    session = Session()
    assert session.snapshot() == [
        BookSnapshot(
            symbol="BTC-USDC",
            book_seq=1,
            bids=((1_000, 1_000), (999, 2_000)),
            asks=((1_001, 1_500), (1_002, 3_000)),
            exchange_ns=NOW_NS,
        )
    ]
    assert session.delta(bids=[["99.9", "0"]], asks=[["100.1", "0.001"]]) == [
        BookDelta(symbol="BTC-USDC", book_seq=2, bids=((999, 0),), asks=((1_001, 1),), exchange_ns=NOW_NS)
    ]


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"prev_seq": 2, "book_seq": 3}, "gap"),
        ({"prev_seq": 1, "book_seq": 3}, "gap"),
        ({"bids": [["100.1", "1"]]}, "crossed"),
        ({"bids": [["100.3", "1"]]}, "crossed"),
        ({"checksum": 12345}, "checksum"),
        ({"bids": [["100.0", "-1"]]}, "malformed"),
        ({"bids": [["100.05", "1"]]}, "malformed"),
        ({"bids": [["0", "1"]]}, "malformed"),
        ({"bids": [["100.0", "0.0005"]]}, "malformed"),
    ],
)
def test_a_delta_that_cannot_be_ends_the_book_and_asks_for_it_anew(changed: dict[str, Any], reason: str) -> None:
    session = live()
    assert session.delta(**changed) == [BookStale("BTC-USDC", reason)]
    assert session.said() == [ASK]
    assert session.delta(prev_seq=2) == []


def test_a_first_snapshot_that_is_lost_is_asked_for_although_the_market_was_named_behind_the_subscription() -> None:
    session = Session(is_live=False)
    session.protocol = PurpleFleaProtocol(options())
    session.connect()
    session.hear(hello())
    session.say(
        type="instrument", symbol="BTC-USDC", tick="0.1", lot="0.001", min_qty="0.001", min_notional="1", max_qty="100",
        price_band_bps=1_000, maker_fee_ppm=0, taker_fee_ppm=0, quote_atoms_per_tick_lot=100, status="trading",
    )  # fmt: skip
    session.said()
    session.wait(2 * SECOND)
    assert ASK in session.said()


def test_a_delta_that_came_twice_is_ignored() -> None:
    session = live()
    assert len(session.delta()) == 1
    assert session.delta() == []
    assert session.said() == []
    assert len(session.delta(prev_seq=2)) == 1


def test_deltas_wait_for_their_snapshot() -> None:
    session = Session()
    assert session.delta(prev_seq=4) == session.delta(prev_seq=5) == session.delta(prev_seq=6) == []
    assert [
        event.book_seq for event in session.snapshot(book_seq=6) if isinstance(event, BookSnapshot | BookDelta)
    ] == [6, 7]


def test_a_gap_among_those_that_waited_is_seen() -> None:
    session = Session()
    session.delta(prev_seq=8)
    _, stale = session.snapshot(book_seq=6)
    assert stale == BookStale("BTC-USDC", "gap")
    assert session.said() == [ASK]


def test_what_waits_is_bounded() -> None:
    session = Session()
    for seq in range(3_000):
        session.delta(prev_seq=seq)
    assert len(session.protocol._data._books["BTC-USDC"].keeper.waiting) == 1_000


def test_a_snapshot_replaces_the_book_and_is_not_merged() -> None:
    session = live()
    session.snapshot(book_seq=9, bids=[["99.0", "1.000"]], asks=[["99.5", "1.000"]])
    book = session.protocol._data._books["BTC-USDC"].keeper.book
    assert (book.bids, book.asks) == ({990: 1_000}, {995: 1_000})


@pytest.mark.parametrize(
    "changed",
    [
        {"bids": [["99.9", "1"], ["100.0", "1"]]},
        {"asks": [["100.2", "1"], ["100.1", "1"]]},
        {"bids": [["100.0", "1"], ["100.0", "2"]]},
        {"bids": [["100.0", "0"]]},
        {"bids": [["-100.0", "1"]]},
    ],
)
def test_a_snapshot_that_cannot_be_is_malformed(changed: dict[str, Any]) -> None:
    session = live()
    assert session.snapshot(book_seq=5, **changed) == [BookStale("BTC-USDC", "malformed")]
    assert session.protocol.counters["malformed"] == 1


def test_a_crossed_snapshot_is_not_a_book() -> None:
    session = live()
    assert session.snapshot(book_seq=5, asks=[["100.0", "1"]]) == [BookStale("BTC-USDC", "crossed")]


def test_a_ghost_level_is_found_by_the_check_sum() -> None:
    session = live()
    # The venue has removed 100.0 and tells only of 99.9; its check sum is of its own book.
    theirs = zlib.crc32(b"99.9:1.000:100.1:1.500:100.2:3.000")
    assert session.delta(bids=[["99.9", "1.000"]], checksum=theirs) == [BookStale("BTC-USDC", "checksum")]


def test_the_right_check_sum_holds() -> None:
    session = live()
    theirs = zlib.crc32(b"99.9:1.000:100.1:1.500:100.2:3.000")
    assert len(session.delta(bids=[["99.9", "1.000"], ["100.0", "0"]], checksum=theirs)) == 1


def test_a_ghost_level_is_found_by_the_ticker() -> None:
    session = live()
    frame = {"type": "tick", "symbol": "BTC-USDC", "price": "100.0", "exchange_ts": NOW_US, "book_seq": 1}
    assert session.say(**frame, bid="100.0", ask="100.1") == [
        MarketTick(symbol="BTC-USDC", price_ticks=1_000, exchange_ns=NOW_NS)
    ]
    stale, tick = session.say(**frame, bid="99.9", ask="100.1")
    assert stale == BookStale("BTC-USDC", "ticker") and isinstance(tick, MarketTick)


def test_a_ticker_of_another_moment_says_nothing_about_the_book() -> None:
    session = live()
    frame = {"type": "tick", "symbol": "BTC-USDC", "price": "100.0", "exchange_ts": NOW_US, "bid": "99.0"}
    assert len(session.say(**frame, book_seq=2)) == len(session.say(**frame)) == 1


def test_a_silent_book_is_asked_for_anew() -> None:
    session = live()
    for _ in range(4):
        session.wait(1_200 * MS)
        session.say(type="pong", id=0, server_ts_ns=NOW_NS)
    session.said()
    assert session.wait(200 * MS) == [BookStale("BTC-USDC", "silent")]
    assert ASK in session.said()


def test_what_is_older_than_two_seconds_by_the_venues_clock_is_not_believed() -> None:
    session = live()
    session.wait(0)
    session.say(type="pong", id=1, server_ts_ns=NOW_NS + 500 * MS)
    on_time = (NOW_NS - 1_400 * MS) // 1_000
    too_late = (NOW_NS - 1_600 * MS) // 1_000
    tick = {"type": "tick", "symbol": "BTC-USDC", "price": "100.0"}
    assert len(session.say(**tick, exchange_ts=on_time)) == 1
    assert session.say(**tick, exchange_ts=too_late) == []
    assert session.delta(exchange_ts=too_late) == [BookStale("BTC-USDC", "late")]


def test_a_snapshot_that_never_comes_is_asked_for_more_and_more_slowly() -> None:
    session = live()
    session.delta(prev_seq=7)
    session.said()
    asked_at_ms = []
    for elapsed_ms in range(0, 100_000, 500):
        session.wait(500 * MS)
        session.say(type="pong", id=0, server_ts_ns=NOW_NS)
        asked_at_ms += [elapsed_ms + 500 for frame in session.said() if frame == ASK]
    assert asked_at_ms == [2_000, 6_000, 14_000, 30_000, 60_000, 90_000]


def test_a_book_that_is_never_right_is_not_asked_for_with_each_frame() -> None:
    session = live()
    session.delta(checksum=1)
    for seq in range(50):
        session.snapshot(book_seq=seq + 2, checksum=1)
    assert session.said() == [ASK]


def test_the_core_can_ask_for_a_book_but_not_twice_at_once() -> None:
    session = live()
    stamp = Stamp(3, session.monotonic_ns, session.wall_ns)
    assert session.protocol.send(Resynchronise("BTC-USDC"), stamp)
    assert session.protocol.send(Resynchronise("BTC-USDC"), stamp) == b""
    assert session.protocol.send(Resynchronise("DOGE-USDC"), stamp) == b""


def test_a_new_connection_begins_its_books_anew() -> None:
    session = live()
    session.delta()
    session.protocol.closed(None, "")
    session.connect()
    session.hear(hello(session_epoch=2))
    assert len(session.snapshot(book_seq=1)) == 1
    assert len(session.delta(prev_seq=1)) == 1


def test_a_trade_between_others_is_told() -> None:
    frame = {"type": "trade", "symbol": "BTC-USDC", "trade_id": "t9", "price": "100.1", "qty": "0.250"}
    assert Session().say(**frame, aggressor="sell", exchange_ts=NOW_US) == [
        TradePrint(
            symbol="BTC-USDC", trade_id="t9", price_ticks=1_001, lots=250, aggressor=Side.SELL, exchange_ns=NOW_NS
        )
    ]


@pytest.mark.parametrize("kind", ["tick", "trade", "book_snapshot", "book_delta"])
def test_a_market_that_we_do_not_know_is_counted(kind: str) -> None:
    session = Session()
    frame: dict[str, Any] = {"symbol": "DOGE-USDC", "price": "1", "exchange_ts": NOW_US, "trade_id": "t", "qty": "1"}
    frame |= {"aggressor": "buy", "bids": [], "asks": [], "book_seq": 1, "prev_seq": 0}
    assert session.say(type=kind, **frame) == []
    assert session.protocol.counters == {"unknown_symbol": 1}


levels = st.dictionaries(st.integers(1, 40), st.integers(0, 5), max_size=6)


@given(st.lists(st.tuples(levels, levels, st.sampled_from(["next", "twice", "lost", "wrong sum"])), max_size=25))
def test_whatever_comes_the_core_is_told_a_book_that_is_right_or_none(
    steps: list[tuple[dict[int, int], dict[int, int], str]],
) -> None:
    """The venue's book beside what the core would make of our events: equal whenever ours is valid."""
    session = Session(malformed_per_minute=1_000)
    core = Book("BTC-USDC")
    bids: dict[int, int] = {500: 1}
    asks: dict[int, int] = {1_500: 1}
    seq = 1

    def tell(events: list[Any]) -> None:
        for event in events:
            if isinstance(event, BookSnapshot):
                core.apply_snapshot(event, Stamp(0, 0, 0))
            elif isinstance(event, BookDelta):
                core.apply_delta(event, Stamp(0, 0, 0))
            elif isinstance(event, BookStale):
                core.mark_stale(event.reason)

    def rows(side: dict[int, int], *, is_bid: bool) -> list[list[str]]:
        return [[text_of(p, BTC.tick), text_of(q, BTC.lot)] for p, q in sorted(side.items(), reverse=is_bid)]

    def snapshot() -> None:
        tell(session.snapshot(book_seq=seq, bids=rows(bids, is_bid=True), asks=rows(asks, is_bid=False)))

    snapshot()
    for new_bids, new_asks, what in steps:
        changed_bids = {500 + price: lots for price, lots in new_bids.items()}
        changed_asks = {1_500 - price: lots for price, lots in new_asks.items()}
        for side, changed in ((bids, changed_bids), (asks, changed_asks)):
            side.update(changed)
            for price in [price for price, lots in side.items() if not lots]:
                del side[price]
        seq += 1
        frame = {"prev_seq": seq - 1, "book_seq": seq}
        frame |= {"bids": rows(changed_bids, is_bid=True), "asks": rows(changed_asks, is_bid=False)}
        if what == "wrong sum":
            frame["checksum"] = 1
        for _ in range({"lost": 0, "twice": 2}.get(what, 1)):
            tell(session.delta(**frame))
        if core.is_valid and what != "lost":
            assert (core.bids, core.asks) == (bids, asks)
            assert core.book_seq == seq
        if session.said() and not core.is_valid:
            seq += 1
            snapshot()
            assert core.is_valid
    session.wait(3 * SECOND)


def test_a_market_whose_instrument_frame_was_lost_is_asked_for_until_it_is_named() -> None:
    session = Session(is_live=False)
    session.protocol = PurpleFleaProtocol(options(symbols=("BTC-USDC",)))
    session.connect()
    session.hear(hello())
    session.said()
    gaps = []
    for _ in range(4):
        waited = 0
        while ASK not in session.said():
            session.wait(SECOND // 2)
            session.hear(json.dumps({"type": "ping", "id": 1, "server_ts_ns": NOW_NS}).encode())  # the venue lives
            waited += 1
        gaps.append(waited)
    assert gaps == sorted(gaps) and gaps[-1] > gaps[0], "more slowly each time"
    named = session.say(
        type="instrument", symbol="BTC-USDC", tick="0.1", lot="0.001", min_qty="0.001", min_notional="1", max_qty="100",
        price_band_bps=1_000, maker_fee_ppm=0, taker_fee_ppm=0, quote_atoms_per_tick_lot=100, status="trading",
    )  # fmt: skip
    assert [type(event).__name__ for event in named] == ["InstrumentDefined"]
    assert [type(event).__name__ for event in session.snapshot()] == ["BookSnapshot"]
    session.said()
    session.wait(60 * SECOND)
    assert session.protocol.counters["instrument asked for"] == 4


def test_a_market_that_the_venue_does_not_have_is_asked_for_once() -> None:
    session = Session(is_live=False)
    session.protocol = PurpleFleaProtocol(options(symbols=("BTC-USDC",)))
    session.connect()
    session.hear(hello())
    refused = {"channel": "orderbook", "symbol": "BTC-USDC", "code": "UNKNOWN_SYMBOL"}
    session.say(type="subscribed", channels=[], symbols=[], rejected=[refused])
    session.said()
    session.wait(2 * SECOND)
    assert ASK not in session.said()
