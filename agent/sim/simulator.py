"""What a simulation is asked and what it answers.

A simulation has three answers: executed (profit or loss follow from the figures), or unknown with the
state that is missing. Unknown is never counted as one of the others.
"""

from __future__ import annotations

from typing import Protocol

import msgspec

from agent.dex.pool import Log
from agent.eth.transactions import Authorization, Transaction
from agent.eth.units import Address, Hash32


class BlockEnv(msgspec.Struct, frozen=True, gc=False):
    """The block a simulation pretends to be in: all six fields that contracts can read.

    A node fills in wrong values for any that is left out (block N-1, 12 s early, base fee 0), so none has a default.
    """

    number: int
    timestamp: int
    base_fee_wei: int
    fee_recipient: Address
    gas_limit: int
    prev_randao: int
    """Never 0: contracts branch on it."""


class Call(msgspec.Struct, frozen=True):
    """A transaction without its signature.

    Fees follow the rules of the block: a sequence whose `max_fee_wei` is below the base fee is refused, as a builder
    would. `nonce` None takes whatever is next. The last three fields are those of types 3 and 4.
    """

    sender: Address
    to: Address | None
    data: bytes
    gas: int
    nonce: int | None = None
    value_wei: int = 0
    max_fee_wei: int = 0
    max_priority_fee_wei: int = 0
    access_list: tuple[tuple[Address, tuple[int, ...]], ...] = ()
    max_blob_fee_wei: int = 0
    blob_hashes: tuple[Hash32, ...] = ()
    authorizations: tuple[Authorization, ...] = ()


def call_from_transaction(transaction: Transaction) -> Call:
    """A signed transaction as a call; its sender is recovered from the signature, never taken on trust."""
    return Call(
        sender=transaction.sender,
        to=transaction.to,
        data=transaction.data,
        gas=transaction.gas,
        nonce=transaction.nonce,
        value_wei=transaction.value_wei,
        max_fee_wei=transaction.max_fee_wei,
        max_priority_fee_wei=transaction.max_priority_fee_wei,
        access_list=transaction.access_list,
        max_blob_fee_wei=transaction.max_blob_fee_wei,
        blob_hashes=transaction.blob_hashes,
        authorizations=transaction.authorizations,
    )


class Override(msgspec.Struct, frozen=True):
    """State that a simulation pretends to find: what is None or not listed stays the chain's.

    For accounts of our own only (an executor not deployed yet, a balance to probe with): a figure that rests on an
    override of somebody else's state is no claim about the chain.
    """

    address: Address
    balance_wei: int | None = None
    nonce: int | None = None
    code: bytes | None = None
    slots: tuple[tuple[int, int], ...] = ()


class Slot(msgspec.Struct, frozen=True, gc=False, order=True):
    """A storage slot, or (slot None) an account's balance, nonce and code."""

    address: Address
    slot: int | None


class CallResult(msgspec.Struct, frozen=True):
    """How one call ended. `error` is the node's text for a revert, fenced data, never parsed for meaning."""

    is_success: bool
    gas_used: int
    return_data: bytes
    logs: tuple[Log, ...]
    error: str = ""


class Simulation(msgspec.Struct, frozen=True):
    """A sequence of calls executed in order on a named state.

    `calls` is empty exactly when nothing could be executed; `missing` lists every slot that the state lacks and
    that was not allowed to be assumed. When `missing` is not empty the outcome is unknown; the figures in
    `calls` are then those with all of `missing` taken as zero (to report what it would be), or empty.
    `assumed` lists the allowed slots that were used as zero.
    `refused` is the node's word when it would not execute the sequence at all (bad nonce, funds, fee).
    """

    calls: tuple[CallResult, ...]
    missing: tuple[Slot, ...] = ()
    assumed: tuple[Slot, ...] = ()
    refused: str = ""

    @property
    def is_known(self) -> bool:
        return not self.missing and not self.refused


class Simulator(Protocol):
    """Runs call sequences on the state that the engine is positioned at; members fail alone."""

    async def simulate(
        self,
        sequences: list[tuple[Call, ...]],
        env: BlockEnv,
        *,
        assume: frozenset[Slot] = frozenset(),
        overrides: tuple[Override, ...] = (),
    ) -> list[Simulation]: ...
