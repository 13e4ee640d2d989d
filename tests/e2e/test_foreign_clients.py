"""The relay and builder are proved by bundle clients that nobody here wrote, each in an environment of its own.

PyPI `flashbots` 2.0.0 (with its own web3 6) and npm `@flashbots/ethers-provider-bundle` 1.0.0 (with ethers 6) send,
simulate, replace, cancel and land on loopback. `make setup-peers` makes both environments.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from agent.devnet.builder import BuiltBlock, Ordering
from agent.devnet.relay import Relay
from tests.conftest import REPOSITORY
from tests.devnet.world import KEYS, World, running_world, sign

pytestmark = [pytest.mark.anvil, pytest.mark.peer]

CLIENTS = Path(__file__).parent / "clients"
FLASHBOTS_PYTHON = REPOSITORY / ".venv-flashbots" / "bin" / "python"
ANSWER_TIMEOUT_S = 30
SENDER_KEY, AUTH_KEY = "0x" + "01" * 32, "0x" + "77" * 32
FIRST_ID, SECOND_ID = "1b4e28ba-2fa1-4d12-883f-0016d3cca427", "7c9e6679-7425-40de-944b-e07fc1f90ae7"


def _command(name: str) -> list[str]:
    if name == "flashbots":
        if not FLASHBOTS_PYTHON.exists():
            pytest.skip("no .venv-flashbots; run `make setup-peers`")
        return [str(FLASHBOTS_PYTHON), str(CLIENTS / "flashbots_client.py")]
    own_node = REPOSITORY / ".venv" / "bin" / "node"
    node = str(own_node) if own_node.exists() else shutil.which("node")
    if node is None or not (CLIENTS / "node" / "node_modules" / "@flashbots").is_dir():
        pytest.skip("no node or no tests/e2e/clients/node/node_modules; run `make setup-peers`")
    return [node, str(CLIENTS / "node" / "client.mjs")]


class Peer:
    """A foreign client as a process, asked one thing at a time."""

    def __init__(self, process: asyncio.subprocess.Process, world: World, relay: Relay) -> None:
        self._process = process
        self.world = world
        self.relay = relay

    async def ask(self, do: str, **fields: Any) -> Any:
        """The client's answer; it must not have raised."""
        answer = await self.ask_for_error(do, **fields)
        assert not (isinstance(answer, dict) and "error" in answer), answer
        return answer

    async def ask_for_error(self, do: str, **fields: Any) -> Any:
        """The client's answer; {"error": text} where it raised."""
        assert self._process.stdin and self._process.stdout and self._process.stderr
        self._process.stdin.write(json.dumps({"do": do, **fields}).encode() + b"\n")
        line = await asyncio.wait_for(self._process.stdout.readline(), ANSWER_TIMEOUT_S)
        assert line, (await self._process.stderr.read()).decode()
        answer = json.loads(line)
        return answer.get("ok", answer)

    async def build(self) -> BuiltBlock:
        return await self.world.builder.build()


@pytest.fixture(params=["flashbots", "ethers-provider-bundle"])
def command(request: pytest.FixtureRequest) -> Iterator[list[str]]:
    yield _command(request.param)


@asynccontextmanager
async def _running(command: list[str]) -> AsyncIterator[Peer]:
    async with running_world(Ordering.PROFIT) as world, Relay(world.builder) as relay:
        process = await asyncio.create_subprocess_exec(
            *command,
            world.anvil.rpc_url,
            relay.url,
            SENDER_KEY,
            AUTH_KEY,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,  # the node of a wheel is a child of its launcher: both must go
        )
        try:
            yield Peer(process, world, relay)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()


@pytest.fixture
async def peer(command: list[str]) -> AsyncIterator[Peer]:
    async with _running(command) as running:
        yield running


async def test_what_it_simulates_is_what_lands(peer: Peer) -> None:
    before = await peer.world.balance(peer.world.builder.fee_recipient)
    simulated = await peer.ask("simulate", nonce=0, value=10**15, block=1, state=0)
    sent = await peer.ask("send", nonce=0, value=10**15, block=1)
    assert sent["bundleHash"] == simulated["bundleHash"]
    await peer.ask("watch")
    built = await peer.build()
    landed = await peer.ask("wait")
    assert (landed["status"], landed["block"], landed["index"]) == (1, 1, 0)
    assert landed.get("resolution", "BundleIncluded") == "BundleIncluded"
    gained = await peer.world.balance(peer.world.builder.fee_recipient) - before
    assert int(simulated["coinbaseDiff"]) == gained > 10**15
    assert simulated["gasUsed"] == int(built.receipts[0]["gasUsed"], 16)


async def test_it_simulates_on_the_head_and_on_a_past_state_alike(peer: Peer) -> None:
    await peer.build()
    on_head = await peer.ask("simulate", nonce=0, value=5, block=2, state=1)
    await peer.build()
    assert await peer.ask("simulate", nonce=0, value=5, block=2, state=1) == on_head


async def test_its_replacement_lands_and_what_it_replaced_does_not(peer: Peer) -> None:
    first = await peer.ask("send", nonce=0, value=10**15, block=1, uuid=FIRST_ID)
    second = await peer.ask("send", nonce=0, value=10**14, block=1, uuid=FIRST_ID)
    built = await peer.build()
    assert ["0x" + placed.bundle.hash.hex() for placed in built.placements] == [second["bundleHash"]]
    assert first["bundleHash"] != second["bundleHash"]
    assert await peer.world.balance(peer.world.builder.fee_recipient) < 10**15


async def test_what_it_cancels_does_not_land_and_another_id_does(peer: Peer) -> None:
    first = await peer.ask("send", nonce=0, value=10**15, block=1, uuid=FIRST_ID)
    kept = await peer.ask("send", nonce=0, value=10**14, block=1, uuid=SECOND_ID)
    assert await peer.ask("cancel", uuid=FIRST_ID) == {"bundleHashes": [first["bundleHash"]]}
    built = await peer.build()
    assert ["0x" + placed.bundle.hash.hex() for placed in built.placements] == [kept["bundleHash"]]


async def test_its_private_transactions_land_unless_cancelled_and_are_never_public(peer: Peer) -> None:
    seen: list[bytes] = []
    peer.world.mempool.on_add(lambda transaction: seen.append(transaction.hash))
    cancelled = await peer.ask("send_private", nonce=0, value=7, block=3)
    assert await peer.ask("cancel_private", hash=cancelled["hash"]) is True
    kept = await peer.ask("send_private", nonce=0, value=8, block=3)
    built = await peer.build()
    assert [receipt["transactionHash"] for receipt in built.receipts] == [kept["hash"]]
    assert seen == []


async def test_it_is_told_a_wrong_nonce_and_that_statistics_are_gone(peer: Peer) -> None:
    refused = await peer.ask_for_error("simulate", nonce=4, value=1, block=1, state=0)
    assert "nonce too high" in refused["error"]
    assert "403" in (await peer.ask_for_error("statistics"))["error"]


async def test_its_bundle_stands_against_mempool_traffic(peer: Peer) -> None:
    for key in KEYS[2:6]:
        peer.world.mempool.add(sign(key, 0).raw)
    await peer.ask("send", nonce=0, value=10**16, block=1)
    built = await peer.build()
    assert len(built.receipts) == 5 and built.placements[0].indices == (0,)
