"""A geth in dev mode, where one is installed: `GETH`, or on PATH, or in Go's bin folder."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from agent.chain.ipc import IpcRpc
from agent.chain.rpc import RpcError
from agent.devnet.anvil import free_port
from agent.errors import ProtocolError, SetupError

START_S = 30.0


def geth_binary() -> str:
    """Its path; skips the test where there is none. `go install github.com/ethereum/go-ethereum/cmd/geth@v1.16.7`."""
    in_go = Path(os.environ.get("GOPATH", Path.home() / "go")) / "bin" / "geth"
    found = os.environ.get("GETH") or shutil.which("geth") or (str(in_go) if in_go.is_file() else None)
    if found is None:
        pytest.skip("no geth: go install github.com/ethereum/go-ethereum/cmd/geth@v1.16.7, or set GETH")
    return found


@asynccontextmanager
async def dev_geth(folder: Path) -> AsyncIterator[tuple[IpcRpc, str, str]]:
    """A fresh chain 1337 that makes a block for each transaction: its socket, HTTP URL and WebSocket URL."""
    http, websocket = free_port(), free_port()
    path = folder / "geth.ipc"
    command = [
        geth_binary(), "--dev", "--datadir", str(folder / "data"), "--ipcpath", str(path), "--verbosity", "1",
        "--http", "--http.port", str(http), "--http.api", "eth,debug,net,web3,txpool",
        "--ws", "--ws.port", str(websocket), "--ws.api", "eth,debug,net,web3,txpool",
        "--nodiscover", "--maxpeers", "0", "--authrpc.port", str(free_port()), "--port", "0",
    ]  # fmt: skip
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        rpc = await _connected(str(path), process)
        yield rpc, f"http://127.0.0.1:{http}", f"ws://127.0.0.1:{websocket}"
        await rpc.close()
    finally:
        process.kill()
        process.wait()


async def _connected(path: str, process: subprocess.Popen[bytes]) -> IpcRpc:
    async with asyncio.timeout(START_S):
        while process.poll() is None:
            try:
                rpc = await IpcRpc.connect(path)
                await rpc.call("eth_chainId")
                return rpc
            except (SetupError, ProtocolError, RpcError):
                await asyncio.sleep(0.05)
    raise AssertionError(f"geth ended with {process.returncode}")
