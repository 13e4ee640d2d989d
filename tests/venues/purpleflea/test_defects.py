"""The mistakes of the client that the venue's article prints, one test for each that an adapter can make.

The number is the one of the list that the design was made from; what a test says is what ours does instead.
"""

from __future__ import annotations

import ast
import asyncio
import inspect
import json
from pathlib import Path
from typing import Any, get_args

import pytest

import agent.ports.real_network
import agent.venues.purpleflea as package
from agent.core.effects.orders import Amend, CancelOrder, Place, QueryStatus
from agent.core.events import Stamp
from agent.core.events.market import MarketTick
from agent.core.events.orders import ClockOffset, Fill, SendResult, SessionDown
from agent.core.instruments import OrderType, Side
from agent.errors import SetupError
from agent.ports.real_network import safe_host
from agent.venues.purpleflea.article import ArticleInbound
from agent.venues.purpleflea.client import Pauses, PurpleFleaClient
from agent.venues.purpleflea.credentials import Credentials
from agent.venues.purpleflea.latency import Stages
from agent.venues.purpleflea.wire import Inbound
from tests.venues.purpleflea.test_private import FILL, STAMP, place, sent
from tests.venues.purpleflea.worlds import MS, NOW_NS, NOW_US, SECOND, Session, hello

FOLDER = Path(inspect.getfile(package)).parent
TICK = {"type": "tick", "symbol": "BTC-USDC", "price": "100.0", "exchange_ts": NOW_US}


def sources() -> dict[str, ast.Module]:
    files = [*FOLDER.glob("*.py"), Path(inspect.getfile(agent.ports.real_network))]
    return {path.name: ast.parse(path.read_text()) for path in files}


def called(tree: ast.AST) -> set[str]:
    return {ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}


def imported(tree: ast.AST) -> set[str]:
    return {
        name
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in ([node.module or ""] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names])
    }


def test_b3_a_tick_without_a_symbol_is_nobodys() -> None:
    session = Session()
    assert session.say(**{name: value for name, value in TICK.items() if name != "symbol"}) == []
    assert session.protocol.counters["malformed"] == 1
    (tick,) = session.say(**TICK)
    assert isinstance(tick, MarketTick) and tick.symbol == "BTC-USDC"


@pytest.mark.parametrize("order_type", OrderType)
def test_b5_every_type_that_was_decided_is_the_one_on_the_wire(order_type: OrderType) -> None:
    assert sent(Session(), place(order_type=order_type))["type"] == order_type.value


def test_b7_a_market_order_has_a_price_that_protects_it_and_an_end() -> None:
    frame = sent(Session(), place(order_type=OrderType.MARKET, price_ticks=1_005))
    assert frame["price"] == "100.5"
    assert frame["expire_ns"] == NOW_NS + SECOND


@pytest.mark.parametrize("exchange_ts", [NOW_NS, NOW_US // 1_000, NOW_NS // SECOND, 0, -1, 1.7e15, str(NOW_US)])
def test_b10_a_time_in_another_unit_is_refused(exchange_ts: Any) -> None:
    session = Session()
    assert session.say(**{**TICK, "exchange_ts": exchange_ts}) == []
    assert session.protocol.counters["malformed"] == 1


def test_b10_what_goes_out_has_the_units_of_the_contract() -> None:
    frame = sent(Session(), place())
    assert 10**12 <= frame["timestamp"] < 10**13
    assert 10**18 <= frame["expire_ns"] < 10**19


def test_b11_a_latency_is_of_one_clock_and_the_venues_time_comes_with_an_offset() -> None:
    session = Session()
    session.wait(0)
    session.monotonic_ns += 4 * MS
    session.wall_ns += 4 * MS
    (offset,) = session.say(type="pong", id=1, server_ts_ns=NOW_NS + 2 * MS - 7 * SECOND)
    assert offset == ClockOffset(-7 * SECOND, 4 * MS)


def test_b12_the_tail_is_kept_and_nothing_is_printed() -> None:
    stages = Stages()
    for number in range(1_000):
        stages.sent("o", 0, 0, 0, 1_000_000_000 if number == 7 else 10_000)
    stages.drain()
    whole = stages.histograms["tick_to_order"].percentiles()
    assert whole.p50_ns < 11_000 and whole.max_ns == 1_000_000_000
    assert not any("print" in called(tree) for tree in sources().values())


class Draws:
    def __init__(self) -> None:
        self.bounds: list[int] = []

    def below(self, bound: int) -> int:
        self.bounds.append(bound)
        return bound - 1

    def token(self, size: int) -> bytes:
        return bytes(size)


def test_b13_a_clean_close_waits_like_any_other_and_only_a_stable_session_begins_anew() -> None:
    pauses = Pauses(Draws())
    waits = [pauses.next_ns(was_stable=False) for _ in range(4)]
    assert waits == sorted(waits) and waits[0] > 0 and waits[-1] == 8 * SECOND
    assert pauses.next_ns(was_stable=True) == SECOND


def test_b14_the_whole_range_is_drawn_from() -> None:
    draws = Draws()
    pauses = Pauses(draws)
    for _ in range(10):
        pauses.next_ns(was_stable=False)
    assert draws.bounds == [min(60, 2**n) * SECOND + 1 for n in range(10)]


@pytest.mark.parametrize("code", [4401, 4403])
def test_b15_a_refused_key_is_final(code: int) -> None:
    (down,) = Session().protocol.closed(code, "")
    assert isinstance(down, SessionDown) and down.is_terminal


def test_b16_orders_go_out_in_a_live_session_only() -> None:
    session = Session(is_live=False)
    assert not session.protocol.may_place
    session.hear(hello())
    assert session.protocol.may_place
    session.protocol.closed(None, "")
    assert not session.protocol.may_place


def test_b17_one_session_is_subscribed_to_everything_it_needs() -> None:
    session = Session(is_live=False)
    session.hear(hello())
    channels = {channel for frame in session.said() for channel in frame.get("channels", ())}
    assert {"orders", "fills", "account", "ticker", "orderbook", "status"} <= channels


def test_b18_a_frame_and_its_handler_agree_on_their_arguments() -> None:
    # Each type of the contract has a handler, and each handler takes the frame alone.
    protocol = Session().protocol
    for handler in protocol._handlers.values():
        assert len(inspect.signature(handler).parameters) == 1


def test_b19_every_frame_has_a_handler() -> None:
    assert set(get_args(Inbound)) | set(get_args(ArticleInbound)) == set(Session().protocol._handlers)


def test_b20_what_is_malformed_is_counted_to_a_limit_and_a_defect_is_not_swallowed() -> None:
    session = Session(malformed_per_minute=2)
    assert [len(session.hear(b"{")) for _ in range(3)] == [0, 0, 1]
    broken = Session()
    broken.protocol._handlers = {}
    with pytest.raises(KeyError):
        broken.say(**TICK)


def test_b21_an_order_has_an_id_and_its_fate_can_be_asked_for() -> None:
    session = Session()
    frame = sent(session, place())
    assert frame["client_order_id"] == "aaa"
    assert sent(session, place()) == frame
    assert sent(session, QueryStatus("aaa"))["client_order_id"] == "aaa"


def test_b22_an_order_can_be_cancelled_and_changed() -> None:
    session = Session()
    sent(session, place())
    assert sent(session, CancelOrder("aaa"))["action"] == "cancel_order"
    amend = Amend(client_order_id="aaa", total_lots=1, price_ticks=1, epoch=1)
    assert sent(session, amend)["action"] == "amend_order"


def test_b23_a_gap_in_a_book_is_seen() -> None:
    session = Session()
    session.snapshot()
    (stale,) = session.delta(prev_seq=5)
    assert "gap" in repr(stale)


def test_b24_no_float_is_between_the_wire_and_the_core() -> None:
    (fill,) = Session().say(**{**FILL, "qty": "0.007", "cum_qty": "0.007", "price": "4503599627370497.1"})
    assert isinstance(fill, Fill)
    assert (fill.lots, fill.price_ticks) == (7, 45035996273704971)
    for name, tree in sources().items():
        if name not in ("client.py", "rest.py", "real_network.py"):  # seconds to wait are floats, prices never
            assert "float" not in called(tree), name


def test_b25_a_price_is_on_the_grid_of_its_market() -> None:
    assert sent(Session(), place(symbol="ETH-USDC", price_ticks=3, lots=1))["price"] == "0.75"


def test_b31_nothing_between_a_tick_and_its_order_waits() -> None:
    for name in ("on_frame", "send", "_flush", "_note_answers"):
        assert not inspect.iscoroutinefunction(getattr(PurpleFleaClient, name))
    for name, tree in sources().items():
        if name not in ("client.py", "rest.py", "real_network.py", "keys.py", "faucet.py"):
            assert not any(isinstance(node, ast.Await | ast.AsyncFunctionDef) for node in ast.walk(tree)), name


def test_b33_b34_b37_neither_the_legacy_client_nor_a_lax_parser_is_used() -> None:
    used = {name.partition(".")[0] for tree in sources().values() for name in imported(tree)}
    assert not used & {"websockets", "ujson", "simplejson"}


@pytest.mark.parametrize("price", ["NaN", "Infinity", '"NaN"', '"1e3"', "100.0", "1e400", str(2**70)])
def test_b37_only_a_decimal_string_is_a_price(price: str) -> None:
    session = Session()
    data = json.dumps(TICK).replace('"100.0"', price).encode()
    assert session.hear(data) == []
    assert session.protocol.counters["malformed"] == 1


def test_b35_b38_no_proxy_no_redirect_no_plain_text_and_the_key_is_shown_nowhere() -> None:
    tree = sources()["real_network.py"]
    arguments = {
        keyword.arg: ast.unparse(keyword.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        for keyword in node.keywords
    }
    assert (arguments["proxy"], arguments["trust_env"], arguments["max_redirects"]) == ("None", "False", "0")
    assert arguments["allow_redirects"] == "False"
    with pytest.raises(SetupError):
        safe_host("ws://purpleflea.com/trading-api/ws", ("ws", "wss"))
    assert "secret" not in repr(Credentials("secret"))


def test_b36_three_seconds_of_silence_are_the_longest_blindness() -> None:
    session = Session()
    assert session.wait(3 * SECOND - 1) == []
    assert len(session.wait(1)) == 1


def test_b42_orders_do_not_outlive_the_connection_unattended() -> None:
    session = Session(is_live=False)
    session.hear(hello())
    (cod,) = [frame for frame in session.said() if frame["action"] == "set_cod"]
    assert cod["enabled"] and cod["grace_ms"] == 0


def test_b43_the_hot_path_neither_logs_nor_prints() -> None:
    for name, tree in sources().items():
        if name != "real_network.py":  # it silences the log of the library below it
            assert "logging" not in imported(tree), name
        assert "print" not in called(tree), name


class Unconnected:
    """A network that nothing is ever opened on."""


async def test_b44_an_order_that_did_not_leave_is_known_not_to_have_left() -> None:
    session = Session()
    network: Any = Unconnected()
    client = PurpleFleaClient(
        session.protocol, network, "ws://127.0.0.1/", Credentials("k"), lambda events, stamp: None
    )

    class Full:
        def send(self, data: bytes) -> bool:
            return False

    effect: Place = place()
    assert client.send(effect, STAMP) == SendResult(client_order_id="aaa", request="place", result="clean")
    client._socket = Full()  # type: ignore[assignment] # all that is used of it
    assert client.send(effect, STAMP) == SendResult(client_order_id="aaa", request="place", result="clean")
    assert client.send(QueryStatus("aaa"), Stamp(1, 1, NOW_NS)) is None
    await asyncio.sleep(0)


def test_b45_a_side_is_one_of_two_words() -> None:
    session = Session()
    for side in ("BUY", "b", "", None, "Sell"):
        assert session.say(**{**FILL, "side": side}) == []
    (fill,) = session.say(**{**FILL, "side": "sell"})
    assert isinstance(fill, Fill) and fill.side is Side.SELL


def test_b46_a_lost_session_is_an_event_and_market_data_may_go_on() -> None:
    session = Session()
    assert [type(event) for event in session.protocol.closed(None, "")] == [SessionDown]
    session.connect()
    session.hear(hello(session_epoch=2))
    assert len(session.say(**TICK)) == 1
