"""What kind of world a seed is: which faults it has and how many, how fast its wires are, how its agent is set up.

Every fault is absent from about half of the worlds, because one that is frequent hides the others behind it (swarm
testing; Groce et al., ISSTA 2012). Where it is present it is mild mostly, and brutal sometimes.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from agent.devnet.virtual.faults import FAULTS, Fault
from agent.devnet.virtual.link import NS_PER_MS
from agent.devnet.virtual.randomness import Streams

ABSENT_PPM = 500_000
BRUTAL_PPM = 300_000
BREACH_PPM = 200_000
"""Share of worlds whose peer breaks its contract at all: there the agent has to stop, and nothing else is seen."""
PPM = 1_000_000
PRODUCER = "model"
"""The slow path of every world."""

Name = Literal["swarm", "calm", "network", "venue", "host", "breach"]
NAMES: tuple[Name, ...] = ("swarm", "calm", "network", "venue", "host", "breach")
_PARTS: dict[str, tuple[str, ...]] = {
    "swarm": ("network", "http", "venue", "market", "host", "guard", "disk", "signal"),
    "calm": (),
    "network": ("network", "http"),
    "venue": ("venue", "market"),
    "host": ("host", "guard", "disk"),
    "breach": ("network", "venue"),
}


class Profile(msgspec.Struct, frozen=True, kw_only=True):
    """One kind of world."""

    rates_ppm: dict[str, int]
    risk: Literal["conservative", "standard", "aggressive"] = "standard"
    durability: Literal["process", "power"] = "process"
    latency_base_ns: int = NS_PER_MS
    latency_mean_ns: int = NS_PER_MS
    acks_tell_result: bool = True
    asks_twice: bool = False
    """A status question also goes out over HTTP, whose answer may overtake, and may outlive the connection."""
    buys_ppm: int = 500_000
    """Share of buys among the workload's orders: where it leans to a side, positions come to their limits."""
    has_snapshots: bool = False
    calls_per_s: int = 12
    """Wishes of the workload a second."""
    pause_ns: int = 1_000_000_000
    """The longest pause before the first attempt to connect again; it doubles with each that fails. Where it is short, what
    belongs to one session meets the next."""


def draw(streams: Streams, name: Name = "swarm") -> Profile:
    """The profile of a seed. `name` narrows which faults it may have."""
    stream = streams["profile"]
    has_breach = stream.random() * PPM < (PPM if name == "breach" else BREACH_PPM)
    rates = {}
    for fault in FAULTS:
        is_absent, is_brutal = stream.random() * PPM < ABSENT_PPM, stream.random() * PPM < BRUTAL_PPM
        if not is_absent and _belongs(fault, name) and (has_breach or not fault.is_breach):
            rates[fault.name] = fault.brutal_ppm if is_brutal else fault.mild_ppm
    return Profile(
        rates_ppm=rates,
        risk=stream.choice(("conservative", "standard", "aggressive")),
        durability=stream.choice(("process", "process", "power")),
        latency_base_ns=stream.choice((NS_PER_MS // 5, NS_PER_MS, 20 * NS_PER_MS, 60 * NS_PER_MS)),
        latency_mean_ns=stream.choice((0, NS_PER_MS // 5, 2 * NS_PER_MS, 30 * NS_PER_MS)),
        acks_tell_result=stream.random() < 0.5,
        asks_twice=stream.random() < 0.4,
        buys_ppm=stream.choice((500_000, 100_000, 900_000, 950_000)),
        has_snapshots=stream.random() < 0.7,
        calls_per_s=stream.choice((4, 12, 12, 40)),
        pause_ns=stream.choice((1_000_000_000, 20 * NS_PER_MS)),
    )


def _belongs(fault: Fault, name: Name) -> bool:
    return fault.name.partition(".")[0] in _PARTS[name] and (name == "breach" or name != "venue" or not fault.is_breach)
