"""The network of this machine: what its sockets are set to, and what it never does."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import os
import signal
import socket
import struct
import subprocess
import sys
import textwrap
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from aiohttp import web
from websockets.asyncio.server import ServerConnection, serve

from agent.errors import OutcomeUnknown, SetupError
from agent.ports.network import HandshakeRefused, HttpAnswer, WebSocket
from agent.ports.real_network import ANSWER_BYTES_MAX, RealNetwork, safe_host

TIMEOUT_S = 5.0


class Listener:
    def __init__(self) -> None:
        self.frames: list[bytes] = []
        self.ends: list[tuple[int | None, str]] = []
        self.ended = asyncio.Event()

    def on_frame(self, data: bytes) -> None:
        self.frames.append(data)

    def on_close(self, code: int | None, reason: str) -> None:
        self.ends.append((code, reason))
        self.ended.set()


@pytest.fixture
async def network() -> AsyncIterator[RealNetwork]:
    made = RealNetwork()
    yield made
    await made.close()


@contextlib.asynccontextmanager
async def served(handler: Callable[[ServerConnection], Awaitable[None]]) -> AsyncIterator[str]:
    async with serve(handler, "127.0.0.1", 0, compression=None) as server:
        yield f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/"


async def opened(network: RealNetwork, url: str, listener: Listener) -> WebSocket:
    return await network.open_websocket(url, headers={}, listener=listener, timeout_s=TIMEOUT_S)


async def wait(connection: ServerConnection) -> None:
    await connection.wait_closed()


# WebSockets


async def test_a_trading_socket_is_set_up_to_forget(network: RealNetwork) -> None:
    async with served(wait) as url:
        opened_socket: Any = await opened(network, url, Listener())
        raw = opened_socket._socket
        assert struct.unpack("ii", raw.getsockopt(socket.SOL_SOCKET, socket.SO_LINGER, 8)) == (1, 0)
        assert raw.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        assert raw.getsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT) == 16_384
        assert raw.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 5_000
        opened_socket.abort()


async def test_frames_come_whole_and_in_order_also_in_fragments(network: RealNetwork) -> None:
    async def handler(connection: ServerConnection) -> None:
        await connection.send("a")
        await connection.send(["b" * 200, "c", "d" * 300])
        await connection.send("e" * 70_000)
        await connection.close(4321, "bye")

    listener = Listener()
    async with served(handler) as url:
        await opened(network, url, listener)
        await asyncio.wait_for(listener.ended.wait(), TIMEOUT_S)
    assert listener.frames == [b"a", b"b" * 200 + b"c" + b"d" * 300, b"e" * 70_000]
    assert listener.ends == [(4321, "")]


@pytest.mark.parametrize("pieces", [["x" * (1 << 20) + "y"], ["x" * 600_000, "y" * 600_000]])
async def test_more_than_a_mebibyte_ends_the_connection(network: RealNetwork, pieces: list[str]) -> None:
    async def handler(connection: ServerConnection) -> None:
        with contextlib.suppress(Exception):
            await connection.send(pieces)
            await connection.wait_closed()

    listener = Listener()
    async with served(handler) as url:
        await opened(network, url, listener)
        await asyncio.wait_for(listener.ended.wait(), TIMEOUT_S)
    assert listener.frames == []


async def test_what_is_sent_after_the_end_is_proved_not_to_have_left(network: RealNetwork) -> None:
    listener = Listener()
    async with served(wait) as url:
        made = await opened(network, url, listener)
        assert made.send(b"x")
        made.abort()
        await asyncio.wait_for(listener.ended.wait(), TIMEOUT_S)
        assert not made.send(b"y")
        made.abort()
        made.close()
    assert listener.ends == [(None, "")]


async def test_behind_much_that_is_unsent_nothing_more_is_taken(network: RealNetwork) -> None:
    async with served(stuck) as url:
        made = await opened(network, url, Listener())
        taken = 0
        while made.send(b"x" * 10_000):
            taken += 1
            assert taken < 5_000
        assert taken > 5
        made.abort()


async def stuck(connection: ServerConnection) -> None:
    connection.transport.pause_reading()
    await connection.wait_closed()


async def test_a_good_bye_is_heard(network: RealNetwork) -> None:
    codes: list[int | None] = []

    async def handler(connection: ServerConnection) -> None:
        await connection.wait_closed()
        codes.append(connection.close_code)

    listener = Listener()
    async with served(handler) as url:
        made = await opened(network, url, listener)
        made.close(1001)
        await asyncio.wait_for(listener.ended.wait(), TIMEOUT_S)
        await asyncio.sleep(0.05)
    assert codes == [1001]


async def test_a_listener_that_fails_is_told_of_and_hears_no_more(network: RealNetwork) -> None:
    class Failing(Listener):
        def on_frame(self, data: bytes) -> None:
            super().on_frame(data)
            raise KeyError("defect")

    async def handler(connection: ServerConnection) -> None:
        with contextlib.suppress(Exception):
            for _ in range(50):
                await connection.send("x" * 300)
                await asyncio.sleep(0.001)

    told: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context))
    listener = Failing()
    async with served(handler) as url:
        await opened(network, url, listener)
        await asyncio.wait_for(listener.ended.wait(), TIMEOUT_S)
    assert isinstance(told[0]["exception"], KeyError)
    assert len(listener.frames) == 1


async def test_a_status_instead_of_a_websocket_is_told(network: RealNetwork) -> None:
    async with http(lambda request: web.Response(status=429, headers={"Retry-After": "7"})) as url:
        with pytest.raises(HandshakeRefused) as refused:
            await opened(network, url.replace("http", "ws"), Listener())
    assert (refused.value.status, refused.value.retry_after_s, refused.value.code) == (429, 7, "E_HTTP_429")


async def test_a_redirect_is_not_followed(network: RealNetwork) -> None:
    async with http(lambda request: web.Response(status=302, headers={"Location": "ws://127.0.0.1:1/"})) as url:
        with pytest.raises(HandshakeRefused) as refused:
            await opened(network, url.replace("http", "ws"), Listener())
    assert refused.value.status == 302


async def test_nobody_there_is_a_matter_of_the_setup(network: RealNetwork) -> None:
    with pytest.raises(SetupError, match="cannot reach"):
        await opened(network, "ws://127.0.0.1:1/", Listener())


async def test_a_peer_that_does_not_answer_the_handshake_is_given_up(network: RealNetwork) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        with pytest.raises(SetupError):
            await network.open_websocket(
                f"ws://127.0.0.1:{server.getsockname()[1]}/", headers={}, listener=Listener(), timeout_s=0.2
            )


@pytest.mark.skipif(sys.platform != "linux", reason="of this system's sockets")
async def test_a_killed_sender_takes_what_the_kernel_has_not_sent_with_it(network: RealNetwork) -> None:
    """Its peer reads nothing for a while; afterwards far less arrives than was handed over, and then a reset."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8_192)
        sender = subprocess.Popen(
            [sys.executable, "-c", SENDER, str(server.getsockname()[1])], stdout=subprocess.PIPE, text=True
        )
        try:
            peer, _ = server.accept()
            peer.settimeout(TIMEOUT_S)
            request = b""
            while b"\r\n\r\n" not in request:
                request += peer.recv(4_096)
            peer.sendall(_accept(request))
            assert sender.stdout is not None
            handed_over = int(await asyncio.to_thread(sender.stdout.readline))
            os.kill(sender.pid, signal.SIGKILL)
            sender.wait()
            time.sleep(0.1)
            arrived = 0
            with contextlib.suppress(ConnectionResetError):
                while chunk := peer.recv(1 << 16):
                    arrived += len(chunk)
            assert handed_over > 60_000
            assert arrived < handed_over // 8  # without SO_LINGER a third arrives
        finally:
            sender.kill()
            sender.wait()
            if sender.stdout is not None:
                sender.stdout.close()


SENDER = textwrap.dedent("""
    import asyncio, sys, time
    from agent.ports.real_network import RealNetwork

    class Listener:
        def on_frame(self, data): pass
        def on_close(self, code, reason): pass

    async def main():
        made = await RealNetwork().open_websocket(
            f"ws://127.0.0.1:{sys.argv[1]}/", headers={}, listener=Listener(), timeout_s=5
        )
        sent = 0
        while made.send(b"x" * 1_000):
            sent += 1_000
        print(sent, flush=True)
        time.sleep(60)

    asyncio.run(main())
""")


def _accept(request: bytes) -> bytes:
    key = next(line.split(b": ")[1] for line in request.split(b"\r\n") if line.lower().startswith(b"sec-websocket-key"))
    proof = base64.b64encode(hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())
    return (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "
        + proof
        + b"\r\n\r\n"
    )


# HTTP


@contextlib.asynccontextmanager
async def http(answer: Callable[[web.Request], web.Response]) -> AsyncIterator[str]:
    async def handler(request: web.Request) -> web.Response:
        await request.read()
        return answer(request)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handler)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/x"
    finally:
        await runner.cleanup()


async def test_an_answer_has_its_headers_in_lower_case(network: RealNetwork) -> None:
    async with http(lambda request: web.Response(status=418, body=b"tea", headers={"Retry-After": "3"})) as url:
        answer = await network.request("POST", url, headers={"X-A": "1"}, body=b"{}", timeout_s=TIMEOUT_S)
    assert isinstance(answer, HttpAnswer)
    assert (answer.status, answer.body, answer.headers["retry-after"]) == (418, b"tea", "3")


async def test_proxies_of_the_environment_are_not_used(network: RealNetwork, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    async with http(lambda request: web.Response(body=b"direct")) as url:
        answer = await network.request("GET", url, headers={}, timeout_s=TIMEOUT_S)
        assert answer.body == b"direct"
    async with served(wait) as url:
        (await opened(network, url, Listener())).abort()


async def test_a_redirect_is_an_answer_like_any_other(network: RealNetwork) -> None:
    async with http(lambda request: web.Response(status=307, headers={"Location": "http://127.0.0.1:1/"})) as url:
        answer = await network.request("POST", url, headers={"X-API-Key": "k"}, body=b"x", timeout_s=TIMEOUT_S)
    assert answer.status == 307


async def test_a_request_that_may_have_arrived_has_an_unknown_outcome(network: RealNetwork) -> None:
    def cut(request: web.Request) -> web.Response:
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    async with http(cut) as url:
        with pytest.raises(OutcomeUnknown):
            await network.request("POST", url, headers={}, body=b"x", timeout_s=TIMEOUT_S)


async def test_a_request_without_an_answer_in_time_has_an_unknown_outcome(network: RealNetwork) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}/"
        with pytest.raises(OutcomeUnknown):
            await network.request("POST", url, headers={}, body=b"x", timeout_s=0.2)


async def test_a_request_that_cannot_have_arrived_is_a_matter_of_the_setup(network: RealNetwork) -> None:
    with pytest.raises(SetupError):
        await network.request("POST", "http://127.0.0.1:1/", headers={}, body=b"x", timeout_s=TIMEOUT_S)


async def test_an_answer_that_is_too_long_is_not_read_to_its_end(network: RealNetwork) -> None:
    async with http(lambda request: web.Response(body=b"x" * (ANSWER_BYTES_MAX + 1))) as url:
        with pytest.raises(OutcomeUnknown, match="too many bytes"):
            await network.request("GET", url, headers={}, timeout_s=TIMEOUT_S)


# Addresses


@pytest.mark.parametrize(
    "url", ["wss://venue.example/ws", "ws://127.0.0.1:1/", "ws://localhost/", "ws://[::1]:9/", "ws://127.9.9.9/"]
)
def test_an_address_that_may_be_used(url: str) -> None:
    assert safe_host(url, ("ws", "wss"))


@pytest.mark.parametrize(
    "url",
    [
        "ws://venue.example/ws",
        "ws://10.0.0.1/ws",
        "ws://127.0.0.1.example.com/ws",
        "ws://localhost.example.com/",
        "ws://0.0.0.0/",
        "http://127.0.0.1/",
        "wss://user:secret@venue.example/",
        "wss:///x",
        "venue.example",
        "",
    ],
)
def test_an_address_that_may_not(url: str) -> None:
    with pytest.raises(SetupError) as error:
        safe_host(url, ("ws", "wss"))
    assert "secret" not in str(error.value)
