"""The command line that gives a row of a report again: the world, what was left out or assumed, and every setting.

A case is one block, so one opportunity of it can be had alone. In the slice and on a fork every block rests on what
was done in the blocks before it, so there the whole run is repeated; its seed, or its first block, makes it the same.
"""

from __future__ import annotations

import json
import shlex

from agent.config import default_settings
from agent.engine.settings import HuntSettings
from agent.eth.hexes import to_data
from agent.requests import RunRequest, SurveyRequest


def repeat_case(request: RunRequest, hunt: HuntSettings) -> str:
    """With `{id}` where the opportunity's id goes."""
    words = ["mev-agent", "run", "--case", str(request.world.case)]
    for transaction in request.leave_out:
        words += ["--leave-out", to_data(transaction)]
    if request.assume is not None:
        words += ["--assume", str(request.assume)]
    if request.seed:
        words += ["--seed", str(request.seed)]
    return shlex.join([*words, *_order(request), *_changed(hunt)]) + " --only {id}"


def repeat_slice(request: RunRequest, hunt: HuntSettings, *, blocks: int) -> str:
    """The whole run."""
    words = ["mev-agent", "run", "--slice", "--seed", str(request.seed), "--blocks", str(blocks)]
    for opportunity in request.only:
        words += ["--only", opportunity]
    return shlex.join([*words, *_order(request), *_changed(hunt)])


def repeat_fork(request: RunRequest, hunt: HuntSettings, *, chain_id: int, blocks: int) -> str:
    """The whole run, with `{block}` where the number of the block goes that the fork began at.

    The node's address stays out: it may hold a provider's key. What people sent to the fork is not in it either.
    """
    words = ["--blocks", str(blocks)]
    if request.assume is not None:
        words += ["--assume", str(request.assume)]
    if request.pace != "fast":
        words += ["--pace", request.pace]
    if request.seed:
        words += ["--seed", str(request.seed)]
    for opportunity in request.only:
        words += ["--only", opportunity]
    if chain_id != default_settings().onchain.chain_id:
        words += ["--set", f"onchain.chain_id={chain_id}"]
    begin = "mev-agent run --fork-url env:ETH_RPC_URL --fork-block {block} "
    return begin + shlex.join([*words, *_order(request), *_changed(hunt)])


def repeat_surveyed(request: SurveyRequest) -> str:
    """The run that takes what the survey lists, with `{id}` where the opportunity's id goes."""
    words = ["mev-agent", "run", "--case", str(request.case)]
    if request.assume is not None:
        words += ["--assume", str(request.assume)]
    return shlex.join(words) + " --only {id}"


def _order(request: RunRequest) -> list[str]:
    return [] if request.builder_order is None else ["--builder-order", request.builder_order]


def _changed(hunt: HuntSettings) -> list[str]:
    """What is not as it is without a configuration, whether a file, a variable or an option changed it."""
    default = default_settings()
    limits, risk, onchain = hunt.limits, default.risk, default.onchain
    settings: dict[str, tuple[int | list[str], int | list[str]]] = {
        "onchain.start_tokens": (list(map(to_data, hunt.start_tokens)), list(map(to_data, onchain.start_tokens))),
        "onchain.max_hops": (hunt.max_hops, onchain.max_hops),
        "onchain.beta_bps": (hunt.share_bps, onchain.beta_bps),
        "risk.min_net_wei": (limits.min_net_wei, risk.min_net_wei),
        "risk.max_gas_wei_per_day": (limits.max_gas_wei_per_day, risk.max_gas_wei_per_day),
        "risk.max_exposure_wei": (limits.max_exposure_wei, risk.max_exposure_wei),
        "risk.max_bundles_per_slot": (limits.max_bundles_per_block, risk.max_bundles_per_slot),
    }
    settings |= {
        f"last_guard.{cap}": (getattr(hunt.caps, cap), getattr(default.last_guard, cap))
        for cap in hunt.caps.__struct_fields__
    }
    words: list[str] = []
    for key, (now, without) in settings.items():
        if now != without:
            words += ["--set", f"{key}={json.dumps(now)}"]
    return words
