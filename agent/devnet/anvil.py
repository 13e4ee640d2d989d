"""Anvil as a child process, and the connection to it.

Anvil only builds blocks here: no automine, order of arrival, no accounts of its own, the fork's own hardfork. Its
flags are those with which archived blocks replay to their receipts root. We talk over its Unix socket, inside a
folder that only we can read, so that we never reach somebody else's node by a reused port; everybody else uses the
HTTP and WebSocket port on loopback.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import shutil
import socket
import subprocess
import tempfile
from functools import lru_cache
from pathlib import Path
from typing import Any, Self

import msgspec

from agent.devnet.processes import BoundProcess
from agent.errors import ProtocolError, SetupError

ANVIL_VERSION = (1, 7)
"""Major and minor that the recipes were proved with."""

_START_TIMEOUT_S = 30.0
_START_ATTEMPTS = 3
_READY_POLL_S = 0.01
_NODE_MODULES = Path(__file__).resolve().parents[2] / "node_modules" / "@foundry-rs"


class RpcError(ProtocolError):
    """The node answered with a JSON-RPC error: `rpc_code` and `rpc_message` are its own."""

    code = "E_RPC"

    def __init__(self, method: str, rpc_code: int, rpc_message: str) -> None:
        super().__init__(f"{method}: {rpc_message[:500]}", peer="anvil", method=method)
        self.rpc_code = rpc_code
        self.rpc_message = rpc_message


class _Failure(msgspec.Struct):
    code: int = 0
    message: str = ""


class _Answer(msgspec.Struct):
    id: int | None = None
    result: Any = None
    error: _Failure | None = None


_decode_answer = msgspec.json.Decoder(_Answer).decode
_encode = msgspec.json.encode


class IpcConnection(asyncio.Protocol):
    """JSON-RPC over a Unix socket; requests are pipelined, answers matched by id. Lines end in a newline."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._pending: dict[int, tuple[str, asyncio.Future[Any]]] = {}
        self._parts: list[bytes] = []
        self._last_id = 0
        self._closed_because = ""

    @classmethod
    async def open(cls, path: str) -> IpcConnection:
        """Connect; OSError when nobody listens."""
        _, connection = await asyncio.get_running_loop().create_unix_connection(cls, path)
        return connection

    def send(self, method: str, *params: Any) -> asyncio.Future[Any]:
        """Write a request and return the future of its result; RpcError when the node says no."""
        if self._transport is None or self._transport.is_closing():
            raise ProtocolError(f"the connection to anvil is closed{self._closed_because}", peer="anvil", method=method)
        self._last_id += 1
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._pending[self._last_id] = (method, future)
        self._transport.write(
            _encode({"jsonrpc": "2.0", "id": self._last_id, "method": method, "params": params}) + b"\n"
        )
        return future

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        if b"\n" not in data:
            self._parts.append(data)
            return
        *lines, rest = (b"".join(self._parts) + data).split(b"\n")
        self._parts = [rest] if rest else []
        for line in lines:
            if line:
                self._receive(line)

    def connection_lost(self, exc: Exception | None) -> None:
        self._closed_because = f": {exc}" if exc else ""
        pending, self._pending = self._pending, {}
        for method, future in pending.values():
            if not future.done():
                future.set_exception(ProtocolError("anvil closed the connection", peer="anvil", method=method))

    def _receive(self, line: bytes) -> None:
        answer = _decode_answer(line)
        if answer.id is None or (waiting := self._pending.pop(answer.id, None)) is None:
            return
        method, future = waiting
        if future.done():  # its caller was cancelled
            return
        if answer.error is None:
            future.set_result(answer.result)
        else:
            future.set_exception(RpcError(method, answer.error.code, answer.error.message))


class Anvil:
    """A running anvil. Start with `Anvil.start`; `stop` it, or use it as an async context manager."""

    def __init__(self, *, process: BoundProcess, connection: IpcConnection, port: int, folder: str) -> None:
        self._process = process
        self._connection = connection
        self._folder = folder
        self.port = port

    @classmethod
    async def start(
        cls,
        *,
        hardfork: str,
        gas_limit: int,
        chain_id: int | None = None,
        fork_url: str | None = None,
        fork_block: int | None = None,
        port: int | None = None,
        extra_flags: tuple[str, ...] = (),
    ) -> Anvil:
        """Start anvil and wait until it answers. `port` None takes a free one.

        With `fork_url` it forks that node at `fork_block`; without, it is a plain empty chain with `chain_id`.
        SetupError if the binary is missing or does not come up, with its own last words.
        """
        flags = _flags(
            hardfork=hardfork, gas_limit=gas_limit, chain_id=chain_id, fork_url=fork_url, fork_block=fork_block
        )
        for attempt in range(_START_ATTEMPTS):
            try:
                return await cls._start_once(port if port is not None else free_port(), (*flags, *extra_flags))
            except _PortTaken:
                if port is not None or attempt == _START_ATTEMPTS - 1:
                    raise SetupError(
                        "anvil found its port taken", code="E_PORT_IN_USE", hint="choose another --port"
                    ) from None
        raise AssertionError("unreachable")

    @classmethod
    async def _start_once(cls, port: int, flags: tuple[str, ...]) -> Anvil:
        folder = tempfile.mkdtemp(prefix="mev-agent-anvil-")  # mode 0700
        path = os.path.join(folder, "ipc")
        process = None
        connection = None
        try:
            binary = find_foundry("anvil")
            # HOME in the folder: nothing of ours is cached where runs against a live chain would find it.
            environment = {**os.environ, "HOME": folder, "RUST_LOG": "error", "NO_COLOR": "1"}
            command = [str(binary), "--host", "127.0.0.1", "--port", str(port), "--ipc", path, *flags]
            process = BoundProcess(command, environment=environment)
            connection = await _connect_when_ready(process, path)
            return cls(process=process, connection=connection, port=port, folder=folder)
        except BaseException:
            if connection is not None:
                connection.close()
            if process is not None:
                process.kill()
            shutil.rmtree(folder, ignore_errors=True)
            raise

    @property
    def rpc_url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def ws_url(self) -> str:
        return f"ws://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def is_running(self) -> bool:
        return self._process.exit_status is None

    async def call(self, method: str, *params: Any) -> Any:
        """Result of one request. RpcError when anvil says no, SetupError when it has died."""
        try:
            return await self._connection.send(method, *params)
        except RpcError:
            raise
        except ProtocolError:
            raise self._dead() from None

    def send(self, method: str, *params: Any) -> asyncio.Future[Any]:
        """Pipeline a request: it is written at once, in order; await the future for its result."""
        return self._connection.send(method, *params)

    async def stop(self) -> None:
        """End it and wait until it is gone; safe to call again."""
        self._connection.close()
        self._process.kill()
        shutil.rmtree(self._folder, ignore_errors=True)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    def _dead(self) -> SetupError:
        said = "" if self.is_running else self._process.output_tail().strip()[-300:]
        return SetupError(
            f"anvil is gone (exit status {self._process.exit_status}) {said}".strip(),
            code="E_ANVIL_DIED",
            hint="run again; if it repeats, free memory or run mev-agent doctor",
        )


def free_port() -> int:
    """A port nobody listens on now; whoever uses it must bear that it may be taken a moment later."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@lru_cache(maxsize=8)
def find_foundry(tool: str) -> Path:
    """The foundry binary `tool` (anvil, forge, cast) of version 1.7: the project's own, else the one on PATH."""
    own = sorted(_NODE_MODULES.glob(f"{tool}-*/bin/{tool}"))
    on_path = shutil.which(tool)
    seen = []
    for candidate in (*own, *([Path(on_path)] if on_path else [])):
        if (version := _version(candidate)) == ANVIL_VERSION:
            return candidate
        seen.append(f"{candidate} is {'.'.join(map(str, version)) if version else 'not executable here'}")
    wanted = ".".join(map(str, ANVIL_VERSION))
    raise SetupError(
        f"{tool} {wanted}.x was not found" + (f" ({'; '.join(seen)})" if seen else ""),
        code="E_TOOL_MISSING",
        hint="run `make setup`, or install foundry and put it on PATH",
        where=tool,
    )


def _version(binary: Path) -> tuple[int, int] | None:
    try:
        shown = subprocess.run([str(binary), "--version"], capture_output=True, text=True, timeout=10, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    found = re.search(r"(\d+)\.(\d+)\.\d+", shown)
    return (int(found[1]), int(found[2])) if found else None


def _flags(
    *, hardfork: str, gas_limit: int, chain_id: int | None, fork_url: str | None, fork_block: int | None
) -> tuple[str, ...]:
    flags = [
        "--hardfork", hardfork, "--no-mining", "--order", "fifo", "--accounts", "0", "--disable-default-create2-deployer",
        "--disable-pool-balance-checks", "--disable-min-priority-fee", "--gas-limit", str(gas_limit),
        "--no-request-size-limit", "--silent",
    ]  # fmt: skip
    if chain_id is not None:
        flags += ["--chain-id", str(chain_id)]
    if fork_url is not None:
        flags += ["--fork-url", fork_url, "--no-storage-caching", "--retries", "0", "--no-rate-limit"]
        if fork_block is not None:
            flags += ["--fork-block-number", str(fork_block)]
    return tuple(flags)


class _PortTaken(Exception):
    pass


async def _connect_when_ready(process: BoundProcess, path: str) -> IpcConnection:
    loop = asyncio.get_running_loop()
    deadline = loop.time() + _START_TIMEOUT_S
    while loop.time() < deadline:
        if process.exit_status is not None:
            said = process.output_tail().strip()
            if "in use" in said:
                raise _PortTaken
            raise SetupError(
                f"anvil stopped at start: {said[-600:] or f'exit status {process.exit_status}'}",
                code="E_ANVIL_START",
                hint="check the fork URL and block, or run mev-agent doctor",
            )
        with contextlib.suppress(OSError):
            connection = await IpcConnection.open(path)
            try:
                await connection.send("eth_chainId")
            except ProtocolError:
                connection.close()
            else:
                return connection
        await asyncio.sleep(_READY_POLL_S)
    raise SetupError(
        f"anvil did not answer within {_START_TIMEOUT_S:.0f} s", code="E_ANVIL_START", hint="is the machine overloaded?"
    )
