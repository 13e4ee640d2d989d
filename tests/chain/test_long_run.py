"""Five hundred blocks with reorgs, cut sockets and lagging nodes: at the end everything is as the chain says."""

from __future__ import annotations

import asyncio
import os
import random

import pytest

from agent.chain.head_chain import Extend, Rollback, Stop
from agent.chain.headers import Header
from agent.chain.heads import HeadFeed
from agent.chain.nodes import Nodes
from agent.chain.websocket import WsRpc
from agent.devnet.anvil import Anvil
from agent.devnet.slice.artefacts import v2_pair_runtime
from agent.dex.pool_set import PoolSet
from agent.dex.v2 import V2Pool
from agent.errors import ProtocolError
from agent.eth.hexes import to_data
from agent.eth.units import Address, Hash32
from tests.chain.conftest import CHAIN_ID
from tests.chain.proxy import Proxy

pytestmark = [pytest.mark.anvil, pytest.mark.slow]

BLOCKS = 500
WAIT_S = 20.0
SENDER = "0x" + "5e" * 20
BALANCE_SLOT_TOKEN = bytes.fromhex("36602014601257600054600052602060 00f35b60003560005500".replace(" ", ""))
"""A token with one balance for everybody: 32 bytes of calldata set it, anything else reads it."""
SYNC = "0xfff6cae9"
GET_RESERVES = "0x0902f1ac"
PAIRS = [Address(bytes([0xA0 + number]) * 20) for number in range(3)]
TOKENS = [(Address(bytes([0x10 + number]) * 20), Address(bytes([0x20 + number]) * 20)) for number in range(3)]


class Follower:
    """Keeps the pools of each block of the story; a rollback is going back to the older set."""

    def __init__(self, nodes: Nodes) -> None:
        self.nodes = nodes
        self.story: list[Header] = []
        self.pools: dict[Hash32, PoolSet | None] = {}
        self.rollbacks = 0
        self.reached = asyncio.Event()

    async def run(self) -> None:
        while True:
            event = await self.nodes.events.get()
            match event:
                case Extend():
                    await self._extend(event.header)
                case Rollback():
                    assert self.story.pop() == event.header
                    self.rollbacks += 1
                case Stop():
                    raise AssertionError(event.reason)
            self.reached.set()

    async def _extend(self, header: Header) -> None:
        if self.story:
            assert header.parent_hash == self.story[-1].hash
            before = self.pools[header.parent_hash]
        else:
            before = planted()
        self.story.append(header)
        self.pools[header.hash] = await self._applied(before, header)

    async def _applied(self, before: PoolSet | None, header: Header) -> PoolSet | None:
        """The pools after the block; None for a block that the chain left before its logs could be read."""
        while before is not None:
            try:
                return before.apply(await self.nodes.logs(header))[0]
            except ProtocolError:
                if header.hash not in self.nodes.chain.headers:
                    return None
                await asyncio.sleep(0.005)  # no node is reachable: the feeds are connecting
        return None

    async def reach(self, wanted: Hash32) -> None:
        try:
            async with asyncio.timeout(WAIT_S):
                while not self.story or self.story[-1].hash != wanted or wanted not in self.pools:
                    self.reached.clear()
                    await self.reached.wait()
        except TimeoutError:
            at = self.story[-1].number if self.story else None
            raise AssertionError(f"stuck at {at}: {self.nodes.status()}") from None


def planted() -> PoolSet:
    return PoolSet(
        V2Pool(address=pair, token0=one, token1=other, fee_pips=3_000, reserve0=0, reserve1=0)
        for pair, (one, other) in zip(PAIRS, TOKENS, strict=True)
    )


async def plant(node: Anvil) -> None:
    runtime = to_data(v2_pair_runtime())
    await node.call("anvil_setBalance", SENDER, hex(10**24))
    await node.call("anvil_impersonateAccount", SENDER)
    for pair, tokens in zip(PAIRS, TOKENS, strict=True):
        await node.call("anvil_setCode", to_data(pair), runtime)
        for token in tokens:
            await node.call("anvil_setCode", to_data(token), to_data(BALANCE_SLOT_TOKEN))
        for slot, value in ((6, tokens[0]), (7, tokens[1]), (12, b"\x01")):
            await node.call("anvil_setStorageAt", to_data(pair), hex(slot), "0x" + value.rjust(32, b"\0").hex())


async def mine_block(node: Anvil, rng: random.Random) -> None:
    """A block in which up to two pairs take new reserves."""
    for which in rng.sample(range(3), rng.randrange(3)):
        for token in TOKENS[which]:
            amount = rng.randrange(1, 2**111)
            await send(node, token, f"0x{amount:064x}")
        await send(node, PAIRS[which], SYNC)
    await node.call("evm_mine")


async def send(node: Anvil, to: Address, data: str) -> None:
    call = {"from": SENDER, "to": to_data(to), "data": data, "gas": hex(200_000), "gasPrice": hex(10**11)}
    await node.call("eth_sendTransaction", call)


async def change_history(node: Anvil, rng: random.Random) -> None:
    depth = rng.randrange(1, 9)
    if rng.random() < 0.5:
        await node.call("anvil_reorg", depth, [])
    else:
        await node.call("anvil_rollback", depth)
    await node.call("anvil_dropAllTransactions")


async def tip_of(node: Anvil) -> tuple[int, Hash32]:
    block = await node.call("eth_getBlockByNumber", "latest", False)
    return int(block["number"], 16), Hash32(bytes.fromhex(block["hash"][2:]))


def feed(proxy: Proxy) -> HeadFeed:
    return HeadFeed(
        lambda: WsRpc.connect(f"ws://127.0.0.1:{proxy.port}"),
        chain_id=CHAIN_ID,
        slot_ms=None,
        pause=lambda seconds: asyncio.sleep(seconds / 50),
    )


async def test_500_blocks_with_reorgs_cut_sockets_and_lagging_nodes_end_as_a_fresh_read(chain_node):
    rng = random.Random(11)
    await plant(chain_node)
    port = chain_node.port
    async with Proxy("127.0.0.1", port) as one, Proxy("127.0.0.1", port) as other:
        nodes = Nodes({"one": feed(one), "other": feed(other)}, pause=lambda seconds: asyncio.sleep(seconds / 50))
        follower = Follower(nodes)
        tasks = [asyncio.ensure_future(nodes.run()), asyncio.ensure_future(follower.run())]
        try:
            await follower.reach((await tip_of(chain_node))[1])
            mined = reorgs = 0
            while mined < BLOCKS:
                await mine_block(chain_node, rng)
                mined += 1
                number, _ = await tip_of(chain_node)
                if rng.random() < 0.1 and number > 10:
                    await change_history(chain_node, rng)
                    await mine_block(chain_node, rng)
                    mined += 1
                    reorgs += 1
                fault = rng.random()
                if fault < 0.05:
                    rng.choice((one, other)).cut()
                elif fault < 0.1:
                    rng.choice((one, other)).hold()
                if mined % 10 < 2:
                    one.release()
                    other.release()
                    for task in tasks:
                        assert not task.done(), task.exception()
                    await follower.reach((await tip_of(chain_node))[1])
            one.release()
            other.release()
            # A rollback alone is not announced; the block after it is.
            await mine_block(chain_node, rng)
            number, tip = await tip_of(chain_node)
            await follower.reach(tip)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    assert reorgs > 20 and follower.rollbacks > 50
    assert sum(status.disconnects for status in nodes.status()) > 5
    assert [header.number for header in follower.story] == list(range(number + 1))
    for header in follower.story:
        block = await chain_node.call("eth_getBlockByNumber", hex(header.number), False)
        assert block["hash"] == to_data(header.hash), header.number
    pools = follower.pools[tip]
    assert pools is not None
    for pair in PAIRS:
        answer = bytes.fromhex((await chain_node.call("eth_call", {"to": to_data(pair), "data": GET_RESERVES}))[2:])
        pool = pools[pair]
        assert isinstance(pool, V2Pool)
        reserves = int.from_bytes(answer[:32], "big"), int.from_bytes(answer[32:64], "big")
        assert (pool.reserve0, pool.reserve1) == reserves and pool.reserve0 > 0

    pid = chain_node.pid
    await chain_node.stop()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
