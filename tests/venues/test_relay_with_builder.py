"""The client against the local relay and builder on anvil: what lands, what is replaced, what stays unknown."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from agent.devnet.builder import Ordering
from agent.devnet.pending import PendingTransaction
from agent.devnet.relay import Answer, Fault, Relay
from agent.eth.keys import Signer
from agent.venues.onchain.bundle import Bundle, replacement_uuid
from agent.venues.onchain.endpoints import BUILDERNET, FLASHBOTS, QUASAR, TITAN, Dialect, Endpoint
from agent.venues.onchain.outcomes import Evidence, Outcome, Replay, decide
from agent.venues.onchain.relay import RelayClient, send_everywhere
from agent.venues.onchain.replies import Reply, Resend
from agent.venues.onchain.signer import RelaySigner
from agent.venues.onchain.tracker import landings, mined_block_from_rpc, payment
from agent.venues.onchain.transport import AiohttpTransport, Transport
from agent.venues.onchain.wire import WireTransport
from tests.devnet.world import GWEI, KEYS, ONCE, PAYER, REVERTER, World, running_world, sign

pytestmark = pytest.mark.anvil
IDENTITY = RelaySigner(Signer(bytes([0x77]) * 32))
UUID = replacement_uuid(b"test")
SEQUENCE = 1_800_000_000_000_000


class Setting:
    """One anvil, builder and relay, and clients of it in any dialect."""

    def __init__(self, world: World, relay: Relay) -> None:
        self.world = world
        self.relay = relay
        self.transports: list[Transport] = []

    async def client(
        self, dialect: Dialect, *, is_hot: bool = True, name: str = "", timeout_ms: int = 5_000
    ) -> RelayClient:
        transport: Transport = WireTransport(self.relay.url) if is_hot else AiohttpTransport(self.relay.url)
        self.transports.append(transport)
        endpoint = Endpoint(name=name or dialect.name, url=self.relay.url, dialect=dialect)
        made = RelayClient(endpoint, identity=IDENTITY, transport=transport, timeout_ms=timeout_ms)
        await made.open()
        return made

    async def is_mined(self, transaction: PendingTransaction) -> bool:
        receipt = await self.world.anvil.call("eth_getTransactionReceipt", "0x" + transaction.hash.hex())
        return receipt is not None


@pytest.fixture
async def setting() -> AsyncIterator[Setting]:
    async with running_world(Ordering.PROFIT) as world, Relay(world.builder, is_strict=True) as relay:
        made = Setting(world, relay)
        yield made
        for transport in made.transports:
            await transport.close()


def pays(key: Signer, value: int) -> PendingTransaction:
    return sign(key, 0, to=PAYER, gas=60_000, value=value)


async def test_every_dialect_and_both_transports_land_a_bundle_and_a_later_sequence_takes_its_place(
    setting: Setting,
) -> None:
    keys = iter(KEYS)
    mined, superseded = [], []
    for dialect in (FLASHBOTS, BUILDERNET, TITAN, QUASAR):
        for is_hot in (True, False):
            key, uuid = next(keys), replacement_uuid(f"{dialect.name}{is_hot}".encode())
            client = await setting.client(dialect, is_hot=is_hot)
            for step, value in enumerate((2 * 10**15, 10**15)):  # without replacement the higher would win
                transaction = pays(key, value)
                bundle = Bundle(
                    transactions=(transaction.raw,),
                    block_number=1,
                    replacement_uuid=uuid,
                    sequence=SEQUENCE + step,
                    min_timestamp_s=1,
                    max_timestamp_s=2**40,
                )
                reply = await client.send_bundle(bundle)
                assert reply.outcome is Outcome.ACCEPTED, reply
                (superseded, mined)[step].append(transaction)
    await setting.world.builder.build()
    assert all([await setting.is_mined(transaction) for transaction in mined])
    assert not any([await setting.is_mined(transaction) for transaction in superseded])


async def test_a_withdrawn_bundle_does_not_land_in_any_dialect(setting: Setting) -> None:
    transactions = []
    for key, dialect in zip(KEYS, (FLASHBOTS, BUILDERNET, TITAN, QUASAR), strict=False):
        client = await setting.client(dialect)
        uuid = replacement_uuid(dialect.name.encode())
        transaction = pays(key, 10**15)
        transactions.append(transaction)
        await client.send_bundle(
            Bundle(transactions=(transaction.raw,), block_number=1, replacement_uuid=uuid, sequence=SEQUENCE)
        )
        reply = await client.cancel_bundle(uuid, sequence=SEQUENCE + 1)
        assert reply.outcome is Outcome.CANCEL_REQUESTED, reply
    await setting.world.builder.build()
    assert not any([await setting.is_mined(transaction) for transaction in transactions])


async def test_a_simulation_says_what_the_builder_would_be_paid_and_what_reverts(setting: Setting) -> None:
    client = await setting.client(FLASHBOTS)
    payer, reverter = pays(KEYS[0], 10**15), sign(KEYS[1], 0, to=REVERTER, gas=60_000)
    called = await client.call_bundle(Bundle(transactions=(payer.raw, reverter.raw), block_number=1))
    assert called.sent_to_coinbase_wei == 10**15
    assert called.coinbase_diff_wei == called.sent_to_coinbase_wei + called.priority_fees_wei
    assert [one.is_success for one in called.transactions] == [True, False]
    assert [one.hash for one in called.transactions] == [payer.hash, reverter.hash]


async def test_a_private_transaction_lands_or_is_withdrawn_by_its_identity(setting: Setting) -> None:
    client = await setting.client(FLASHBOTS)
    kept, withdrawn = pays(KEYS[0], 10**15), pays(KEYS[1], 10**15)
    for transaction in (kept, withdrawn):
        reply = await client.send_private_transaction(transaction.raw, max_block_number=5, is_fast=False)
        assert reply.outcome is Outcome.ACCEPTED and reply.bundle_hash == transaction.hash
    reply = await client.cancel_private_transaction(withdrawn.hash)
    assert reply.outcome is Outcome.CANCEL_REQUESTED
    await setting.world.builder.build()
    assert await setting.is_mined(kept) and not await setting.is_mined(withdrawn)


@pytest.mark.parametrize(
    "fault",
    [
        Fault(None, is_processed=True),
        Fault(Answer(200, "application/json", b""), is_processed=True),
        Fault(Answer(502, "text/html", b"<html>Bad Gateway</html>"), is_processed=True),
        Fault(Answer(200, "text/html", b"<!DOCTYPE html>"), is_processed=True),
        Fault(None, is_processed=True, delay_s=0.5),
    ],
    ids=["cut", "empty", "bad gateway", "web page", "too late"],
)
async def test_what_nobody_answered_for_is_unknown_and_may_land_but_only_once(setting: Setting, fault: Fault) -> None:
    client = await setting.client(TITAN, timeout_ms=200)
    transaction = pays(KEYS[0], 10**15)
    bundle = Bundle(transactions=(transaction.raw,), block_number=1, replacement_uuid=UUID, sequence=SEQUENCE)
    setting.relay.faults.append(fault)
    reply = await client.send_bundle(bundle)
    assert reply.outcome is Outcome.UNKNOWN and not reply.is_absent
    assert reply.resend is not Resend.NEVER
    again = await client.send_bundle(bundle)
    assert again.outcome is Outcome.DUPLICATE, "the same bytes under the same id, as the rule allows"
    await setting.world.builder.build()
    assert await setting.is_mined(transaction)
    assert await setting.world.anvil.call("eth_getTransactionCount", "0x" + KEYS[0].address.hex(), "latest") == "0x1"


async def test_one_endpoint_down_takes_nothing_from_the_others(setting: Setting) -> None:
    up = await setting.client(TITAN, name="up")
    down = await setting.client(QUASAR, name="down")
    setting.relay.faults.append(Fault(Answer(503, "text/html", b"<html>")))
    transaction = pays(KEYS[0], 10**15)
    answers = await send_everywhere([down, up], Bundle(transactions=(transaction.raw,), block_number=1))
    outcomes = {name: answer.outcome for name, answer in answers.items() if isinstance(answer, Reply)}
    assert sorted(outcomes.values()) == [Outcome.ACCEPTED, Outcome.UNKNOWN]
    await setting.world.builder.build()
    assert await setting.is_mined(transaction)


async def test_the_loser_of_a_block_learns_who_took_its_place_and_for_how_much(setting: Setting) -> None:
    """Two bundles want what can be taken once: from chain data alone one is included, the other outbid."""
    client = await setting.client(TITAN)
    winner = sign(KEYS[0], 0, to=ONCE, gas=100_000, value=2 * 10**15)
    loser = sign(KEYS[1], 0, to=ONCE, gas=100_000, value=10**15)
    for transaction in (loser, winner):
        await client.send_bundle(Bundle(transactions=(transaction.raw,), block_number=1))
    await setting.world.builder.build()

    call = setting.world.anvil.call
    block = mined_block_from_rpc(
        await call("eth_getBlockByNumber", "0x1", True), await call("eth_getBlockReceipts", "0x1")
    )
    found = {one.hash: landings(block, [one.hash]) for one in (winner, loser)}
    standing = {"target_block": 1, "head_block": 1, "first_nonce": 0, "max_fee_wei": 100 * GWEI}
    assert decide(Evidence(**standing, landings=found[winner.hash])).outcome is Outcome.INCLUDED

    taken = next(one for one in block.transactions if one.to == ONCE)
    assert taken.hash == winner.hash
    gained = await setting.world.balance(block.fee_recipient)
    assert payment(block, taken).paid_wei + 2 * 10**15 == gained, "receipts show the fees, not what the contract sent"
    assert payment(block, taken, {winner.hash: 2 * 10**15}).paid_wei == gained
    replays = (Replay(None, None, 10**15), Replay(taken.index, Outcome.SIM_REVERTED, 0))
    nonce = int(await call("eth_getTransactionCount", "0x" + KEYS[1].address.hex(), "latest"), 16)
    decision = decide(
        Evidence(
            **standing,
            landings=found[loser.hash],
            sender_nonce_after_target=nonce,
            target_base_fee_wei=block.base_fee_wei,
            target_timestamp_s=block.timestamp_s,
            replays=replays,
        )
    )
    assert (decision.outcome, decision.rival_index) == (Outcome.EXCLUDED_OUTBID, taken.index)
