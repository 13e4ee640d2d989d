"""The button: one request on loopback, with the token of a file, stops everything; nothing else does anything."""

from __future__ import annotations

import json
import random
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.guard import latch
from agent.guard.button import CLIENTS_MAX, Button
from tests.guard.stage import Stage
from tests.guard.test_kill import SetStage, check_promise

TOKEN = "a-token-of-thirty-two-letters-ok"


def request(
    method: str = "POST",
    path: str = "/halt",
    token: str | None = TOKEN,
    body: bytes = b"",
    extra: dict[str, str] | None = None,
) -> bytes:
    given = {"Host": "127.0.0.1:1", "Content-Length": str(len(body))} | (extra or {})
    if token is not None:
        given["Authorization"] = f"Bearer {token}"
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in given.items())]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


class Bench:
    """A button in this process, turned by hand."""

    def __init__(self) -> None:
        self.pushed: list[str] = []
        self.button = Button(0, TOKEN, self._push)

    def _push(self, reason: str) -> dict[str, Any]:
        self.pushed.append(reason)
        return {"state": "tripped"}

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.button.port), timeout=2)

    def turn(self, times: int = 3) -> None:
        for _ in range(times):
            self.button.on_ready(set(self.button.descriptors()))
            time.sleep(0.005)

    def ask(self, raw: bytes) -> int:
        """The status of the answer."""
        with self.connect() as connection:
            connection.sendall(raw)
            self.turn()
            words = connection.recv(65_536).split(b" ", 2)
        return int(words[1])


@pytest.fixture
def bench() -> Iterator[Bench]:
    made = Bench()
    yield made
    made.button.close()


def test_who_has_the_token_halts_and_gives_a_reason(bench: Bench) -> None:
    assert bench.ask(request(body=b"it smells of smoke\x1b[2J")) == 200
    assert bench.pushed == ["it smells of smoke[2J"]


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (request(token=None), 401),
        (request(token="another-token-of-many-letters-xx"), 401),
        (request(token=""), 401),
        (request(method="GET"), 405),
        (request(path="/status"), 404),
        (request(path="/halt?x=1"), 404),
        (request(extra={"Host": "evil.example"}), 403),
        (request(extra={"Origin": "http://127.0.0.1"}), 403),
        (request(extra={"Transfer-Encoding": "chunked"}), 400),
        (request(extra={"Content-Length": "-1"}), 400),
        (request(extra={"Content-Length": "9999"}), 413),
        (request(extra={"content-length": "0"}), 400),
        (b"POST /halt\r\n\r\n", 400),
        (b"x" * 5_000, 413),
    ],
)
def test_anything_else_does_nothing(bench: Bench, raw: bytes, status: int) -> None:
    assert bench.ask(raw) == status
    assert not bench.pushed


def test_a_request_may_come_in_pieces_and_not_slowly(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = request(body=b"why")
    with bench.connect() as connection:
        for at in range(0, len(whole), 40):
            assert not bench.pushed
            connection.sendall(whole[at : at + 40])
            bench.turn(1)
        bench.turn()
        assert bench.pushed == ["why"]
    with bench.connect() as connection:
        connection.sendall(whole[:-1])
        bench.turn()
        monkeypatch.setattr("agent.guard.button.SLOW_NS", 0)
        bench.turn()
        assert connection.recv(10) == b""
    assert bench.pushed == ["why"]


def test_silent_connections_keep_nobody_out(bench: Bench) -> None:
    silent = []
    for _ in range(3 * CLIENTS_MAX):
        silent.append(bench.connect())
        bench.turn(1)
    assert bench.ask(request()) == 200
    for connection in silent:
        connection.close()


def test_any_bytes_are_answered_or_dropped(bench: Bench) -> None:
    chance = random.Random(3)
    good = request(token="x" * len(TOKEN))
    for number in range(200):
        raw = bytearray(good if number % 2 else chance.randbytes(chance.randrange(1, 400)))
        for _ in range(chance.randrange(1, 5)):
            raw[chance.randrange(len(raw))] = chance.randrange(256)
        with bench.connect() as connection:
            connection.sendall(raw)
            connection.shutdown(socket.SHUT_WR)
            bench.turn(2)
    assert not bench.pushed
    assert bench.ask(request()) == 200


def pressed(stage: Stage, token: str) -> int:
    url = json.loads((stage.guard_folder / "button.json").read_text())["url"]
    port = int(url.rsplit(":", 1)[1].split("/")[0])
    with socket.create_connection(("127.0.0.1", port), timeout=2) as connection:
        connection.sendall(request(token=token, body=b"by hand"))
        return int(connection.recv(4_096).split(b" ", 2)[1])


def with_button(set_stage: Callable[..., Stage], tmp_path: Path) -> Stage:
    token = tmp_path / "button.token"
    token.write_text(TOKEN)
    token.chmod(0o600)
    return set_stage(button={"token_file": str(token)})


def test_it_stops_a_running_agent_by_the_same_way_as_the_command(set_stage: SetStage, tmp_path: Path) -> None:
    stage = with_button(set_stage, tmp_path)
    stage.start_guard()
    stage.start_agent()
    assert pressed(stage, "another-token-of-many-letters-xx") == 401
    assert stage.status()["state"] == "armed"
    trigger_ns = time.monotonic_ns()
    assert pressed(stage, TOKEN) == 200
    stage.wait_verified()
    check_promise(stage, trigger_ns, "the button")
    held = latch.read(stage.guard_folder)
    assert held is not None and (held["by"], held["code"], held["detail"]) == ("button", "asked", "by hand")


def test_a_port_that_is_taken_stops_no_guard_and_is_told(set_stage: SetStage, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        token = tmp_path / "button.token"
        token.write_text(TOKEN)
        token.chmod(0o600)
        stage = set_stage(button={"token_file": str(token), "port": taken.getsockname()[1]})
        stage.start_guard()
        assert stage.status()["button"]["problem"] == "Address already in use"
        assert not (stage.guard_folder / "button.json").exists()


@pytest.mark.parametrize(("token", "mode", "word"), [("short", 0o600, "letters"), (TOKEN, 0o644, "chmod 600")])
def test_a_token_that_is_short_or_open_is_a_mistake(tmp_path: Path, token: str, mode: int, word: str) -> None:
    from agent.guard.configuration import ConfigurationFault, parse

    (tmp_path / "t").write_text(token)
    (tmp_path / "t").chmod(mode)
    with pytest.raises(ConfigurationFault, match=word):
        parse({"schema": 1, "folder": ".", "button": {"token_file": "t"}}, tmp_path)
