"""The proxy in front of a real node: each fault as a client meets it, and the truth when there is none."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from agent.devnet.anvil import Anvil
from agent.devnet.faults import Fault, FaultKind, FaultProxy

pytestmark = pytest.mark.anvil
CHAIN_ID = {"jsonrpc": "2.0", "id": 7, "method": "eth_chainId", "params": []}
HEIGHT = {"jsonrpc": "2.0", "id": 8, "method": "eth_blockNumber", "params": []}


class Front:
    def __init__(self, anvil: Anvil, proxy: FaultProxy, session: aiohttp.ClientSession) -> None:
        self.anvil, self.proxy, self.session = anvil, proxy, session

    async def post(self, body: object = CHAIN_ID) -> Any:
        async with self.session.post(self.proxy.http_url, json=body) as response:
            return await response.json()


@pytest.fixture
async def front() -> AsyncIterator[Front]:
    async with (
        await Anvil.start(hardfork="osaka", gas_limit=30_000_000, chain_id=1) as anvil,
        FaultProxy(http_url=anvil.rpc_url, ws_url=anvil.ws_url) as proxy,
        aiohttp.ClientSession() as session,
    ):
        yield Front(anvil, proxy, session)


async def test_without_faults_the_proxy_tells_the_truth(front: Front) -> None:
    assert (await front.post())["result"] == "0x1"
    batch = await front.post([CHAIN_ID, HEIGHT])
    assert {answer["id"]: answer["result"] for answer in batch} == {7: "0x1", 8: "0x0"}
    assert front.proxy.injected == []


async def test_http_faults_strike_once_and_in_the_order_of_the_script(front: Front) -> None:
    kinds = [FaultKind.DROP, FaultKind.HTML, FaultKind.TOO_MANY, FaultKind.MALFORMED, FaultKind.WRONG_CHAIN]
    front.proxy.script = tuple(Fault(kind=kind, at=moment, amount=5) for moment, kind in enumerate(kinds))
    with pytest.raises(aiohttp.ClientError):
        await front.post()
    async with front.session.post(front.proxy.http_url, json=CHAIN_ID) as response:
        assert response.status == 502 and (await response.text()).startswith("<html>")
    async with front.session.post(front.proxy.http_url, json=CHAIN_ID) as response:
        assert response.status == 429 and response.headers["Retry-After"] == "5"
    async with front.session.post(front.proxy.http_url, json=CHAIN_ID) as response:
        with pytest.raises(ValueError, match=r"Unterminated|Expecting"):
            await response.json()
    assert (await front.post())["result"] == "0x5"
    assert (await front.post())["result"] == "0x1"
    assert [entry.kind for entry in front.proxy.injected] == kinds


async def test_silence_lasts_until_the_client_gives_up(front: Front) -> None:
    front.proxy.spoil_next(FaultKind.SILENCE)
    silent = asyncio.create_task(front.post())
    await front.proxy.until(exchanges=1)
    assert (await front.post())["result"] == "0x1"
    assert not silent.done()
    silent.cancel()


async def test_a_lagging_node_hides_its_last_blocks_over_http(front: Front) -> None:
    await front.anvil.call("anvil_mine", "0x6")
    front.proxy.spoil_next(FaultKind.LAG, amount=2, count=4)
    newest = {**HEIGHT, "method": "eth_getBlockByNumber", "params": ["latest", False]}
    assert (await front.post(HEIGHT))["result"] == "0x4"
    assert (await front.post(newest))["result"]["number"] == "0x4"
    assert (await front.post({**newest, "params": ["0x5", False]}))["result"] is None
    real = await front.anvil.call("eth_getBlockByNumber", "0x5", False)
    by_hash = {**HEIGHT, "method": "eth_getBlockByHash", "params": [real["hash"], False]}
    assert (await front.post(by_hash))["result"] is None
    assert (await front.post(by_hash))["result"]["number"] == "0x5"


async def subscribed(front: Front) -> aiohttp.ClientWebSocketResponse:
    socket = await front.session.ws_connect(front.proxy.ws_url)
    await socket.send_json({"jsonrpc": "2.0", "id": 1, "method": "eth_subscribe", "params": ["newHeads"]})
    assert "result" in await socket.receive_json()
    return socket


async def mined_and_announced(front: Front, socket: aiohttp.ClientWebSocketResponse, count: int) -> list[int]:
    for _ in range(count):
        await front.anvil.call("evm_mine")
    await front.proxy.until(heads=int(await front.anvil.call("eth_blockNumber"), 16))
    await socket.send_json(HEIGHT)  # whatever was announced stands before this answer
    numbers = []
    while "method" in (message := await socket.receive_json()):
        numbers.append(int(message["params"]["result"]["number"], 16))
    return numbers


async def test_heads_come_doubled_out_of_order_late_or_not_at_all(front: Front) -> None:
    front.proxy.script = (
        Fault(kind=FaultKind.HEAD_DUPLICATE, at=1),
        Fault(kind=FaultKind.HEAD_SWAP, at=3),
        Fault(kind=FaultKind.HEAD_SKIP, at=5),
        Fault(kind=FaultKind.HEAD_LAG, at=7, count=3, amount=2),
    )
    socket = await subscribed(front)
    assert await mined_and_announced(front, socket, 10) == [1, 2, 2, 3, 5, 4, 7, 8]
    assert await mined_and_announced(front, socket, 1) == [9, 10, 11]


async def test_a_dropped_socket_ends_without_a_handshake_and_the_next_one_works(front: Front) -> None:
    socket = await subscribed(front)
    front.proxy.drop_connections()
    assert (await socket.receive()).type in (aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR)
    assert socket.close_code in (None, 1006)
    front.proxy.spoil_next(FaultKind.DROP)
    second = await front.session.ws_connect(front.proxy.ws_url)
    await second.send_json(CHAIN_ID)
    assert (await second.receive()).type in (aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR)
    third = await subscribed(front)
    assert await mined_and_announced(front, third, 1) == [1]


async def test_a_socket_meets_html_limits_halves_and_other_chains(front: Front) -> None:
    kinds = [FaultKind.HTML, FaultKind.TOO_MANY, FaultKind.MALFORMED, FaultKind.WRONG_CHAIN, FaultKind.SILENCE]
    front.proxy.script = tuple(Fault(kind=kind, at=moment, amount=137) for moment, kind in enumerate(kinds))
    socket = await front.session.ws_connect(front.proxy.ws_url)
    seen = []
    for _ in kinds[:-1]:
        await socket.send_json(CHAIN_ID)
        seen.append((await socket.receive()).data)
    assert seen[0].startswith("<html>")
    assert '"code":-32005' in seen[1] and '"id":7' in seen[1]
    assert seen[2] == '{"jsonrpc":"2.0","id":1,"resu'
    assert '"result":"0x89"' in seen[3]
    await socket.send_json(CHAIN_ID)
    await socket.send_json(HEIGHT)
    assert (await socket.receive_json())["id"] == 8
