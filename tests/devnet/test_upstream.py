"""A fork of the user's node: its URL stays ours, and a busy node is waited for."""

from __future__ import annotations

from collections.abc import AsyncIterator

import psutil
import pytest
from aiohttp import ClientSession, web

from agent.devnet import upstream as upstream_module
from agent.devnet.anvil import Anvil
from agent.devnet.upstream import Upstream, holds_a_secret, only_reads
from agent.errors import SetupError

pytestmark = pytest.mark.anvil

SECRET = "5ecre7-0f-the-user"
BALANCE_WEI = 12_345


class Provider:
    """A provider with the key in its path, that refuses some requests first."""

    def __init__(self, node: Anvil) -> None:
        self._node = node
        self.refusals: list[int] = []
        self.requests = 0
        self.url = ""

    async def serve(self, request: web.Request) -> web.Response:
        self.requests += 1
        if self.refusals:
            return web.Response(status=self.refusals.pop(), headers={"retry-after": "0"}, text="<html>busy</html>")
        async with (
            ClientSession() as session,
            session.post(
                self._node.rpc_url, data=await request.read(), headers={"content-type": "application/json"}
            ) as answer,
        ):
            return web.Response(body=await answer.read(), content_type="application/json")


@pytest.fixture
async def provider() -> AsyncIterator[Provider]:
    async with await Anvil.start(hardfork="osaka", gas_limit=30_000_000, chain_id=1) as node:
        await node.call("anvil_setBalance", "0x" + "77" * 20, hex(BALANCE_WEI))
        await node.call("evm_mine")
        made = Provider(node)
        application = web.Application()
        application.router.add_post(f"/v3/{SECRET}", made.serve)
        runner = web.AppRunner(application, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        made.url = f"http://127.0.0.1:{runner.addresses[0][1]}/v3/{SECRET}"
        yield made
        await runner.cleanup()


async def test_the_url_of_the_users_node_is_not_on_the_command_line(provider: Provider) -> None:
    async with await Anvil.start(hardfork="osaka", gas_limit=30_000_000, fork_url=provider.url, fork_block=1) as fork:
        process = psutil.Process(fork.pid)
        assert SECRET not in " ".join(process.cmdline())
        assert SECRET not in " ".join(process.environ().values())
        assert int(await fork.call("eth_getBalance", "0x" + "77" * 20, "latest"), 16) == BALANCE_WEI


async def test_a_busy_node_is_asked_again_and_its_state_arrives(
    provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upstream_module, "_WAIT_S", 0.001)
    async with await Anvil.start(hardfork="osaka", gas_limit=30_000_000, fork_url=provider.url, fork_block=1) as fork:
        provider.refusals = [429, 503, 502]
        assert int(await fork.call("eth_getBalance", "0x" + "77" * 20, "latest"), 16) == BALANCE_WEI
        assert provider.refusals == []


async def test_a_node_that_stays_away_ends_in_an_error_without_its_url(
    provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upstream_module, "_WAIT_S", 0.001)
    provider.refusals = [503] * 10_000
    with pytest.raises(SetupError) as caught:
        await Anvil.start(hardfork="osaka", gas_limit=30_000_000, fork_url=provider.url, fork_block=1)
    assert "does not answer" in caught.value.message
    assert SECRET not in caught.value.message + caught.value.hint + caught.value.where


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://127.0.0.1:8545", False),
        ("http://localhost:8545/", False),
        ("http://[::1]:8545", False),
        ("http://127.0.0.1:8545/key", True),
        ("http://127.0.0.1:8545/?key=1", True),
        ("http://user:word@127.0.0.1:8545", True),
        ("https://node.example", True),
    ],
)
def test_only_a_bare_local_address_may_be_shown(url: str, expected: bool) -> None:
    assert holds_a_secret(url) is expected


@pytest.mark.parametrize(
    "body",
    [
        b'{"jsonrpc":"2.0","id":1,"method":"eth_sendRawTransaction","params":["0x02"]}',
        b'{"jsonrpc":"2.0","id":1,"method":"eth_send\\u0052awTransaction","params":["0x02"]}',
        b'[{"id":1,"method":"eth_chainId","params":[]},{"id":2,"method":"eth_sendBundle","params":[]}]',
        b'{"id":1,"method":"personal_sendTransaction","params":[]}',
        b'{"id":1,"method":"admin_addPeer","params":[]}',
        b"eth_sendRawTransaction",
        b"",
    ],
)
async def test_nothing_but_reads_passes_to_the_node_behind_a_fork(provider: Provider, body: bytes) -> None:
    assert not only_reads(body)
    door = Upstream(provider.url)
    door.start()
    try:
        async with ClientSession() as session, session.post(door.url, data=body) as answer:
            refused = await answer.json()
    finally:
        door.stop()
    assert refused["error"]["message"] == "a fork only reads"
    assert provider.requests == 0
