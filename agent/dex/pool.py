"""What a pool is to the rest of the agent: the one seam behind which pool kinds differ.

Nothing outside this package may ask for a pool's kind in order to compute with it; `kind` is a
label for reports and for the calldata encoder.
"""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple, Protocol

import msgspec

from agent.eth.units import Address, Hash32


class Completeness(Enum):
    """How far a quote could be carried."""

    COMPLETE = "complete"
    PARTIAL = "partial"
    """The pool's liquidity ended: amount_in is what it takes, less than was asked."""
    UNKNOWN = "unknown"
    """The known state ended (an unread bitmap word): the figures are those up to the edge, not an answer."""


class Quote(NamedTuple):
    """One swap, exact to the wei, with the amounts that really move."""

    amount_in: int
    amount_out: int
    completeness: Completeness
    crossed: int
    """Initialised ticks crossed; 0 for kinds without ticks. Drives gas estimates."""


class Piece(NamedTuple):
    """A stretch of a pool's curve on which, in exact reals, the output is a linear-fractional function of the input.

    For start_in <= x <= end_in: out(x) = start_out + a*(x - start_in) / (b + c*(x - start_in)), never below the exact
    integer quote. `end_in` None: for ever. A piece with a = 0 is the flat tail where the pool takes no more;
    `completeness` then says why (PARTIAL: its liquidity ended; UNKNOWN: what is known of it ended).
    """

    start_in: int
    start_out: int
    end_in: int | None
    a: int
    b: int
    c: int
    completeness: Completeness
    slack_in: int
    """In exact reals the piece may begin by at most so many input units earlier, because steps before it round up."""
    slack_out: int
    """And by at most so many output units higher, because they round down."""


class Log(NamedTuple):
    """An event as the chain emits it."""

    address: Address
    topics: tuple[bytes, ...]
    data: bytes


class LeftOut(msgspec.Struct, frozen=True):
    """A contract that looks like a pool but may not be quoted, and why."""

    pool: Address
    reason: str
    detail: str


class Pool(Protocol):
    """A pool at one state; values are immutable, `apply` returns the successor."""

    @property
    def address(self) -> Address: ...
    @property
    def kind(self) -> str: ...
    @property
    def token0(self) -> Address: ...
    @property
    def token1(self) -> Address: ...
    @property
    def fee_pips(self) -> int:
        """Fee in millionths of the input."""
        ...

    def quote_exact_in(self, token_in: Address, amount_in: int) -> Quote:
        """Output for `amount_in` units of `token_in`, rounded as the contract rounds."""
        ...

    def quote_exact_out(self, token_in: Address, amount_out: int) -> Quote:
        """Smallest input of `token_in` that the contract accepts for `amount_out` of the other token."""
        ...

    def marginal_price(self, token_in: Address) -> tuple[int, int]:
        """(numerator, denominator): units of the other token per unit of `token_in` at size zero, after fee."""
        ...

    def curve(self, token_in: Address) -> tuple[int, int, int] | None:
        """(a, b, c) if the whole curve is out(x) = a x / (b + c x) in exact reals; None for kinds with pieces."""
        ...

    def piece(self, token_in: Address, amount_in: int) -> Piece:
        """The piece of the curve that holds `amount_in`; at a joint the later one."""
        ...

    def apply(self, log: Log) -> Pool:
        """The pool after an event of its own; events that do not move it return it unchanged."""
        ...


class StateName(NamedTuple):
    """The state a figure belongs to: a block, and how many of the next block's transactions were applied to it."""

    block_hash: Hash32
    after_index: int | None
    """None: the block's own post-state. k: transactions 0..k of the next block applied to it."""
