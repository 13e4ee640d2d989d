"""The values of the arbitrage pipeline: leg, cycle, opportunity.

An opportunity is a cycle with an exact size at a named state; it claims nothing until it was executed.
"""

from __future__ import annotations

import msgspec

from agent.dex.pool import StateName
from agent.eth.keccak import keccak256
from agent.eth.units import Address, Hash32


class Leg(msgspec.Struct, frozen=True, gc=False):
    """One swap through one pool, with the amounts the contract will move."""

    pool: Address
    kind: str
    token_in: Address
    amount_in: int
    token_out: Address
    amount_out: int


class Hop(msgspec.Struct, frozen=True, gc=False):
    """One edge of a cycle: a pool in a direction."""

    pool: Address
    token_in: Address
    token_out: Address


class Cycle(msgspec.Struct, frozen=True):
    """Hops in order; the last one's token_out is the first one's token_in, no pool twice."""

    hops: tuple[Hop, ...]

    @property
    def start_token(self) -> Address:
        return self.hops[0].token_in

    @property
    def pools(self) -> tuple[Address, ...]:
        return tuple(hop.pool for hop in self.hops)


class Opportunity(msgspec.Struct, frozen=True):
    """A cycle and size with the profit that the quotes give at `state`.

    `gross_amount` is in units of the start token; `before_amount` is what the best size of the same
    cycle paid just before the target (0 for nothing), and equals 0 for heads;
    `upper_bound_amount` is a proven bound on the profit of any integer input, None where none is known.
    """

    state: StateName
    block_number: int
    after_transaction: Hash32 | None
    legs: tuple[Leg, ...]
    gross_amount: int
    before_amount: int
    upper_bound_amount: int | None
    limited_by_state: bool
    """True: the best size lies at the edge of what is known of a pool; more may be there."""

    @property
    def start_token(self) -> Address:
        return self.legs[0].token_in

    @property
    def amount_in(self) -> int:
        return self.legs[0].amount_in

    @property
    def pools(self) -> tuple[Address, ...]:
        return tuple(leg.pool for leg in self.legs)

    @property
    def kind(self) -> str:
        return "head" if self.after_transaction is None else "backrun"

    @property
    def id(self) -> str:
        """Twelve hex digits, a function of block, moment and cycle, not of the size."""
        moment = b"head" if self.after_transaction is None else bytes(self.after_transaction)
        path = b"".join(bytes(leg.pool) + bytes(leg.token_in) for leg in self.legs)
        return keccak256(self.block_number.to_bytes(8, "big") + moment + path).hex()[:12]
