"""A block builder over anvil that decides as the builders of mainnet do."""

from agent.devnet.builder.builder import Builder
from agent.devnet.builder.outcome import BuiltBlock, Drop, Placement
from agent.devnet.builder.rules import Ordering, Reason, Winner

__all__ = ["Builder", "BuiltBlock", "Drop", "Ordering", "Placement", "Reason", "Winner"]
