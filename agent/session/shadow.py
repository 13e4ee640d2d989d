"""`mev-agent run --rpc-url`: a live chain in shadow mode, with keys that exist for this run alone.

The keys are drawn at random and never leave the process: on a real chain even a key worth nothing should not be one
that everybody can compute.
"""

from __future__ import annotations

import secrets
from pathlib import Path

from msgspec.structs import replace

from agent.chain.known_pools import KNOWN_TOKENS, known_pools
from agent.devnet.mainnet import START_TOKENS, WETH
from agent.engine.executor import Executor
from agent.engine.live import ShadowRun, run_shadow
from agent.engine.settings import HuntSettings
from agent.errors import RiskRefused
from agent.eth.keys import Signer
from agent.eth.units import WEI_PER_ETHER, Address
from agent.ports.clock import Clock
from agent.requests import Answer, RunRequest, Say
from agent.session.asked import remember
from agent.session.loop import run_loop
from agent.session.reporting import answer_of
from agent.settings import Settings
from agent.sim.simulator import Override
from agent.venues.onchain.executor import load_build, runtime_code, runtime_code_hash, storage

OPERATORS = 16
OPERATOR_BALANCE_WEI = 10 * WEI_PER_ETHER
INTERRUPTED = 130


def shadow_answer(
    request: RunRequest, settings: Settings, hunt: HuntSettings, run_id: str, folder: Path, clock: Clock, say: Say
) -> Answer:
    """Watch, decide, send nothing, report."""
    if request.is_live:
        raise RiskRefused(
            "a chain with real funds is not traded by this build: shadow decides everything and sends nothing",
            limit="guard",
            used=0,
            cap=0,
            code="E_NOT_AVAILABLE",
            hint="run without --live: in shadow mode every decision is made and nothing is sent",
        )
    say(f"mev-agent  SHADOW  nothing is sent  run {run_id}")
    remember(folder, request, hunt)
    executor, operators, overrides = pretended()
    asked = ShadowRun(
        url=request.world.url,
        chain_id=settings.onchain.chain_id,
        run=run_id,
        folder=folder,
        settings=hunt,
        executor=executor,
        operators=operators,
        probe=random_address(),
        overrides=overrides,
        blocks=request.blocks,
        repeat="mev-agent run --rpc-url env:ETH_RPC_URL",
    )
    result, was_stopped = run_loop(run_shadow(asked, clock, say))
    symbols = {token.address: token.symbol for token in KNOWN_TOKENS}
    answer = answer_of(result, symbols=symbols, folder=folder, report_path=request.report)
    return replace(answer, exit_code=INTERRUPTED) if was_stopped else answer


def random_address() -> Address:
    """An address that nobody has the key of."""
    return Address(secrets.token_bytes(20))


def pretended() -> tuple[Executor, tuple[Signer, ...], tuple[Override, ...]]:
    """An executor that stands nowhere, its operators, and what a simulation must be told to find both."""
    operators = tuple(Signer(secrets.token_bytes(32)) for _ in range(OPERATORS))
    owner, guardian = random_address(), random_address()
    address, vault = random_address(), random_address()
    build = load_build("cancun")
    slots = storage(
        owner=owner,
        operators=[key.address for key in operators],
        guardian=guardian,
        vault=vault,
        tokens=[token.address for token in START_TOKENS],
        pools=[record.address for record in known_pools()],
    )
    executor = Executor(
        address=address,
        build=build.name,
        code_hash=runtime_code_hash(build, weth=WETH),
        vault=vault,
        weth=WETH,
        operators=tuple(key.address for key in operators),
    )
    funded = [Override(key.address, balance_wei=OPERATOR_BALANCE_WEI) for key in operators]
    code = runtime_code(build, weth=WETH)
    return executor, operators, (Override(address, code=code, slots=tuple(slots.items())), *funded)
