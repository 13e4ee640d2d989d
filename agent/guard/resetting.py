"""What must be so before a person may let an agent trade again: the key is another one, and the books can be believed.

Every answer is a read by the guard's own key, or with the key that is asked about. Nothing here changes anything.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from agent.guard.configuration import VenuePart
from agent.guard.peer import PeerFault
from agent.guard.venue_client import VenueClient, decimal_of

PAGES_MAX = 100
"""A journal that is further behind than so many thousand executions is brought up by a start, not by a reset."""
UNAUTHORISED = 401


def key_problems(part: VenuePart, new_key: str) -> list[str]:
    """Why the agent's key is not replaced yet; empty where the old one is dead and the new one works."""
    found: list[str] = []
    client = VenueClient(part.venue)
    try:
        if new_key in part.probe_keys:
            found.append("the new key is the old one")
        if new_key == part.venue.key:
            found.append("the new key is the guard's own")
        for number, old in enumerate(part.probe_keys, 1):
            status = client.status_of(old)
            if status != UNAUTHORISED:
                found.append(f"old key {number} is not dead: the venue answers {status}, not {UNAUTHORISED}")
        listed = sorted(set(part.agent_key_ids) & set(client.key_ids()))
        if listed:
            found.append(f"the venue still lists {', '.join(listed)}")
        status = client.status_of(new_key)
        if status != 200:
            found.append(f"the new key does not work: the venue answers {status}")
    except PeerFault as fault:
        found.append(f"the keys cannot be looked at: {fault}")
    finally:
        client.close()
    return found


def book_problems(part: VenuePart, held: Mapping[str, Decimal], exec_seq: int) -> list[str]:
    """Why the journal's books are not the venue's.

    `held`: signed quantity by symbol as of execution `exec_seq`. What was filled since is added: the next start hears of
    it. Empty where that comes to the venue's positions and no order is open.
    """
    client = VenueClient(part.venue)
    try:
        ours = {symbol: quantity for symbol, quantity in held.items() if quantity}
        rows, last = _since(client, exec_seq)
        if rows is None:
            return [f"the venue does not keep every execution after {exec_seq}"]
        found: list[str] = []
        for row in rows:
            kind, symbol = str(row.get("type", "")), str(row.get("symbol", ""))
            if kind == "fill":
                quantity = decimal_of(row.get("qty"))
                ours[symbol] = ours.get(symbol, Decimal(0)) + (quantity if row.get("side") == "buy" else -quantity)
            elif kind.startswith("trade_"):
                found.append(f"execution {row.get('exec_seq')} takes a trade back: only a start can count that")
        if exec_seq > last:
            found.append(f"the journal knows execution {exec_seq}, the venue has {last}")
        theirs = client.positions()
        for symbol in sorted({*ours, *theirs}):
            mine, venues = ours.get(symbol, Decimal(0)), theirs.get(symbol, Decimal(0))
            if mine != venues:
                found.append(f"{symbol}: the journal comes to {mine}, the venue has {venues}")
        orders = client.open_orders()
        if orders.client_order_ids or not orders.is_complete:
            found.append(f"{len(orders.client_order_ids)} orders are open, or the list is not complete")
        return found
    except PeerFault as fault:
        return [f"the books cannot be compared: {fault}"]
    finally:
        client.close()


def _since(client: VenueClient, exec_seq: int) -> tuple[list[dict[str, Any]] | None, int]:
    """Every execution after one, and the last there is; None where some are gone."""
    rows: list[dict[str, Any]] = []
    after = exec_seq
    for _ in range(PAGES_MAX):
        page = client.execution_page(after)
        if not page.is_complete:
            return None, page.last_exec_seq
        rows += page.rows
        after = page.to_exec_seq
        if not page.rows or after >= page.last_exec_seq:
            return rows, page.last_exec_seq
    return None, exec_seq
