"""Forecasts against execution: the archived blocks, the slice, and a hunt that is told two different things."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest

from agent.chain.discovery import identify
from agent.chain.headers import Header
from agent.chain.pools import load_pools
from agent.config import load_settings
from agent.core.events.chain import ChainFacts
from agent.core.limits import RiskLimits
from agent.core.step import Core
from agent.devnet.case import Case, load_case
from agent.devnet.case_world import logs_of
from agent.devnet.mainnet import START_TOKENS
from agent.devnet.replay import CaseNode
from agent.devnet.slice_run import SliceRun, SliceWorld, run_slice
from agent.dex.events import V2_SYNC
from agent.dex.factories import FACTORIES, v2_pool_address
from agent.dex.pool import Log
from agent.dex.pool_set import PoolSet
from agent.dex.routers.plan import NotUnderstood, Why
from agent.dex.routers.read import ROUTERS
from agent.dex.v2 import V2Pool
from agent.engine import chain_hunt
from agent.engine.candidate import Appraiser
from agent.engine.chain_facts import NO_CUTOFF_NS, pretended_facts
from agent.engine.chain_hunt import ChainHunt, next_env
from agent.engine.executor import Executor
from agent.engine.forecast import Disagreement, Forecast, disagreement, predict
from agent.engine.hunter import Hunter
from agent.engine.latency import StageClock
from agent.engine.result import RunResult
from agent.engine.settings import HuntSettings
from agent.engine.summary import summarise
from agent.eth.hexes import to_data
from agent.eth.keys import Signer, sign_dynamic_fee
from agent.eth.transactions import Transaction, decode_transaction
from agent.eth.units import Address, Hash32
from agent.journal.records import Run
from agent.journal.writer import JournalWriter
from agent.ports.clock import SystemClock
from agent.requests import RunRequest, WorldRequest
from agent.session.run import hunt_settings
from agent.sim.simulator import BlockEnv, Call, CallResult, Override, Simulation, Slot
from agent.strategies.arb.cycles import index_cycles
from tests.dex import router_calldata as write
from tests.e2e.planted import trap_codes

TAXED, TRADES, REVERTED = Disagreement.TAXED, Disagreement.TRADES, Disagreement.REVERTED

BLOCKS: dict[int, tuple[int, int, dict[int, str]]] = {
    13217637: (6, 4, {9: Why.POOL_UNKNOWN, 993: TAXED}),
    15274915: (5, 2, {91: TAXED}),
    16146267: (2, 0, {58: TRADES}),
    17666333: (
        18,
        0,
        {14: TRADES, 17: TAXED, 21: Why.POOL_UNKNOWN, 35: TRADES, 38: TAXED, 52: TRADES, 57: TRADES, 76: REVERTED}
        | {93: TAXED},
    ),
    19426586: (17, 0, {28: TAXED, 34: TRADES, 74: REVERTED, 115: TAXED}),
    19932148: (14, 2, {48: TAXED, 202: TAXED}),
    19933597: (7, 0, {25: TAXED, 121: TAXED}),
    23879620: (1, 0, {}),
    24628607: (1, 0, {}),
    24647140: (1, 0, {}),
}
"""By block: forecasts that execution confirms, how many of them are reverts, and what the others are, by index."""


PROBE = Address(b"\x9b" * 20)


async def proved_pools(node: CaseNode) -> PoolSet:
    """All pools of known factories, those with taxed tokens too, which the agent itself leaves out."""
    rpc = node.anvil.rpc
    found, _ = await identify(rpc, [a for a in node.case.accounts if node.case.code_of(a)], sender=PROBE)
    pools, left_out = await load_pools(rpc, [record for record in found if record.is_proved], sender=PROBE)
    assert not left_out
    return PoolSet(pools)


async def judged(case: Case) -> tuple[int, int, dict[int, str]]:
    """A block's calls to routers, each from the state before it, as `BLOCKS` counts them."""
    agreed = reverts = 0
    others: dict[int, str] = {}
    async with await CaseNode.start(case, fresh=(PROBE,)) as node:
        pools = await proved_pools(node)
        replay = await node.replay()
        for archived, row in zip(replay.transactions, replay.rpc_receipts, strict=True):
            logs = logs_of(row)
            if archived.to in ROUTERS:
                forecast = predict(pools, decode_transaction(archived.raw), node.env)
                if isinstance(forecast, NotUnderstood):
                    others[archived.index] = forecast.why
                elif differs := disagreement(forecast, before=pools, logs=logs, is_success=row["status"] == "0x1"):
                    others[archived.index] = differs[0]
                else:
                    agreed += 1
                    reverts += not forecast.is_success
            pools, _ = pools.apply(logs)
    return agreed, reverts, others


@pytest.mark.anvil
@pytest.mark.slow
@pytest.mark.parametrize("number", sorted(BLOCKS))
async def test_what_archived_transactions_did_is_what_their_calldata_foretold(mainnet: Path, number: int) -> None:
    assert await judged(load_case(mainnet / "public" / f"{number}.json.gz")) == BLOCKS[number]


# The slice, with the fast path and without


def run_of_slice(folder: Path, patch: pytest.MonkeyPatch, *, is_fast: bool, is_taxed: bool = False) -> RunResult:
    opened = SliceWorld.open

    async def open_with_a_tax(**named: Any) -> SliceWorld:
        world = await opened(**named)
        token = world.slice.token_of_symbol("LINK")
        await world.anvil.call("anvil_setCode", to_data(token.address), to_data(trap_codes()["TaxedToken"]))
        return world

    request = RunRequest(world=WorldRequest(kind="slice"))
    settings = hunt_settings(request, load_settings([], overrides={}).settings)
    asked = SliceRun(run="forecast", folder=folder, settings=settings, seed=5, blocks=4)
    with patch.context() as inner:
        if not is_fast:
            inner.setattr(chain_hunt, "predict", lambda *_: NotUnderstood(Why.NO_ROUTER))
        if is_taxed:
            inner.setattr(SliceWorld, "open", open_with_a_tax)
        return asyncio.run(run_slice(asked, SystemClock(), lambda _: None))


def without_clock(result: RunResult) -> dict[str, Any]:
    """What a run says, but for how long it took and how it came to know."""
    return {k: v for k, v in msgspec.structs.asdict(result).items() if k not in ("latency_ns", "forecasts", "warnings")}


@pytest.mark.anvil
@pytest.mark.slow
def test_all_users_of_the_slice_are_foretold_and_nothing_else_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fast = run_of_slice(tmp_path / "fast", monkeypatch, is_fast=True)
    slow = run_of_slice(tmp_path / "slow", monkeypatch, is_fast=False)
    users = sum(block.transactions for block in fast.blocks) - len(fast.transactions)
    count = fast.forecasts
    assert (count["decoded"], count["agreed"]) == (users, users)
    assert count["not_understood"] == count["disagreed"] == count["unknown"] == 0
    assert slow.forecasts["decoded"] == 0
    assert fast.funnel["landed"] > 5
    assert without_clock(fast) == without_clock(slow)


@pytest.mark.anvil
@pytest.mark.slow
def test_a_tax_is_seen_counted_and_changes_nothing_that_is_decided(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fast = run_of_slice(tmp_path / "fast", monkeypatch, is_fast=True, is_taxed=True)
    slow = run_of_slice(tmp_path / "slow", monkeypatch, is_fast=False, is_taxed=True)
    assert fast.forecasts["disagreed"] > 0 and fast.forecasts["agreed"] > 20
    (warning,) = [line for line in fast.warnings if "forecasts" in line]
    assert f"{fast.forecasts['disagreed']} of {fast.forecasts['decoded']}" in warning
    assert "reverted" in warning  # a pair that gets less than it was promised refuses the swap
    assert without_clock(fast) == without_clock(slow)


# A hunt without a chain

WETH, USDC = START_TOKENS[0].address, START_TOKENS[1].address
KEY = Signer(b"\x11" * 32)
OURS = Address(b"\xee" * 20)
ETHER = 10**18


def pair(factory: int, *, weth: int, usdc: int) -> V2Pool:
    address = v2_pool_address(FACTORIES[factory], USDC, WETH)
    return V2Pool(address=address, token0=USDC, token1=WETH, fee_pips=3000, reserve0=usdc, reserve1=weth)


UNISWAP, SUSHI = pair(0, weth=1_000 * ETHER, usdc=2_000_000 * 10**6), pair(1, weth=800 * ETHER, usdc=1_600_000 * 10**6)
POOLS = PoolSet([UNISWAP, SUSHI])
HEADER = Header(
    hash=Hash32(b"\xaa" * 32),
    parent_hash=Hash32(b"\x99" * 32),
    number=100,
    timestamp=1_000,
    base_fee_wei=10**9,
    gas_limit=30_000_000,
    gas_used=15_000_000,
    fee_recipient=OURS,
    prev_randao=Hash32(b"\1" * 32),
    logs_bloom=bytes(256),
    receipts_root=Hash32(bytes(32)),
    transactions_root=Hash32(bytes(32)),
    state_root=Hash32(bytes(32)),
    excess_blob_gas=0,
    blob_gas_used=0,
    is_proved=False,
)


class Arrived(NamedTuple):
    """A pending transaction that has been decoded already."""

    value: Transaction

    def transaction(self) -> Transaction:
        return self.value


class View(NamedTuple):
    header: Header = HEADER
    pools: PoolSet = POOLS


def target(*, value_wei: int = 60 * ETHER, deadline_s: int = 2_000, least: int = 0) -> Transaction:
    """A user who sells ether on Uniswap."""
    signed = sign_dynamic_fee(
        KEY,
        chain_id=1,
        nonce=0,
        max_priority_fee_wei=1,
        max_fee_wei=10**12,
        gas=200_000,
        to=Address(write.V2_ROUTER),
        value_wei=value_wei,
        data=write.v2("swapExactETHForTokens", (least,), [WETH, USDC], KEY.address, deadline_s),
    )
    return decode_transaction(signed.raw)


def sync(pool: V2Pool) -> Log:
    return Log(pool.address, (V2_SYNC,), pool.reserve0.to_bytes(32, "big") + pool.reserve1.to_bytes(32, "big"))


def after(value_wei: int) -> V2Pool:
    out = UNISWAP.quote_exact_in(WETH, value_wei).amount_out
    return UNISWAP.with_reserves(reserve0=UNISWAP.reserve0 - out, reserve1=UNISWAP.reserve1 + value_wei)


class Oracle:
    """Says of the target what it was told to, and of ours that it pays so much; remembers what it was asked."""

    def __init__(self, outcome: CallResult | None, *, pays: int, hides_ours: int = 0) -> None:
        """Of the first `hides_ours` batches it does not know how ours ends."""
        self.batches: list[list[tuple[Call, ...]]] = []
        self._outcome = outcome
        self._pays = pays
        self._hides_ours = hides_ours

    async def simulate(
        self,
        sequences: list[tuple[Call, ...]],
        env: BlockEnv,
        *,
        assume: frozenset[Slot] = frozenset(),
        overrides: tuple[Override, ...] = (),
    ) -> list[Simulation]:
        self.batches.append(sequences)
        return [self._answer(sequence) for sequence in sequences]

    def _answer(self, sequence: tuple[Call, ...]) -> Simulation:
        if self._outcome is None:
            return Simulation((), missing=(Slot(OURS, 1),))
        ours = CallResult(True, 150_000, self._pays.to_bytes(32, "big") + bytes(32), ())
        is_hidden = len(sequence) > 1 and len(self.batches) <= self._hides_ours
        return Simulation((self._outcome, ours)[: len(sequence)], missing=(Slot(OURS, 2),) if is_hidden else ())


def hunt(folder: Path, oracle: Oracle) -> ChainHunt:
    limits = RiskLimits(min_net_wei=1, max_gas_wei_per_day=10**19, max_exposure_wei=10**19, max_bundles_per_block=9)
    settings = HuntSettings(start_tokens=(WETH,), max_hops=2, share_bps=5_000, limits=limits)
    operators = [Signer(bytes([i]) * 32) for i in (1, 2)]
    executor = Executor(
        address=OURS,
        build="cancun",
        code_hash=Hash32(bytes(32)),
        vault=OURS,
        weth=WETH,
        operators=tuple(key.address for key in operators),
    )
    hunter = Hunter(
        core=Core(limits),
        journal=JournalWriter(folder, Run("r", "0", {}), monotonic_ns=0, wall_ns=0),
        clock=SystemClock(),
        stages=StageClock(),
        appraiser=Appraiser(oracle, executor, settings, probe=OURS),
        cycles=index_cycles(POOLS, start_tokens=(WETH,), max_hops=2),
        screen=None,
        operators=operators,
        relays=[],
        chain_id=1,
        settings=settings,
    )

    async def facts(header: Header) -> ChainFacts:
        return pretended_facts(
            executor=executor,
            chain_id=1,
            head_hash=header.hash,
            operators_wei=10**20,
            head_age_ns=0,
            cutoff_ns=NO_CUTOFF_NS,
        )

    return ChainHunt(hunter, View(), oracle, facts)  # type: ignore[arg-type]


async def hunted(
    folder: Path, outcome: CallResult | None, *, pays: int = 1, tx: Transaction | None = None, hides: int = 0
) -> Any:
    """(hunter, oracle) after one pending transaction behind a head on which nothing is found."""
    oracle = Oracle(outcome, pays=pays, hides_ours=hides)
    one = hunt(folder, oracle)
    await one.on_header(HEADER)
    assert not one.hunter.tracked
    await one.on_pending([Arrived(tx or target())])  # type: ignore[list-item]
    return one.hunter, oracle


def executed(*pools: V2Pool, is_success: bool = True) -> CallResult:
    return CallResult(is_success, 100_000, b"", tuple(map(sync, pools)))


async def test_what_the_forecast_found_is_executed_along_with_its_target(tmp_path: Path) -> None:
    hunter, oracle = await hunted(tmp_path, executed(after(60 * ETHER)))
    assert [len(sequence) for sequence in oracle.batches[0]] == [1, 2]
    ((tracked),) = hunter.tracked.values()
    assert tracked.candidate.measured.gross_amount == 1
    assert len(oracle.batches) == 1  # it pays another amount than quoted, and nothing more is asked
    assert hunter.forecasts.figures() == {
        "decoded": 1, "not_understood": 0, "agreed": 1, "disagreed": 0, "unknown": 0
    }  # fmt: skip
    assert hunter.forecasts.warning() == ""


async def test_without_a_forecast_the_same_takes_one_question_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chain_hunt, "predict", lambda *_: NotUnderstood(Why.COMMAND))
    hunter, oracle = await hunted(tmp_path, executed(after(60 * ETHER)))
    assert [[len(sequence) for sequence in batch] for batch in oracle.batches] == [[1], [2]]
    assert hunter.forecasts.not_understood == 1
    assert len(hunter.tracked) == 1


async def test_where_they_differ_the_executed_state_counts(tmp_path: Path) -> None:
    found = executed(after(59 * ETHER))
    hunter, oracle = await hunted(tmp_path, found)
    (tracked,) = hunter.tracked.values()
    early, late = oracle.batches[0][1][1], oracle.batches[1][0][1]
    assert early.data != late.data  # sized on another state
    assert tracked.opportunity.legs[0].amount_in.to_bytes(16, "big").lstrip(b"\0") in late.data
    assert (hunter.forecasts.agreed, hunter.forecasts.disagreed) == (0, 1)
    assert hunter.forecasts.warning().startswith("1 of 1 forecasts were not what execution gave (taxed 1); first 0x")


async def test_an_early_execution_without_an_answer_is_asked_again(tmp_path: Path) -> None:
    hunter, oracle = await hunted(tmp_path, executed(after(60 * ETHER)), hides=1)
    assert [[len(sequence) for sequence in batch] for batch in oracle.batches] == [[1, 2], [2]]
    (tracked,) = hunter.tracked.values()
    assert tracked.candidate.measured.is_known


async def test_what_execution_cannot_answer_is_not_found(tmp_path: Path) -> None:
    hunter, _ = await hunted(tmp_path, None)
    assert not hunter.tracked
    assert (hunter.forecasts.unknown, hunter.forecasts.agreed) == (1, 0)


async def test_a_revert_that_was_foretold_agrees_and_one_that_was_not_does_not(tmp_path: Path) -> None:
    hunter, oracle = await hunted(tmp_path / "a", executed(is_success=False), tx=target(least=10**30))
    assert [len(sequence) for sequence in oracle.batches[0]] == [1]
    assert (hunter.forecasts.agreed, len(hunter.tracked)) == (1, 0)
    hunter, _ = await hunted(tmp_path / "b", executed(is_success=False))
    assert (hunter.forecasts.reasons, len(hunter.tracked)) == ({REVERTED: 1}, 0)


async def test_a_transaction_that_is_not_what_its_hash_says_is_counted_and_left(tmp_path: Path) -> None:
    oracle = Oracle(executed(after(60 * ETHER)), pays=1)
    one = hunt(tmp_path, oracle)
    await one.on_header(HEADER)
    lies = [msgspec.structs.replace(target(), hash=HEADER.hash), msgspec.structs.replace(target(), s=0)]
    await one.on_pending([Arrived(lie) for lie in lies])  # type: ignore[misc]
    assert one.malformed == 2 and not one.hunter.tracked
    assert oracle.batches == [[]]


async def test_the_report_says_what_became_of_the_forecasts(tmp_path: Path) -> None:
    hunter, _ = await hunted(tmp_path, executed(after(59 * ETHER)))
    result = RunResult(
        run="r", command="run", world="slice", mode="devnet", chain_id=1,
        executor_address="", executor_build="", executor_code_hash="",
    )  # fmt: skip
    summarise(result, hunter, repeat="")
    assert result.forecasts["disagreed"] == 1
    assert any("forecasts" in line for line in result.warnings)


# Predictions by themselves


def predicted(tx: Transaction, pools: PoolSet = POOLS) -> Forecast:
    forecast = predict(pools, tx, next_env(HEADER))
    assert isinstance(forecast, Forecast), forecast
    return forecast


def test_the_deadline_is_the_last_second_that_counts() -> None:
    timestamp = next_env(HEADER).timestamp
    assert predicted(target(deadline_s=timestamp)).touched == {UNISWAP.address}
    late = predicted(target(deadline_s=timestamp - 1))
    assert (late.is_success, late.touched, late.pools) == (False, frozenset(), POOLS)


def test_kinds_of_disagreement() -> None:
    forecast = predicted(target())
    right, less = after(60 * ETHER), after(59 * ETHER)
    sushi = SUSHI.with_reserves(reserve0=SUSHI.reserve0 - 1, reserve1=SUSHI.reserve1 + 1)

    def kind(*pools: V2Pool, is_success: bool = True) -> Disagreement | None:
        logs = [sync(pool) for pool in pools]
        found = disagreement(forecast, before=POOLS, logs=logs, is_success=is_success)
        return None if found is None else found[0]

    assert kind(right) is None
    assert kind(less) is TAXED
    assert kind(after(61 * ETHER)) is Disagreement.STATE  # tokens lay in the pair
    assert kind(right, sushi) is TRADES
    assert kind(less, right) is None  # how it came there is not asked
    assert kind(right, less) is TRADES
    assert kind() is Disagreement.STATE
    assert kind(is_success=False) is REVERTED
    reverting = predicted(target(least=10**30))
    assert disagreement(reverting, before=POOLS, logs=[sync(right)], is_success=True) == (
        Disagreement.WENT_THROUGH,
        "gives less than asked for",
    )
    assert disagreement(reverting, before=POOLS, logs=[], is_success=False) is None


def test_a_pool_that_is_not_known_is_no_forecast() -> None:
    found = predict(PoolSet([SUSHI]), target(), next_env(HEADER))
    assert isinstance(found, NotUnderstood) and found.why is Why.POOL_UNKNOWN


def test_ten_blocks_are_ninety_three_calls() -> None:
    agreed = sum(row[0] for row in BLOCKS.values())
    kinds = Counter(kind for row in BLOCKS.values() for kind in row[2].values())
    assert agreed + sum(kinds.values()) == 93
