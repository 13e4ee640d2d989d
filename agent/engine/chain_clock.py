"""The chain as the second source of the time: whether our wall clock lies where a new head says that it should.

A head's timestamp is the beginning of its slot, and the head comes within that slot. No peer passes one on that is
more than half a second early (MAXIMUM_GOSSIP_CLOCK_DISPARITY of the consensus specification). So this sees a clock that
is wrong by a slot or more, or that is behind; what is smaller decides nothing on a chain.
"""

from __future__ import annotations

from agent.eth.units import SLOT_S

EARLY_NS = 500_000_000
SLOT_NS = SLOT_S * 1_000_000_000


def agrees(head_timestamp_s: int, wall_ns: int) -> bool:
    """Whether a head of that time can have arrived at this instant of our clock."""
    return -EARLY_NS <= wall_ns - head_timestamp_s * 1_000_000_000 <= SLOT_NS
