"""The same venue on real sockets, met by clients that nobody here wrote: PyPI websockets and aiohttp."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from agent.devnet.purpleflea import AccountKeys, Fault, PurpleFleaVenue, Terms
from agent.errors import SetupError

PATIENCE_S = 5.0


@pytest.fixture
async def venue() -> AsyncIterator[PurpleFleaVenue]:
    async with PurpleFleaVenue(seed=1, events_per_s=50) as venue:
        yield venue


@pytest.fixture
def keys(venue: PurpleFleaVenue) -> AccountKeys:
    return venue.create_account()


def dial(venue: PurpleFleaVenue, secret: str) -> connect:
    return connect(
        venue.ws_url,
        additional_headers={"X-API-Key": secret},
        subprotocols=["pf.v1"],
        proxy=None,
        compression=None,
        max_queue=None,
        close_timeout=1,
    )


async def say(socket: ClientConnection, action: str, **fields: Any) -> None:
    await socket.send(json.dumps({"action": action, **fields}))


async def hear(socket: ClientConnection, *kinds: str) -> dict[str, Any]:
    """The next frame of these kinds."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            frame = json.loads(await socket.recv())
            if frame["type"] in kinds:
                return dict(frame)


async def closed(socket: ClientConnection) -> tuple[int, str]:
    with pytest.raises(ConnectionClosed):
        async with asyncio.timeout(PATIENCE_S):
            while True:
                await socket.recv()
    return socket.close_code or 0, socket.close_reason or ""


ORDER = {"symbol": "BTC-USDC", "side": "buy", "quantity": "0.010", "price": "59000.0", "type": "limit"}


async def test_an_order_lives_from_hello_to_its_end(venue: PurpleFleaVenue, keys: AccountKeys) -> None:
    async with dial(venue, keys.trade.secret) as socket:
        assert socket.subprotocol == "pf.v1"
        hello = json.loads(await socket.recv())
        assert hello["type"] == "hello"
        await say(socket, "subscribe", channels=["orders", "ticker", "orderbook"], symbols=["BTC-USDC"])
        snapshot = await hear(socket, "book_snapshot")
        now_ms = time.time_ns() // 1_000_000
        epoch = hello["session_epoch"]
        await say(
            socket, "place_order", **ORDER, client_order_id="a", session_epoch=epoch, timestamp=now_ms, req_id="r1"
        )
        assert (await hear(socket, "order_ack"))["req_id"] == "r1"
        take = {**ORDER, "type": "ioc", "price": snapshot["asks"][-1][0]}
        await say(socket, "place_order", **take, client_order_id="b", session_epoch=epoch)
        assert (await hear(socket, "fill"))["client_order_id"] == "b"
        await say(socket, "cancel_order", client_order_id="a")
        assert (await hear(socket, "order_canceled"))["reason"] == "user"
        tick, delta = await hear(socket, "tick"), await hear(socket, "book_delta")
        assert tick["symbol"] == delta["symbol"] == "BTC-USDC"
    assert venue.books()["imbalance_atoms"] == {}


async def test_without_a_key_the_handshake_fails(venue: PurpleFleaVenue) -> None:
    with pytest.raises(InvalidStatus) as refused:
        await dial(venue, "nonsense")
    assert refused.value.response.status_code == 401


async def test_a_deleted_key_closes_its_socket_and_a_second_login_the_first(
    venue: PurpleFleaVenue, keys: AccountKeys
) -> None:
    async with dial(venue, keys.trade.secret) as first, dial(venue, keys.trade.secret) as second:
        assert await closed(first) == (4409, "replaced")
        async with aiohttp.ClientSession(headers={"X-API-Key": keys.guard.secret}) as http:
            async with http.delete(f"{venue.http_url}/v1/keys/{keys.trade.key_id}") as answer:
                assert answer.status == 200
        assert await closed(second) == (4401, "key revoked")
    with pytest.raises(InvalidStatus):
        await dial(venue, keys.trade.secret)


async def test_aiohttp_speaks_with_both_sides_of_the_port(venue: PurpleFleaVenue, keys: AccountKeys) -> None:
    headers = {"Authorization": f"Bearer {keys.trade.secret}"}
    async with aiohttp.ClientSession(headers=headers) as http:
        async with http.ws_connect(venue.ws_url, protocols=("pf.v1",)) as socket:
            epoch = (await socket.receive_json(timeout=PATIENCE_S))["session_epoch"]
            body = {**ORDER, "client_order_id": "a", "session_epoch": epoch}
            async with http.post(f"{venue.http_url}/v1/orders", json=body) as answer:
                assert (answer.status, (await answer.json())["type"]) == (200, "order_ack")
                assert "X-RateLimit-Remaining" in answer.headers
            await socket.send_json({"action": "order_status", "client_order_id": "a"})
            assert (await socket.receive_json(timeout=PATIENCE_S))["status"] == "open"


async def test_a_place_is_taken_and_the_line_cut(venue: PurpleFleaVenue, keys: AccountKeys) -> None:
    venue.faults.add(_fault("F19"))
    async with dial(venue, keys.trade.secret) as socket:
        await say(socket, "place_order", **ORDER, client_order_id="a", session_epoch=1)
        assert (await closed(socket))[0] == 1006
    assert [row["status"] for row in venue.books()["accounts"][keys.agent_id]["orders"]] == ["open"]


async def test_a_half_open_socket_says_nothing_then_everything(venue: PurpleFleaVenue, keys: AccountKeys) -> None:
    async with dial(venue, keys.trade.secret) as socket:
        await hear(socket, "hello")
        venue.faults.add(_fault("F21", kind="ping", for_s=0.4))
        await say(socket, "ping", id="1")
        begun = time.monotonic()
        await say(socket, "ping", id="2")
        assert (await hear(socket, "pong"))["id"] == "1"
        assert time.monotonic() - begun > 0.3
        assert (await hear(socket, "pong"))["id"] == "2"


async def test_a_slow_reader_is_closed() -> None:
    async with PurpleFleaVenue(seed=1, events_per_s=50, terms=Terms(outgoing_max_bytes=20_000)) as venue:
        async with dial(venue, venue.create_account().trade.secret) as socket:
            await hear(socket, "hello")
            venue.faults.add(_fault("F22", kind="subscribe", for_s=1.0))
            await say(socket, "subscribe", channels=["ticker", "orderbook", "trades"], symbols=[])
            assert (await closed(socket))[0] == 1011


async def test_a_server_that_closes_at_once(venue: PurpleFleaVenue, keys: AccountKeys) -> None:
    venue.faults.add(_fault("F23"))
    async with dial(venue, keys.trade.secret) as socket:
        assert (await closed(socket))[0] == 1000


@pytest.mark.parametrize("code", [1001, 1008, 4408, 4429, 4503])
async def test_close_codes_arrive(code: int, venue: PurpleFleaVenue, keys: AccountKeys) -> None:
    venue.faults.add(_fault("F36", kind="ping", code=code))
    async with dial(venue, keys.trade.secret) as socket:
        await say(socket, "ping", id="1")
        assert await closed(socket) == (code, "fault")


async def test_too_big_a_frame_is_refused(venue: PurpleFleaVenue, keys: AccountKeys) -> None:
    async with dial(venue, keys.trade.secret) as socket:
        await socket.send(" " * ((1 << 20) + 1))
        assert (await closed(socket))[0] == 1009


async def test_frames_that_are_no_frames_reach_the_client(venue: PurpleFleaVenue, keys: AccountKeys) -> None:
    venue.faults.add(_fault("F31", kind="pong", mode="json"))
    async with dial(venue, keys.trade.secret) as socket:
        await hear(socket, "hello")
        await say(socket, "ping", id="1")
        data = await asyncio.wait_for(socket.recv(), PATIENCE_S)
        with pytest.raises(ValueError):
            json.loads(data)


async def test_the_books_need_the_admin_token_and_faults_can_be_put_in(
    venue: PurpleFleaVenue, keys: AccountKeys
) -> None:
    async with aiohttp.ClientSession() as http:
        async with http.get(f"{venue.http_url}/books") as answer:
            assert answer.status == 401
        admin = {"X-Admin-Token": venue.admin_token}
        async with http.get(f"{venue.http_url}/books", headers=admin) as answer:
            assert keys.agent_id in (await answer.json())["accounts"]
        for faults, status in (([{"knob": "F6"}], 200), ([{"knob": "F99"}], 400), ({"knob": "F6"}, 400)):
            async with http.post(f"{venue.http_url}/faults", headers=admin, json=faults) as answer:
                assert answer.status == status
        async with http.post(f"{venue.http_url}/accounts", headers=admin) as answer:
            assert (await answer.json())["trade"]["secret"].startswith("pf_sim_")


async def test_a_taken_port_is_one_clear_error(venue: PurpleFleaVenue) -> None:
    with pytest.raises(SetupError) as refused:
        await PurpleFleaVenue(port=venue.port).start()
    assert refused.value.code == "E_PORT_IN_USE"


def _fault(knob: str, *, kind: str | None = None, **parameters: Any) -> Fault:

    return Fault(knob=knob, kind=kind, parameters=parameters)
