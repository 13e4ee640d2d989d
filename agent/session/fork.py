"""`mev-agent run --fork-url`: the agent on a local fork of the chain behind somebody's node."""

from __future__ import annotations

from pathlib import Path

from agent.chain.known_pools import KNOWN_TOKENS
from agent.devnet.builder import Ordering
from agent.devnet.fork_run import ForkRun, run_fork
from agent.engine.settings import HuntSettings
from agent.eth.units import SLOT_S
from agent.ports.clock import Clock
from agent.requests import Answer, RunRequest, Say
from agent.session.asked import remember
from agent.session.loop import run_loop
from agent.session.repeating import repeat_fork
from agent.session.reporting import answer_of
from agent.settings import Settings

DEFAULT_FORK_BLOCKS = 3


def fork_answer(
    request: RunRequest, settings: Settings, hunt: HuntSettings, run_id: str, folder: Path, clock: Clock, say: Say
) -> Answer:
    """Fork, hunt for some blocks, report."""
    say(f"mev-agent  DEVNET  throw-away keys, local relay  run {run_id}")
    say("  fork     nothing is sent to the node that is forked")
    remember(folder, request, hunt)
    blocks, chain_id = request.blocks or DEFAULT_FORK_BLOCKS, settings.onchain.chain_id
    result = run_loop(
        run_fork(
            ForkRun(
                url=request.world.url,
                block=request.world.block,
                chain_id=chain_id,
                run=run_id,
                folder=folder,
                settings=hunt,
                blocks=blocks,
                ordering=Ordering.GAS_PRICE if request.builder_order == "gas-price" else Ordering.PROFIT,
                slot_s=SLOT_S if request.pace == "real" else None,
                repeat=repeat_fork(request, hunt, chain_id=chain_id, blocks=blocks),
                seed=request.seed,
            ),
            clock,
            say,
        )
    )
    symbols = {token.address: token.symbol for token in KNOWN_TOKENS}
    return answer_of(result, symbols=symbols, folder=folder, report_path=request.report)
