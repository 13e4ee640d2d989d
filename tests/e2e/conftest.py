"""What the end-to-end tests share."""

from __future__ import annotations

import pytest


@pytest.fixture(scope="session")
def at_leisure(pytestconfig: pytest.Config) -> None:
    """For what takes many minutes: runs where slow tests were asked for by name (`make soak`), skips elsewhere."""
    if pytestconfig.getoption("markexpr") != "slow":
        pytest.skip("many minutes: `make soak`, or pytest -m slow")
