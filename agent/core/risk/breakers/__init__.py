"""The breakers that watch results: one file each, and `Breakers`, which joins what they say into one mode."""

from __future__ import annotations

from agent.core.risk.breakers.aggregate import Breakers
from agent.core.risk.breakers.holds import Hold

__all__ = ["Breakers", "Hold"]
