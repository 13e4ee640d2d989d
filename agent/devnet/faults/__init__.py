"""Nodes that break off, lag, lie, or send HTML: a proxy that misbehaves by a script."""

from agent.devnet.faults.proxy import FaultProxy, Injected
from agent.devnet.faults.script import Fault, FaultKind, random_script

__all__ = ["Fault", "FaultKind", "FaultProxy", "Injected", "random_script"]
