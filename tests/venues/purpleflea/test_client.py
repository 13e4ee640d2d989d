"""The connection over real sockets, against a server from another library: what is sent, and what follows an end."""

from __future__ import annotations

import asyncio
import contextlib
import http
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.http11 import Request, Response

from agent.core.effects.control import Alarm
from agent.core.effects.orders import CancelOrder, Place, QueryOpen, Reconnect
from agent.core.events import Event, Stamp
from agent.core.events.market import BookSnapshot
from agent.core.events.orders import OrderAck, SendResult, SessionDown, SessionUp
from agent.core.instruments import OrderType, Side
from agent.ports.clock import SYSTEM_CLOCK
from agent.ports.real_network import RealNetwork
from agent.venues.purpleflea.client import LONGEST_PAUSE_NS, Pauses, PurpleFleaClient
from agent.venues.purpleflea.credentials import Credentials
from agent.venues.purpleflea.protocol import PurpleFleaProtocol
from tests.venues.purpleflea.worlds import BTC, ETH, SECOND, encoded, hello, options

Handler = Callable[[ServerConnection], Awaitable[None]]
KEY = "sk_trade_0123456789abcdef"


class NoPause:
    """Draws that never wait, and are kept."""

    def __init__(self) -> None:
        self.bounds: list[int] = []

    def below(self, bound: int) -> int:
        self.bounds.append(bound)
        return 0

    def token(self, size: int) -> bytes:
        return bytes(size)


class World:
    """A client against a server that does what the test says."""

    def __init__(self, server: Server, **changed: Any) -> None:
        self.network = RealNetwork()
        self.protocol = PurpleFleaProtocol(options(**changed), [BTC, ETH])
        self.events: list[Event] = []
        self.entropy = NoPause()
        self.alarms: list[Alarm] = []
        self.fails_on: type | None = None
        self.on_up: list[Any] = []
        self.client = PurpleFleaClient(
            self.protocol,
            self.network,
            f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/trading-api/ws",
            Credentials(KEY),
            self._take,
            entropy=self.entropy,
            on_alarm=self.alarms.append,
        )
        self.task = asyncio.create_task(self.client.run())

    def _take(self, events: list[Event], stamp: Stamp) -> None:
        assert 0 < stamp.monotonic_ns <= SYSTEM_CLOCK.monotonic_ns()
        self.events += events
        for event in events:
            if self.fails_on is not None and isinstance(event, self.fails_on):
                raise RuntimeError("a defect in the core")
            if isinstance(event, SessionUp):
                for effect in self.on_up:
                    self.client.send(effect, stamp)

    def place(self, name: str = "aaa") -> SendResult | None:
        effect = Place(
            client_order_id=name,
            symbol="BTC-USDC",
            side=Side.BUY,
            order_type=OrderType.IOC,
            lots=10,
            price_ticks=1_000,
            expire_ns=SYSTEM_CLOCK.wall_ns() + SECOND,
            epoch=self.protocol.epoch,
        )
        return self.client.send(effect, Stamp(1, SYSTEM_CLOCK.monotonic_ns(), SYSTEM_CLOCK.wall_ns()))

    async def until(self, done: Callable[[], Any], *, within_s: float = 5.0) -> None:
        async with asyncio.timeout(within_s):
            while not done():
                await asyncio.sleep(0.005)

    def count(self, kind: type) -> int:
        return sum(isinstance(event, kind) for event in self.events)


def now_book() -> str:
    levels = {"bids": [["100.0", "1.000"]], "asks": [["100.1", "1.000"]]}
    at_us = SYSTEM_CLOCK.wall_ns() // 1_000
    return encoded(type="book_snapshot", symbol="BTC-USDC", book_seq=1, exchange_ts=at_us, **levels).decode()


@contextlib.asynccontextmanager
async def world(handler: Handler, *, answer: Any = None, **changed: Any) -> AsyncIterator[World]:
    async with serve(handler, "127.0.0.1", 0, process_request=answer, compression=None) as server:
        made = World(server, **changed)
        try:
            yield made
        finally:
            made.client.abort()
            with contextlib.suppress(RuntimeError):
                await asyncio.wait_for(made.task, 5)
            await made.network.close()


def now_hello(**changed: Any) -> str:
    return hello(server_ts_ns=SYSTEM_CLOCK.wall_ns(), **changed).decode()


async def quiet(connection: ServerConnection) -> None:
    """Say hello and listen."""
    await connection.send(now_hello())
    async for _ in connection:
        pass


async def test_it_shows_its_key_in_the_header_and_asks_for_the_contract() -> None:
    seen: list[Request] = []

    def answer(connection: ServerConnection, request: Request) -> None:
        seen.append(request)

    async with world(quiet, answer=answer) as made:
        await made.until(lambda: made.count(SessionUp))
    assert seen[0].path == "/trading-api/ws"
    assert seen[0].headers["X-API-Key"] == KEY
    assert seen[0].headers["Sec-WebSocket-Protocol"] == "pf.v1"
    assert "Sec-WebSocket-Extensions" not in seen[0].headers


async def test_what_the_session_needs_goes_out_before_what_its_events_cause() -> None:
    heard: list[dict[str, Any]] = []

    async def handler(connection: ServerConnection) -> None:
        await connection.send(now_hello())
        async for message in connection:
            heard.append(json.loads(message))

    async with world(handler) as made:
        made.on_up = [QueryOpen()]
        await made.until(lambda: len(heard) >= 4)
    assert [frame["action"] for frame in heard[:4]] == ["subscribe", "set_cod", "subscribe", "open_orders"]


async def test_an_order_and_its_answer_are_timed() -> None:
    async def handler(connection: ServerConnection) -> None:
        await connection.send(now_hello())
        await connection.send(now_book())
        async for message in connection:
            frame = json.loads(message)
            if frame["action"] == "place_order":
                ack = encoded(
                    type="order_ack",
                    exec_seq=1,
                    client_order_id=frame["client_order_id"],
                    order_id="v1",
                    status="open",
                    cum_qty="0.000",
                )
                await connection.send(ack.decode())

    async with world(handler) as made:
        await made.until(lambda: made.count(BookSnapshot))
        assert made.place() is None
        await made.until(lambda: made.count(OrderAck))
        made.client.stages.drain()
        counts = {name: histogram.n for name, histogram in made.client.stages.histograms.items()}
    assert counts == {"decode": 1, "step": 1, "send": 1, "tick_to_order": 1, "venue": 1}


async def test_an_order_that_the_last_guard_refuses_stays_and_that_is_proved() -> None:
    heard: list[dict[str, Any]] = []

    async def handler(connection: ServerConnection) -> None:
        await connection.send(now_hello())
        async for message in connection:
            heard.append(json.loads(message))

    async with world(handler) as made:
        await made.until(lambda: made.protocol.may_place)
        assert made.place() == SendResult(client_order_id="aaa", request="place", result="clean")
        await made.until(lambda: heard)
        assert ("LAST_GUARD", "aaa") in {(alarm.code, alarm.subject) for alarm in made.alarms}
        assert made.client.last_guard.refused == {"no_touch": 1}
        assert made.client.send(CancelOrder("aaa"), Stamp(1, 1, 1)) is None
        await made.until(lambda: any(frame["action"] == "cancel_order" for frame in heard))
    assert "place_order" not in {frame["action"] for frame in heard}


async def test_without_a_connection_nothing_left_and_that_is_proved() -> None:
    async with world(quiet) as made:
        assert made.place() == SendResult(client_order_id="aaa", request="place", result="clean")
        cancel = made.client.send(CancelOrder("aaa"), Stamp(1, 1, 1))
        assert cancel == SendResult(client_order_id="aaa", request="cancel", result="clean")
        assert made.client.send(QueryOpen(), Stamp(1, 1, 1)) is None


async def test_an_order_to_a_peer_that_proved_nothing_never_left() -> None:
    async def silent(connection: ServerConnection) -> None:
        await connection.wait_closed()

    async with world(silent, hello_within_ms=50) as made:
        await made.until(lambda: made.count(SessionUp))
        assert made.place() == SendResult(client_order_id="aaa", request="place", result="clean")


async def test_a_cut_connection_is_followed_by_another_that_resumes() -> None:
    resumed: list[str | None] = []

    async def handler(connection: ServerConnection) -> None:
        assert connection.request is not None
        resumed.append(connection.request.headers.get("X-Session-Resume"))
        await connection.send(now_hello(session_epoch=len(resumed)))
        if len(resumed) == 1:
            await connection.send(encoded(type="trade_bust", exec_seq=12, trade_id="t", qty="0.000").decode())
            await asyncio.sleep(0.05)
            connection.transport.abort()
            return
        await connection.wait_closed()

    async with world(handler) as made:
        await made.until(lambda: made.count(SessionUp) == 2)
    assert resumed[:2] == [None, "1:12"]
    ends = [event for event in made.events if isinstance(event, SessionUp | SessionDown)]
    assert [type(event) for event in ends[:3]] == [SessionUp, SessionDown, SessionUp]


async def test_a_peer_that_accepts_and_closes_at_once_is_called_more_and_more_rarely() -> None:
    async def handler(connection: ServerConnection) -> None:
        await connection.close()

    async with world(handler) as made:
        await made.until(lambda: len(made.entropy.bounds) >= 8)
    seconds = [(bound - 1) // SECOND for bound in made.entropy.bounds[:8]]
    assert seconds == [1, 2, 4, 8, 16, 32, 60, 60]


@pytest.mark.parametrize("code", [4401, 4403, 4409])
async def test_a_final_close_is_not_followed_by_another_connection(code: int) -> None:
    calls = 0

    async def handler(connection: ServerConnection) -> None:
        nonlocal calls
        calls += 1
        await connection.send(now_hello())
        await connection.close(code, "text of the venue")

    async with world(handler) as made:
        await asyncio.wait_for(made.task, 5)
        (down,) = [event for event in made.events if isinstance(event, SessionDown)]
        assert down.is_terminal
        assert made.client.final_reason.startswith(str(code))
    assert calls == 1
    assert made.entropy.bounds == []


@pytest.mark.parametrize("code", [1000, 1001, 1008, 1011, 4408, 4429, 4503])
async def test_any_other_close_is(code: int) -> None:
    async def handler(connection: ServerConnection) -> None:
        await connection.send(now_hello())
        await connection.close(code)

    async with world(handler) as made:
        await made.until(lambda: made.count(SessionUp) >= 2)
        assert next(event.reason for event in made.events if isinstance(event, SessionDown)) == f"closed {code}"


@pytest.mark.parametrize("status", [http.HTTPStatus.UNAUTHORIZED, http.HTTPStatus.FORBIDDEN])
async def test_a_refused_key_is_not_shown_again(status: http.HTTPStatus) -> None:
    calls = 0

    def answer(connection: ServerConnection, request: Request) -> Response:
        nonlocal calls
        calls += 1
        return connection.respond(status, "no")

    async with world(quiet, answer=answer) as made:
        await asyncio.wait_for(made.task, 5)
        (down,) = made.events
        assert isinstance(down, SessionDown) and down.is_terminal
        assert KEY not in down.reason
    assert calls == 1


async def test_a_busy_venue_is_called_again_after_the_time_it_asks_for() -> None:
    calls: list[float] = []

    def answer(connection: ServerConnection, request: Request) -> Response | None:
        calls.append(asyncio.get_running_loop().time())
        if len(calls) == 1:
            response = connection.respond(http.HTTPStatus.TOO_MANY_REQUESTS, "later")
            response.headers["Retry-After"] = "1"
            return response
        return None

    async with world(quiet, answer=answer) as made:
        await made.until(lambda: made.count(SessionUp))
    assert calls[1] - calls[0] >= 1.0


async def test_a_replaced_epoch_ends_it_for_good_and_a_fence_does_not() -> None:
    reasons = ["fence", "replaced"]

    async def handler(connection: ServerConnection) -> None:
        epoch = 3 - len(reasons)
        await connection.send(now_hello(session_epoch=epoch))
        await connection.send(encoded(type="epoch_ended", session_epoch=epoch, reason=reasons.pop(0)).decode())
        await connection.close(4409)

    async with world(handler) as made:
        await asyncio.wait_for(made.task, 5)
    assert [event.is_terminal for event in made.events if isinstance(event, SessionDown)] == [False, True]


async def test_a_silent_peer_is_left() -> None:
    calls = 0

    async def handler(connection: ServerConnection) -> None:
        nonlocal calls
        calls += 1
        await connection.send(now_hello(session_epoch=calls, heartbeat_ms=50))
        await connection.wait_closed()

    async with world(handler) as made:
        await made.until(lambda: made.count(SessionUp) >= 2)
        assert any("silent" in event.reason for event in made.events if isinstance(event, SessionDown))


async def test_too_many_malformed_frames_are_left() -> None:
    async def handler(connection: ServerConnection) -> None:
        await connection.send(now_hello())
        for _ in range(5):
            await connection.send("{")
        await connection.wait_closed()

    async with world(handler, malformed_per_minute=3) as made:
        await made.until(lambda: made.count(SessionDown) and made.alarms)
        assert {alarm.code for alarm in made.alarms} == {"MALFORMED"}  # one for each connection


async def test_the_core_may_ask_for_another_connection() -> None:
    calls = 0

    async def handler(connection: ServerConnection) -> None:
        nonlocal calls
        calls += 1
        await connection.send(now_hello(session_epoch=calls))
        await connection.wait_closed()

    async with world(handler) as made:
        await made.until(lambda: made.count(SessionUp))
        assert made.client.send(Reconnect("a gap"), Stamp(1, 1, 1)) is None
        await made.until(lambda: made.count(SessionUp) == 2)
        assert made.count(SessionDown) == 1


async def test_a_defect_of_the_engine_ends_everything_and_is_raised() -> None:
    async with world(quiet) as made:
        loud: list[dict[str, Any]] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: loud.append(context))
        made.fails_on = SessionUp
        with pytest.raises(RuntimeError, match="a defect in the core"):
            await asyncio.wait_for(made.task, 5)
        assert made.events and made.count(SessionDown) == 0


async def test_a_good_bye_ends_it_without_another_connection() -> None:
    codes: list[int | None] = []

    async def handler(connection: ServerConnection) -> None:
        await connection.send(now_hello())
        await connection.wait_closed()
        codes.append(connection.close_code)

    async with world(handler) as made:
        await made.until(lambda: made.count(SessionUp))
        made.client.stop()
        await asyncio.wait_for(made.task, 5)
        await made.until(lambda: codes)
    assert codes == [1000]
    assert [event.reason for event in made.events if isinstance(event, SessionDown)] == ["stopped"]


async def test_a_venue_that_is_not_there_is_looked_for_again() -> None:
    async with world(quiet) as made:
        made.client._url = "ws://127.0.0.1:1/ws"
        await made.until(lambda: len(made.entropy.bounds) >= 3)
        assert made.events == []
        assert "127.0.0.1" in made.client.last_problem


def test_pauses_are_drawn_from_the_whole_range_and_begin_anew_after_a_stable_session() -> None:
    class Most(NoPause):
        def below(self, bound: int) -> int:
            return bound - 1

    pauses = Pauses(Most())
    assert [pauses.next_ns(was_stable=False) // SECOND for _ in range(8)] == [1, 2, 4, 8, 16, 32, 60, 60]
    assert pauses.next_ns(was_stable=True) == SECOND
    assert LONGEST_PAUSE_NS == 60 * SECOND
    assert Pauses(NoPause()).next_ns(was_stable=False) == 0


def test_the_key_is_shown_nowhere() -> None:
    credentials = Credentials(KEY)
    assert KEY not in repr(credentials) and KEY not in str(credentials)
    assert not hasattr(credentials, "__dict__")
    assert Credentials(KEY, "bearer").headers() == {"Authorization": f"Bearer {KEY}"}
    for wrong in ("", "a b", "a\n", "é"):
        with pytest.raises(ValueError, match="printable"):
            Credentials(wrong)
