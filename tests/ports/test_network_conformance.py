"""What every network must do, whether the machine's own against a server on loopback, or a simulated one.

The server of both forms is the same: it greets, echoes, and does as a frame or path tells it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol

import pytest

from agent.devnet.virtual.clock import Timeline
from agent.devnet.virtual.faults import Faults
from agent.devnet.virtual.link import End, Latency
from agent.devnet.virtual.loop import VirtualLoop
from agent.devnet.virtual.network import Refused, VirtualNetwork
from agent.devnet.virtual.randomness import Streams
from agent.devnet.virtual.schedule import LoopSchedule
from agent.errors import OutcomeUnknown, SetupError
from agent.ports.network import HandshakeRefused, HttpAnswer, Network
from agent.ports.real_network import RealNetwork
from tests.ports.loopback_server import loopback_server

Case = Callable[[Network, str, str], Awaitable[None]]
"""A network, the WebSocket origin of the server, and its HTTP origin."""


class Runner(Protocol):
    def __call__(self, case: Case) -> None: ...


class EchoPeer:
    """The server's side of one simulated connection."""

    def __init__(self, socket: End) -> None:
        self.socket = socket

    def on_frame(self, data: Any) -> None:
        if data == b"close":
            self.socket.close(4409)
        elif data == b"abort":
            self.socket.abort()
        else:
            self.socket.send(data)

    def on_close(self, code: int | None, reason: str) -> None:
        pass


class EchoServer:
    """The simulated server."""

    def accept(self, socket: End, path: str, headers: Mapping[str, str]) -> EchoPeer:
        if headers.get("x-api-key") == "bad":
            raise Refused(401)
        peer = EchoPeer(socket)
        asyncio.get_running_loop().call_soon(socket.send, b"hello")
        return peer

    def answer(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> HttpAnswer:
        status = 429 if path == "/busy" else 200
        content = f"{method} {path} {headers.get('x-api-key', '')} ".encode() + body
        return HttpAnswer(status, {"retry-after": "3"}, content)


def on_virtual_network(case: Case) -> None:
    timeline = Timeline()
    streams = Streams(1)
    loop = VirtualLoop(timeline)
    network = VirtualNetwork(LoopSchedule(timeline, loop), Faults({}, streams), streams, latency=Latency())
    network.serve("ws://venue.test", EchoServer())
    network.serve_http("http://venue.test", EchoServer())
    network.serve_http("http://silent.test", EchoServer())
    network.cut_off("http://silent.test")
    loop.run(case(network, "ws://venue.test", "http://venue.test"))


def on_real_network(case: Case) -> None:
    async def main() -> None:
        async with loopback_server() as (websocket_origin, http_origin):
            network = RealNetwork()
            try:
                await case(network, websocket_origin, http_origin)
            finally:
                await network.close()

    asyncio.run(main())


@pytest.fixture(params=["real", "virtual"])
def on_network(request: pytest.FixtureRequest) -> Runner:
    return {"real": on_real_network, "virtual": on_virtual_network}[request.param]


class Heard:
    """A listener that keeps what it hears."""

    def __init__(self) -> None:
        self.frames: list[bytes] = []
        self.closed: list[tuple[int | None, str]] = []
        self._changed = asyncio.Event()

    def on_frame(self, data: bytes) -> None:
        assert not self.closed, "nothing comes behind the close"
        self.frames.append(bytes(data))
        self._changed.set()

    def on_close(self, code: int | None, reason: str) -> None:
        self.closed.append((code, reason))
        self._changed.set()

    async def until(self, is_so: Callable[[], bool]) -> None:
        async with asyncio.timeout(5):
            while not is_so():
                self._changed.clear()
                await self._changed.wait()


def test_frames_come_whole_and_in_their_order(on_network: Runner) -> None:
    async def case(network: Network, websocket_origin: str, http_origin: str) -> None:
        heard = Heard()
        socket = await network.open_websocket(websocket_origin + "/ws", headers={}, listener=heard, timeout_s=5)
        sent = [b"%d" % number for number in range(50)] + [b"x" * 100_000]
        assert [socket.send(frame) for frame in sent] == [True] * 51
        await heard.until(lambda: len(heard.frames) == 52)
        assert heard.frames == [b"hello", *sent]
        socket.close()

    on_network(case)


def test_the_peer_s_close_is_told_once_with_its_code(on_network: Runner) -> None:
    async def case(network: Network, websocket_origin: str, http_origin: str) -> None:
        heard = Heard()
        socket = await network.open_websocket(websocket_origin + "/ws", headers={}, listener=heard, timeout_s=5)
        socket.send(b"close")
        await heard.until(lambda: bool(heard.closed))
        await asyncio.sleep(0.05)
        assert [code for code, _ in heard.closed] == [4409]
        assert socket.send(b"late") is False, "no byte of it can leave"

    on_network(case)


def test_a_connection_that_just_breaks_has_no_code(on_network: Runner) -> None:
    async def case(network: Network, websocket_origin: str, http_origin: str) -> None:
        heard = Heard()
        socket = await network.open_websocket(websocket_origin + "/ws", headers={}, listener=heard, timeout_s=5)
        socket.send(b"abort")
        await heard.until(lambda: bool(heard.closed))
        assert [code for code, _ in heard.closed] == [None]

    on_network(case)


@pytest.mark.parametrize("how", ["close", "abort"])
def test_an_end_of_our_own_is_told_once_too(on_network: Runner, how: str) -> None:
    async def case(network: Network, websocket_origin: str, http_origin: str) -> None:
        heard = Heard()
        socket = await network.open_websocket(websocket_origin + "/ws", headers={}, listener=heard, timeout_s=5)
        getattr(socket, how)()
        assert not heard.closed, "not from inside of the call"
        await heard.until(lambda: bool(heard.closed))
        getattr(socket, how)()
        await asyncio.sleep(0.05)
        assert len(heard.closed) == 1

    on_network(case)


def test_after_an_abort_nothing_is_taken(on_network: Runner) -> None:
    async def case(network: Network, websocket_origin: str, http_origin: str) -> None:
        heard = Heard()
        socket = await network.open_websocket(websocket_origin + "/ws", headers={}, listener=heard, timeout_s=5)
        socket.abort()
        socket.abort()
        await asyncio.sleep(0.05)
        assert socket.send(b"late") is False

    on_network(case)


def test_a_refused_key_is_told_by_its_status(on_network: Runner) -> None:
    async def case(network: Network, websocket_origin: str, http_origin: str) -> None:
        with pytest.raises(HandshakeRefused) as refused:
            await network.open_websocket(
                websocket_origin + "/ws", headers={"x-api-key": "bad"}, listener=Heard(), timeout_s=5
            )
        assert refused.value.status == 401

    on_network(case)


def test_where_nobody_listens_nothing_is_opened(on_network: Runner) -> None:
    async def case(network: Network, websocket_origin: str, http_origin: str) -> None:
        with pytest.raises(SetupError):
            await network.open_websocket("ws://127.0.0.1:1/ws", headers={}, listener=Heard(), timeout_s=5)
        with pytest.raises(SetupError):
            await network.request("GET", "http://127.0.0.1:1/", headers={}, timeout_s=5)

    on_network(case)


def test_a_request_carries_method_path_headers_and_body(on_network: Runner) -> None:
    async def case(network: Network, websocket_origin: str, http_origin: str) -> None:
        answer = await network.request(
            "POST", http_origin + "/v1/orders?a=1", headers={"x-api-key": "k"}, body=b"{}", timeout_s=5
        )
        assert (answer.status, answer.body) == (200, b"POST /v1/orders?a=1 k {}")

    on_network(case)


def test_an_answer_of_any_status_is_an_answer_with_its_headers_in_lower_case(on_network: Runner) -> None:
    async def case(network: Network, websocket_origin: str, http_origin: str) -> None:
        answer = await network.request("GET", http_origin + "/busy", headers={}, timeout_s=5)
        assert (answer.status, answer.headers["retry-after"]) == (429, "3")

    on_network(case)


def test_silence_leaves_the_outcome_open(on_network: Runner) -> None:
    async def case(network: Network, websocket_origin: str, http_origin: str) -> None:
        silent = http_origin + "/silent" if "127.0.0.1" in http_origin else "http://silent.test/"
        with pytest.raises(OutcomeUnknown):
            await network.request("DELETE", silent, headers={}, timeout_s=0.2)

    on_network(case)
