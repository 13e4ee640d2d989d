"""What a simulation is asked and what it answers.

A simulation has three answers: executed (profit or loss follow from the figures), or unknown with the
state that is missing. Unknown is never counted as one of the others.
"""

from __future__ import annotations

from typing import Protocol

import msgspec

from agent.dex.pool import Log
from agent.eth.units import Address


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
    """A transaction without its signature."""

    sender: Address
    to: Address | None
    data: bytes
    gas: int
    nonce: int | None = None
    value_wei: int = 0
    max_fee_wei: int = 0
    max_priority_fee_wei: int = 0
    access_list: tuple[tuple[Address, tuple[int, ...]], ...] = ()


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
        self, sequences: list[tuple[Call, ...]], env: BlockEnv, *, assume: frozenset[Slot] = frozenset()
    ) -> list[Simulation]: ...
