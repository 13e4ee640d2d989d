"""The rungs at the venue and at the process: revoke the agent's key, sweep its orders, end it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from decimal import Decimal

from agent.guard.network import Cutter
from agent.guard.peer import PeerFault
from agent.guard.target import Target
from agent.guard.venue_client import Venue, VenueClient

READS_APART_S = 1.0
"""An order that was on its way during the first read is in the second one."""


class Revoke:
    """Deletes the agent's keys; confirmed when they are gone from the list and the old secret answers 401."""

    name = "revoke"

    def __init__(self, venue: Venue, key_ids: Sequence[str], probe_keys: Sequence[str]) -> None:
        self._client = VenueClient(venue)
        self._key_ids = tuple(key_ids)
        self._probe_keys = tuple(probe_keys)
        self.is_done = not key_ids

    def act(self, attempt: int) -> None:
        del attempt
        fault: PeerFault | None = None
        for key_id in self._key_ids:
            try:
                self._client.delete_key(key_id)
            except PeerFault as error:
                fault = error
        if fault is not None:
            raise fault

    def is_confirmed(self) -> bool:
        is_dead = all(self._client.is_refused(key) for key in self._probe_keys)
        self.is_done = is_dead and not set(self._key_ids) & set(self._client.key_ids())
        return self.is_done


class Sweep:
    """Cancels everything behind a fence; confirmed by two reads, a second apart, that show nothing and the same.

    Reads count only from the moment on at which nobody can place any more: the key is dead, the process gone.
    """

    name = "sweep"

    def __init__(self, venue: Venue, symbols: Sequence[str], is_final: Callable[[], bool]) -> None:
        self._client = VenueClient(venue)
        self._symbols = tuple(symbols)
        self._is_final = is_final
        self._first_read_at: float | None = None
        self._positions: dict[str, Decimal] | None = None

    def act(self, attempt: int) -> None:
        if self._first_read_at is not None:
            return  # a read showed nothing to cancel, and the second one is due
        self._client.cancel_all()
        if attempt > 1:
            # The account's cancel-all left something: ask for each symbol by its name as well.
            for symbol in self._symbols:
                self._client.cancel_all(symbol)

    def is_confirmed(self) -> bool:
        is_final = self._is_final()
        now = time.monotonic()
        if self._first_read_at is not None and now - self._first_read_at < READS_APART_S:
            return False
        orders = self._client.open_orders()
        positions = self._client.positions()
        if not orders.is_complete or orders.client_order_ids or not is_final:
            self._first_read_at = None
            return False
        is_same = self._first_read_at is not None and positions == self._positions
        self._first_read_at = now
        self._positions = positions
        return is_same


class CutNetwork:
    """Destroys the connections that the process had; confirmed when the kernel lists none of them."""

    name = "network"

    def __init__(self, target: Target, cutter: Cutter) -> None:
        self._target = target
        self._cutter = cutter

    def act(self, attempt: int) -> None:
        if attempt == 1:
            self._target.kill()
        elif self._target.connections:
            self._cutter.destroy(self._target.connections)
        if self._target.cut_fault:
            # Nothing that is repeated mends it, so it is told for good where people look.
            self._cutter.why_not = f"the agent's connections could not be cut: {self._target.cut_fault}"

    def is_confirmed(self) -> bool:
        return self._target.is_gone and self._cutter.left(self._target.connections) == 0


class EndProcess:
    """SIGKILL, which no process can refuse; confirmed by the kernel through the process's descriptor."""

    name = "process"

    def __init__(self, target: Target) -> None:
        self._target = target

    def act(self, attempt: int) -> None:
        del attempt
        self._target.kill()

    def is_confirmed(self) -> bool:
        return self._target.is_gone
