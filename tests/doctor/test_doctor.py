"""Each thing that can be wrong is planted, and the doctor must find it and say how to mend it."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from agent.config import load_settings
from agent.devnet import anvil
from agent.doctor import examine, machine, network
from agent.doctor.examination import answer, run
from agent.doctor.rows import Row, fail, ok, warn
from agent.errors import SetupError
from agent.eth.hexes import to_data
from agent.settings import Settings
from agent.venues.onchain.executor import load_build

EXECUTOR = "0x" + "5a" * 20


@pytest.fixture(autouse=True)
def _empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def settings(*overrides: str) -> Settings:
    return load_settings(overrides=overrides, environment={}).settings


def statuses(rows: Iterator[Row]) -> list[tuple[str, str]]:
    return [(row.subject, row.status) for row in rows]


class Node:
    """A JSON-RPC node on the loopback whose answers a test chooses."""

    def __init__(self) -> None:
        self.results: dict[str, Any] = {
            "eth_chainId": "0x1",
            "eth_getBlockByNumber": {"timestamp": hex(int(time.time()))},
            "eth_simulateV1": [],
            "eth_getCode": "0x",
        }
        self.body: bytes | None = None
        self.status = 200
        node = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                method = request["method"]
                reply: dict[str, Any] = {"jsonrpc": "2.0", "id": request["id"]}
                if method in node.results:
                    reply["result"] = node.results[method]
                else:
                    reply["error"] = {"code": -32601, "message": "no such method"}
                body = node.body if node.body is not None else json.dumps(reply).encode()
                self.send_response(node.status)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Silence."""

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def node() -> Iterator[Node]:
    server = Node()
    yield server
    server.close()


def test_a_sound_machine_has_no_failure() -> None:
    answered = examine((), ())
    failed = [row for row in answered.data["rows"] if row.status == "FAIL"]
    assert not failed
    assert answered.exit_code == 0
    assert answered.text.endswith("warnings") or answered.text.endswith("1 warning")


def test_failures_decide_the_exit_code_and_warnings_do_not() -> None:
    warned = answer([ok("a", "x"), warn("b", "y", "do z")], mode="devnet")
    assert (warned.exit_code, warned.text.splitlines()[-1]) == (0, "0 failures, 1 warning")
    failed = answer([fail("a", "x\nmore", "mend it")], mode="devnet")
    assert (failed.exit_code, failed.text.splitlines()[-1]) == (1, "1 failure, 0 warnings")
    assert "-> mend it" in failed.text and "more" in failed.text


def test_a_wrong_configuration_is_a_row_and_not_the_end() -> None:
    answered = examine((), ("risk.nonsense=1",))
    (row,) = [row for row in answered.data["rows"] if row.subject == "config"]
    assert row.status == "FAIL" and "risk.nonsense" in row.finding
    assert answered.exit_code == 1


def test_a_check_that_breaks_becomes_a_failed_row() -> None:
    def broken() -> Iterator[Row]:
        yield ok("first", "fine")
        raise ZeroDivisionError

    assert statuses(run(broken)) == [("first", "ok"), ("broken", "FAIL")]


def test_a_missing_anvil_fails_and_a_missing_forge_warns(monkeypatch: pytest.MonkeyPatch) -> None:
    def none_found(tool: str) -> Path:
        raise SetupError(f"{tool} was not found")

    monkeypatch.setattr(anvil, "find_foundry", none_found)
    assert statuses(machine.foundry()) == [("anvil", "FAIL"), ("forge", "warn"), ("cast", "warn")]


def test_missing_protocol_contracts_are_named(tmp_path: Path) -> None:
    (row,) = machine.protocol_contracts(tmp_path)
    assert row.status == "FAIL" and "@uniswap/v3-core" in row.finding


def test_a_missing_backend_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(name: str) -> object:
        if name == "coincurve":
            raise ImportError(name)
        return None

    monkeypatch.setattr(machine.importlib, "import_module", refuse)
    assert next(iter(machine.backends())).finding == "cannot be imported: coincurve (signing)"


@pytest.mark.parametrize(("version", "status"), [("v18.1.0", "warn"), ("v24.19.0", "ok"), ("gibberish", "warn")])
def test_node_must_be_new_enough(version: str, status: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = tmp_path / "node"
    fake.write_text(f"#!/bin/sh\necho {version}\n")
    fake.chmod(0o755)
    monkeypatch.setattr(machine.shutil, "which", lambda *_, **__: str(fake))
    assert statuses(machine.node()) == [("node", status)]


@pytest.mark.parametrize(("free", "status"), [(10 * 1024**3, "ok"), (1024**3, "warn"), (1024**2, "FAIL")])
def test_a_full_disk_is_seen(free: int, status: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Usage:
        pass

    usage = Usage()
    usage.free = free  # type: ignore[attr-defined]
    monkeypatch.setattr(machine.shutil, "disk_usage", lambda _: usage)
    assert statuses(machine.disk(tmp_path / "runs")) == [("disk", status)]


def test_a_clock_before_the_code_was_written_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine.time, "gmtime", lambda *_: time.struct_time((2000, 1, 1, 0, 0, 0, 0, 1, 0)))
    assert statuses(machine.clock()) == [("clock", "FAIL")]


def test_a_secret_that_others_may_read_fails() -> None:
    secret = Path("key")
    secret.write_text("x")
    secret.chmod(0o644)
    (row,) = network.keys(settings("purpleflea.api_key=file:key"))
    assert (row.status, row.remedy) == ("FAIL", "chmod 600 key")
    secret.chmod(0o600)
    (row,) = network.keys(settings("purpleflea.api_key=file:key"))
    assert row.status == "ok"


@pytest.mark.parametrize("reference", ["env:MEV_AGENT_TEST_ABSENT", "file:absent", "keystore:absent"])
def test_a_secret_that_is_not_there_fails(reference: str) -> None:
    (row,) = network.keys(settings(f"onchain.signer={reference}"))
    assert row.status == "FAIL" and row.remedy


def test_a_node_on_the_right_chain_with_a_fresh_head_is_sound(node: Node) -> None:
    rows = list(network.node(settings(f"onchain.http_url={node.url}")))
    assert {row.status for row in rows} == {"ok"}


def test_a_node_on_another_chain_fails(node: Node) -> None:
    node.results["eth_chainId"] = "0xaa36a7"
    (row,) = network.node(settings(f"onchain.http_url={node.url}"))
    assert row.status == "FAIL" and "chain 11155111, the configuration says 1" in row.finding


@pytest.mark.parametrize(("offset_s", "status"), [(-3600, "warn"), (3600, "FAIL"), (-5, "ok")])
def test_the_clock_is_compared_with_the_head(node: Node, offset_s: int, status: str) -> None:
    node.results["eth_getBlockByNumber"] = {"timestamp": hex(int(time.time()) + offset_s)}
    rows = {row.subject: row.status for row in network.node(settings(f"onchain.http_url={node.url}"))}
    assert rows["clock"] == status


def test_a_node_without_simulation_warns(node: Node) -> None:
    del node.results["eth_simulateV1"]
    rows = {row.subject: row.status for row in network.node(settings(f"onchain.http_url={node.url}"))}
    assert rows["simulation"] == "warn"


@pytest.mark.parametrize(
    ("plant", "finding"),
    [
        (lambda node: setattr(node, "body", b"<html>secret</html>"), "not JSON"),
        (lambda node: setattr(node, "body", b""), "not JSON"),
        (lambda node: setattr(node, "body", b"[1]"), "refuses eth_chainId"),
        (lambda node: setattr(node, "status", 503), "HTTP 503"),
        (lambda node: node.results.update(eth_chainId="one"), "not Ethereum JSON-RPC"),
        (lambda node: node.results.update(eth_getBlockByNumber=None), "not Ethereum JSON-RPC"),
    ],
)
def test_a_node_that_answers_nonsense_fails_and_is_not_quoted(
    node: Node, plant: Callable[[Node], object], finding: str
) -> None:
    plant(node)
    (row,) = network.node(settings(f"onchain.http_url={node.url}/secret"))
    assert row.status == "FAIL" and finding in row.finding
    assert "secret" not in row.finding


def unused_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_a_node_that_is_not_there_fails() -> None:
    (row,) = network.node(settings(f"onchain.http_url=http://127.0.0.1:{unused_port()}"))
    assert row.status == "FAIL" and "cannot be reached: Connection refused" in row.finding


@pytest.mark.parametrize("name", ["cancun", "london"])
def test_the_executor_on_the_chain_is_recognised_with_any_weth_in_it(node: Node, name: str) -> None:
    build = load_build(name)  # type: ignore[arg-type]
    code = bytearray(build.runtime_template)
    for offset in build.weth_offsets:
        code[offset : offset + 32] = bytes(12) + bytes.fromhex("c02aaa39b223fe8d0a0e5c4f27ead9083c756cc2")
    configured = settings(f"onchain.executor={EXECUTOR}")
    node.results["eth_getCode"] = to_data(bytes(code))
    (row,) = network.executor_on_chain(node.url, configured)
    assert row.status == "ok" and row.finding.endswith(f"is the {name} build")
    code[0] ^= 1
    node.results["eth_getCode"] = to_data(bytes(code))
    (row,) = network.executor_on_chain(node.url, configured)
    assert row.status == "FAIL" and "is not one of our builds" in row.finding
    node.results["eth_getCode"] = "0x"
    (row,) = network.executor_on_chain(node.url, configured)
    assert row.status == "FAIL" and "has no code" in row.finding


def test_a_relay_is_connected_to_and_nothing_is_sent() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(1)
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        rows = list(network.endpoints(settings(f'onchain.endpoints=[{{name="local", url="{url}"}}]')))
        connection, _ = listener.accept()
        with connection:
            assert connection.recv(1) == b""
    assert statuses(iter(rows)) == [("local", "ok")]


def test_a_relay_that_is_not_there_fails() -> None:
    url = f"http://127.0.0.1:{unused_port()}/secret"
    (row,) = network.endpoints(settings(f'onchain.endpoints=[{{name="gone", url="{url}"}}]'))
    assert row.status == "FAIL" and "secret" not in row.finding


def test_live_without_its_guard_is_warned_of() -> None:
    assert statuses(network.guard(settings("mode=live"))) == [("guard", "warn")]


def test_a_folder_that_cannot_be_written_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(**_: object) -> object:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(machine.tempfile, "NamedTemporaryFile", refuse)
    (row,) = machine.disk(tmp_path / "runs")
    assert row.status == "FAIL" and "Read-only file system" in row.finding
