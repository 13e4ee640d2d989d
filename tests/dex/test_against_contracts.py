"""Random swaps against the real compiled contracts: word edges, gaps, limits, partial fills, exact output."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.dex.contract_match import match_v2, match_v3
from tests.dex.contract_oracle import Oracle

pytestmark = pytest.mark.anvil


@pytest.fixture
async def oracle() -> AsyncIterator[Oracle]:
    running = await Oracle.start()
    yield running
    await running.stop()


async def test_random_swaps_equal_the_contracts_in_every_field(oracle: Oracle) -> None:
    v3 = await match_v3(oracle, count=1200, seed=1)
    v2 = await match_v2(oracle, count=1000, seed=1)
    assert v3.mismatches == []
    assert v2.mismatches == []
    # The draw must reach what it is for.
    assert min(v3.reverts, v3.partial, v3.crossing, v3.exact_out, v2.partial, v2.exact_out) > 20
