"""Pending transactions in full, from a real node and from one that floods."""

from __future__ import annotations

import asyncio
import gzip
import json
from contextlib import asynccontextmanager

import pytest
from eth_account import Account

from agent.chain.mempool import Gap, Lost, MempoolFeed, Watching, pending_to
from agent.chain.pending import PendingTransaction, pending_from_json
from agent.chain.rpc import RpcError
from agent.chain.stream import Subscription
from agent.chain.websocket import WsRpc
from agent.errors import SetupError
from agent.eth.hexes import to_data
from agent.eth.transactions import TransactionError, decode_transaction
from tests.chain.conftest import CHAIN_ID
from tests.chain.proxy import Proxy
from tests.chain.test_headers import NUMBERS
from tests.chain.test_heads import no_pause

KEY = "0x" + "11" * 32
WHERE = "0x" + "22" * 20


def signed(nonce: int) -> str:
    fields = {"chainId": CHAIN_ID, "nonce": nonce, "gas": 21_000, "to": WHERE, "value": nonce, "type": 2}
    fees = {"maxFeePerGas": 2 * 10**9, "maxPriorityFeePerGas": 10**9}
    return to_data(bytes(Account.sign_transaction(fields | fees, KEY).raw_transaction))


@asynccontextmanager
async def watching(connect, **options):
    feed = MempoolFeed(connect, chain_id=CHAIN_ID, pause=no_pause, **options)
    task = asyncio.ensure_future(feed.run())
    try:
        yield feed
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def read_until(feed, count: int) -> list:
    """Events until so many transactions came."""
    events: list = []
    async with asyncio.timeout(20):
        while sum(isinstance(event, PendingTransaction) for event in events) < count:
            events += await feed.read()
    return events


@pytest.mark.parametrize("number", NUMBERS)
def test_every_transaction_of_a_real_block_decodes_to_its_signed_bytes(mainnet, number):
    case = json.loads(gzip.decompress((mainnet / "public" / f"{number}.json.gz").read_bytes()))
    for tree in case["transactions"]:
        pending = pending_from_json(json.dumps(tree).encode())
        transaction = pending.transaction()
        assert transaction == decode_transaction(bytes.fromhex(tree["rlp"][2:]))
        assert to_data(transaction.raw) == tree["rlp"]
        terms = pending.terms()
        assert (terms.nonce, terms.gas, terms.value_wei) == (transaction.nonce, transaction.gas, transaction.value_wei)
        assert terms.max_fee_wei == (transaction.max_fee_wei if "maxFeePerGas" in tree else int(tree["gasPrice"], 16))
        assert terms.calldata == transaction.data


def test_text_that_makes_no_transaction_says_which_and_why(mainnet):
    case = json.loads(gzip.decompress((mainnet / "public" / "24628607.json.gz").read_bytes()))
    good = case["transactions"][0]
    assert pending_from_json(json.dumps(good).encode()).transaction()
    for fields in ({"nonce": "7"}, {"to": "0x12"}, {"type": "0x9"}, {"type": "0x2", "maxFeePerGas": None}, {"r": 5}):
        pending = pending_from_json(json.dumps(good | fields).encode())
        with pytest.raises(TransactionError, match=good["hash"]):
            pending.transaction()


@pytest.mark.anvil
async def test_what_waited_before_and_what_comes_after_is_seen_once_and_whole(chain_node):
    sender = Account.from_key(KEY).address
    await chain_node.call("anvil_setBalance", sender, hex(10**20))
    await chain_node.call("eth_sendRawTransaction", signed(0))
    async with watching(lambda: WsRpc.connect(chain_node.ws_url)) as feed:
        first = await read_until(feed, 1)
        await chain_node.call("eth_sendRawTransaction", signed(1))
        second = await read_until(feed, 1)
    assert any(isinstance(event, Watching) and event.has_content for event in [*first, *second])
    seen = pending_to([*first, *second], frozenset({WHERE}))
    assert [event.transaction().nonce for event in seen] == [0, 1]
    assert [to_data(event.transaction().raw) for event in seen] == [signed(0), signed(1)]
    assert to_data(seen[0].transaction().sender) == sender.lower()


@pytest.mark.anvil
async def test_a_node_that_sends_only_hashes_is_asked_for_the_bodies(chain_node):
    class Terse(WsRpc):
        async def subscribe_unread(self, params, kind, sink):
            if len(params) > 1:
                raise RpcError("invalid params", rpc_code=-32602)
            return await super().subscribe_unread(params, kind, sink)

    await chain_node.call("anvil_setBalance", Account.from_key(KEY).address, hex(10**20))
    async with watching(lambda: Terse.connect(chain_node.ws_url)) as feed:
        while not any(isinstance(event, Watching) for event in await feed.read()):
            pass
        for nonce in range(3):
            await chain_node.call("eth_sendRawTransaction", signed(nonce))
        seen = pending_to(await read_until(feed, 3), frozenset({WHERE}))
    assert sorted(event.transaction().nonce for event in seen) == [0, 1, 2]


@pytest.mark.anvil
async def test_a_cut_connection_is_a_gap_and_what_waits_afterwards_is_found(chain_node):
    await chain_node.call("anvil_setBalance", Account.from_key(KEY).address, hex(10**20))
    async with Proxy("127.0.0.1", chain_node.port) as proxy:
        async with watching(lambda: WsRpc.connect(f"ws://127.0.0.1:{proxy.port}")) as feed:
            while not any(isinstance(event, Watching) for event in await feed.read()):
                pass
            proxy.is_denying = True
            proxy.cut()
            while not any(isinstance(event, Gap) for event in await feed.read()):
                pass
            await chain_node.call("eth_sendRawTransaction", signed(0))
            proxy.is_denying = False
            assert pending_to(await read_until(feed, 1), frozenset({WHERE}))
    assert feed.connections == 2


@pytest.mark.anvil
async def test_the_wrong_chain_is_refused(chain_node):
    feed = MempoolFeed(lambda: WsRpc.connect(chain_node.ws_url), chain_id=1)
    with pytest.raises(SetupError, match="is on chain 0x7a69, not 0x1"):
        await feed.run()


async def flooded(trees: list, **options) -> MempoolFeed:
    """A feed whose node has sent all of these before anybody reads."""
    sent = asyncio.Event()

    class Node:
        peer = "double"

        async def call(self, method, params=()):
            if method == "eth_chainId":
                return "0x1"
            raise RpcError("no such method", rpc_code=-32601)

        async def subscribe_unread(self, params, kind, sink):
            subscription = Subscription(kind, sink)
            subscription.id = "0x1"
            for tree in trees:
                sink(json.dumps({"params": {"subscription": "0x1", "result": tree}}).encode())
            return subscription

        async def wait_closed(self):
            sent.set()
            await asyncio.Event().wait()

        async def close(self):
            pass

    async def connect():
        return Node()

    feed = MempoolFeed(connect, chain_id=1, **options)
    task = asyncio.ensure_future(feed.run())
    await sent.wait()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    return feed


async def test_a_reader_that_is_behind_learns_how_many_it_lost(mainnet):
    case = json.loads(gzip.decompress((mainnet / "public" / "19932148.json.gz").read_bytes()))
    trees = case["transactions"][:10]
    feed = await flooded(trees, max_waiting=4)
    events = await feed.read()
    assert events[0] == Lost(7) and [event.hash for event in events[1:-1]] == [tree["hash"] for tree in trees[7:]]
    assert isinstance(events[-1], Watching) and feed.lost == 7


async def test_each_transaction_of_a_flood_comes_once_in_order_and_what_is_none_is_counted(mainnet):
    case = json.loads(gzip.decompress((mainnet / "public" / "19932148.json.gz").read_bytes()))
    trees = case["transactions"][:10]
    feed = await flooded([*trees, trees[3], {"hash": 5}, 7, "0x" + "ab" * 32, trees[0]])
    events = await feed.read()
    assert [event.hash for event in events[:-1]] == [tree["hash"] for tree in trees]
    assert [event.transaction().hash.hex() for event in events[:-1]] == [tree["hash"][2:] for tree in trees]
    assert (feed.duplicates, feed.malformed, feed.lost) == (2, 2, 0)


async def test_what_waits_when_the_connection_ends_is_still_read(mainnet):
    case = json.loads(gzip.decompress((mainnet / "public" / "19932148.json.gz").read_bytes()))
    trees = case["transactions"][:10]
    feed = await flooded(trees)
    feed._subscription = None  # as another connection replaces it
    assert [event.hash for event in (await feed.read())[:-1]] == [tree["hash"] for tree in trees]


@pytest.mark.parametrize(
    "fields", [{"nonce": "7"}, {"gasPrice": None, "maxFeePerGas": None}, {"input": "0x1"}, {"gas": 5}]
)
def test_terms_that_cannot_be_read_say_whose_and_why(mainnet, fields):
    case = json.loads(gzip.decompress((mainnet / "public" / "24628607.json.gz").read_bytes()))
    good = case["transactions"][0]
    assert pending_from_json(json.dumps(good).encode()).terms().nonce == int(good["nonce"], 16)
    pending = pending_from_json(json.dumps({"params": {"result": good | fields}}).encode())
    with pytest.raises(TransactionError, match=good["hash"]):
        pending.terms()
