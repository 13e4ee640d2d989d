"""What a transaction asks a router to do, as a list of steps that say the same for every router.

Amounts are raw token units, prices square roots in Q64.96, deadlines unix seconds. A recipient of `SENDER` is whoever
signed the transaction. A router's own holdings are taken to be empty before the transaction: what it holds beyond that
is dust that anybody may take, and execution, which decides, will see it.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

from agent.dex.factories import Factory
from agent.eth.units import ZERO_ADDRESS, Address

SENDER = Address(bytes(19) + b"\1")
"""Stands for the sender, as it does in the routers' own calldata."""
ETHER = ZERO_ADDRESS
"""Stands for ether among tokens, as it does there."""


class Why(StrEnum):
    """Why nothing can be said of a transaction."""

    NO_ROUTER = "no_router"
    """It calls no router that is known here."""
    FUNCTION = "function"
    """The router has the function, or not; it is not read here."""
    MALFORMED = "malformed"
    """The calldata is not what the function takes."""
    COMMAND = "command"
    """One of its commands can change what the others do, and is not read here: V4, NFT markets, sub-plans."""
    POOL_UNKNOWN = "pool_unknown"
    """It goes through a pool that is not in the set."""
    STATE_UNKNOWN = "state_unknown"
    """It goes past what is known of a pool."""
    REPEATED_POOL = "repeated_pool"
    """It goes through one pool twice in one path, where the routers themselves are of several minds."""


class NotUnderstood(msgspec.Struct, frozen=True):
    """Nothing can be said of it; execution will tell."""

    why: Why
    detail: str = ""


class Payer(StrEnum):
    """Where the input of a swap comes from."""

    SENDER = "sender"
    ROUTER = "router"
    NOBODY = "nobody"
    """The pool was paid by an earlier step."""


class V2Swap(msgspec.Struct, frozen=True, kw_only=True):
    """A path of constant-product pairs of one factory. `amount` None: all that the payer, a router, holds."""

    factory: Factory
    path: tuple[Address, ...]
    amount: int | None
    is_exact_in: bool
    limit_amount: int
    """Least output of an exact input, greatest input of an exact output."""
    recipient: Address
    payer: Payer
    is_fixed: bool
    """Each pair is asked for the amount computed beforehand; else for whatever its balance then allows."""


class V3Swap(msgspec.Struct, frozen=True, kw_only=True):
    """A path of concentrated-liquidity pools of one factory, in the order in which tokens are paid."""

    factory: Factory
    path: tuple[Address, ...]
    fees_pips: tuple[int, ...]
    amount: int | None
    is_exact_in: bool
    limit_amount: int
    recipient: Address
    payer: Payer
    sqrt_price_limit_x96: int = 0
    """0: none."""


class Wrap(msgspec.Struct, frozen=True):
    """The router's ether becomes WETH of `recipient`. None: all of it."""

    recipient: Address
    amount: int | None


class Unwrap(msgspec.Struct, frozen=True):
    """All WETH of the router becomes ether of `recipient`, and there is at least so much."""

    recipient: Address
    least: int


class Pull(msgspec.Struct, frozen=True):
    """The sender's tokens go to `recipient`."""

    token: Address
    recipient: Address
    amount: int


class Send(msgspec.Struct, frozen=True):
    """The router's tokens go to `recipient`. None: all of them, and there are at least `least`."""

    token: Address
    recipient: Address
    amount: int | None
    least: int = 0


class SendShare(msgspec.Struct, frozen=True):
    """A share of what the router holds goes to `recipient`; rounds down."""

    token: Address
    recipient: Address
    share_bps: int


Step = V2Swap | V3Swap | Wrap | Unwrap | Pull | Send | SendShare


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """All of it, in order. Every step succeeds, or the transaction reverts."""

    router: Address
    weth: Address
    value_wei: int
    steps: tuple[Step, ...]
    deadline_s: int | None
    """None: there is none."""

    @property
    def swaps(self) -> tuple[V2Swap | V3Swap, ...]:
        return tuple(step for step in self.steps if isinstance(step, V2Swap | V3Swap))
