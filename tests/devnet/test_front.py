"""The devnet's node as clients see it, asked by clients that nobody here wrote: web3, websockets, aiohttp."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from eth_account import Account
from web3 import AsyncHTTPProvider, AsyncWeb3, WebSocketProvider
from web3.exceptions import Web3RPCError
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from agent.devnet import front as front_module
from agent.devnet.anvil import Anvil
from agent.devnet.front import Front
from agent.devnet.mempool import Mempool
from agent.devnet.shared_access import SharedAccess
from agent.devnet.subscriptions import LogCriteria
from agent.errors import Rejected, SetupError

pytestmark = pytest.mark.anvil

CHAIN_ID = 31_337
KEY, OTHER_KEY = "0x" + "11" * 32, "0x" + "22" * 32
SENDER, OTHER = Account.from_key(KEY).address, Account.from_key(OTHER_KEY).address
EMITTER = "0x0000000000000000000000000000000000070001"
EMITTER_CODE = "0x60aa60005260bb60206000a100"  # LOG1 of one word with topic 0xbb
TOPIC = "0x" + "bb".rjust(64, "0")


class World:
    """An anvil, its front, and a builder that puts the whole mempool into the next block."""

    def __init__(self, anvil: Anvil) -> None:
        self.anvil = anvil
        self.mempool = Mempool()
        self.lock = asyncio.Lock()
        self.front = Front(anvil, self.mempool, chain_id=CHAIN_ID, lock=self.lock, mine=self.build)
        self.blocks: list[list[str]] = []

    async def build(self) -> None:
        async with self.lock:
            held = list(self.mempool)
            for transaction in held:
                await self.anvil.call("eth_sendRawTransaction", "0x" + transaction.raw.hex())
            await self.anvil.call("evm_mine")
            block = await self.anvil.call("eth_getBlockByNumber", "latest", False)
            self.blocks.append(block["transactions"])
        self.mempool.drop_mined(held)
        await self.front.announce()


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with await Anvil.start(hardfork="osaka", gas_limit=30_000_000, chain_id=CHAIN_ID) as anvil:
        for address in (SENDER, OTHER):
            await anvil.call("anvil_setBalance", address, hex(10**20))
        await anvil.call("anvil_setCode", EMITTER, EMITTER_CODE)
        made = World(anvil)
        await made.front.start()
        yield made
        await made.front.stop()


def signed(nonce: int, *, key: str = KEY, to: str = OTHER, **changes: Any) -> str:
    fields = {"type": 2, "chainId": CHAIN_ID, "nonce": nonce, "to": to, "value": 1, "gas": 60_000}
    fields |= {"maxFeePerGas": 10**10, "maxPriorityFeePerGas": 10**9, "data": b""} | changes
    return "0x" + bytes(Account.sign_transaction(fields, key).raw_transaction).hex()


async def ask(url: str, method: str, *params: Any) -> Any:
    async with aiohttp.ClientSession() as session:
        body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        async with session.post(url, json=body) as response:
            answer = await response.json()
    return answer["error"] if "error" in answer else answer["result"]


class Listener:
    """A WebSocket client that keeps answers and notifications apart."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.events: dict[str, list[Any]] = {}

    async def ask(self, method: str, *params: Any) -> Any:
        await self.socket.send(json.dumps({"jsonrpc": "2.0", "id": 9, "method": method, "params": params}))
        while True:
            message = await self._next()
            if message.get("id") == 9:
                return message["error"] if "error" in message else message["result"]

    async def hear(self, subscription: str, count: int = 1) -> list[Any]:
        while len(self.events.get(subscription, [])) < count:
            await self._next()
        return self.events[subscription]

    async def _next(self) -> dict[str, Any]:
        message = dict(json.loads(await asyncio.wait_for(self.socket.recv(), 10)))
        if message.get("method") == "eth_subscription":
            self.events.setdefault(message["params"]["subscription"], []).append(message["params"]["result"])
        return message


async def test_a_transaction_waits_in_the_mempool_and_not_in_anvil_until_a_block_is_built(world: World) -> None:
    url = world.front.rpc_url
    sent = await ask(url, "eth_sendRawTransaction", signed(0))
    assert await world.anvil.call("txpool_status") == {"pending": "0x0", "queued": "0x0"}
    assert await ask(url, "eth_getTransactionCount", SENDER, "pending") == "0x1"
    assert await ask(url, "eth_getTransactionCount", SENDER, "latest") == "0x0"
    held = await ask(url, "eth_getTransactionByHash", sent)
    assert (held["hash"], held["blockHash"], held["from"]) == (sent, None, SENDER.lower())
    assert await ask(url, "eth_getTransactionReceipt", sent) is None
    assert await ask(url, "evm_mine") == "0x0"
    assert (await ask(url, "eth_getTransactionReceipt", sent))["status"] == "0x1"
    assert (await ask(url, "eth_getTransactionByHash", sent))["blockNumber"] == "0x1"
    assert await ask(url, "eth_getTransactionCount", SENDER, "pending") == "0x1"
    assert len(world.mempool) == 0


async def test_web3_sends_and_waits_for_a_receipt(world: World) -> None:
    web3 = AsyncWeb3(AsyncHTTPProvider(world.front.rpc_url))
    assert await web3.eth.chain_id == CHAIN_ID
    sent = await web3.eth.send_raw_transaction(bytes.fromhex(signed(0)[2:]))
    assert await web3.eth.get_transaction_count(SENDER, "pending") == 1
    content = await web3.geth.txpool.content()
    assert list(content["pending"][SENDER]) == ["0"]
    await world.build()
    receipt = await web3.eth.wait_for_transaction_receipt(sent, timeout=5)
    assert receipt["status"] == 1
    with pytest.raises(Web3RPCError, match="nonce too low"):
        await web3.eth.send_raw_transaction(bytes.fromhex(signed(0, value=2)[2:]))
    await web3.provider.disconnect()


async def test_web3_subscribes_to_heads_and_full_pending_transactions(world: World) -> None:
    async with AsyncWeb3(WebSocketProvider(world.front.ws_url)) as web3:
        heads = await web3.eth.subscribe("newHeads")
        pending = await web3.eth.subscribe("newPendingTransactions", True)
        sent = await web3.eth.send_raw_transaction(bytes.fromhex(signed(0)[2:]))
        await world.build()
        seen: dict[str, Any] = {}
        async with asyncio.timeout(10):
            async for message in web3.socket.process_subscriptions():
                seen[str(message["subscription"])] = message["result"]
                if len(seen) == 2:
                    break
        assert seen[pending]["hash"] == sent
        assert seen[heads]["number"] == 1


async def test_each_kind_of_subscription_hears_its_own(world: World) -> None:
    async with connect(world.front.ws_url) as socket:
        listener = Listener(socket)
        hashes = await listener.ask("eth_subscribe", "newPendingTransactions")
        full = await listener.ask("eth_subscribe", "newPendingTransactions", True)
        heads = await listener.ask("eth_subscribe", "newHeads")
        logs = await listener.ask("eth_subscribe", "logs", {"address": EMITTER, "topics": [[TOPIC, SENDER_TOPIC]]})
        other = await listener.ask("eth_subscribe", "logs", {"topics": [None, TOPIC]})
        sent = await listener.ask("eth_sendRawTransaction", signed(0, to=EMITTER))
        assert await listener.hear(hashes) == [sent]
        assert [row["hash"] for row in await listener.hear(full)] == [sent]
        await world.build()
        (head,) = await listener.hear(heads)
        assert (head["number"], "transactions" in head, len(head["parentHash"])) == ("0x1", False, 66)
        (log,) = await listener.hear(logs)
        assert (log["address"], log["topics"], log["removed"]) == (EMITTER, [TOPIC], False)
        assert log["transactionHash"] == sent
        assert await listener.ask("eth_unsubscribe", heads) is True
        assert await listener.ask("eth_unsubscribe", heads) is False
        await world.build()
        await world.anvil.call("eth_blockNumber")
        assert (await listener.ask("eth_blockNumber"), len(listener.events[heads])) == ("0x2", 1)
        assert other not in listener.events


SENDER_TOPIC = "0x" + SENDER[2:].lower().rjust(64, "0")


async def test_a_reorganisation_announces_the_new_branch_and_takes_the_old_logs_back(world: World) -> None:
    async with connect(world.front.ws_url) as socket:
        listener = Listener(socket)
        heads = await listener.ask("eth_subscribe", "newHeads")
        logs = await listener.ask("eth_subscribe", "logs", {})
        snapshot = await world.anvil.call("evm_snapshot")
        await listener.ask("eth_sendRawTransaction", signed(0, to=EMITTER))
        await world.build()
        await world.build()
        await listener.hear(heads, 2)
        await world.anvil.call("evm_revert", snapshot)
        await world.anvil.call("anvil_setNextBlockBaseFeePerGas", hex(7))
        await world.anvil.call("anvil_mine", hex(3))
        await world.front.announce()
        events = await listener.hear(heads, 5)
        assert [row["number"] for row in events] == ["0x1", "0x2", "0x1", "0x2", "0x3"]
        assert events[2]["hash"] != events[0]["hash"]
        assert events[2]["parentHash"] == events[0]["parentHash"]
        assert events[4]["parentHash"] == events[3]["hash"]
        assert [row["removed"] for row in await listener.hear(logs, 2)] == [False, True]


async def test_blocks_on_trial_are_never_seen(world: World) -> None:
    async with connect(world.front.ws_url) as socket:
        listener = Listener(socket)
        heads = await listener.ask("eth_subscribe", "newHeads")
        async with world.lock:
            snapshot = await world.anvil.call("evm_snapshot")
            await world.anvil.call("anvil_mine", hex(5))
            reading = asyncio.ensure_future(ask(world.front.rpc_url, "eth_blockNumber"))
            announcing = asyncio.ensure_future(world.front.announce())
            await asyncio.sleep(0.05)
            assert not reading.done()
            await world.anvil.call("evm_revert", snapshot)
        assert await reading == "0x0"
        await announcing
        await world.build()
        await listener.hear(heads)
        assert await listener.ask("eth_blockNumber") == "0x1"
        assert [row["number"] for row in listener.events[heads]] == ["0x1"]


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        ("0x", "failed to decode"),
        ("0x02c0", "failed to decode"),
        (signed(0, chainId=1), "invalid chain id"),
        (signed(0, gas=40_000_000), "exceeds block gas limit"),
        (signed(0, value=10**21), "insufficient funds"),
        (signed(0, key="0x" + "33" * 32), "insufficient funds"),
    ],
)
async def test_a_transaction_no_node_would_take_is_refused_with_words(world: World, raw: str, said: str) -> None:
    error = await ask(world.front.rpc_url, "eth_sendRawTransaction", raw)
    assert said in error["message"]
    assert len(world.mempool) == 0


async def test_replacement_follows_the_rules_of_the_pool(world: World) -> None:
    url = world.front.rpc_url
    first = await ask(url, "eth_sendRawTransaction", signed(0))
    assert (await ask(url, "eth_sendRawTransaction", signed(0)))["message"] == "already known"
    assert "underpriced" in (await ask(url, "eth_sendRawTransaction", signed(0, value=2)))["message"]
    dearer = signed(0, maxFeePerGas=2 * 10**10, maxPriorityFeePerGas=2 * 10**9)
    second = await ask(url, "eth_sendRawTransaction", dearer)
    assert await ask(url, "eth_getTransactionByHash", first) is None
    await world.build()
    assert world.blocks == [[second]]


async def test_the_pool_tells_pending_from_queued(world: World) -> None:
    url = world.front.rpc_url
    for nonce in (0, 1, 3):
        await ask(url, "eth_sendRawTransaction", signed(nonce))
    await ask(url, "eth_sendRawTransaction", signed(5, key=OTHER_KEY, to=SENDER))
    assert await ask(url, "txpool_status") == {"pending": "0x2", "queued": "0x2"}
    content = await ask(url, "txpool_content")
    assert {who: sorted(rows) for who, rows in content["pending"].items()} == {SENDER: ["0", "1"]}
    assert {who: sorted(rows) for who, rows in content["queued"].items()} == {SENDER: ["3"], OTHER: ["5"]}
    assert list((await ask(url, "txpool_contentFrom", OTHER))["queued"]) == ["5"]
    assert "1 wei + 60000 gas" in (await ask(url, "txpool_inspect"))["pending"][SENDER]["0"]
    assert await ask(url, "eth_getTransactionCount", SENDER, "pending") == "0x2"


async def test_pipelined_sends_keep_their_order(world: World) -> None:
    raws = [signed(nonce) for nonce in range(40)]
    async with connect(world.front.ws_url) as socket:
        for number, raw in enumerate(raws):
            request = {"jsonrpc": "2.0", "id": number, "method": "eth_sendRawTransaction", "params": [raw]}
            await socket.send(json.dumps(request))
        answers = [json.loads(await socket.recv()) for _ in raws]
    assert all("result" in answer for answer in answers)
    assert ["0x" + transaction.raw.hex() for transaction in world.mempool] == raws


async def test_sends_keep_their_order_when_the_checks_of_the_first_take_longer(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    read, calls = world.anvil.rpc.batch, []

    async def slow_at_first(requests: Any) -> Any:
        calls.append(requests)
        if len(calls) == 1:
            await asyncio.sleep(0.05)
        return await read(requests)

    monkeypatch.setattr(world.anvil.rpc, "batch", slow_at_first)
    raws = [signed(0), signed(0, key=OTHER_KEY, to=SENDER)]
    async with connect(world.front.ws_url) as socket:
        for number, raw in enumerate(raws):
            request = {"jsonrpc": "2.0", "id": number, "method": "eth_sendRawTransaction", "params": [raw]}
            await socket.send(json.dumps(request))
        for _ in raws:
            await socket.recv()
    assert ["0x" + transaction.raw.hex() for transaction in world.mempool] == raws


async def test_nobody_ends_the_subscription_of_another_connection(world: World) -> None:
    async with connect(world.front.ws_url) as one, connect(world.front.ws_url) as two:
        owner, stranger = Listener(one), Listener(two)
        heads = await owner.ask("eth_subscribe", "newHeads")
        assert await stranger.ask("eth_unsubscribe", heads) is False
        await world.build()
        assert len(await owner.hear(heads)) == 1


async def test_polled_filters_hear_blocks_pending_transactions_and_logs(world: World) -> None:
    url = world.front.rpc_url
    blocks = await ask(url, "eth_newBlockFilter")
    pending = await ask(url, "eth_newPendingTransactionFilter")
    logs = await ask(url, "eth_newFilter", {"address": [EMITTER]})
    sent = await ask(url, "eth_sendRawTransaction", signed(0, to=EMITTER))
    await world.build()
    head = await ask(url, "eth_getBlockByNumber", "latest", False)
    assert await ask(url, "eth_getFilterChanges", blocks) == [head["hash"]]
    assert await ask(url, "eth_getFilterChanges", pending) == [sent]
    assert [row["transactionHash"] for row in await ask(url, "eth_getFilterChanges", logs)] == [sent]
    assert await ask(url, "eth_getFilterChanges", logs) == []
    assert await ask(url, "eth_uninstallFilter", logs) is True
    assert "filter not found" in (await ask(url, "eth_getFilterChanges", logs))["message"]


@pytest.mark.parametrize(
    ("method", "said"),
    [
        ("anvil_mine", "builder makes the blocks"),
        ("evm_setAutomine", "builder makes the blocks"),
        ("anvil_reorg", "builder makes the blocks"),
        ("eth_sendTransaction", "holds no keys"),
        ("admin_peers", "not offered"),
        ("eth_subscribe", "WebSocket"),
        ("eth_getFilterLogs", "not offered"),
    ],
)
async def test_what_is_refused_is_refused_with_words(world: World, method: str, said: str) -> None:
    error = await ask(world.front.rpc_url, method, {})
    assert error["code"] == -32601
    assert said in error["message"]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ("", -32700),
        ("{", -32700),
        ("[]", -32600),
        ("[1", -32700),
        ('{"id": 1}', -32600),
        ('{"method": 5}', -32600),
        ('{"id":1,"method":"eth_getTransactionCount","params":["0x12","pending"]}', -32602),
        ('{"id":1,"method":"eth_sendRawTransaction","params":[]}', -32602),
        ('{"id":1,"method":"eth_getFilterChanges","params":[]}', -32602),
        (json.dumps([{"id": 1, "method": "eth_chainId"}] * 1001), -32600),
    ],
)
async def test_what_is_no_request_gets_an_error_object(world: World, body: str, code: int) -> None:
    async with (
        aiohttp.ClientSession() as session,
        session.post(world.front.rpc_url, data=body, headers={"content-type": "application/json"}) as response,
    ):
        assert response.status == 200
        assert (await response.json())["error"]["code"] == code


async def test_a_batch_is_answered_member_by_member(world: World) -> None:
    body = [
        {"jsonrpc": "2.0", "id": 1, "method": "eth_chainId", "params": []},
        5,
        {"jsonrpc": "2.0", "id": "b", "method": "nonsense", "params": []},
    ]
    async with aiohttp.ClientSession() as session, session.post(world.front.rpc_url, json=body) as response:
        answers = await response.json()
    assert answers[0]["result"] == hex(CHAIN_ID)
    assert answers[1]["error"]["code"] == -32600
    assert (answers[2]["id"], answers[2]["error"]["code"]) == ("b", -32601)


async def test_web_pages_are_kept_out(world: World) -> None:
    async with aiohttp.ClientSession() as session:
        async with session.get(world.front.rpc_url) as response:
            assert response.status == 405
        async with session.post(world.front.rpc_url, data="{}", headers={"content-type": "text/plain"}) as response:
            assert response.status == 415
    with pytest.raises(InvalidStatus):
        await connect(world.front.ws_url, origin="http://evil.example")  # type: ignore[arg-type]


async def test_a_client_that_does_not_read_is_cut_off_and_the_others_go_on(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(front_module, "NOTIFICATIONS_WAITING_MAX", 3)
    async with connect(world.front.ws_url) as slow, connect(world.front.ws_url) as other:
        stuck, fine = Listener(slow), Listener(other)
        await stuck.ask("eth_subscribe", "newPendingTransactions")
        for nonce in range(8):  # in one go, so that the writer has no chance to write
            world.mempool.add(bytes.fromhex(signed(nonce)[2:]))
        with pytest.raises(Exception, match="too slow"):
            for _ in range(10):
                await asyncio.wait_for(slow.recv(), 10)
        assert await fine.ask("eth_chainId") == hex(CHAIN_ID)


async def test_a_port_that_is_taken_is_said_to_be_taken(world: World) -> None:
    another = Front(world.anvil, Mempool(), chain_id=CHAIN_ID)
    with pytest.raises(SetupError, match=str(world.front.port)):
        await another.start(port=world.front.port)
    await another.stop()


async def test_stop_closes_open_connections(world: World) -> None:
    async with connect(world.front.ws_url) as socket:
        await world.front.stop()
        await world.front.stop()
        with pytest.raises(ConnectionClosed):
            await asyncio.wait_for(socket.recv(), 10)


async def test_readers_share_and_a_waiting_builder_gets_its_turn() -> None:
    lock, seen = asyncio.Lock(), []
    access = SharedAccess(lock)
    stop = asyncio.Event()

    async def read_all_the_time() -> None:
        while not stop.is_set():
            async with access:
                await asyncio.sleep(0.001)

    async def build() -> None:
        await asyncio.sleep(0.01)
        async with lock:
            seen.append("built")
        stop.set()

    async with asyncio.timeout(10):
        await asyncio.gather(*(read_all_the_time() for _ in range(5)), build())
    assert seen == ["built"]
    assert not lock.locked()


@pytest.mark.parametrize(
    "criteria",
    [[], {"address": 5}, {"address": "0x12"}, {"topics": "0x"}, {"topics": [1]}, {"topics": [None] * 5}],
)
def test_malformed_log_criteria_are_refused(criteria: Any) -> None:
    with pytest.raises(Rejected, match="invalid filter"):
        LogCriteria.parse(criteria)


def test_log_criteria_match_as_the_execution_api_says() -> None:
    a, b = "0x" + "0a" * 32, "0x" + "0b" * 32
    log = {"address": EMITTER, "topics": [a, b]}
    for criteria, expected in [
        ({}, True),
        ({"topics": []}, True),
        ({"topics": [a]}, True),
        ({"topics": [None, b]}, True),
        ({"topics": [[a, b], [a, b]]}, True),
        ({"topics": [b]}, False),
        ({"topics": [a, b, None]}, False),
        ({"address": [OTHER, EMITTER.upper().replace("X", "x")]}, True),
        ({"address": OTHER}, False),
    ]:
        assert LogCriteria.parse(criteria).matches(log) is expected, criteria
