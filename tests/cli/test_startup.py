"""`--help` imports nothing of weight: what it costs is what Click costs."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = {
    "aiohttp", "web3", "pydantic", "eth_account", "eth_abi", "picows", "websockets", "uvloop", "msgspec", "rich",
    "orjson", "asyncio", "tomllib", "coincurve",
}  # fmt: skip
MODULES_MAX = 170
"""Bare Python has about 30, Click brings it to about 130: one heavy import shows at once."""


def modules_after(words: list[str]) -> set[str]:
    program = (
        "import sys; from agent.cli import main; main(sys.argv[1:]); "
        "print('\\n'.join(sys.modules), file=sys.stderr)"
    )  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-c", program, *words], capture_output=True, text=True, timeout=60, check=True
    )
    return set(done.stderr.split())


@pytest.mark.parametrize("words", [["--help"], ["--version"], ["nonsense"]])
def test_help_and_mistakes_import_nothing_heavy(words: list[str]) -> None:
    modules = modules_after(words)
    assert not HEAVY & modules
    assert len(modules) < MODULES_MAX


def test_help_of_one_command_imports_no_other_and_no_client() -> None:
    modules = modules_after(["run", "--help"])
    assert "agent.cli.run" in modules
    assert "agent.cli.deploy" not in modules
    assert not {"aiohttp", "web3", "pydantic", "eth_account", "eth_abi", "uvloop"} & modules
