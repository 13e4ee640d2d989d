"""Several nodes as one, among them laggards and liars."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager

import msgspec
import pytest

from agent.chain.heads import FeedDown, FeedUp, HeadFeed
from agent.chain.nodes import NodeJoined, NodeLeftOut, Nodes, Standing
from agent.chain.rpc import HttpRpc
from agent.chain.websocket import WsRpc
from agent.devnet.anvil import Anvil
from agent.devnet.case import load_case
from agent.devnet.replay import CaseNode
from agent.errors import SetupError
from tests.chain.conftest import CHAIN_ID
from tests.chain.proxy import Proxy
from tests.chain.test_heads import no_pause, story, tip_hash
from tests.chain.test_logs import Tampering

pytestmark = pytest.mark.anvil


def feed(url: str, **options) -> HeadFeed:
    async def connect():
        return await WsRpc.connect(url)

    return HeadFeed(connect, **({"chain_id": CHAIN_ID, "slot_ms": None, "pause": no_pause} | options))


@asynccontextmanager
async def running(**feeds: HeadFeed):
    nodes = Nodes(feeds, pause=no_pause)
    task = asyncio.ensure_future(nodes.run())
    try:
        yield nodes
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def until_tip(nodes: Nodes, wanted: bytes) -> list:
    events: list = []
    async with asyncio.timeout(20):
        while nodes.chain.tip is None or nodes.chain.tip.hash != wanted or not nodes.events.empty():
            events.append(await nodes.events.get())
    return events


async def until(nodes: Nodes, kind: type) -> list:
    events: list = []
    async with asyncio.timeout(20):
        while not events or not isinstance(events[-1], kind):
            events.append(await nodes.events.get())
    return events


def standing(nodes: Nodes) -> dict[str, Standing]:
    return {status.name: status.standing for status in nodes.status()}


async def test_two_nodes_tell_one_story_and_either_may_fail(chain_node):
    async with Proxy("127.0.0.1", chain_node.port) as proxy:
        async with running(a=feed(chain_node.ws_url), b=feed(f"ws://127.0.0.1:{proxy.port}")) as nodes:
            events = await until_tip(nodes, await tip_hash(chain_node))
            for _ in range(3):
                await chain_node.call("evm_mine")
            events += await until_tip(nodes, await tip_hash(chain_node))
            assert story(events) == ["+0", "+1", "+2", "+3"]
            proxy.is_denying = True
            proxy.cut()
            await chain_node.call("anvil_reorg", 2, [])
            assert story(await until_tip(nodes, await tip_hash(chain_node)))[-1] == "+3"
            assert await nodes.call("eth_blockNumber") == "0x3"
        first = sum(status.heads_first for status in nodes.status())
    assert first >= 4


async def test_a_laggard_is_left_out_until_it_delivers_in_time_again(chain_node):
    async with Proxy("127.0.0.1", chain_node.port) as proxy:
        async with running(a=feed(chain_node.ws_url), slow=feed(f"ws://127.0.0.1:{proxy.port}")) as nodes:
            while standing(nodes)["slow"] is not Standing.UP or standing(nodes)["a"] is not Standing.UP:
                await nodes.events.get()
            proxy.hold()
            for _ in range(5):
                await chain_node.call("evm_mine")
            events = await until(nodes, NodeLeftOut)
            assert events[-1].name == "slow" and "behind" in events[-1].reason and not events[-1].is_final
            await until_tip(nodes, await tip_hash(chain_node))
            proxy.release()
            back: list = []
            while not any(isinstance(event, NodeJoined) for event in back):
                await chain_node.call("evm_mine")
                back += await until_tip(nodes, await tip_hash(chain_node))
            assert standing(nodes)["slow"] is Standing.UP


async def test_liars_are_left_out_for_good_and_named(chain_node):
    class Liar(HttpRpc):
        async def call(self, method, params=(), *, decoder=None):
            answer = await super().call(method, params, decoder=decoder)
            if method == "eth_getBlockByNumber":
                return msgspec.structs.replace(answer, gas_used="0x1")
            return answer

    async def lie():
        return Liar(chain_node.rpc_url)

    other = await Anvil.start(hardfork="osaka", gas_limit=30_000_000, chain_id=5)
    try:
        liar = HeadFeed(lie, chain_id=CHAIN_ID, slot_ms=None, pause=no_pause)
        async with running(liar=liar, stranger=feed(other.ws_url), good=feed(chain_node.ws_url)) as nodes:
            left = [(await until(nodes, NodeLeftOut))[-1] for _ in range(2)]
            await chain_node.call("evm_mine")
            await until_tip(nodes, await tip_hash(chain_node))
            assert {event.name for event in left} == {"liar", "stranger"} and all(event.is_final for event in left)
            reasons = {status.name: status.reason for status in nodes.status()}
            assert "fields" in reasons["liar"] and "chain 5" in reasons["stranger"]
    finally:
        await other.stop()

    with pytest.raises(SetupError, match="no node is left: liar"):
        await Nodes({"liar": HeadFeed(lie, chain_id=CHAIN_ID, slot_ms=None)}, pause=no_pause).run()


async def test_when_no_node_is_up_it_is_said_once_and_when_one_is_again_too(chain_node):
    async with Proxy("127.0.0.1", chain_node.port) as proxy:
        async with running(only=feed(f"ws://127.0.0.1:{proxy.port}")) as nodes:
            await until(nodes, FeedUp)
            proxy.cut()
            await until(nodes, FeedDown)
            await until(nodes, FeedUp)


async def test_disputed_logs_are_settled_by_the_receipts_root_and_the_liar_is_left_out(mainnet):
    case = load_case(mainnet / "public" / "24628607.json.gz")
    async with await CaseNode.start(case) as node:
        replay = await node.replay()
        liar_rpc = Tampering(node.anvil.rpc_url)
        liar_rpc.method = "eth_getLogs"
        liar_rpc.change = lambda wires: (msgspec.structs.replace(wires[0], data="0x00"), *wires[1:])

        async def honest():
            return HttpRpc(node.anvil.rpc_url)

        async def lie():
            return liar_rpc

        def polled(connect):
            return HeadFeed(connect, chain_id=1, slot_ms=None)

        async with running(liar=polled(lie), good=polled(honest)) as nodes:
            while set(standing(nodes).values()) != {Standing.UP}:
                await nodes.events.get()
            header = nodes.chain.tip
            logs = await nodes.logs(header)
            again = await nodes.logs(header)
            status = {status.name: status for status in nodes.status()}
    assert header.number == case.number
    assert [log.data for log in logs] == [log.data for receipt in replay.receipts for log in receipt.logs]
    assert again == logs
    assert status["liar"].standing is Standing.LEFT_OUT and "logs" in status["liar"].reason
