"""Both transports against the same servers: exact bytes, and every way in which an answer can fail to come."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from agent.errors import ConfigError
from agent.eth.keys import Signer
from agent.venues.onchain.replies import Lost, RawReply
from agent.venues.onchain.signer import SIGNATURE_HEADER, RelaySigner, SignedBody, sign_body, verify_header
from agent.venues.onchain.transport import MAX_CONNECTIONS, MAX_REPLY_BYTES, AiohttpTransport, Transport
from agent.venues.onchain.wire import WireTransport

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
BODY = b'{"jsonrpc":"2.0","id":1,"method":"eth_sendBundle","params":[]}'
REQUEST: SignedBody = sign_body(RelaySigner(Signer(bytes([1]) * 32)), BODY)


class Server:
    """A scripted HTTP peer: each connection is handed to `handler` after one request was read."""

    def __init__(self) -> None:
        self.heads: list[bytes] = []
        self.bodies: list[bytes] = []
        self.connections = 0
        self.answers: list[bytes | None] = []
        """What to answer, in order; None: close without a word. The last one repeats."""
        self.never = asyncio.Event()
        self._writers: set[asyncio.StreamWriter] = set()

    async def start(self) -> str:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/path?x=1"

    async def stop(self) -> None:
        self.never.set()
        self._server.close()
        for writer in self._writers:
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._writers.add(writer)
        while True:
            try:
                head = await reader.readuntil(b"\r\n\r\n")
            except (asyncio.IncompleteReadError, ConnectionError):
                return
            length = next(
                int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length")
            )
            self.heads.append(head)
            self.bodies.append(await reader.readexactly(length))
            answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
            if answer == b"never":
                await self.never.wait()
                return
            if answer is not None:
                writer.write(answer)
            if answer is None or b"Content-Length" not in answer:
                writer.close()
                return


def answer(body: bytes, *, status: bytes = b"200 OK", more: bytes = b"") -> bytes:
    return b"HTTP/1.1 %b\r\nContent-Type: application/json\r\n%bContent-Length: %d\r\n\r\n%b" % (
        status,
        more,
        len(body),
        body,
    )


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    one = Server()
    yield one
    await one.stop()


@pytest.fixture(params=[AiohttpTransport, WireTransport])
async def transport(request: pytest.FixtureRequest, server: Server) -> AsyncIterator[Transport]:
    made: Transport = request.param(await server.start())
    await made.open()
    yield made
    await made.close()


async def test_the_peer_gets_exactly_the_signed_bytes(server: Server, transport: Transport) -> None:
    server.answers = [answer(b'{"result":null}')]
    assert await transport.post(REQUEST, timeout_ms=5_000) == RawReply(200, "application/json", b'{"result":null}')
    assert server.bodies == [BODY]
    lines = server.heads[0].decode().split("\r\n")
    assert lines[0] == "POST /path?x=1 HTTP/1.1"
    fields = {line.split(":")[0].lower(): line.split(":", 1)[1].strip() for line in lines[1:] if line}
    assert fields["content-type"] == "application/json"
    assert fields["accept-encoding"] == "identity"
    assert verify_header(fields[SIGNATURE_HEADER.lower()], server.bodies[0]) == Signer(bytes([1]) * 32).address


async def test_one_warm_connection_serves_many_requests(server: Server, transport: Transport) -> None:
    server.answers = [answer(b"1")]
    for _ in range(5):
        assert isinstance(await transport.post(REQUEST, timeout_ms=5_000), RawReply)
    assert (server.connections, len(server.bodies)) == (1, 5)


@pytest.mark.parametrize(
    "reply",
    [
        answer(b"no", status=b"403 Forbidden"),
        answer(b"", status=b"502 Bad Gateway"),
        answer(b"", status=b"307 Temporary Redirect", more=b"Location: http://127.0.0.1:9/elsewhere\r\n"),
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
        b"HTTP/1.0 200 OK\r\n\r\nuntil the end",
    ],
)
async def test_both_transports_read_the_same_answer(server: Server, reply: bytes) -> None:
    server.answers = [reply]
    url = await server.start()
    found = []
    for made in (AiohttpTransport(url), WireTransport(url)):
        found.append(await made.post(REQUEST, timeout_ms=5_000))
        await made.close()
    assert isinstance(found[0], RawReply)
    assert (found[0].status, found[0].body) == (found[1].status, found[1].body)  # type: ignore[union-attr]
    assert len(server.bodies) == 2, "a redirect is an answer and is not followed"


@pytest.mark.parametrize(
    "broken",
    [
        None,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
        b"HTTP/1.1 20",
        b"SSH-2.0-nonsense\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    ],
)
async def test_an_answer_that_breaks_off_leaves_the_outcome_open(
    server: Server, transport: Transport, broken: bytes | None
) -> None:
    server.answers = [broken]
    delivery = await transport.post(REQUEST, timeout_ms=5_000)
    assert isinstance(delivery, Lost) and delivery.was_written
    assert server.bodies == [BODY], "nothing is sent a second time"


async def test_silence_ends_at_the_deadline_and_leaves_the_outcome_open(server: Server, transport: Transport) -> None:
    server.answers = [b"never"]
    delivery = await transport.post(REQUEST, timeout_ms=50)
    assert isinstance(delivery, Lost) and delivery.was_written and "50 ms" in delivery.reason


async def test_an_answer_without_end_is_cut(server: Server, transport: Transport) -> None:
    server.answers = [b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * (MAX_REPLY_BYTES + 1)]
    delivery = await transport.post(REQUEST, timeout_ms=5_000)
    assert isinstance(delivery, Lost) and delivery.was_written and "more than" in delivery.reason


@pytest.mark.parametrize("kind", [AiohttpTransport, WireTransport])
async def test_without_a_peer_nothing_was_written(kind: type) -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))  # bound and not listening: nobody else can take the port meanwhile
        made = kind(f"http://127.0.0.1:{bound.getsockname()[1]}")
        await made.open()
        delivery = await made.post(REQUEST, timeout_ms=5_000)
        await made.close()
    assert isinstance(delivery, Lost) and not delivery.was_written


async def test_the_wire_has_written_before_post_returns(server: Server) -> None:
    server.answers = [answer(b"1")]
    wires = [WireTransport(await server.start()) for _ in range(3)]
    for wire in wires:
        await wire.open()
    pending = [wire.post(REQUEST, timeout_ms=5_000) for wire in wires]
    # Not one turn of the loop has passed, and all three requests are in the sockets.
    assert all(wire._connections[0]._transport.get_write_buffer_size() == 0 for wire in wires)  # type: ignore[union-attr]
    assert not server.bodies
    assert all(isinstance(delivery, RawReply) for delivery in await asyncio.gather(*pending))
    for wire in wires:
        await wire.close()


async def test_the_wire_opens_more_connections_only_up_to_its_limit(server: Server) -> None:
    server.answers = [b"never"]
    wire = WireTransport(await server.start())
    await wire.open()
    pending = [wire.post(REQUEST, timeout_ms=300) for _ in range(MAX_CONNECTIONS + 2)]
    deliveries = await asyncio.gather(*pending)
    assert sum(isinstance(one, Lost) and not one.was_written for one in deliveries) == 2
    assert server.connections == MAX_CONNECTIONS
    await wire.close()


async def test_the_wire_never_reuses_a_connection_that_spoke_out_of_turn(server: Server) -> None:
    server.answers = [answer(b"1") + answer(b"forged"), answer(b"2")]
    wire = WireTransport(await server.start())
    await wire.open()
    first = await wire.post(REQUEST, timeout_ms=5_000)
    second = await wire.post(REQUEST, timeout_ms=5_000)
    assert [delivery.body for delivery in (first, second)] == [b"1", b"2"]  # type: ignore[union-attr]
    assert server.connections == 2
    await wire.close()


async def test_after_a_timeout_the_connection_is_cut_and_never_used_again(server: Server) -> None:
    server.answers = [b"never", answer(b"2")]
    wire = WireTransport(await server.start())
    await wire.open()
    (connection,) = wire._connections
    assert isinstance(await wire.post(REQUEST, timeout_ms=20), Lost)
    assert connection.is_closing
    delivery = await wire.post(REQUEST, timeout_ms=5_000)
    assert isinstance(delivery, RawReply) and delivery.body == b"2" and server.connections == 2
    await wire.close()


async def test_a_connection_that_comes_after_the_close_is_dropped(server: Server) -> None:
    wire = WireTransport(await server.start())
    connecting = wire.post(REQUEST, timeout_ms=5_000)
    await asyncio.sleep(0)  # the connection is on its way
    await wire.close()
    delivery = await connecting
    assert isinstance(delivery, Lost) and not delivery.was_written
    assert not wire._connections and not server.bodies


async def test_a_closed_wire_sends_nothing_and_tells_those_who_wait(server: Server) -> None:
    server.answers = [b"never"]
    wire = WireTransport(await server.start())
    await wire.open()
    pending = wire.post(REQUEST, timeout_ms=5_000)
    connecting = wire.post(REQUEST, timeout_ms=5_000)
    await wire.close()
    waited, late = await pending, await connecting
    assert isinstance(waited, Lost) and waited.was_written
    assert isinstance(late, Lost) and not late.was_written
    after = await wire.post(REQUEST, timeout_ms=5_000)
    assert isinstance(after, Lost) and not after.was_written
    assert not wire._connections and len(server.bodies) <= 1


async def test_bytes_that_come_while_nothing_was_asked_end_the_connection(server: Server) -> None:
    server.answers = [answer(b"1")]
    wire = WireTransport(await server.start())
    await wire.open()
    (connection,) = wire._connections
    connection.data_received(answer(b"forged"))
    assert connection.is_closing and not connection.is_idle
    delivery = await wire.post(REQUEST, timeout_ms=5_000)
    assert isinstance(delivery, RawReply) and delivery.body == b"1"
    await wire.close()


async def test_the_wire_mends_a_connection_that_the_peer_closed_while_idle(server: Server) -> None:
    server.answers = [answer(json.dumps({"result": 1}).encode(), more=b"Connection: close\r\n")]
    wire = WireTransport(await server.start())
    await wire.open()
    for _ in range(3):
        assert isinstance(await wire.post(REQUEST, timeout_ms=5_000), RawReply)
    await wire.open()
    assert sum(connection.is_idle for connection in wire._connections) == 1
    await wire.close()


@pytest.mark.parametrize("kind", [AiohttpTransport, WireTransport])
@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("ftp://x", "E_CONFIG"),
        ("http://", "E_CONFIG"),
        ("https://user@host", "E_CONFIG"),
        ("https://ho st/", "E_CONFIG"),
        ("https://host/a b", "E_CONFIG"),
        ("https://host/a\r\nX: y", "E_CONFIG"),
        ("x", "E_CONFIG"),
        ("https://ä", "E_CONFIG"),
        ("http://relay.example", "E_ENDPOINT_NOT_PRIVATE"),
        ("http://10.0.0.1:8545", "E_ENDPOINT_NOT_PRIVATE"),
    ],
)
def test_what_is_no_private_address_of_an_endpoint_is_a_mistake_in_the_config(kind: type, url: str, code: str) -> None:
    with pytest.raises(ConfigError) as caught:
        kind(url)
    assert caught.value.code == code and caught.value.hint


@pytest.mark.parametrize(
    "url", ["https://relay.example/x?y=1", "http://127.0.0.1:1", "http://localhost", "http://[::1]:1"]
)
def test_encrypted_or_local_addresses_are_taken(url: str) -> None:
    assert WireTransport(url) and AiohttpTransport(url)
