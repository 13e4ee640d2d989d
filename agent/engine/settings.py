"""What the engine is told before it starts: plain values, made from the configuration and the command line."""

from __future__ import annotations

import msgspec

from agent.core.limits import RiskLimits
from agent.eth.units import Address
from agent.sim.simulator import Slot
from agent.venues.onchain.last_guard import LastCaps


class HuntSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How to hunt. `only` names opportunities by id; empty takes the best compatible set."""

    start_tokens: tuple[Address, ...]
    max_hops: int
    share_bps: int
    """Share of what is left after gas that is offered to the builder."""
    limits: RiskLimits
    caps: LastCaps = LastCaps()
    """What is refused beside the key, whatever the core has let through."""
    assume: frozenset[Slot] = frozenset()
    only: frozenset[str] = frozenset()
    is_called_first: bool = False
    """Let the first endpoint that offers `eth_callBundle` simulate each bundle, and send only what it confirms."""
