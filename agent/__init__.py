"""mev-agent: finds arbitrage that is there to the wei, and lands it privately."""

__version__ = "0.1.0"
