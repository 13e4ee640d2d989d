"""What a user may set as limits, at the edge of it; and the two sides of a market."""

from __future__ import annotations

import pytest

from agent.core.instruments import Side
from agent.core.limits import RiskLimits

LEAST = {"min_net_wei": 1, "max_gas_wei_per_day": 0, "max_exposure_wei": 0, "max_bundles_per_block": 0}


def test_a_bundle_must_earn_a_wei() -> None:
    assert RiskLimits(**LEAST).min_net_wei == 1
    with pytest.raises(ValueError, match="min_net_wei"):
        RiskLimits(**LEAST | {"min_net_wei": 0})


@pytest.mark.parametrize("limit", ["max_gas_wei_per_day", "max_exposure_wei", "max_bundles_per_block"])
def test_a_limit_of_nothing_is_a_limit_and_less_is_none(limit: str) -> None:
    assert getattr(RiskLimits(**LEAST), limit) == 0
    with pytest.raises(ValueError, match="negative"):
        RiskLimits(**LEAST | {limit: -1})


def test_each_side_is_the_others_opposite() -> None:
    assert Side.BUY.opposite is Side.SELL
    assert Side.SELL.opposite is Side.BUY
    assert Side.BUY.sign == -Side.SELL.sign == 1
