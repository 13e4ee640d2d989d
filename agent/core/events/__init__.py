"""Everything that comes into the core.

An event has no header of its own: its place and times stand in the journal's record and come beside it as a `Stamp`.
"""

from __future__ import annotations

import msgspec

from agent.core.events.chain import ChainEvent
from agent.core.events.control import ControlEvent
from agent.core.events.market import MarketEvent
from agent.core.events.orders import OrderEvent

Event = ChainEvent | ControlEvent | MarketEvent | OrderEvent


class Stamp(msgspec.Struct, frozen=True, gc=False):
    """Where and when an event entered: the record's sequence, and both clocks, `wall_ns` made non-decreasing."""

    seq: int
    monotonic_ns: int
    wall_ns: int
