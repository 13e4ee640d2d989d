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

from agent.chain.jsonrpc import RpcError
from agent.devnet.ipc import IpcRpc
from agent.devnet.processes import BoundProcess
from agent.devnet.upstream import Upstream, holds_a_secret
from agent.errors import ProtocolError, SetupError

ANVIL_VERSION = (1, 7)
"""Major and minor that the recipes were proved with."""

_START_TIMEOUT_S = 30.0
_START_ATTEMPTS = 3
_READY_POLL_S = 0.01
_NODE_MODULES = Path(__file__).resolve().parents[2] / "node_modules" / "@foundry-rs"


class Anvil:
    """A running anvil. Start with `Anvil.start`; `stop` it, or use it as an async context manager."""

    def __init__(
        self, *, process: BoundProcess, rpc: IpcRpc, port: int, folder: str, upstream: Upstream | None = None
    ) -> None:
        self._process = process
        self._folder = folder
        self._upstream = upstream
        self.rpc = rpc
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
        fork_retries: int = 0,
        port: int | None = None,
        extra_flags: tuple[str, ...] = (),
    ) -> Anvil:
        """Start anvil and wait until it answers. `port` None takes a free one.

        `fork_retries` is how often it asks the forked node again: never where a refusal is an answer, as of an archive.
        With `fork_url` it forks that node at `fork_block` (a URL that may hold a key never reaches its command line);
        without, it is a plain empty chain with `chain_id`.
        SetupError if the binary is missing or does not come up, with its own last words.
        """
        upstream = Upstream(fork_url) if fork_url is not None and holds_a_secret(fork_url) else None
        if upstream is not None:
            await asyncio.to_thread(upstream.start)
            fork_url = upstream.url
        try:
            flags = _flags(
                hardfork=hardfork,
                gas_limit=gas_limit,
                chain_id=chain_id,
                fork_url=fork_url,
                fork_block=fork_block,
                fork_retries=fork_retries,
            )
            return await cls._start_on_a_port(port, (*flags, *extra_flags), upstream)
        except BaseException:
            if upstream is not None:
                upstream.stop()
            raise

    @classmethod
    async def _start_on_a_port(cls, port: int | None, flags: tuple[str, ...], upstream: Upstream | None) -> Anvil:
        for attempt in range(_START_ATTEMPTS):
            try:
                return await cls._start_once(port if port is not None else free_port(), flags, upstream)
            except _PortTaken:
                if port is not None or attempt == _START_ATTEMPTS - 1:
                    raise SetupError(
                        "anvil found its port taken", code="E_PORT_IN_USE", hint="choose another --port"
                    ) from None
        raise AssertionError("unreachable")

    @classmethod
    async def _start_once(cls, port: int, flags: tuple[str, ...], upstream: Upstream | None) -> Anvil:
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
            return cls(process=process, rpc=connection, port=port, folder=folder, upstream=upstream)
        except BaseException:
            if connection is not None:
                connection.close_now()
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
            return await self.rpc.call(method, params)
        except RpcError:
            raise
        except ProtocolError:
            raise self._dead() from None

    async def stop(self) -> None:
        """End it and wait until it is gone; safe to call again."""
        self.rpc.close_now()
        self._process.kill()
        shutil.rmtree(self._folder, ignore_errors=True)
        if self._upstream is not None:
            await asyncio.to_thread(self._upstream.stop)

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
        shown = subprocess.run(
            [str(binary), "--version"], capture_output=True, text=True, timeout=10, check=True
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    found = re.search(r"(\d+)\.(\d+)\.\d+", shown)
    return (int(found[1]), int(found[2])) if found else None


def _flags(
    *,
    hardfork: str,
    gas_limit: int,
    chain_id: int | None,
    fork_url: str | None,
    fork_block: int | None,
    fork_retries: int,
) -> tuple[str, ...]:
    flags = [
        "--hardfork", hardfork, "--gas-limit", str(gas_limit), "--no-mining", "--order", "fifo", "--accounts", "0",
        "--disable-default-create2-deployer", "--disable-pool-balance-checks", "--disable-min-priority-fee",
        "--no-request-size-limit", "--silent",
    ]  # fmt: skip
    if chain_id is not None:
        flags += ["--chain-id", str(chain_id)]
    if fork_url is not None:
        flags += ["--fork-url", fork_url, "--no-storage-caching", "--retries", str(fork_retries)]
        flags += ["--no-rate-limit"]
        if fork_block is not None:
            flags += ["--fork-block-number", str(fork_block)]
    return tuple(flags)


class _PortTaken(Exception):
    pass


async def _connect_when_ready(process: BoundProcess, path: str) -> IpcRpc:
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
            connection = await IpcRpc.open(path)
            try:
                await connection.call("eth_chainId")
            except ProtocolError:
                connection.close_now()
            else:
                return connection
        await asyncio.sleep(_READY_POLL_S)
    raise SetupError(
        f"anvil did not answer within {_START_TIMEOUT_S:.0f} s", code="E_ANVIL_START", hint="is the machine overloaded?"
    )
