"""A row's command must give that row again: nothing that shaped the run may be missing from it."""

from __future__ import annotations

import shlex
from pathlib import Path

from msgspec.structs import replace

from agent.config import default_settings, load_settings
from agent.requests import RunRequest, SurveyRequest, WorldRequest
from agent.session.repeating import repeat_case, repeat_fork, repeat_slice, repeat_surveyed
from agent.session.run import hunt_settings

CASE = WorldRequest(kind="case", case=Path("my cases/block.json.gz"))
DEFAULTS = hunt_settings(RunRequest(world=CASE), default_settings())


def changed(*overrides: str) -> list[str]:
    """The words for a run whose settings were changed so."""
    settings = load_settings(overrides=overrides, environment={}).settings
    request = RunRequest(world=CASE)
    return shlex.split(repeat_case(request, hunt_settings(request, settings)))


def test_a_plain_run_of_a_case_is_repeated_by_case_and_id() -> None:
    command = repeat_case(RunRequest(world=CASE), DEFAULTS)
    assert shlex.split(command) == ["mev-agent", "run", "--case", "my cases/block.json.gz", "--only", "{id}"]


def test_everything_asked_on_the_command_line_is_asked_again() -> None:
    request = RunRequest(
        world=CASE, leave_out=(b"\xab" * 32,), assume=Path("slots of mine.json"), builder_order="profit", seed=3
    )
    words = shlex.split(repeat_case(request, DEFAULTS))
    assert words[4:-2] == [
        "--leave-out", "0x" + "ab" * 32, "--assume", "slots of mine.json", "--seed", "3", "--builder-order", "profit",
    ]  # fmt: skip


def test_a_setting_from_any_layer_is_given_again_and_reads_back_as_it_was() -> None:
    token = "0xC02aaA39b223FE8D0A0e5C4F27eAD9083C756Cc2"
    given = (
        "onchain.max_hops=2",
        "onchain.beta_bps=5000",
        "risk.min_net_wei=7",
        "last_guard.max_bid_wei=8",
        f'onchain.start_tokens=["{token}"]',
    )
    words = changed(*given)
    sets = [words[position + 1] for position, word in enumerate(words) if word == "--set"]
    assert sorted(one.partition("=")[0] for one in sets) == sorted(one.partition("=")[0] for one in given)
    assert changed(*sets) == words


def test_the_slice_is_repeated_whole_because_each_block_rests_on_the_last() -> None:
    request = RunRequest(world=WorldRequest(kind="slice"), seed=5, only=("0011aa",))
    command = repeat_slice(request, DEFAULTS, blocks=12)
    assert command == "mev-agent run --slice --seed 5 --blocks 12 --only 0011aa"


def test_a_fork_is_repeated_whole_from_the_block_it_began_at() -> None:
    plain = RunRequest(world=WorldRequest(kind="fork", url="https://node.example/a-key"))
    command = repeat_fork(plain, DEFAULTS, chain_id=1, blocks=3)
    assert command == "mev-agent run --fork-url env:ETH_RPC_URL --fork-block {block} --blocks 3"
    settings = load_settings(overrides=("risk.min_net_wei=7",), environment={}).settings
    request = replace(
        plain, pace="real", seed=5, only=("0011aa",), assume=Path("my slots.json"), builder_order="gas-price"
    )
    words = shlex.split(repeat_fork(request, hunt_settings(plain, settings), chain_id=5, blocks=1))
    assert words[5:] == [
        "{block}", "--blocks", "1", "--assume", "my slots.json", "--pace", "real", "--seed", "5", "--only", "0011aa",
        "--set", "onchain.chain_id=5", "--builder-order", "gas-price", "--set", "risk.min_net_wei=7",
    ]  # fmt: skip


def test_a_surveyed_row_is_taken_under_the_same_assumptions() -> None:
    request = SurveyRequest(case=Path("my cases/block.json.gz"), assume=Path("slots.json"))
    assert shlex.split(repeat_surveyed(request))[3:] == [
        "my cases/block.json.gz", "--assume", "slots.json", "--only", "{id}",
    ]  # fmt: skip
