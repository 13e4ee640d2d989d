"""`mev-agent run`."""

from __future__ import annotations

from pathlib import Path

from agent.core.limits import RiskLimits
from agent.devnet.builder import Ordering
from agent.devnet.case import Case, load_case
from agent.devnet.case_run import CaseRun, run_case
from agent.devnet.mainnet import START_TOKENS
from agent.devnet.slice.design import design_slice
from agent.devnet.slice_run import SliceRun, run_slice
from agent.engine.settings import HuntSettings
from agent.eth.units import SLOT_S, Hash32
from agent.ports.clock import SystemClock
from agent.requests import Answer, RunRequest, Say
from agent.session.asked import remember
from agent.session.assumed import read_assumed
from agent.session.files import new_run_id
from agent.session.fork import fork_answer
from agent.session.loop import run_loop
from agent.session.repeating import repeat_case, repeat_slice
from agent.session.reporting import answer_of
from agent.session.shadow import shadow_answer
from agent.settings import Settings
from agent.venues.onchain.last_guard import LastCaps

_ORDERINGS = {"archived": Ordering.ARCHIVED, "profit": Ordering.PROFIT, "gas-price": Ordering.GAS_PRICE}


def run(request: RunRequest, settings: Settings, say: Say) -> Answer:
    """The agent at work in the world asked for."""
    if request.world.kind == "case":
        return _run_case(request, settings, say)
    if request.world.kind == "slice":
        return _run_slice(request, settings, say)
    clock = SystemClock()
    run_id = new_run_id(clock.wall_ns())
    folder = run_folder(request, settings, run_id)
    watch = fork_answer if request.world.kind == "fork" else shadow_answer
    return watch(request, settings, hunt_settings(request, settings), run_id, folder, clock, say)


def hunt_settings(request: RunRequest, settings: Settings) -> HuntSettings:
    """What the engine is told, from the configuration and the command line."""
    risk = settings.risk
    return HuntSettings(
        start_tokens=settings.onchain.start_tokens,
        max_hops=settings.onchain.max_hops,
        share_bps=settings.onchain.beta_bps,
        limits=RiskLimits(
            min_net_wei=risk.min_net_wei,
            max_gas_wei_per_day=risk.max_gas_wei_per_day,
            max_exposure_wei=risk.max_exposure_wei,
            max_bundles_per_block=risk.max_bundles_per_slot,
        ),
        caps=LastCaps(
            max_value_wei=settings.last_guard.max_value_wei,
            max_gas_price_wei=settings.last_guard.max_gas_price_wei,
            max_bid_wei=settings.last_guard.max_bid_wei,
            max_transactions_per_hour=settings.last_guard.max_transactions_per_hour,
            max_gas_wei_per_day=settings.last_guard.max_gas_wei_per_day,
        ),
        assume=read_assumed(request.assume),
        only=frozenset(request.only),
        # In a case the relay's call stands on the parent, not behind the target's own predecessors.
        is_called_first=request.world.kind == "slice",
    )


def run_folder(request: RunRequest, settings: Settings, run_id: str) -> Path:
    """Where the run writes: --out itself, else a folder of its own under the configured one."""
    return request.out if request.out is not None else Path(settings.observe.runs_dir) / run_id


def _run_case(request: RunRequest, settings: Settings, say: Say) -> Answer:
    assert request.world.case is not None
    case = load_case(request.world.case)
    clock = SystemClock()
    run_id = new_run_id(clock.wall_ns())
    folder = run_folder(request, settings, run_id)
    say(f"mev-agent  DEVNET  throw-away keys, local relay  run {run_id}")
    say(
        f"  block {case.number}: {len(case.transactions)} transactions as mempool traffic, "
        f"base fee {case.header.base_fee_wei} wei"
    )
    hunt = hunt_settings(request, settings)
    remember(folder, request, hunt)
    result = run_loop(run_case(case_run(request, hunt, case, run_id, folder), clock))
    symbols = {token.address: token.symbol for token in START_TOKENS}
    return answer_of(result, symbols=symbols, folder=folder, report_path=request.report)


def case_run(request: RunRequest, hunt: HuntSettings, case: Case, run_id: str, folder: Path) -> CaseRun:
    """The run of a case as it was asked for."""
    return CaseRun(
        case=case,
        run=run_id,
        folder=folder,
        settings=hunt,
        leave_out=tuple(Hash32(one) for one in request.leave_out),
        ordering=_ORDERINGS[request.builder_order or "archived"],
        repeat=repeat_case(request, hunt),
        seed=request.seed,
    )


DEFAULT_SLICE_BLOCKS = 8


def _run_slice(request: RunRequest, settings: Settings, say: Say) -> Answer:
    clock = SystemClock()
    run_id = new_run_id(clock.wall_ns())
    folder = run_folder(request, settings, run_id)
    say(f"mev-agent  DEVNET  throw-away keys, local relay  run {run_id}")
    say("  slice    canonical contracts at their mainnet addresses, seeded users; nothing leaves this machine")
    hunt = hunt_settings(request, settings)
    remember(folder, request, hunt)
    result = run_loop(run_slice(slice_run(request, hunt, run_id, folder), clock, say))
    symbols = {token.address: token.symbol for token in design_slice(request.seed).tokens}
    return answer_of(result, symbols=symbols, folder=folder, report_path=request.report)


def slice_run(request: RunRequest, hunt: HuntSettings, run_id: str, folder: Path) -> SliceRun:
    """The run of the slice as it was asked for."""
    blocks = request.blocks or DEFAULT_SLICE_BLOCKS
    return SliceRun(
        run=run_id,
        folder=folder,
        settings=hunt,
        seed=request.seed,
        blocks=blocks,
        ordering=_ORDERINGS[request.builder_order or "profit"],
        slot_s=SLOT_S if request.pace == "real" else None,
        repeat=repeat_slice(request, hunt, blocks=blocks),
    )
