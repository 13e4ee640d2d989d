"""The order-book venue as the guard needs it: stop things, and read whether they stopped.

The key has the scopes `read`, `cancel` and `revoke`, and `reduce` where a person wants positions flattened; with it nobody
can open a position or make a key. An answer "done" is
never evidence here: only the reads are.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from types import MappingProxyType
from typing import Any, NamedTuple
from urllib.parse import quote

from agent.guard.peer import Peer, PeerFault

PATHS = {
    "orders": "/v1/orders",
    "executions": "/v1/executions",
    "positions": "/v1/positions",
    "balances": "/v1/balances",
    "deadman": "/v1/deadman",
    "keys": "/v1/keys",
}
"""Where each thing lies by the contract."""
OK_STATUSES = range(200, 300)


class OpenOrders(NamedTuple):
    """`is_complete` is the venue's own word that nothing is missing; without it an empty list says nothing."""

    client_order_ids: tuple[str, ...]
    rows: tuple[dict[str, Any], ...]
    is_complete: bool
    exec_seq: int


class ExecutionPage(NamedTuple):
    """Executions after one, oldest first. Without `is_complete` some in between are gone."""

    rows: tuple[dict[str, Any], ...]
    is_complete: bool
    to_exec_seq: int
    last_exec_seq: int


Levels = tuple[tuple[Decimal, Decimal], ...]
"""Price and quantity, the best first."""
DEPTH = 50


class Grid(NamedTuple):
    """What an order of a market must be a multiple of, and have at least."""

    tick: Decimal
    lot: Decimal
    min_quantity: Decimal


class Venue(NamedTuple):
    """Where the venue is and how one signs in there."""

    url: str
    key: str
    auth_header: str = "X-API-Key"
    auth_prefix: str = ""
    timeout_s: float = 1.0
    paths: Mapping[str, str] = MappingProxyType({})
    """By the names of `PATHS`: those that differ."""

    def path(self, name: str) -> str:
        return self.paths.get(name, PATHS[name])


class VenueClient:
    """One connection to the venue. Every method raises PeerFault where there is no usable answer."""

    def __init__(self, venue: Venue) -> None:
        self._venue = venue
        headers = {venue.auth_header: venue.auth_prefix + venue.key}
        self._peer = Peer(venue.url, headers=headers, timeout_s=venue.timeout_s)

    def delete_key(self, key_id: str) -> None:
        """Revoke. Deleting, never rotating: a rotated key goes on for a minute."""
        status, _ = self._peer.ask("DELETE", f"{self._venue.path('keys')}/{quote(key_id, safe='')}")
        if status not in OK_STATUSES and status not in (404, 410):
            raise PeerFault(f"the venue answered {status} to the deletion of a key")

    def key_ids(self) -> tuple[str, ...]:
        """The keys that the account has."""
        return tuple(str(row.get("id", "")) for row in _rows(self._read(self._venue.path("keys")), "keys"))

    def is_refused(self, key: str) -> bool:
        """Whether the venue knows this key no more: 401 and nothing else says so."""
        return self.status_of(key) == 401

    def status_of(self, key: str) -> int:
        """What a read with this key is answered."""
        headers = {self._venue.auth_header: self._venue.auth_prefix + key}
        prober = Peer(self._venue.url, headers=headers, timeout_s=self._venue.timeout_s)
        try:
            status, _ = prober.ask("GET", self._venue.path("positions"))
        finally:
            prober.close()
        return status

    def cancel_all(self, symbol: str = "") -> None:
        """Raise the epoch of the account, so that nothing sent before can be accepted, then cancel every order."""
        path = self._venue.path("orders") + "?fence=account" + (f"&symbol={quote(symbol, safe='')}" if symbol else "")
        status, _ = self._peer.ask("DELETE", path, {"fence": "account"} | ({"symbol": symbol} if symbol else {}))
        if status not in OK_STATUSES:
            raise PeerFault(f"the venue answered {status} to a cancel-all")

    def fence(self) -> int:
        """The same for the epoch that holds from now on. Raises PeerFault where the answer names none."""
        status, answer = self._peer.ask("DELETE", self._venue.path("orders") + "?fence=account", {"fence": "account"})
        if status not in OK_STATUSES:
            raise PeerFault(f"the venue answered {status} to a fence")
        return _integer(answer, "session_epoch")

    def place(self, order: Mapping[str, Any]) -> None:
        """One order that reduces. Its answer is no evidence; that it was refused is told."""
        status, answer = self._peer.ask("POST", self._venue.path("orders"), dict(order))
        if status not in OK_STATUSES:
            code = answer.get("code") if isinstance(answer, Mapping) else None
            word = code if isinstance(code, str) and code.isidentifier() else ""
            raise PeerFault(f"the venue answered {status} {word} to a reducing order".replace("  ", " "))

    def grids(self) -> dict[str, Grid]:
        """The markets."""
        return {
            str(row.get("symbol", "")): Grid(
                *(_positive(row.get(name)) for name in ("tick", "lot", "min_qty")),
            )
            for row in _rows(self._read("/v1/instruments"), "instruments")
        }

    def book(self, symbol: str) -> tuple[Levels, Levels]:
        """Bids and asks, the best first."""
        answer = self._read(f"/v1/markets/{quote(symbol, safe='')}/orderbook?depth={DEPTH}")
        sides = []
        for name in ("bids", "asks"):
            levels = answer.get(name) if isinstance(answer, Mapping) else None
            if not isinstance(levels, list) or not all(isinstance(one, list) and len(one) >= 2 for one in levels):
                raise PeerFault("the venue's book is none")
            sides.append(tuple((_positive(one[0]), decimal_of(one[1])) for one in levels))
        return sides[0], sides[1]

    def open_orders(self) -> OpenOrders:
        answer = self._read(self._venue.path("orders") + "?status=open")
        rows = _rows(answer, "orders")
        return OpenOrders(
            client_order_ids=tuple(str(row.get("client_order_id", "")) for row in rows),
            rows=rows,
            is_complete=isinstance(answer, Mapping) and answer.get("complete") is True,
            exec_seq=_integer(answer, "as_of_exec_seq"),
        )

    def positions(self) -> dict[str, Decimal]:
        """Signed quantity by symbol; what is flat is left out."""
        answer = self._read(self._venue.path("positions"))
        held = {
            str(row.get("symbol", "")): _amount(row, "qty", "quantity", "size") for row in _rows(answer, "positions")
        }
        return {symbol: quantity for symbol, quantity in held.items() if quantity}

    def balances(self) -> dict[str, Decimal]:
        answer = self._read(self._venue.path("balances"))
        return {
            str(row.get("ccy", row.get("currency", ""))): _amount(row, "total", "amount", "balance")
            for row in _rows(answer, "balances")
        }

    def executions(self, after: int, limit: int = 1000) -> tuple[dict[str, Any], ...]:
        return _rows(self._read(f"{self._venue.path('executions')}?after={after}&limit={limit}"), "executions")

    def execution_page(self, after: int, limit: int = 1000) -> ExecutionPage:
        """The same with the venue's word on whether older ones are gone, and how many there are."""
        answer = self._read(f"{self._venue.path('executions')}?after={after}&limit={limit}")
        return ExecutionPage(
            rows=_rows(answer, "executions"),
            is_complete=isinstance(answer, Mapping) and answer.get("complete") is True,
            to_exec_seq=_integer(answer, "to_exec_seq"),
            last_exec_seq=_integer(answer, "last_exec_seq"),
        )

    def best_prices(self, symbol: str) -> tuple[Decimal | None, Decimal | None]:
        """Best bid and ask; None for an empty side."""
        answer = self._read(f"/v1/markets/{quote(symbol, safe='')}/orderbook?depth=1")
        sides = []
        for side in ("bids", "asks"):
            levels = answer.get(side) if isinstance(answer, Mapping) else None
            is_there = isinstance(levels, list) and levels and isinstance(levels[0], list) and levels[0]
            sides.append(decimal_of(levels[0][0]) if is_there and isinstance(levels, list) else None)
        return sides[0], sides[1]

    def arm_deadman(self, timeout_ms: int) -> None:
        """The venue cancels everything if it hears nothing for so long; 0 disarms."""
        status, _ = self._peer.ask("POST", self._venue.path("deadman"), {"timeout_ms": timeout_ms})
        if status not in OK_STATUSES:
            raise PeerFault(f"the venue answered {status} to the dead-man timer")

    def _read(self, path: str) -> Any:
        status, answer = self._peer.ask("GET", path)
        if status != 200:
            raise PeerFault(f"the venue answered {status} to a read")
        return answer

    def close(self) -> None:
        self._peer.close()


def _rows(answer: Any, name: str) -> tuple[dict[str, Any], ...]:
    rows = answer.get(name) if isinstance(answer, Mapping) else answer
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise PeerFault(f"the venue's answer holds no list of {name}")
    return tuple(rows)


def _integer(answer: Any, name: str) -> int:
    found = answer.get(name) if isinstance(answer, Mapping) else None
    if type(found) is not int or found < 0:
        raise PeerFault(f"the venue's answer holds no {name}")
    return found


def _amount(row: Mapping[str, Any], *names: str) -> Decimal:
    for name in names:
        if name in row:
            return decimal_of(row[name])
    raise PeerFault(f"a row of the venue has no {names[0]}")


def _positive(value: Any) -> Decimal:
    number = decimal_of(value)
    if number <= 0:
        raise PeerFault("the venue's answer holds a number that is not above 0")
    return number


def decimal_of(value: Any) -> Decimal:
    """An exact number of a text or an integer. Raises PeerFault."""
    try:
        number = Decimal(value) if isinstance(value, str | int) and not isinstance(value, bool) else None
    except InvalidOperation:
        number = None
    if number is None or not number.is_finite():
        raise PeerFault("the venue's answer holds something that is no number")
    return number
