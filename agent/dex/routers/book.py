"""What the dialects write into while they read calldata, and the exception that ends a reading."""

from __future__ import annotations

from itertools import pairwise
from typing import NoReturn

from agent.dex.factories import Factory
from agent.dex.routers.plan import NotUnderstood, Plan, Step, V2Swap, V3Swap, Why
from agent.eth.units import Address

MAX_STEPS = 64
"""More than any wallet makes; calldata is a stranger's."""
MAX_HOPS = 8
MAX_SWAPS = 16
"""Swaps of single pools in one transaction: a stranger's swap through all ticks of a pool takes us some 20 ms."""


class Unread(Exception):
    """The transaction cannot be read; never leaves this package."""

    def __init__(self, why: Why, detail: str = "") -> None:
        super().__init__(why, detail)
        self.verdict = NotUnderstood(why, detail)


def refuse(why: Why, detail: str = "") -> NoReturn:
    """End the reading."""
    raise Unread(why, detail)


class Book:
    """The steps so far, and what every dialect needs to know of its router."""

    __slots__ = ("_deadline_s", "_steps", "_swaps", "router", "v2", "v3", "value_wei", "weth")

    def __init__(self, *, router: Address, weth: Address, v2: Factory, v3: Factory, value_wei: int) -> None:
        self.router = router
        self.weth = weth
        self.v2 = v2
        self.v3 = v3
        self.value_wei = value_wei
        self._steps: list[Step] = []
        self._swaps = 0
        self._deadline_s: int | None = None

    def add(self, step: Step) -> None:
        """One more step."""
        if len(self._steps) >= MAX_STEPS:
            refuse(Why.MALFORMED, f"more than {MAX_STEPS} steps")
        if isinstance(step, V2Swap | V3Swap):
            self._swaps += len(step.path) - 1
            if self._swaps > MAX_SWAPS:
                refuse(Why.MALFORMED, f"more than {MAX_SWAPS} swaps")
        self._steps.append(step)

    def expires(self, deadline_s: int) -> None:
        """The transaction reverts after this second; the earliest counts."""
        self._deadline_s = deadline_s if self._deadline_s is None else min(self._deadline_s, deadline_s)

    def plan(self) -> Plan:
        """What was read."""
        return Plan(
            router=self.router,
            weth=self.weth,
            value_wei=self.value_wei,
            steps=tuple(self._steps),
            deadline_s=self._deadline_s,
        )


def v2_path(path: list[Address]) -> tuple[Address, ...]:
    """A path of tokens, checked."""
    if not 2 <= len(path) <= MAX_HOPS + 1:
        refuse(Why.MALFORMED, f"a path of {len(path)} tokens")
    if any(a == b for a, b in pairwise(path)):
        refuse(Why.MALFORMED, "a path from a token to itself")
    return tuple(path)


_HOP_BYTES = 23


def v3_path(packed: bytes, *, is_exact_in: bool) -> tuple[tuple[Address, ...], tuple[int, ...]]:
    """(tokens, fees in pips) of a packed path, in the order in which tokens are paid.

    The bytes are token, then fee (3 bytes) and token for each hop; exact outputs have them from the last token on.
    """
    hops, rest = divmod(len(packed) - 20, _HOP_BYTES)
    if rest or not 1 <= hops <= MAX_HOPS:
        refuse(Why.MALFORMED, f"a packed path of {len(packed)} bytes")
    tokens = [Address(packed[at : at + 20]) for at in range(0, len(packed), _HOP_BYTES)]
    fees_pips = [int.from_bytes(packed[at : at + 3], "big") for at in range(20, len(packed), _HOP_BYTES)]
    if not is_exact_in:
        tokens.reverse()
        fees_pips.reverse()
    return v2_path(tokens), tuple(fees_pips)
