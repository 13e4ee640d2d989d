"""The bounds of the core, each with its reason; relations are asserted when the module is loaded."""

from __future__ import annotations

import msgspec

MAX_OPEN_IDS = 65_536
"""Opportunities remembered for duplicate checks: an hour of a busy chain, some 20 MB."""
BPS = 10_000


class RiskLimits(msgspec.Struct, frozen=True, kw_only=True):
    """What a user sets. Amounts in wei."""

    min_net_wei: int
    """Least profit after gas and bid for which a bundle is sent."""
    max_gas_wei_per_day: int
    """Gas really paid in one UTC day of chain time, bundles at their worst while they live."""
    max_exposure_wei: int
    """Worst gas of all live bundles together."""
    max_bundles_per_block: int
    max_day_loss_wei: int | None = None
    """What a UTC day may lose, live bundles at their worst; None: the breakers alone bound it."""
    profile: str = "standard"
    """Whose figures the breakers have."""
    max_guard_age_ms: int = 250
    """An older pulse of the guard lets nothing out; worlds that wait for the agent are more patient."""
    chain_id: int = 1
    executor_code_hash: str = ""
    """Of the executor that bundles are made for; another code at its address is not sent to."""

    def __post_init__(self) -> None:
        if self.min_net_wei < 1:
            raise ValueError("min_net_wei must be at least 1: a bundle must earn something")
        if min(self.max_gas_wei_per_day, self.max_exposure_wei, self.max_bundles_per_block) < 0:
            raise ValueError("limits cannot be negative")
