"""The relay client: what goes out to whom, in which order, and what never goes out."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from agent.errors import OutcomeUnknown, ProtocolError, RateLimited, Rejected
from agent.eth.keccak import keccak256
from agent.eth.keys import Signer
from agent.venues.onchain.bundle import Bundle, NotExpressible
from agent.venues.onchain.endpoints import BUILDERNET, DIALECTS, FLASHBOTS, QUASAR, TITAN, Dialect, Endpoint
from agent.venues.onchain.outcomes import Outcome
from agent.venues.onchain.relay import RelayClient, send_everywhere
from agent.venues.onchain.replies import Lost, RawReply, Reply, ReplyClass
from agent.venues.onchain.signer import RelaySigner, SignedBody, verify_header

IDENTITY = RelaySigner(Signer(bytes([1]) * 32))
UUID = "8b4b1f0a-0f4e-4d2e-9a52-0d2f6f6b7a11"
RAW = (b"\x02target", b"\x02ours")
ACCEPTED = RawReply(200, "application/json", json.dumps({"result": {"bundleHash": "0x" + "11" * 32}}).encode())


class Recorder:
    """A transport that writes nothing: it keeps what it was given and answers what the test says."""

    def __init__(self, *deliveries: RawReply | Lost) -> None:
        self.requests: list[SignedBody] = []
        self.deliveries = list(deliveries) or [ACCEPTED]
        self.gate = asyncio.Event()
        self.gate.set()

    def post(self, request: SignedBody, *, timeout_ms: int) -> asyncio.Future[RawReply | Lost]:
        self.requests.append(request)
        delivery = self.deliveries.pop(0) if len(self.deliveries) > 1 else self.deliveries[0]
        return asyncio.ensure_future(self._answer(delivery))

    async def _answer(self, delivery: RawReply | Lost) -> RawReply | Lost:
        await self.gate.wait()
        return delivery

    @property
    def calls(self) -> list[dict[str, Any]]:
        return [json.loads(request.body) for request in self.requests]

    async def open(self) -> None: ...

    async def close(self) -> None: ...


def client(dialect: Dialect, transport: Recorder) -> RelayClient:
    return RelayClient(
        Endpoint(name=dialect.name, url="https://relay.example", dialect=dialect),
        identity=IDENTITY,
        transport=transport,
    )


def bundle(sequence: int | None = None, **fields: Any) -> Bundle:
    order = {} if sequence is None else {"replacement_uuid": UUID, "sequence": sequence}
    return Bundle(**{"transactions": RAW, "block_number": 100, **order, **fields})


async def test_what_is_sent_is_signed_as_it_is_sent() -> None:
    transport = Recorder()
    reply = await client(TITAN, transport).send_bundle(bundle())
    (request,) = transport.requests
    assert verify_header(request.header, request.body) == IDENTITY.address
    assert reply.outcome is Outcome.ACCEPTED and reply.bundle_hash == bytes([0x11] * 32)


async def test_a_bundle_goes_to_all_at_once_and_each_answers_for_itself() -> None:
    transports = {
        "titan": Recorder(),
        "buildernet": Recorder(Lost("cut", was_written=True)),
        "quasar": Recorder(RawReply(429, "", b"")),
        "flashbots": Recorder(Lost("no connection", was_written=False)),
    }
    clients = [client(DIALECTS[name], transport) for name, transport in transports.items()]
    answers = await send_everywhere(clients, bundle(sequence=1))
    outcomes = {name: reply.outcome for name, reply in answers.items() if isinstance(reply, Reply)}
    assert outcomes == {
        "titan": Outcome.ACCEPTED,
        "buildernet": Outcome.UNKNOWN,
        "quasar": Outcome.REFUSED_RATE,
        "flashbots": Outcome.UNKNOWN,
    }
    assert all(len(transport.requests) == 1 for transport in transports.values()), "nobody is asked twice"
    absent = {name for name, reply in answers.items() if isinstance(reply, Reply) and reply.is_absent}
    assert absent == {"quasar", "flashbots"}


async def test_all_requests_are_written_before_one_is_awaited() -> None:
    transports = [Recorder() for _ in range(4)]
    for transport in transports:
        transport.gate.clear()
    dialects = (TITAN, BUILDERNET, QUASAR, FLASHBOTS)
    clients = [client(dialect, transport) for dialect, transport in zip(dialects, transports, strict=True)]
    sending = asyncio.ensure_future(send_everywhere(clients, bundle(sequence=1)))
    await asyncio.sleep(0)
    assert [len(transport.requests) for transport in transports] == [1, 1, 1, 1]
    for transport in transports:
        transport.gate.set()
    assert len(await sending) == 4


async def test_endpoints_that_cannot_say_it_get_nothing_and_the_others_do() -> None:
    able, unable = Recorder(), Recorder()
    dropping = bundle(dropping=(keccak256(RAW[0]),))
    answers = await send_everywhere([client(FLASHBOTS, unable), client(QUASAR, able)], dropping)
    assert isinstance(answers["flashbots"], NotExpressible) and not unable.requests
    assert isinstance(answers["quasar"], Reply) and len(able.requests) == 1


async def test_one_body_is_signed_once_for_all_who_get_it() -> None:
    one, other = Recorder(), Recorder()
    titan = client(TITAN, one)
    quasar = client(QUASAR, other)
    await send_everywhere([titan, quasar], bundle(sequence=1))
    assert one.requests[0] is other.requests[0]


async def test_a_sequence_below_one_that_went_out_is_refused_here() -> None:
    transport = Recorder()
    titan = client(TITAN, transport)
    await titan.send_bundle(bundle(sequence=5))
    with pytest.raises(Rejected) as caught:
        await titan.send_bundle(bundle(sequence=4))
    assert caught.value.code == "E_SEQUENCE_TOO_LOW" and len(transport.requests) == 1


async def test_an_identical_body_is_not_counted_as_a_new_submission() -> None:
    buildernet = client(BUILDERNET, Recorder())
    assert (await buildernet.send_bundle(bundle())).outcome is Outcome.ACCEPTED
    assert (await buildernet.send_bundle(bundle())).outcome is Outcome.DUPLICATE


async def test_where_arrival_is_the_order_a_later_send_waits_and_an_overtaken_one_is_not_sent() -> None:
    transport = Recorder()
    transport.gate.clear()
    flashbots = client(FLASHBOTS, transport)
    sends = [asyncio.ensure_future(flashbots.send_bundle(bundle(sequence=i, block_number=100 + i))) for i in (1, 2, 3)]
    for _ in range(5):
        await asyncio.sleep(0)
    assert [call["params"][0]["blockNumber"] for call in transport.calls] == ["0x65"]
    transport.gate.set()
    replies = await asyncio.gather(*sends)
    assert [call["params"][0]["blockNumber"] for call in transport.calls] == ["0x65", "0x67"]
    assert [reply.outcome for reply in replies] == [Outcome.ACCEPTED, Outcome.REPLACED, Outcome.ACCEPTED]
    assert not flashbots._arrivals


@pytest.mark.parametrize(
    ("dialect", "method", "params"),
    [
        (FLASHBOTS, "eth_cancelBundle", {"replacementUuid": UUID}),
        (TITAN, "eth_cancelBundle", {"replacementUuid": UUID}),
        (BUILDERNET, "eth_sendBundle", {"txs": [], "replacementUuid": UUID, "replacementNonce": 6}),
        (QUASAR, "eth_sendBundle", {"txs": [], "replacementUuid": UUID, "replacementSeqNumber": 6}),
    ],
)
async def test_a_cancel_is_said_in_the_dialect_and_its_id_is_dead(
    dialect: Dialect, method: str, params: dict[str, Any]
) -> None:
    transport = Recorder(ACCEPTED, RawReply(200, "application/json", b'{"result":200,"error":null,"id":1}'))
    relay = client(dialect, transport)
    await relay.send_bundle(bundle(sequence=5))
    reply = await relay.cancel_bundle(UUID, sequence=2)
    assert reply.outcome is Outcome.CANCEL_REQUESTED
    assert (transport.calls[1]["method"], transport.calls[1]["params"]) == (method, [params])
    with pytest.raises(Rejected) as caught:
        await relay.send_bundle(bundle(sequence=9))
    assert caught.value.code == "E_REPLACEMENT_ID_WITHDRAWN" and len(transport.requests) == 2


async def test_an_unanswered_cancel_is_unknown_and_never_held_for_done() -> None:
    reply = await client(TITAN, Recorder(Lost("cut", was_written=True))).cancel_bundle(UUID, sequence=1)
    assert reply.outcome is Outcome.UNKNOWN


async def test_private_transactions_name_their_last_block_in_hex() -> None:
    transport = Recorder(
        RawReply(200, "", b'{"result":"0x' + b"22" * 32 + b'"}'), RawReply(200, "", b'{"result":true}')
    )
    flashbots = client(FLASHBOTS, transport)
    sent = await flashbots.send_private_transaction(RAW[1], max_block_number=125, is_fast=False)
    assert sent.outcome is Outcome.ACCEPTED
    cancelled = await flashbots.cancel_private_transaction(keccak256(RAW[1]))
    assert cancelled.outcome is Outcome.CANCEL_REQUESTED
    assert transport.calls[0]["params"] == [
        {"tx": "0x02" + RAW[1][1:].hex(), "maxBlockNumber": "0x7d", "preferences": {"fast": False}}
    ]
    assert transport.calls[1]["params"] == [{"txHash": "0x" + keccak256(RAW[1]).hex()}]


async def test_a_cancel_of_a_private_transaction_that_is_denied_is_no_cancel() -> None:
    flashbots = client(FLASHBOTS, Recorder(RawReply(200, "", b'{"result":false}')))
    reply = await flashbots.cancel_private_transaction(keccak256(RAW[1]))
    assert reply.outcome is not Outcome.CANCEL_REQUESTED


@pytest.mark.parametrize("dialect", [BUILDERNET, QUASAR])
async def test_methods_that_an_endpoint_lacks_are_refused_before_anything_is_sent(dialect: Dialect) -> None:
    transport = Recorder()
    relay = client(dialect, transport)
    for asking in (
        relay.call_bundle(bundle()),
        relay.send_private_transaction(RAW[0], max_block_number=1, is_fast=True),
        relay.cancel_private_transaction(keccak256(RAW[0])),
    ):
        with pytest.raises(NotExpressible):
            await asking
    assert not transport.requests


async def test_a_simulation_names_both_blocks_and_its_figures_are_read() -> None:
    member = {"txHash": "0x" + "33" * 32, "gasUsed": 21_000}
    result = {
        "coinbaseDiff": "30",
        "ethSentToCoinbase": "10",
        "gasFees": "20",
        "totalGasUsed": 42_000,
        "stateBlockNumber": 99,
        "results": [{**member, "value": "0x"}, {**member, "error": "execution reverted", "revert": "nope"}],
    }
    transport = Recorder(RawReply(200, "", json.dumps({"result": result}).encode()))
    called = await client(FLASHBOTS, transport).call_bundle(bundle(), state_block_number=99, timestamp_s=7)
    params = transport.calls[0]["params"][0]
    assert (params["blockNumber"], params["stateBlockNumber"], params["timestamp"]) == ("0x64", "0x63", 7)
    assert called.coinbase_diff_wei == called.sent_to_coinbase_wei + called.priority_fees_wei == 30
    assert [(one.is_success, one.error) for one in called.transactions] == [(True, ""), (False, "nope")]


@pytest.mark.parametrize(
    ("delivery", "error"),
    [
        (RawReply(429, "", b""), RateLimited),
        (Lost("cut", was_written=True), OutcomeUnknown),
        (RawReply(200, "", b'{"error":{"code":-32000,"message":"err: nonce too low: x"}}'), Rejected),
        (RawReply(200, "", b'{"result":{"bundleHash":"0x"}}'), ProtocolError),
        (RawReply(200, "", b'{"result":[]}'), ProtocolError),
    ],
)
async def test_a_simulation_without_figures_raises_what_fits(delivery: RawReply | Lost, error: type[Exception]) -> None:
    with pytest.raises(error):
        await client(FLASHBOTS, Recorder(delivery)).call_bundle(bundle())


async def test_a_refusal_leads_nowhere_else(vectors: Path) -> None:
    """Whatever an endpoint answers, one request went out, to it."""
    for case in json.loads((vectors / "bundles" / "errors.json").read_text())["cases"]:
        asked, other = Recorder(RawReply(case["http_status"], case["content_type"], case["body"].encode())), Recorder()
        idle = client(QUASAR, other)
        await client(TITAN, asked).send_bundle(bundle())
        assert len(asked.requests) == 1 and not other.requests and idle.name == "quasar"


def test_no_code_of_the_venue_can_reach_a_public_mempool() -> None:
    folder = Path(__file__).resolve().parents[2] / "agent" / "venues" / "onchain"
    sending = [path.name for path in folder.glob("*.py") if "sendRawTransaction" in path.read_text()]
    assert sending in ([], ["deploy.py"]), "only a deployment, which is public by nature, may broadcast"


async def test_the_reply_to_a_success_keeps_the_endpoints_own_hash() -> None:
    reply = await client(BUILDERNET, Recorder(RawReply(200, "", b'{"result":null}'))).send_bundle(bundle())
    assert (reply.outcome, reply.bundle_hash) == (Outcome.ACCEPTED_NO_RECEIPT, None)
    assert reply.reply_class is ReplyClass.SUCCESS
