"""One signed body to eight endpoints over warm encrypted connections: CPU time of the client.

Against one aiohttp session and one httpx client with gathered posts, on the same loop. The endpoints are another
process and only the client's own processor time counts. Run with `python -m benchmarks.fanout`; prints JSON. Without
the `openssl` command there is no certificate, and plain HTTP is measured, which the result says.
"""

from __future__ import annotations

import asyncio
import gc
import json
import shutil
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import uvloop

from agent.eth.keys import Signer
from agent.venues.onchain.replies import RawReply
from agent.venues.onchain.signer import RelaySigner, SignedBody, sign_body
from agent.venues.onchain.wire import WireTransport
from benchmarks.naive.fanout import HttpxFanOut, NaiveFanOut
from benchmarks.rounds import ROUNDS, row

GATE_AIOHTTP = 2.5
GATE_HTTPX = 15.0
CALLS = {"httpx": 10, "aiohttp": 40, "ours": 40}
BODY = b'{"jsonrpc":"2.0","id":1,"method":"eth_sendBundle","params":[{"txs":["0x%b"],"blockNumber":"0x1"}]}' % (
    b"02" * 700
)


@contextmanager
def endpoints() -> Iterator[tuple[list[str], ssl.SSLContext | None]]:
    """The URLs of eight endpoints in another process, and the context that trusts them."""
    with tempfile.TemporaryDirectory() as folder:
        files, tls = _certificate(Path(folder))
        command = [sys.executable, "-m", "benchmarks.endpoints_double", *files]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None and process.stdin is not None
            scheme = "https" if tls else "http"
            yield [f"{scheme}://127.0.0.1:{port}" for port in process.stdout.readline().split()], tls
            process.stdin.close()


def _certificate(folder: Path) -> tuple[list[str], ssl.SSLContext | None]:
    openssl = shutil.which("openssl")
    if openssl is None:
        return [], None
    certificate, key = str(folder / "cert.pem"), str(folder / "key.pem")
    subprocess.run(
        [openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "1",
         "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", certificate],
        check=True,
        capture_output=True,
    )  # fmt: skip
    return [certificate, key], ssl.create_default_context(cafile=certificate)


async def measure(urls: list[str], tls: ssl.SSLContext | None, request: SignedBody) -> dict[str, list[float]]:
    """CPU nanoseconds of one fan-out by each client, one figure per round."""
    wires = [WireTransport(url, tls=tls) for url in urls]
    await asyncio.gather(*(wire.open() for wire in wires))
    session, client = NaiveFanOut(urls, tls), HttpxFanOut(urls, tls)

    async def ours() -> list[bytes]:
        pending = [wire.post(request, timeout_ms=5_000) for wire in wires]
        return [reply.body for reply in await asyncio.gather(*pending) if isinstance(reply, RawReply)]

    async def by_aiohttp() -> list[bytes]:
        return await session.send(request.body, request.header)

    async def by_httpx() -> list[bytes]:
        return await client.send(request.body, request.header)

    clients: dict[str, Callable[[], Awaitable[list[bytes]]]] = {"httpx": by_httpx, "aiohttp": by_aiohttp, "ours": ours}
    answers = {name: await send() for name, send in clients.items()}
    if not answers["ours"] == answers["aiohttp"] == answers["httpx"] or len(answers["ours"]) != len(urls):
        raise AssertionError("all clients must bring the same bytes before they are timed")
    figures: dict[str, list[float]] = {name: [] for name in clients}
    names = list(clients)
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        for turn in range(ROUNDS):
            for name in names[turn % 3 :] + names[: turn % 3]:
                start = time.process_time_ns()
                for _ in range(CALLS[name]):
                    await clients[name]()
                figures[name].append((time.process_time_ns() - start) / CALLS[name])
    finally:
        gc.enable()
        gc.unfreeze()
        await session.close()
        await client.close()
        for wire in wires:
            await wire.close()
    return figures


def run() -> dict[str, object]:
    """Medians in nanoseconds and the ratio with its gate."""
    request = sign_body(RelaySigner(Signer(bytes([1]) * 32)), BODY)
    with endpoints() as (urls, tls):
        figures = uvloop.run(measure(urls, tls, request))
    return {
        "name": "fanout",
        "is_encrypted": tls is not None,
        "endpoints": len(urls),
        "median_ns": {name: round(statistics.median(rounds)) for name, rounds in figures.items()},
        "rows": [
            row("P13", "one body to eight endpoints, processor time: aiohttp / ours", figures, "aiohttp", "ours",
                gate=GATE_AIOHTTP),
            row("P13", "the same: httpx / ours", figures, "httpx", "ours", gate=GATE_HTTPX),
        ],
    }  # fmt: skip


if __name__ == "__main__":
    print(json.dumps(run(), indent=2))
