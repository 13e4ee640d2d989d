"""Cyclic arbitrage: cycles, sizing, search, plan, bid."""
