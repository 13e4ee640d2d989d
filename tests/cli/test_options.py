"""Arguments that make no sense are refused before anything is started."""

from __future__ import annotations

import pytest

from agent.cli.options import world_of
from agent.errors import UsageError

WETH = "0xC02aaA39b223FE8D0A0e5C4F27eAD9083C756Cc2"


@pytest.mark.parametrize(
    "words",
    [
        "run --case a --slice",
        "run --case a --fork-url http://127.0.0.1:1",
        "run --rpc-url http://127.0.0.1:1 --fork-url http://127.0.0.1:1",
        "run --fork-block 7",
        "run --leave-out 0x" + "11" * 32,
        "run --builder-order archived",
        "run --live",
        "run --blocks 0",
        "run --seed -1",
        "run --pace slow",
        "run --fork-url node.example",
        "run --fork-url env:MEV_AGENT_TEST_NO_SUCH_VARIABLE",
        "run --case a --leave-out 0x11",
        "survey",
        "capture 0 --rpc-url http://127.0.0.1:1 --out x",
        f"quote --case a --pool {WETH[:-1]}3 --token-in {WETH} --amount-in 1",
        f"quote --case a --pool {WETH} --token-in {WETH} --amount-in 0",
        "devnet up --port 70000",
        "inspect x --run r --case c",
        "explain E_NO_SUCH_CODE",
        "completion tcsh",
        "config",
        "run surplus",
    ],
)
def test_a_senseless_command_line_is_a_usage_error(words: str, mev_agent) -> None:
    ran = mev_agent(*words.split())
    assert ran.code == 2, ran.stderr
    assert ran.stdout == ""


def test_the_default_world_is_the_slice() -> None:
    world = world_of(case=None, is_slice=False, fork_url=None, fork_block=None)
    assert world.kind == "slice"


def test_a_fork_may_name_its_block() -> None:
    world = world_of(case=None, is_slice=False, fork_url="http://127.0.0.1:1", fork_block=0)
    assert (world.kind, world.block) == ("fork", 0)


def test_a_block_without_a_fork_is_refused_even_when_it_is_zero() -> None:
    with pytest.raises(UsageError, match="--fork-block needs --fork-url"):
        world_of(case=None, is_slice=True, fork_url=None, fork_block=0)


def test_requests_do_not_show_the_address_of_a_node() -> None:
    world = world_of(case=None, is_slice=False, fork_url="https://node.example/secret", fork_block=3)
    assert "secret" not in repr(world)


def test_a_world_of_a_chain_is_none_of_the_other_venue(mev_agent) -> None:
    ran = mev_agent("run", "--slice", "--set", "venue=purpleflea")
    assert ran.code == 2
    assert 'venue = "purpleflea"' in ran.stderr


def test_an_account_goes_live_with_both_words_only(mev_agent) -> None:
    ran = mev_agent("run", "--set", "venue=purpleflea", "--set", "mode=live")
    assert ran.code == 3
    assert "--live was not given" in ran.stderr


def test_an_account_needs_a_guard_with_a_key_of_its_own(mev_agent) -> None:
    ran = mev_agent(
        "run", "--set", "venue=purpleflea", "--set", "purpleflea.ws_url=ws://127.0.0.1:1", "--set",
        "purpleflea.api_key=env:KEY",
    )  # fmt: skip
    assert ran.code == 3
    assert "purpleflea.guard_key" in ran.stderr


def test_live_needs_the_configuration_too(mev_agent) -> None:
    ran = mev_agent("run", "--rpc-url", "http://127.0.0.1:1", "--live")
    assert ran.code == 3
    assert 'mode = "devnet"' in ran.stderr


def test_live_without_keys_names_what_is_missing(mev_agent) -> None:
    ran = mev_agent("run", "--rpc-url", "http://127.0.0.1:1", "--live", "--set", "mode=live")
    assert ran.code == 3
    assert "live needs onchain.signer, onchain.relay_identity, onchain.executor, onchain.endpoints" in ran.stderr
