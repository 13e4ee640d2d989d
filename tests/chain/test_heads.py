"""Heads from a real node through a connection that is cut, held and refused."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from agent.chain.head_chain import Extend, Rollback, Stop
from agent.chain.heads import FeedDown, FeedUp, HeadEvent, HeadFeed
from agent.chain.rpc import HttpRpc
from agent.chain.websocket import WsRpc
from agent.devnet.anvil import Anvil
from agent.errors import ProtocolError, SetupError
from tests.chain.conftest import CHAIN_ID, read_until
from tests.chain.proxy import Proxy

pytestmark = pytest.mark.anvil


async def no_pause(seconds: float) -> None:
    await asyncio.sleep(0)


@asynccontextmanager
async def following(connect: Callable[[], object], **options: object) -> AsyncIterator[HeadFeed]:
    feed = HeadFeed(connect, **({"chain_id": CHAIN_ID, "slot_ms": None} | options))  # type: ignore[arg-type]
    task = asyncio.ensure_future(feed.run())
    try:
        yield feed
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def tip_hash(node: Anvil) -> bytes:
    return bytes.fromhex((await node.call("eth_getBlockByNumber", "latest", False))["hash"][2:])


def story(events: list[HeadEvent]) -> list[str]:
    signs = {Extend: "+", Rollback: "-"}
    return [f"{signs[type(event)]}{event.header.number}" for event in events if type(event) in signs]


async def test_heads_and_reorgs_are_told_as_blocks_added_and_taken_back(chain_node):
    async with following(lambda: WsRpc.connect(chain_node.ws_url), seed_blocks=64) as feed:
        assert story(await read_until(feed, await tip_hash(chain_node))) == ["+0"]
        for _ in range(3):
            await chain_node.call("evm_mine")
        assert story(await read_until(feed, await tip_hash(chain_node))) == ["+1", "+2", "+3"]
        await chain_node.call("anvil_reorg", 2, [])
        events = await read_until(feed, await tip_hash(chain_node))
        assert sorted(story(events)) == sorted(["-3", "-2", "+2", "+3"])
        assert all(header.is_proved for header in feed.chain.headers.values())


async def test_what_passed_while_the_connection_was_cut_is_filled_by_hash(chain_node):
    async with Proxy("127.0.0.1", chain_node.port) as proxy:
        async with following(lambda: WsRpc.connect(f"ws://127.0.0.1:{proxy.port}"), pause=no_pause) as feed:
            await read_until(feed, await tip_hash(chain_node))
            proxy.is_denying = True
            proxy.cut()
            while not isinstance(await feed.events.get(), FeedDown):
                pass
            for _ in range(5):
                await chain_node.call("evm_mine")
            proxy.is_denying = False
            events = await read_until(feed, await tip_hash(chain_node))
    assert story(events) == ["+1", "+2", "+3", "+4", "+5"]
    assert feed.connections == 2


async def test_a_silent_node_is_given_up_and_connected_to_anew(chain_node):
    async with Proxy("127.0.0.1", chain_node.port) as proxy:
        connect = lambda: WsRpc.connect(f"ws://127.0.0.1:{proxy.port}")  # noqa: E731
        async with following(connect, slot_ms=200, pause=no_pause) as feed:
            events = [await feed.events.get() for _ in range(4)]
    kinds = [type(event) for event in events]
    assert kinds == [Extend, FeedUp, FeedDown, FeedUp]
    assert "no head for" in events[2].reason


async def test_a_chain_that_goes_back_to_an_older_block_is_followed_there(chain_node):
    async def connect() -> HttpRpc:
        return HttpRpc(chain_node.rpc_url)

    await chain_node.call("anvil_mine", "0x3")
    async with following(connect, poll_ms=1, seed_blocks=8) as feed:
        await read_until(feed, await tip_hash(chain_node))
        await chain_node.call("anvil_rollback", 2)
        assert story(await read_until(feed, await tip_hash(chain_node))) == ["-3", "-2"]


async def test_the_wrong_chain_is_refused_at_the_start_and_stops_in_flight(chain_node):
    feed = HeadFeed(lambda: WsRpc.connect(chain_node.ws_url), chain_id=1)
    with pytest.raises(SetupError, match="is on chain 31337, not 1"):
        await feed.run()

    other = await Anvil.start(hardfork="osaka", gas_limit=30_000_000, chain_id=5)
    try:
        urls = [chain_node.ws_url, other.ws_url]
        opened: list[WsRpc] = []

        async def connect() -> WsRpc:
            opened.append(await WsRpc.connect(urls[min(len(opened), 1)]))
            return opened[-1]

        async with following(connect, pause=no_pause) as feed:
            await read_until(feed, await tip_hash(chain_node))
            await opened[0].close()
            async with asyncio.timeout(10):
                while not isinstance(event := await feed.events.get(), Stop):
                    pass
    finally:
        await other.stop()
    assert "chain 5" in event.reason


async def test_a_header_whose_hash_is_not_that_of_its_fields_is_not_believed(chain_node):
    class Liar(HttpRpc):
        async def call(self, method, params=(), *, decoder=None):
            answer = await super().call(method, params, decoder=decoder)
            if method == "eth_getBlockByNumber":
                return type(answer)(**({f: getattr(answer, f) for f in answer.__struct_fields__} | {"gas_used": "0x1"}))
            return answer

    async def connect() -> HttpRpc:
        return Liar(chain_node.rpc_url)

    feed = HeadFeed(connect, chain_id=CHAIN_ID)
    with pytest.raises(ProtocolError, match="not that of its fields"):
        await feed.run()
    assert feed.refused == 1


async def test_a_node_without_subscriptions_is_polled(chain_node):
    async def connect() -> HttpRpc:
        return HttpRpc(chain_node.rpc_url)

    async with following(connect, poll_ms=1) as feed:
        await read_until(feed, await tip_hash(chain_node))
        await chain_node.call("anvil_mine", "0x3")
        assert story(await read_until(feed, await tip_hash(chain_node))) == ["+1", "+2", "+3"]


async def test_a_node_that_cannot_be_reached_is_one_clear_error_at_the_start():
    feed = HeadFeed(lambda: WsRpc.connect("ws://127.0.0.1:1"), chain_id=1)
    with pytest.raises(SetupError, match="cannot open a WebSocket"):
        await feed.run()
