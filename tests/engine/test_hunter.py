"""The hunter without a chain: what is held, sent, replaced, withdrawn; and that the journal knew first."""

from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec
import pytest

from agent.core.codes import Code
from agent.core.events.chain import ChainFacts, HeadSeen
from agent.core.events.control import GuardPulse, HaltAsked, TimerFired
from agent.core.limits import RiskLimits
from agent.core.step import Core
from agent.dex.pool import StateName
from agent.dex.pool_set import PoolSet
from agent.dex.v2 import V2Pool
from agent.engine.candidate import Candidate
from agent.engine.execution import Execution
from agent.engine.executor import Terms, calldata
from agent.engine.hunter import Hunter
from agent.engine.latency import StageClock
from agent.engine.settings import HuntSettings
from agent.engine.tracked import Target, Tracked
from agent.errors import OutcomeUnknown
from agent.eth.keys import Signer
from agent.eth.units import Address, Hash32
from agent.journal.reader import JournalReader
from agent.journal.records import EFFECTS, EVENT, Run
from agent.journal.writer import JournalWriter
from agent.sim.simulator import BlockEnv, Call
from agent.strategies.arb.cycles import index_cycles
from agent.strategies.arb.opportunity import Opportunity
from agent.venues.onchain.bundle import Bundle
from agent.venues.onchain.endpoints import FLASHBOTS, Endpoint
from agent.venues.onchain.last_guard import LastCaps
from agent.venues.onchain.outcomes import Outcome
from agent.venues.onchain.relay import CalledBundle, CalledTransaction, PreparedBundle
from agent.venues.onchain.replies import RawReply, Reply, classify
from agent.venues.onchain.signer import SignedBody

WETH, USDC, EXECUTOR = (Address(bytes([i]) * 20) for i in (1, 2, 3))
HASH = Hash32(b"\x0a" * 32)
ENV = BlockEnv(
    number=101, timestamp=1_012, base_fee_wei=10, fee_recipient=EXECUTOR, gas_limit=30_000_000, prev_randao=1
)
HEAD = HeadSeen(number=100, block_hash="0xaa", parent_hash="0x99", timestamp_s=1_000, next_base_fee_wei=10)
FACTS = ChainFacts(
    head_hash=HEAD.block_hash,
    chain_id=1,
    executor_code_hash="",
    is_synced=True,
    head_age_ns=0,
    chain_nonces=0,
    ledger_nonces=0,
    operators_wei=10**20,
    cutoff_ns=1 << 62,
    endpoints=(("relay", 99),),
)
LIMITS = RiskLimits(min_net_wei=1, max_gas_wei_per_day=10**18, max_exposure_wei=10**18, max_bundles_per_block=9)
GAS = 150_000


def pool(number: int, *, weth: int, usdc: int) -> V2Pool:
    address = Address(bytes([number]) * 20)
    return V2Pool(address=address, token0=WETH, token1=USDC, fee_pips=3000, reserve0=weth, reserve1=usdc)


POOLS = PoolSet([pool(10, weth=10**21, usdc=2 * 10**12), pool(11, weth=10**21, usdc=3 * 10**12)])
BETTER = PoolSet([pool(10, weth=10**21, usdc=2 * 10**12), pool(11, weth=10**21, usdc=4 * 10**12)])


class ObedientAppraiser:
    """Says of every opportunity that execution pays what it quotes."""

    async def appraise(
        self, opportunities: list[Opportunity], env: BlockEnv, pools: PoolSet, **_: object
    ) -> list[Candidate]:
        return [self._candidate(one, env) for one in opportunities]

    def _candidate(self, one: Opportunity, env: BlockEnv) -> Candidate:
        execution = Execution(
            is_success=True,
            gross_amount=one.gross_amount,
            payment_wei=one.gross_amount // 2,
            gas_used=GAS,
            missing=(),
            assumed=(),
            refused="",
            error="",
        )
        terms = Terms(
            payment_bps=0,
            floor_amount=1,
            max_fee_wei=env.base_fee_wei,
            max_priority_fee_wei=0,
            gas_limit=GAS,
            last_block=env.number,
            parent_hash=None,
        )
        return Candidate(opportunity=one, measured=execution, value_wei=one.gross_amount, terms=terms, final=execution)

    def call(self, candidate: Candidate, *, operator: Address, nonce: int) -> Call:
        assert candidate.terms is not None
        data = calldata(candidate.opportunity, candidate.terms, last_block=candidate.terms.last_block)
        return Call(sender=operator, to=EXECUTOR, data=data, gas=GAS, nonce=nonce, max_fee_wei=10)


class Recorder:
    """An endpoint that takes everything, and remembers what the journal held when it was asked."""

    name = "recorder"
    endpoint = Endpoint(name="recorder", url="http://127.0.0.1:1", dialect=FLASHBOTS)
    identity = Signer(b"\x07" * 32)

    def __init__(self, journal_folder: Path) -> None:
        self.bundles: list[Bundle] = []
        self.cancelled: list[str] = []
        self.records_when_asked: list[int] = []
        self.gas_it_measures = GAS
        self.is_silent = False
        self._folder = journal_folder

    def prepare(self, bundle: Bundle, **_: object) -> PreparedBundle:
        self.records_when_asked.append(len(list(JournalReader(self._folder).records())))
        self.bundles.append(bundle)
        return PreparedBundle(SignedBody(b"{}", ""), bundle.replacement_uuid, bundle.sequence)

    async def submit(self, prepared: PreparedBundle) -> Reply:
        return self._accepted()

    async def cancel_bundle(self, replacement_uuid: str, *, sequence: int) -> Reply:
        self.cancelled.append(replacement_uuid)
        return self._accepted()

    async def call_bundle(self, bundle: Bundle) -> CalledBundle:
        if self.is_silent:
            raise OutcomeUnknown("no answer in time")
        ours = CalledTransaction(HASH, self.gas_it_measures, True, "")
        return CalledBundle(1, 1, 0, self.gas_it_measures, 100, (ours,))

    def _accepted(self) -> Reply:
        body = b'{"jsonrpc":"2.0","id":1,"result":{"bundleHash":"0x' + b"11" * 32 + b'"}}'
        return classify(RawReply(status=200, content_type="application/json", body=body))


class StillClock:
    def __init__(self) -> None:
        self.now_ns = 10**18
        self.running_ns = 1

    def monotonic_ns(self) -> int:
        return self.running_ns

    def wall_ns(self) -> int:
        return self.now_ns


class Bench:
    """A hunter, its recorder and its journal."""

    def __init__(self, folder: Path, *, settings: HuntSettings) -> None:
        journal = JournalWriter(folder, Run("r", "0", {}), monotonic_ns=0, wall_ns=0)
        self.folder = folder
        self.relay = Recorder(folder)
        self.clock = StillClock()
        self.hunter = Hunter(
            core=Core(settings.limits),
            journal=journal,
            clock=self.clock,
            stages=StageClock(),
            appraiser=ObedientAppraiser(),  # type: ignore[arg-type]
            cycles=index_cycles(POOLS, start_tokens=settings.start_tokens, max_hops=2),
            screen=None,
            operators=[Signer(bytes([i]) * 32) for i in (1, 2)],
            relays=[self.relay],  # type: ignore[list-item]
            chain_id=1,
            settings=settings,
        )
        self.hunter.on_head(HEAD, ENV, FACTS)

    async def find(self, pools: PoolSet, *, target: Target | None = None) -> None:
        await self.hunter.on_moment(pools, before=None, touched=None, state=StateName(HASH, None), target=target)


CAPS = LastCaps(max_bid_wei=10**21)
"""The pools here are far apart, so bids are large."""
SETTINGS = HuntSettings(start_tokens=(WETH,), max_hops=2, share_bps=5_000, limits=LIMITS, caps=CAPS)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path, settings=SETTINGS)


def behind(number: int) -> Target:
    return Target(Hash32(bytes([number]) * 32), bytes([number]), None, ())


async def test_a_head_is_found_held_and_sent_once(bench: Bench) -> None:
    await bench.find(POOLS)
    (held,) = bench.hunter.held()
    assert [one.opportunity.id for one in await bench.hunter.close_slot()] == [held.opportunity.id]
    assert await bench.hunter.close_slot() == []
    (bundle,) = bench.relay.bundles
    assert bundle.block_number == 101 and len(bundle.transactions) == 1
    assert held.replies == {"recorder": Outcome.ACCEPTED}


async def test_the_submit_effect_is_in_the_journal_before_a_byte_leaves(bench: Bench) -> None:
    await bench.find(POOLS)
    await bench.hunter.close_slot()
    records = list(JournalReader(bench.folder).records())
    (seen,) = bench.relay.records_when_asked
    assert seen == len(records)
    # A digest may stand anywhere between: it comes by the clock.
    assert [record.type for record in records if record.type in (EVENT, EFFECTS)][-2:] == [EVENT, EFFECTS]


async def test_a_backrun_carries_its_target_in_front(bench: Bench) -> None:
    await bench.find(POOLS, target=behind(9))
    await bench.hunter.close_slot()
    assert bench.relay.bundles[0].transactions[0] == bytes([9])


async def test_a_better_bundle_takes_over_key_nonce_and_id_of_the_live_one(bench: Bench) -> None:
    await bench.find(POOLS)
    (first,) = await bench.hunter.close_slot()
    await bench.find(BETTER, target=behind(9))
    (second,) = await bench.hunter.close_slot()
    old, new = bench.relay.bundles
    assert new.replacement_uuid == old.replacement_uuid
    assert (new.sequence or 0) > (old.sequence or 0)
    assert first.is_replaced and second.claim == first.claim
    assert bench.relay.cancelled == []


async def test_a_worse_one_behind_a_live_bundle_is_a_conflict(bench: Bench) -> None:
    await bench.find(BETTER)
    await bench.hunter.close_slot()
    await bench.find(POOLS, target=behind(9))
    assert await bench.hunter.close_slot() == []
    (loser,) = [one for one in bench.hunter.tracked.values() if one.outcome == "dropped"]
    assert loser.drop is not None and loser.drop.code is Code.CONFLICT


async def test_what_runs_behind_a_vanished_target_is_withdrawn_or_dropped(bench: Bench) -> None:
    await bench.find(POOLS, target=behind(9))
    (live,) = await bench.hunter.close_slot()
    await bench.find(BETTER, target=behind(8))
    await bench.hunter.on_target_gone(behind(9).hash)
    await bench.hunter.on_target_gone(behind(8).hash)
    assert live.is_withdrawn
    assert bench.relay.cancelled == [live.bundle.replacement_uuid if live.bundle else ""]
    assert _codes(bench) == [Code.TARGET_GONE]


async def test_a_halt_withdraws_what_lives_and_sends_nothing_more(bench: Bench) -> None:
    await bench.find(POOLS)
    await bench.hunter.close_slot()
    await bench.hunter.halt(by="person", reason="drill")
    assert len(bench.relay.cancelled) == 1
    await bench.find(BETTER, target=behind(9))
    assert await bench.hunter.close_slot() == []
    assert len(bench.relay.bundles) == 1


async def test_a_guard_that_falls_silent_withdraws_what_lives(bench: Bench) -> None:
    await bench.find(POOLS)
    await bench.hunter.close_slot()
    core = bench.hunter._decisions.core
    core.standing.needs_guard = True
    core.standing.heard_ns = bench.hunter.take(GuardPulse(True)).monotonic_ns - 600_000_000
    bench.hunter.take(TimerFired("beat"))
    assert bench.hunter.is_halted
    for _ in range(10):
        await asyncio.sleep(0)
    assert len(bench.relay.cancelled) == 1


async def test_a_halt_while_a_bundle_is_prepared_keeps_it_here(bench: Bench) -> None:
    await bench.find(POOLS)
    until_synced = bench.hunter._decisions.journal.until_synced

    async def halted_meanwhile() -> None:
        await until_synced()
        bench.hunter.take(HaltAsked("person", "drill"))

    bench.hunter._decisions.journal.until_synced = halted_meanwhile  # type: ignore[method-assign] # the wait is the moment
    assert await bench.hunter.close_slot() == []
    assert bench.relay.bundles == []


async def test_a_relay_that_measures_otherwise_gets_nothing(tmp_path: Path) -> None:
    bench = Bench(tmp_path, settings=msgspec.structs.replace(SETTINGS, is_called_first=True))
    bench.relay.gas_it_measures = GAS + 1
    await bench.find(POOLS)
    assert await bench.hunter.close_slot() == []
    assert bench.relay.bundles == []
    assert _codes(bench) == [Code.RELAY_DISAGREES]


async def test_a_relay_that_does_not_answer_is_no_objection(tmp_path: Path) -> None:
    bench = Bench(tmp_path, settings=msgspec.structs.replace(SETTINGS, is_called_first=True))
    bench.relay.is_silent = True
    await bench.find(POOLS)
    assert len(await bench.hunter.close_slot()) == 1


async def test_an_objection_gives_the_key_back(tmp_path: Path) -> None:
    bench = Bench(tmp_path, settings=msgspec.structs.replace(SETTINGS, is_called_first=True))
    bench.relay.gas_it_measures = GAS + 1
    for number in (9, 8, 7):
        await bench.find(POOLS, target=behind(number))
        await bench.hunter.close_slot()
    bench.relay.gas_it_measures = GAS
    await bench.find(POOLS, target=behind(6))
    assert len(await bench.hunter.close_slot()) == 1


async def test_what_exceeds_a_cap_beside_the_key_is_never_signed(tmp_path: Path) -> None:
    bench = Bench(tmp_path, settings=msgspec.structs.replace(SETTINGS, caps=LastCaps(max_bid_wei=0)))
    await bench.find(POOLS)
    assert await bench.hunter.close_slot() == []
    assert bench.relay.bundles == []
    assert _codes(bench) == [Code.LAST_GUARD]
    (kept,) = bench.hunter.tracked.values()
    assert kept.signed is None and kept.bundle is None and kept.reason.startswith("bid: ")
    assert bench.hunter.bundles.exposure_wei == 0


async def test_the_caps_count_what_was_signed_and_let_go_of_what_has_ended(tmp_path: Path) -> None:
    worst_wei = GAS * ENV.base_fee_wei
    caps = LastCaps(max_bid_wei=10**21, max_gas_wei_per_day=worst_wei)
    bench = Bench(tmp_path, settings=msgspec.structs.replace(SETTINGS, caps=caps))
    await bench.find(POOLS, target=behind(9))
    (sent,) = await bench.hunter.close_slot()
    await bench.find(BETTER, target=behind(8))
    assert await bench.hunter.close_slot() == []
    assert _codes(bench) == [Code.LAST_GUARD]
    bench.hunter.on_ended(sent, outcome=Outcome.LATE, reason="gone")
    await bench.find(BETTER, target=behind(7))
    (second,) = await bench.hunter.close_slot()
    bench.hunter.on_ended(second, outcome=Outcome.LATE, reason="landed", gas_paid_wei=1)
    await bench.find(BETTER, target=behind(6))
    assert await bench.hunter.close_slot() == []


async def test_withdrawing_a_replaced_bundle_leaves_its_heir_alone(bench: Bench) -> None:
    await bench.find(POOLS, target=behind(9))
    await bench.hunter.close_slot()
    await bench.find(BETTER, target=behind(8))
    (heir,) = await bench.hunter.close_slot()
    await bench.hunter.on_target_gone(behind(9).hash)
    assert bench.relay.cancelled == [] and not heir.is_withdrawn


async def test_without_a_free_key_nothing_is_sent(bench: Bench) -> None:
    wide = PoolSet([pool(20 + i, weth=10**21, usdc=(2 + i) * 10**12) for i in range(6)])
    bench.hunter._cycles = index_cycles(wide, start_tokens=(WETH,), max_hops=2)
    await bench.find(wide)
    sent = await bench.hunter.close_slot()
    assert len(sent) == 2
    assert Code.NO_KEY in _codes(bench)


async def test_what_is_left_for_want_of_a_key_does_not_blame_a_conflict(bench: Bench) -> None:
    wide = PoolSet([pool(20 + i, weth=10**21, usdc=(2 + i) * 10**12) for i in range(6)])
    bench.hunter._cycles = index_cycles(wide, start_tokens=(WETH,), max_hops=2)
    await bench.find(wide)
    first, *others = bench.hunter.held()
    apart = [one for one in others if not set(one.opportunity.pools) & set(first.opportunity.pools)]
    chosen = [first, apart[0]]
    taken = {pool for one in chosen for pool in one.opportunity.pools}
    free = [one for one in apart if not taken & set(one.opportunity.pools)]
    assert len(await bench.hunter.submit(chosen)) == 2
    assert free
    assert {one.drop.code for one in free if one.drop is not None} == {Code.NO_KEY}
    beaten = [one for one in others if one not in chosen and one not in free]
    assert {one.drop.code for one in beaten if one.drop is not None} == {Code.CONFLICT}


def _codes(bench: Bench) -> list[Code]:
    dropped: list[Tracked] = [one for one in bench.hunter.tracked.values() if one.drop is not None]
    return [one.drop.code for one in dropped if one.drop is not None]
