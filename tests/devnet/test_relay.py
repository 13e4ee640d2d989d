"""The relay over HTTP: shapes of answers, limits, replacement, simulation, and what it says of each bundle."""

from __future__ import annotations

import json
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from eth_account import Account
from eth_account.messages import encode_defunct
from eth_utils import keccak

from agent.devnet.builder import Ordering
from agent.devnet.pending import PendingTransaction
from agent.devnet.relay import Answer, Fault, Relay
from agent.errors import SetupError
from tests.devnet.world import GWEI, KEYS, ONCE, PAYER, REVERTER, World, running_world, sign

pytestmark = pytest.mark.anvil
AUTH = Account.from_key("0x" + "77" * 32)
OTHER = Account.from_key("0x" + "78" * 32)
ID = "1b4e28ba-2fa1-4d12-883f-0016d3cca427"


def header(body: bytes, account: Any = AUTH) -> str:
    signed = account.sign_message(encode_defunct(text="0x" + keccak(body).hex()))
    return f"{account.address}:0x{signed.signature.hex()}"


class Client:
    """A client that signs with eth_account and sends the bytes it signed."""

    def __init__(self, world: World, relay: Relay, session: aiohttp.ClientSession) -> None:
        self.world = world
        self.relay = relay
        self.session = session

    async def post(
        self, body: bytes, *, signature: str | None = None, content_type: str = "application/json"
    ) -> tuple[int, str, bytes]:
        headers = {"Content-Type": content_type}
        if signature:
            headers["X-Flashbots-Signature"] = signature
        async with self.session.post(self.relay.url, data=body, headers=headers) as response:
            return response.status, response.headers["Content-Type"], await response.read()

    async def call(self, method: str, *params: Any, account: Any = AUTH) -> Any:
        body = json.dumps({"jsonrpc": "2.0", "id": 7, "method": method, "params": list(params)}).encode()
        status, _, answer = await self.post(body, signature=header(body, account))
        decoded = json.loads(answer)
        return decoded.get("result", {"status": status, **decoded})

    async def send(self, *transactions: PendingTransaction, account: Any = AUTH, **fields: Any) -> Any:
        bundle = {"txs": ["0x" + tx.raw.hex() for tx in transactions], "blockNumber": "0x1", **fields}
        return await self.call("eth_sendBundle", bundle, account=account)

    async def status(self, key: str) -> list[dict[str, Any]]:
        answer: list[dict[str, Any]] = await self.call("devnet_bundleStatus", {"bundleHash": key})
        return answer


@pytest.fixture(params=[False])
async def client(request: pytest.FixtureRequest) -> AsyncIterator[Client]:
    async with (
        running_world(Ordering.PROFIT) as world,
        Relay(world.builder, is_strict=request.param) as relay,
        aiohttp.ClientSession() as session,
    ):
        yield Client(world, relay, session)


async def test_a_bundle_sent_lands_and_its_status_says_where(client: Client) -> None:
    ours = sign(KEYS[0], 0, to=PAYER, gas=60_000, value=10**15)
    answer = await client.send(ours)
    assert answer == {"bundleHash": "0x" + keccak(ours.hash).hex()}
    await client.world.builder.build()
    (status,) = await client.status(answer["bundleHash"])
    assert (status["state"], status["blockNumber"], status["indices"]) == ("included", 1, [0])
    assert int(status["paymentWei"]) > 10**15
    async with client.session.get(client.relay.url + "/bundles") as page:
        assert answer["bundleHash"] in await page.text()


async def test_refusals_have_the_shapes_of_the_real_services(client: Client, vectors: Path) -> None:
    rows = {row["name"]: row for row in json.loads((vectors / "bundles" / "errors.json").read_text())["cases"]}

    def same(answer: tuple[int, str, bytes], name: str, *, ignore_id: bool = False) -> None:
        status, content_type, body = answer
        row = rows[name]
        assert (status, content_type) == (row["http_status"], row["content_type"]), name
        if content_type != "application/json":
            assert body == row["body"].encode()
            return
        got, expected = json.loads(body), json.loads(row["body"])
        assert got == expected, name

    def body_of(method: str, params: Any) -> bytes:
        return json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode()

    send = body_of("eth_sendBundle", [{"txs": ["0x00"], "blockNumber": "0x1"}])
    same(await client.post(send, signature=header(send)), "relay: bundle undecodable, error is a bare string")
    same(await client.post(send), "relay: header missing, current wording, id null")
    same(
        await client.post(send, signature=header(send + b" ")),
        "go-utils server: signature invalid, HTTP 200, id null",
    )
    unknown = body_of("eth_nothing", [])
    same(await client.post(unknown, signature=header(unknown)), "go-utils server: method unknown, HTTP 200")
    raw = "0x" + sign(KEYS[0], 0).raw.hex()
    many = body_of("eth_sendBundle", [{"txs": [raw] * 101, "blockNumber": "0x1"}])
    same(await client.post(many, signature=header(many)), "go-utils server: application error, HTTP 200")
    same(
        await client.post(send, signature=header(send), content_type="application/json; charset=utf-8"),
        "go-utils server: wrong content type, text body",
    )
    removed = body_of("flashbots_getUserStatsV2", [{"blockNumber": "0x1"}])
    assert (await client.post(removed, signature=header(removed)))[0] == 403
    batch = b"[" + unknown + b"]"
    assert json.loads((await client.post(batch, signature=header(batch)))[2])["error"]["code"] == -32700
    assert len(client.world.builder.bundles) == 0
    async with client.session.get(client.relay.url) as response:
        assert response.status == 405


@pytest.mark.parametrize(
    "fields",
    [
        {"txs": []},
        {"txs": "0x00"},
        {"txs": None},
        {"blockNumber": "ten"},
        {"minTimestamp": "0x1"},
        {"maxTimestamp": -1},
        {"revertingTxHashes": ["0x12"]},
        {"refundPercent": 100, "replacementUuid": ID},
        {"refundTxHashes": ["0x" + "00" * 32] * 2},
        {"version": "v3"},
        {"version": "v1", "droppingTxHashes": ["0x" + "00" * 32]},
        {"replacementNonce": 1},
        {"refundRecipient": "0x12"},
        {"desiredState": "BottomOfBlock"},
        {"txs": ["0x" + "00" * 300_001]},
    ],
)
async def test_wrong_fields_are_refused_and_nothing_is_held(client: Client, fields: dict[str, Any]) -> None:
    answer = await client.send(sign(KEYS[0], 0), **fields)
    assert answer.get("error"), fields
    assert len(client.world.builder.bundles) == 0


@pytest.mark.parametrize("client", [True], indirect=True)
@pytest.mark.parametrize(
    "fields",
    [{"blockNumber": 1}, {"blockNumber": None}, {"replacementUuid": "mine"}, {"surprise": 1}, {"signingAddress": "0x"}],
)
async def test_strict_mode_refuses_what_a_careful_client_would_not_send(client: Client, fields: dict[str, Any]) -> None:
    assert (await client.send(sign(KEYS[0], 0), **fields))["error"]["code"] == -32602


async def test_lenient_mode_takes_what_the_old_clients_send(client: Client) -> None:
    sent = {"minTimestamp": 0, "maxTimestamp": 0, "revertingTxHashes": [], "replacementUuid": None}
    assert "bundleHash" in await client.send(sign(KEYS[0], 0), **sent)
    assert "bundleHash" in await client.send(sign(KEYS[1], 0), blockNumber=1, surprise=True)
    assert "smart" not in await client.send(sign(KEYS[2], 0))
    assert (await client.send(sign(KEYS[3], 0), builders=["flashbots"]))["smart"] == "true"


async def test_the_last_replacement_lands_alone(client: Client) -> None:
    first, second = (sign(KEYS[0], 0, to=PAYER, gas=60_000, value=value) for value in (10**15, 10**14))
    sent = [await client.send(tx, replacementUuid=ID) for tx in (first, second)]
    built = await client.world.builder.build()
    assert [receipt["transactionHash"] for receipt in built.receipts] == ["0x" + second.hash.hex()]
    statuses = [(await client.status(answer["bundleHash"]))[0] for answer in sent]
    assert [(status["state"], status["reason"]) for status in statuses] == [("dropped", "Replaced"), ("included", None)]


async def test_a_client_that_once_left_the_sequence_out_is_ignored_with_small_counters(client: Client) -> None:
    first, second = (sign(KEYS[0], 0, to=PAYER, gas=60_000, value=value) for value in (10**14, 10**15))
    await client.send(first, replacementUuid=ID)
    assert "bundleHash" in await client.send(second, replacementUuid=ID, replacementNonce=2)
    built = await client.world.builder.build()
    assert [receipt["transactionHash"] for receipt in built.receipts] == ["0x" + first.hash.hex()]


@pytest.mark.parametrize("way", ["cancel method", "empty bundle"])
async def test_a_cancelled_bundle_does_not_land(client: Client, way: str) -> None:
    answer = await client.send(sign(KEYS[0], 0, to=PAYER, gas=60_000), replacementUuid=ID)
    if way == "cancel method":
        assert await client.call("eth_cancelBundle", {"replacementUuid": ID}) == [answer["bundleHash"]]
    else:
        await client.send(replacementUuid=ID)
    built = await client.world.builder.build()
    assert built.receipts == ()
    assert (await client.status(answer["bundleHash"]))[0]["reason"] == "Cancelled"


async def test_another_key_neither_cancels_nor_replaces(client: Client) -> None:
    first = sign(KEYS[0], 0, to=PAYER, gas=60_000, value=10**15)
    await client.send(first, replacementUuid=ID)
    assert await client.call("eth_cancelBundle", {"replacementUuid": ID}, account=OTHER) == []
    built = await client.world.builder.build()
    assert [receipt["transactionHash"] for receipt in built.receipts] == ["0x" + first.hash.hex()]


async def test_a_bundle_for_a_past_block_says_that_it_expired(client: Client) -> None:
    await client.world.builder.build()
    answer = await client.send(sign(KEYS[0], 0))
    assert (await client.status(answer["bundleHash"]))[0]["reason"] == "Expired"


async def test_private_transactions_land_or_are_cancelled_by_their_key(client: Client) -> None:
    kept, cancelled, free = sign(KEYS[0], 0), sign(KEYS[1], 0), sign(KEYS[2], 0, tip=0)
    for transaction in (kept, cancelled, free):
        sent = {"tx": "0x" + transaction.raw.hex(), "maxBlockNumber": 3, "preferences": {"fast": True}}
        assert await client.call("eth_sendPrivateTransaction", sent) == "0x" + transaction.hash.hex()
    named = {"txHash": "0x" + cancelled.hash.hex()}
    assert await client.call("eth_cancelPrivateTransaction", named, account=OTHER) is False
    assert await client.call("eth_cancelPrivateTransaction", named) is True
    built = await client.world.builder.build()
    assert [receipt["transactionHash"] for receipt in built.receipts] == ["0x" + kept.hash.hex()]
    assert len(client.world.mempool) == 0
    assert (await client.status("0x" + free.hash.hex()))[0]["reason"] == "NoProfit"


@pytest.mark.parametrize("state", ["latest", "0x1"])
async def test_a_simulation_equals_what_is_mined(client: Client, state: str) -> None:
    """On the head by mining and taking back, on a past state by eth_simulateV1: the same figures."""
    await client.world.builder.build()  # block 1
    bundle = [
        sign(KEYS[0], 0, to=PAYER, gas=60_000, value=10**15, tip=2 * GWEI),
        sign(KEYS[1], 0, to=REVERTER, gas=60_000),
        sign(KEYS[2], 0, to=ONCE, gas=90_000, value=7),
    ]
    if state == "0x1":
        await client.world.builder.build()  # the head moves on: block 1 is a past state now
    asked = {"txs": ["0x" + tx.raw.hex() for tx in bundle], "blockNumber": "0x2", "stateBlockNumber": state}
    result = await client.call("eth_callBundle", asked)
    head = await client.world.anvil.call("eth_blockNumber")
    assert await client.world.anvil.call("txpool_status") == {"pending": "0x0", "queued": "0x0"}  # nothing leaks
    if state == "0x1":
        await client.world.anvil.call("anvil_rollback", 1)
        assert head == "0x2"
    for transaction in bundle:
        client.world.mempool.add(transaction.raw)
    before = await client.world.balance(client.world.builder.fee_recipient)
    client.world.builder.ordering = Ordering.ARCHIVED
    built = await client.world.builder.build()
    gained = await client.world.balance(client.world.builder.fee_recipient) - before
    assert int(result["coinbaseDiff"]) == gained
    assert int(result["coinbaseDiff"]) == int(result["gasFees"]) + int(result["ethSentToCoinbase"])
    assert int(result["ethSentToCoinbase"]) == 10**15 + 7
    assert [r["gasUsed"] for r in result["results"]] == [int(r["gasUsed"], 16) for r in built.receipts]
    assert result["totalGasUsed"] == sum(r["gasUsed"] for r in result["results"])
    assert int(result["bundleGasPrice"]) == gained // result["totalGasUsed"]
    assert result["stateBlockNumber"] == 1
    assert ["error" in r for r in result["results"]] == [False, True, False]
    assert ["value" in r for r in result["results"]] == [True, False, True]
    assert result["results"][0]["fromAddress"] == Account.from_key(b"\x01" * 32).address


@pytest.mark.parametrize("state", ["latest", "0x0"])
async def test_a_simulation_names_a_wrong_nonce_in_the_relays_words(client: Client, state: str) -> None:
    if state == "0x0":
        await client.world.builder.build()
    bad = sign(KEYS[0], 3)
    asked = {"txs": ["0x" + bad.raw.hex()], "blockNumber": "0x1", "stateBlockNumber": state}
    error = (await client.call("eth_callBundle", asked))["error"]
    assert await client.world.anvil.call("txpool_status") == {"pending": "0x0", "queued": "0x0"}
    assert error["code"] == -32000
    address = Account.from_key(b"\x01" * 32).address.lower()
    assert error["message"] == f"err: nonce too high: address {address}, tx: 3 state: 0; txhash 0x{bad.hash.hex()}"


async def test_scripted_faults_answer_for_the_relay_once(client: Client) -> None:
    html = Answer(502, "text/html", b"<html>Bad Gateway</html>")
    ours = sign(KEYS[0], 0)
    body = json.dumps(
        {
            "jsonrpc": "2.0",
            "id": 1,
            "method": "eth_sendBundle",
            "params": [{"txs": ["0x" + ours.raw.hex()], "blockNumber": "0x1", "replacementUuid": str(uuid.uuid4())}],
        }
    ).encode()
    client.relay.faults.append(Fault(html))
    client.relay.faults.append(Fault(None, is_processed=True))
    assert (await client.post(body, signature=header(body)))[0] == 502
    assert len(client.world.builder.bundles) == 0
    with pytest.raises(aiohttp.ClientError):
        await client.post(body, signature=header(body))
    assert len(client.world.builder.bundles) == 1  # the client cannot know, but it was taken
    assert (await client.post(body, signature=header(body)))[0] == 200


async def test_a_port_that_is_taken_is_said_in_one_sentence(client: Client) -> None:
    with pytest.raises(SetupError, match=str(client.relay.port)):
        await Relay(client.world.builder).start(port=client.relay.port)
