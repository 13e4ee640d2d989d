"""The hot transport over TLS, on both event loops: encrypted transports are other objects there."""

from __future__ import annotations

import asyncio
import shutil
import ssl
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import uvloop

from agent.eth.keys import Signer
from agent.venues.onchain.replies import Lost, RawReply
from agent.venues.onchain.signer import RelaySigner, SignedBody, sign_body
from agent.venues.onchain.wire import WireTransport

REQUEST: SignedBody = sign_body(RelaySigner(Signer(bytes([1]) * 32)), b"{}")
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("no openssl command to make a certificate with")
    folder: Path = tmp_path_factory.mktemp("tls")
    certificate, key = str(folder / "cert.pem"), str(folder / "key.pem")
    subprocess.run(
        [openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "1",
         "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", certificate],
        check=True,
        capture_output=True,
    )  # fmt: skip
    return certificate, key


async def exchange(certificate: tuple[str, str], *, trusted: bool) -> tuple[list[RawReply | Lost], int]:
    """Three requests over one warm connection, and how many reached the peer."""
    received = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal received
        try:
            while True:
                await reader.readuntil(b"\r\n\r\n")
                await reader.readexactly(2)
                received += 1
                writer.write(ANSWER)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    served = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    served.load_cert_chain(*certificate)
    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=served)
    port = server.sockets[0].getsockname()[1]
    tls = ssl.create_default_context(cafile=certificate[0]) if trusted else None
    wire = WireTransport(f"https://127.0.0.1:{port}", tls=tls)
    await wire.open()
    deliveries = [await wire.post(REQUEST, timeout_ms=5_000) for _ in range(3)]
    await wire.close()
    server.close()
    return deliveries, received


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
def test_requests_are_answered_over_tls_on_either_loop(
    certificate: tuple[str, str], run: Callable[..., tuple[list[RawReply | Lost], int]]
) -> None:
    deliveries, received = run(exchange(certificate, trusted=True))
    assert deliveries == [RawReply(200, "", b"{}")] * 3
    assert received == 3


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
def test_a_peer_that_cannot_prove_its_name_gets_not_one_byte(
    certificate: tuple[str, str], run: Callable[..., tuple[list[RawReply | Lost], int]]
) -> None:
    deliveries, received = run(exchange(certificate, trusted=False))
    assert all(isinstance(delivery, Lost) and not delivery.was_written for delivery in deliveries)
    assert received == 0
