"""Anvil as our child: it comes up with its flags, says why when it does not, and never outlives us."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
import pytest

from agent.chain.jsonrpc import RpcError
from agent.devnet import anvil as anvil_module
from agent.devnet.anvil import Anvil, find_foundry
from agent.devnet.processes import BoundProcess
from agent.errors import AgentError, SetupError

pytestmark = pytest.mark.anvil

GAS_LIMIT = 30_000_000


async def test_a_plain_chain_mines_only_when_told() -> None:
    async with await Anvil.start(hardfork="osaka", gas_limit=GAS_LIMIT, chain_id=31_337) as anvil:
        assert await anvil.call("eth_chainId") == hex(31_337)
        assert await anvil.call("eth_accounts") == []
        assert await anvil.call("eth_blockNumber") == "0x0"
        await anvil.call("evm_mine")
        block = await anvil.call("eth_getBlockByNumber", "latest", False)
        assert (block["number"], int(block["gasLimit"], 16)) == ("0x1", GAS_LIMIT)


async def test_an_error_of_the_node_carries_its_code_and_words() -> None:
    async with await Anvil.start(hardfork="osaka", gas_limit=GAS_LIMIT, chain_id=1) as anvil:
        with pytest.raises(RpcError) as caught:
            await anvil.call("eth_sendRawTransaction", "0x00")
        assert caught.value.rpc_code == -32602
        results = await anvil.rpc.batch([("eth_chainId", ()), ("eth_sendRawTransaction", ("0x00",))])
        assert results[0] == "0x1"
        assert isinstance(results[1], RpcError)


async def test_many_requests_at_once_are_matched_to_their_answers() -> None:
    async with await Anvil.start(hardfork="osaka", gas_limit=GAS_LIMIT, chain_id=1) as anvil:
        addresses = [f"0x{i:040x}" for i in range(1, 201)]
        await anvil.rpc.ordered([("anvil_setBalance", (a, hex(i))) for i, a in enumerate(addresses)])
        balances = await asyncio.gather(*(anvil.call("eth_getBalance", a, "latest") for a in addresses))
        assert [int(balance, 16) for balance in balances] == list(range(200))
        batched = await anvil.rpc.batch([("eth_getBalance", (a, "latest")) for a in addresses])
        assert batched == balances


async def test_a_missing_fork_url_ends_in_one_message_and_no_process(unused_port: int) -> None:
    with pytest.raises(SetupError, match="anvil stopped at start") as caught:
        await Anvil.start(
            hardfork="osaka", gas_limit=GAS_LIMIT, fork_url=f"http://127.0.0.1:{unused_port}", fork_block=5
        )
    assert caught.value.hint
    assert not _anvils_of(os.getpid())


async def test_an_unknown_hardfork_ends_in_one_message() -> None:
    with pytest.raises(SetupError, match="arrow-glacier"):
        await Anvil.start(hardfork="arrow-glacier", gas_limit=GAS_LIMIT, chain_id=1)


async def test_a_wanted_port_that_is_taken_is_said_to_be_taken() -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        with pytest.raises(SetupError, match="port"):
            await Anvil.start(hardfork="osaka", gas_limit=GAS_LIMIT, chain_id=1, port=holder.getsockname()[1])


async def test_a_missing_binary_is_named_with_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(anvil_module, "_NODE_MODULES", tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    find_foundry.cache_clear()
    try:
        with pytest.raises(SetupError, match=r"anvil 1\.7\.x was not found") as caught:
            await Anvil.start(hardfork="osaka", gas_limit=GAS_LIMIT, chain_id=1)
        assert "make setup" in caught.value.hint
        old = tmp_path / "anvil"
        old.write_text("#!/bin/sh\necho anvil Version: 0.2.0\n")
        old.chmod(0o755)
        with pytest.raises(SetupError, match=r"0\.2"):
            find_foundry("anvil")
    finally:
        find_foundry.cache_clear()


async def test_a_node_that_dies_is_an_error_with_its_exit_and_not_a_hang() -> None:
    anvil = await Anvil.start(hardfork="osaka", gas_limit=GAS_LIMIT, chain_id=1)
    try:
        waiting = asyncio.ensure_future(anvil.call("anvil_mine", hex(50_000_000)))
        await asyncio.sleep(0)
        os.kill(anvil.pid, signal.SIGKILL)
        with pytest.raises(AgentError, match="anvil is gone"):
            await waiting
        with pytest.raises(AgentError, match="anvil is gone"):
            await anvil.call("eth_chainId")
    finally:
        await anvil.stop()
    assert not psutil.pid_exists(anvil.pid)


async def test_stop_can_be_repeated_and_leaves_no_process_and_no_folder() -> None:
    anvil = await Anvil.start(hardfork="osaka", gas_limit=GAS_LIMIT, chain_id=1)
    folder = anvil._folder
    assert folder in _folders()
    await anvil.stop()
    await anvil.stop()
    assert not psutil.pid_exists(anvil.pid)
    assert folder not in _folders()


async def test_a_start_that_is_cancelled_leaves_no_process() -> None:
    before = _anvils_of(os.getpid())
    for _ in range(3):
        starting = asyncio.ensure_future(Anvil.start(hardfork="osaka", gas_limit=GAS_LIMIT, chain_id=1))
        await asyncio.sleep(0.005)
        starting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await starting
    assert _anvils_of(os.getpid()) == before


_PARENT = """
import asyncio, os, sys
from agent.devnet.anvil import Anvil
async def main():
    anvil = await Anvil.start(hardfork="osaka", gas_limit=30_000_000, chain_id=1)
    print(anvil.pid, flush=True)
    await asyncio.sleep(600)
asyncio.run(main())
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGSEGV])
def test_no_process_is_left_when_the_parent_dies_of(number: signal.Signals) -> None:
    with subprocess.Popen([sys.executable, "-c", _PARENT], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        assert psutil.pid_exists(child)
        parent.send_signal(number)
        parent.wait(10)
    assert _gone(child)


_PARENT_THAT_EXITS = """
import sys
from agent.devnet.processes import BoundProcess
print(BoundProcess(["/bin/sleep", "600"]).pid, flush=True)
"""


def test_no_process_is_left_when_the_parent_forgets_to_stop_it() -> None:
    shown = subprocess.run([sys.executable, "-c", _PARENT_THAT_EXITS], capture_output=True, text=True, check=True)
    assert _gone(int(shown.stdout))


def test_grandchildren_in_the_group_go_with_it() -> None:
    process = BoundProcess(["/bin/sh", "-c", "sleep 600 & echo $! ; wait"])
    _until(lambda: process.output_tail().strip().isdigit())
    grandchild = int(process.output_tail())
    process.stop()
    assert _gone(grandchild)


def test_a_program_that_does_not_exist_is_named() -> None:
    process = BoundProcess(["/nonexistent/program"])
    _until(lambda: process.exit_status is not None)
    assert "/nonexistent/program" in process.output_tail()
    process.stop()


@pytest.fixture
def unused_port() -> int:
    return anvil_module.free_port()


def _anvils_of(pid: int) -> set[int]:
    return {child.pid for child in psutil.Process(pid).children(recursive=True) if "anvil" in " ".join(child.cmdline())}


def _folders() -> list[str]:
    return [str(path) for path in Path(tempfile.gettempdir()).glob("mev-agent-anvil-*")]


def _gone(pid: int) -> bool:
    def is_gone() -> bool:
        try:
            return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return True

    _until(is_gone)
    return True


def _until(condition: object, seconds: float = 10) -> None:
    assert callable(condition)
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "did not happen in time"
        time.sleep(0.005)
