"""What goes wrong, and when: a script of faults, written by hand or drawn from a seed.

Moments are counted, never timed: exchanges are requests that reach the proxy (a batch is one), heads are `newHeads`
notifications that the node sends. Both counts begin at 0 and run over all connections of the proxy.
"""

from __future__ import annotations

import random
from collections.abc import Collection, Sequence
from enum import Enum

import msgspec


class FaultKind(Enum):
    """The ways in which a node, or what stands before it, misbehaves."""

    DROP = "drop"
    """The connection breaks off without an answer."""
    SILENCE = "silence"
    """The request is taken and never answered."""
    HTML = "html"
    """A gateway's error page instead of JSON."""
    TOO_MANY = "too-many"
    """429 with Retry-After of `amount` seconds; over WebSocket the JSON-RPC error -32005."""
    WRONG_CHAIN = "wrong-chain"
    """eth_chainId answers `amount`; everything else is true."""
    MALFORMED = "malformed"
    """An answer that ends in the middle."""
    LAG = "lag"
    """The node answers as if its last `amount` blocks did not exist yet."""
    HEAD_LAG = "head-lag"
    """Heads arrive `amount` heads late; when it ends the held ones follow in order."""
    HEAD_DUPLICATE = "head-duplicate"
    HEAD_SKIP = "head-skip"
    """The head is never announced."""
    HEAD_SWAP = "head-swap"
    """The head arrives after the next one."""


HEAD_KINDS = frozenset({FaultKind.HEAD_LAG, FaultKind.HEAD_DUPLICATE, FaultKind.HEAD_SKIP, FaultKind.HEAD_SWAP})


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """One fault, from moment `at` on and for `count` moments of its kind."""

    kind: FaultKind
    at: int
    count: int = 1
    amount: int = 0
    method: str = ""
    """Only exchanges that hold this method are spoiled; empty: every one. Does not change how they are counted."""

    def spoils(self, moment: int, methods: Collection[str] = ()) -> bool:
        """Whether the fault acts at this moment, on an exchange with these methods."""
        return self.at <= moment < self.at + self.count and (not self.method or self.method in methods)


def exchange_fault(script: Sequence[Fault], moment: int, methods: Collection[str]) -> Fault | None:
    """The first fault of the script that acts on this exchange."""
    return next((f for f in script if f.kind not in HEAD_KINDS and f.spoils(moment, methods)), None)


def head_fault(script: Sequence[Fault], moment: int) -> Fault | None:
    """The first fault of the script that acts on this head."""
    return next((f for f in script if f.kind in HEAD_KINDS and f.spoils(moment)), None)


def random_script(seed: int, *, exchanges: int, heads: int, fault_count: int) -> tuple[Fault, ...]:
    """`fault_count` faults spread over so many exchanges and heads; the same for the same arguments."""
    dice = random.Random(f"faults {seed}")
    kinds = list(FaultKind)
    script = []
    for _ in range(fault_count):
        kind = dice.choice(kinds)
        is_long = kind in (FaultKind.LAG, FaultKind.HEAD_LAG)
        amounts = {
            FaultKind.TOO_MANY: dice.randint(1, 2),
            FaultKind.WRONG_CHAIN: dice.randint(2, 10**6),
            FaultKind.LAG: dice.randint(1, 8),
            FaultKind.HEAD_LAG: dice.randint(1, 3),
        }
        script.append(
            Fault(
                kind=kind,
                at=dice.randrange(max(1, heads if kind in HEAD_KINDS else exchanges)),
                count=dice.randint(3, 10) if is_long else 1,
                amount=amounts.get(kind, 0),
                method="eth_chainId" if kind is FaultKind.WRONG_CHAIN else "",
            )
        )
    return tuple(sorted(script, key=lambda fault: (fault.at, fault.kind.value)))
