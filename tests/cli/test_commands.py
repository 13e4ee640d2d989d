"""The command tree that other programs rely on."""

from __future__ import annotations

import click
import pytest

from agent.cli.commands import COMMANDS
from agent.cli.root import root
from tests.cli.leaves import LEAVES

RELIED_ON = {
    "run": "--config --case --slice --fork-url --fork-block --rpc-url --blocks --leave-out --only --assume "
    "--builder-order --pace --seed --report --out --live",
    "survey": "--case --assume --report",
    "devnet up": "--case --slice --fork-url --port --relay-port",
    "devnet purpleflea": "--port --seed --faults --json",
    "inspect": "--run --case",
    "capture": "--rpc-url --out",
    "spreads": "--case --slice --fork-url --rpc-url --watch",
    "quote": "--case --pool --token-in --amount-in",
    "deploy": "--rpc-url --broadcast",
    "replay": "--verify --until --deep",
    "journal verify": "",
    "journal tail": "",
    "journal export": "",
    "journal why": "",
    "doctor": "--config",
    "init": "",
    "config show": "--config --set",
    "config check": "--config --set",
    "config schema": "",
    "status": "",
    "halt": "",
    "tell": "--reason --run --symbol",
    "signal": "--symbol --side --quantity --max-price --min-price --expires --producer --key --id --run",
    "guard run": "",
    "guard reset": "--reason",
    "drill kill": "--fault --trials",
    "latency": "",
    "simulate": "--seeds --planted --profile",
    "completion": "",
    "explain": "",
}


@pytest.mark.parametrize("words", RELIED_ON)
def test_a_command_has_the_options_that_programs_rely_on(words: str) -> None:
    command = LEAVES[tuple(words.split())]
    options = {name for parameter in command.params for name in parameter.opts}
    assert {*RELIED_ON[words].split(), "--json"} <= options


def test_no_command_is_there_that_this_list_does_not_know() -> None:
    assert {" ".join(words) for words in LEAVES} == set(RELIED_ON)


@pytest.mark.parametrize("name", COMMANDS)
def test_the_line_in_the_table_is_the_first_line_of_the_commands_own_help(name: str) -> None:
    command = root.get_command(click.Context(root), name)
    assert command is not None
    assert (command.help or "").partition("\n")[0] == COMMANDS[name].help


@pytest.mark.parametrize("words", LEAVES, ids=" ".join)
def test_help_of_every_command_is_a_result_with_an_example_and_the_exit_codes(words, mev_agent) -> None:
    ran = mev_agent(*words, "--help")
    assert (ran.code, ran.stderr) == (0, "")
    assert f"mev-agent {' '.join(words)}" in ran.stdout.partition("Examples:")[2]
    assert "Exit codes: 0 ok" in ran.stdout


@pytest.mark.parametrize("words", LEAVES, ids=" ".join)
def test_every_option_and_argument_has_help_or_a_name(words) -> None:
    for parameter in LEAVES[words].params:
        if isinstance(parameter, click.Option):
            assert parameter.help, f"{' '.join(words)} {parameter.opts[0]}"


def test_a_mistyped_command_is_answered_with_the_right_one(mev_agent) -> None:
    ran = mev_agent("surve")
    assert ran.code == 2
    assert "survey" in ran.stderr


def test_a_mistyped_option_is_answered_with_the_right_one(mev_agent) -> None:
    ran = mev_agent("survey", "--cse", "x")
    assert ran.code == 2
    assert "--case" in ran.stderr


def test_an_option_cannot_be_abbreviated(mev_agent) -> None:
    assert mev_agent("deploy", "--broad").code == 2


def test_without_a_command_the_help_goes_to_stderr_with_the_usage_code(mev_agent) -> None:
    ran = mev_agent()
    assert (ran.code, ran.stdout) == (2, "")
    assert "Usage: mev-agent" in ran.stderr


def test_version_is_the_result(mev_agent) -> None:
    from agent import __version__

    assert mev_agent("--version") == (0, f"mev-agent {__version__}\n", "")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_names_the_program(shell: str, mev_agent) -> None:
    ran = mev_agent("completion", shell)
    assert ran.code == 0
    assert "_MEV_AGENT_COMPLETE" in ran.stdout
