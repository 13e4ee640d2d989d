"""Where the shared test data lies, and the skip that says so when it does not."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pytest
from hypothesis import settings

REPOSITORY = Path(__file__).resolve().parents[1]
RECURSION_LIMIT = 1_000

# No deadline: a shared machine decides how long an example takes. In CI the examples are always the same ones.
settings.register_profile("here", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "here")


def pytest_configure() -> None:
    """Let SIGINT end what the tests start: a shell's background jobs ignore it, and hand that down."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """What takes many minutes runs where slow tests were asked for by name (`make soak`), and skips elsewhere."""
    if config.getoption("markexpr") != "slow":
        skip = pytest.mark.skip(reason="many minutes: `make soak`, or pytest -m slow")
        for item in items:
            if item.get_closest_marker("leisure") is not None:
                item.add_marker(skip)


def data_root() -> Path:
    """`MEV_AGENT_TEST_DATA`, else `../shared` beside the checkout."""
    return Path(os.environ.get("MEV_AGENT_TEST_DATA", REPOSITORY.parent / "shared"))


@pytest.fixture(autouse=True)
def recursion_limit() -> None:
    """Python's own limit for every test: a library that eth_account imports raises it to 100,000.

    Under that limit nested input ends the process instead of raising, in whichever test meets it next.
    """
    sys.setrecursionlimit(min(RECURSION_LIMIT, sys.getrecursionlimit()))


@pytest.fixture(scope="session")
def at_leisure(pytestconfig: pytest.Config) -> None:
    """For what takes many minutes: runs where slow tests were asked for by name (`make soak`), skips elsewhere."""
    if pytestconfig.getoption("markexpr") != "slow":
        pytest.skip("many minutes: `make soak`, or pytest -m slow")


@pytest.fixture(scope="session")
def vectors() -> Path:
    """The folder of test vectors by subject."""
    return _folder("vectors")


@pytest.fixture(scope="session")
def mainnet() -> Path:
    """The folder of archived mainnet blocks and the oracle's answers about them."""
    return _folder("mainnet")


def _folder(name: str) -> Path:
    folder = data_root() / name
    if not folder.is_dir():
        pytest.skip(f"no test data at {folder}; set MEV_AGENT_TEST_DATA")
    return folder
