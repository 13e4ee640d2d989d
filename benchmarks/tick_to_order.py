"""A tick's first byte sent to an order's last byte received, over loopback: the article's client, ours, and a C echo.

The server is this process: its loop is C (`tick_loop.c`), its clock the only one. Server and client share one core, since
on two of them the ratio is that of the scheduler's moods. The three clients take turns in rounds, each in a process of its
own; the medians of the rounds' percentiles are compared. Ours writes each event and each order to its journal and goes
through the adapter's whole protocol; the rules of trading are measured elsewhere. Run with
`python -m benchmarks.tick_to_order`; prints JSON.
"""

from __future__ import annotations

import base64
import ctypes
import hashlib
import importlib.util
import json
import os
import socket
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks import tick_loop
from benchmarks.tick_venue import BOOK_SEQ, encoded, framed, go_live, snapshot
from benchmarks.venue_market import hello, tick_text

ROUNDS = 5
WARM_UP = 500
COUNT = 3_000
GATE_P50, GATE_P99, GATE_ECHO, GATE_OWN = 2.3, 4.0, 2.1, 3.7
"""With event and effects of each order in the journal. The stretch, for one lean record, is 2.8, 4, 1.6 and 8."""
_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


def shake_hands(connection: socket.socket) -> None:
    """The server's half of the handshake."""
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += connection.recv(4_096)
    key = next(line.split(b": ")[1] for line in head.split(b"\r\n") if line.lower().startswith(b"sec-websocket-key"))
    proof = base64.b64encode(hashlib.sha1(key + _GUID).digest())
    connection.sendall(
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "
        + proof
        + b"\r\n\r\n"
    )


def greet(connection: socket.socket) -> None:
    """Say hello, and take in what a client of the contract then says of its own (subscriptions, its first ping)."""
    connection.sendall(framed(hello()) + framed(encoded(snapshot())))
    connection.settimeout(0.7)
    try:
        while connection.recv(65_536):
            continue
    except TimeoutError:
        connection.settimeout(None)


def once(name: str, library: ctypes.CDLL) -> list[int]:
    """Round trips of one client in one process, in ns, warm."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        words = ["benchmarks.naive.article_client"] if name == "article" else ["benchmarks.tick_client", name]
        command = [sys.executable, "-m", *words, str(server.getsockname()[1])]
        client = subprocess.Popen(command, cwd=Path(__file__).parents[1])
        try:
            server.settimeout(60)
            connection, _ = server.accept()
            with connection:
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                connection.settimeout(None)
                shake_hands(connection)
                if name == "ours":
                    greet(connection)
                elif name == "core":
                    go_live(connection)
                tick = framed(tick_text())
                took = (ctypes.c_longlong * (WARM_UP + COUNT))()
                asked = (connection.fileno(), tick, len(tick), len(took), took)
                fault = library.measure_trading(*asked, 0, BOOK_SEQ) if name == "core" else library.measure(*asked)
                if fault:
                    raise AssertionError(
                        f"{name}: {fault}: the client went away, or sent something else than one order"
                    )
            client.wait(20)
        finally:
            client.kill()
            client.wait()
    return sorted(took[WARM_UP:])


def at(ordered: list[int], per_mille: int) -> int:
    return ordered[-(-len(ordered) * per_mille // 1_000) - 1]


def gated(name: str, what: str, ratios: list[float], gate: float) -> dict[str, object]:
    """One gate on the ratios of the rounds: their median and range."""
    return {
        "id": name,
        "what": what,
        "unit": "x",
        "value": round(statistics.median(ratios), 2),
        "min": round(min(ratios), 2),
        "max": round(max(ratios), 2),
        "gate": gate,
        "is_limit": False,
    }


def skipped(why: str) -> dict[str, object]:
    print(f"skipped: {why}", file=sys.stderr)
    return {"name": "tick_to_order", "skipped": why, "rows": []}


def run() -> dict[str, object]:
    """The adapter with its journal, and the stretch beside each gate."""
    found = compared("ours")
    return (
        found if "skipped" in found else {**found, "rows": rows(found["by_round"], "ours", ("P1", "P1b", "P2", "P3"))}
    )


def compared(ours: str) -> dict[str, Any]:
    """Percentiles of the article's client, of `ours` and of the echo by round; `skipped` where nothing compiles C."""
    clients = ("article", ours, "echo")
    try:
        library = tick_loop.load()
    except tick_loop.NoCompiler:
        return skipped("no C compiler; install the package ziglang")
    if importlib.util.find_spec("ujson") is None:
        return skipped("the article's client needs the package ujson")
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    found: dict[str, dict[int, list[int]]] = {name: {500: [], 990: [], 999: []} for name in clients}
    for turn in range(ROUNDS):
        for name in clients[turn % 3 :] + clients[: turn % 3]:
            ordered = once(name, library)
            for per_mille, values in found[name].items():
                values.append(at(ordered, per_mille))
    percentiles = {
        name: {f"p{per_mille / 10:g}_ns": round(statistics.median(values)) for per_mille, values in by.items()}
        for name, by in found.items()
    }
    return {
        "name": "tick_to_order",
        "rounds": ROUNDS,
        "count": COUNT,
        "median_of_rounds": percentiles,
        "by_round": found,
    }


def rows(
    found: dict[str, dict[int, list[int]]], ours: str, ids: tuple[str, str, str, str], what: str = ""
) -> list[dict[str, object]]:
    """The four ratios with their gates."""

    def by_round(per_mille: int, slow: str, fast: str) -> list[float]:
        return [a / b for a, b in zip(found[slow][per_mille], found[fast][per_mille], strict=True)]

    # Own time is what is left after the kernel's and the server's share, which is that of the echo.
    own_ratios = [
        max(a - e, 1) / max(o - e, 1)
        for a, o, e in zip(found["article"][500], found[ours][500], found["echo"][500], strict=True)
    ]
    name, ours = ours, f"{ours}{what}"
    made = [
        gated(ids[0], f"tick to order p50: article / {ours} (stretch 2.8)", by_round(500, "article", name), GATE_P50),
        gated(ids[1], f"tick to order p99: article / {ours}", by_round(990, "article", name), GATE_P99),
        gated(ids[2], f"tick to order p50: {ours} / C echo (stretch 1.6)", by_round(500, name, "echo"), GATE_ECHO),
        gated(ids[3], f"own time p50: article / {ours} (stretch 8)", own_ratios, GATE_OWN),
    ]
    made[2]["is_limit"] = True
    return made


if __name__ == "__main__":
    print(json.dumps(run(), indent=2))
