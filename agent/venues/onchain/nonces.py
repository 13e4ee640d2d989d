"""Which operator key signs for which block, and with which nonce.

One key carries one live bundle per block: two of one nonce would exclude each other, two nonces in a row would
make the second depend on the first. A key stays taken until the chain has passed the block, whatever relays
answered, and is given back earlier only when the bundle certainly exists nowhere. Nonces are the chain's; the
ledger counts nothing ahead of it, since what did not land has used none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from agent.eth.hexes import address_text
from agent.eth.units import Address


class Claim(msgspec.Struct, frozen=True, gc=False):
    """A key that is taken for one block."""

    key: Address
    nonce: int
    block_number: int
    holder: str
    """Whose it is: the order's id. A replacement under the same id keeps the claim."""


class Spent(msgspec.Struct, frozen=True, gc=False):
    """A claim whose nonce the chain shows as used: it landed, or something else of this key did."""

    claim: Claim
    nonce: int


class NonceLedger:
    """The keys of the executor and what each one carries."""

    def __init__(self, nonces: Mapping[Address, int]) -> None:
        """`nonces` are the chain's for each operator key, in the order in which keys are preferred."""
        self._nonces = dict(nonces)
        self._claims: dict[Address, Claim] = {}

    def claim(self, *, block_number: int, holder: str) -> Claim | None:
        """A free key for the block, or the one that the holder has for it; None when every key carries a bundle."""
        for claim in self._claims.values():
            if claim.holder == holder and claim.block_number == block_number:
                return claim
        for key, nonce in self._nonces.items():
            if key not in self._claims:
                self._claims[key] = Claim(key, nonce, block_number, holder)
                return self._claims[key]
        return None

    def release(self, claim: Claim) -> None:
        """Give a key back before its block has passed.

        Only when nothing was sent, or every endpoint certainly holds nothing of it (`Reply.is_absent`).
        """
        if self._claims.get(claim.key) == claim:
            del self._claims[claim.key]

    def advance(self, *, head_block: int, nonces: Mapping[Address, int]) -> tuple[Spent, ...]:
        """Take the chain's nonces after a new head, also one after a reorg; ends the claims it decides.

        A claim ends when its nonce is used or its block is passed. Returns those whose nonce is used.
        """
        spent: list[Spent] = []
        for key, nonce in nonces.items():
            if key not in self._nonces:
                raise KeyError(f"{address_text(key)} is no operator key")
            self._nonces[key] = nonce
            claim = self._claims.get(key)
            if claim is None:
                continue
            if nonce > claim.nonce:
                spent.append(Spent(claim, nonce))
            if nonce != claim.nonce or head_block >= claim.block_number:
                del self._claims[key]
        return tuple(spent)

    def live(self) -> tuple[Claim, ...]:
        """All claims, in the order of their keys."""
        return tuple(self._claims[key] for key in self._nonces if key in self._claims)

    def free_keys(self) -> Sequence[Address]:
        """Keys that carry nothing."""
        return [key for key in self._nonces if key not in self._claims]
