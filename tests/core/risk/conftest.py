"""What holds after each test of the breakers, whatever it did with them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.core.risk.making import MADE, restored


@pytest.fixture(autouse=True)
def a_snapshot_brings_breakers_back_as_they_are() -> Iterator[None]:
    MADE.clear()
    yield
    for held in MADE:
        assert restored(held) == held
