"""Faults as data, and the venue that carries them out."""

from agent.devnet.purpleflea.faults.model import Fault, When, load_faults, read_faults

__all__ = ["Fault", "When", "load_faults", "read_faults"]
