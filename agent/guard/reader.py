"""Reads the truth once a second at the venue, with the guard's own key, in a thread of its own."""

from __future__ import annotations

import contextlib
import json
import os
import threading
import time
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

from agent.guard.configuration import VenuePart
from agent.guard.peer import PeerFault
from agent.guard.truth import Truth
from agent.guard.venue_client import OpenOrders, VenueClient

PERIOD_S = 1.0
DAY_S = 86_400
_MICROSECONDS = 1_000_000
_EXECUTIONS_PER_READ = 1_000


class Account:
    """What is remembered between two reads."""

    def __init__(self, venue: VenuePart, folder: Path) -> None:
        self._venue = venue
        self._client = VenueClient(venue.venue)
        self._day_file = folder / "day.json"
        self._exec_seq: int | None = None
        self._accepted: dict[int, int] = {}
        self._prices: dict[str, Decimal] = {}

    def read(self) -> Truth:
        """One round. Raises PeerFault where the venue gave no usable answer."""
        orders = self._client.open_orders()
        positions = self._client.positions()
        busiest = self._count_accepted(orders.exec_seq)
        for symbol in {*self._venue.symbols, *positions, *(str(row.get("symbol", "")) for row in orders.rows)}:
            self._note_price(symbol)
        return Truth(
            exec_seq=max(orders.exec_seq, self._exec_seq or 0),
            open_order_ids=orders.client_order_ids,
            is_complete=orders.is_complete,
            exposure=self._exposure(orders, positions),
            day_loss=self._day_loss(positions),
            busiest_second=busiest,
        )

    def _count_accepted(self, exec_seq_now: int) -> int:
        if self._exec_seq is None:  # what happened before the guard began is not the agent's rate
            self._exec_seq = exec_seq_now
            return 0
        while True:
            rows = self._client.executions(self._exec_seq, _EXECUTIONS_PER_READ)
            for row in rows:
                seq, at = row.get("exec_seq"), row.get("exchange_ts")
                if type(seq) is not int or seq <= self._exec_seq:
                    continue
                self._exec_seq = seq
                if row.get("type") == "order_ack" and type(at) is int:
                    second = at // _MICROSECONDS
                    self._accepted[second] = self._accepted.get(second, 0) + 1
            if len(rows) < _EXECUTIONS_PER_READ:
                break
        busiest = max(self._accepted.values(), default=0)
        # A second may still fill up at the next read.
        self._accepted = {
            second: count for second, count in self._accepted.items() if second >= max(self._accepted) - 1
        }
        return busiest

    def _note_price(self, symbol: str) -> None:
        bid, ask = self._client.best_prices(symbol)
        if bid is not None and ask is not None:
            self._prices[symbol] = (bid + ask) / 2
        elif (one := bid if bid is not None else ask) is not None:
            self._prices.setdefault(symbol, one)

    def _exposure(self, orders: OpenOrders, positions: dict[str, Decimal]) -> int | None:
        """Worst case: every open order of one side is filled and none of the other. None where a price is not known."""
        buys: dict[str, Decimal] = {}
        sells: dict[str, Decimal] = {}
        for row in orders.rows:
            symbol, side = str(row.get("symbol", "")), buys if row.get("side") == "buy" else sells
            left = Decimal(str(row.get("quantity", "0"))) - Decimal(str(row.get("cum_qty", "0")))
            side[symbol] = side.get(symbol, Decimal(0)) + left
        total = Decimal(0)
        for symbol in {*positions, *buys, *sells}:
            if symbol not in self._prices:
                return None
            held = positions.get(symbol, Decimal(0))
            worst = max(abs(held + buys.get(symbol, Decimal(0))), abs(held - sells.get(symbol, Decimal(0))))
            total += worst * self._prices[symbol]
        return self._atoms(total)

    def _day_loss(self, positions: dict[str, Decimal]) -> int | None:
        """What the account lost since the day's first read; the start is kept on disk, for a restart forgives nothing."""
        balances = self._client.balances()
        if self._venue.quote_currency not in balances or not set(positions) <= set(self._prices):
            return None
        worth = sum((quantity * self._prices[symbol] for symbol, quantity in positions.items()), Decimal(0))
        nav = self._atoms(balances[self._venue.quote_currency] + worth)
        today = int(time.time()) // DAY_S
        start = self._day_start(today)
        if start is None:
            start = nav
            with contextlib.suppress(OSError):
                temporary = self._day_file.with_suffix(".new")
                temporary.write_text(json.dumps({"day": today, "nav_atoms": str(nav)}))
                os.replace(temporary, self._day_file)
        return start - nav

    def _day_start(self, today: int) -> int | None:
        try:
            kept: Any = json.loads(self._day_file.read_text())
            return int(kept["nav_atoms"]) if kept["day"] == today else None
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def _atoms(self, amount: Decimal) -> int:
        return int(amount.scaleb(self._venue.quote_decimals))


class Reader(threading.Thread):
    """Calls `tell(truth, taken_at_ns)` after each round that worked, from this thread."""

    def __init__(self, account: Account, tell: Callable[[Truth], None]) -> None:
        super().__init__(name="truth", daemon=True)
        self._account = account
        self._tell = tell
        self._ended = threading.Event()
        self.last_success_ns: int | None = None
        self.last_fault = "nothing was read yet"

    def run(self) -> None:
        while not self._ended.is_set():
            self.read_once()
            self._ended.wait(PERIOD_S)

    def read_once(self) -> None:
        try:
            truth = self._account.read()
        except PeerFault as fault:
            self.last_fault = str(fault)
        except Exception as fault:  # noqa: BLE001 - a strange answer of the venue must not end the reading
            self.last_fault = f"unreadable answer: {type(fault).__name__}"
        else:
            self.last_fault = ""
            self.last_success_ns = time.monotonic_ns()
            self._tell(truth)

    def stop(self) -> None:
        self._ended.set()
