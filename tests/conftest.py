"""Where the shared test data lies, and the skip that says so when it does not."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]


def data_root() -> Path:
    """`MEV_AGENT_TEST_DATA`, else `../shared` beside the checkout."""
    return Path(os.environ.get("MEV_AGENT_TEST_DATA", REPOSITORY.parent / "shared"))


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
