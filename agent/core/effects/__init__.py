"""Everything the core asks for. The effects of one step are one journal record, in order."""

from __future__ import annotations

from agent.core.effects.chain import ChainEffect
from agent.core.effects.control import ControlEffect
from agent.core.effects.orders import OrderEffect

Effect = ChainEffect | ControlEffect | OrderEffect
