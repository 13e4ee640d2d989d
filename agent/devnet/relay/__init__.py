"""A relay that speaks Flashbots' protocol, for the devnet."""

from agent.devnet.relay.answers import Answer
from agent.devnet.relay.server import Fault, Relay

__all__ = ["Answer", "Fault", "Relay"]
