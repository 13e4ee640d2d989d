"""What really happened, written down by the world itself: the judge of the agent's books, made from none of them.

A decision of the world's workload is told apart from every other by its side and quantity on its symbol. So the ledger
knows an order of a decision when the venue takes it in, whatever id the agent gave it, and a second order for the same
decision is seen for what it is.
"""

from __future__ import annotations

import msgspec

from agent.core.instruments import Side

SIGNAL_LOTS = 10
"""Signals are for multiples of so many lots, and whatever is left of them is one; no other order is."""
Fingerprint = tuple[str, Side, int]
"""Symbol, side and quantity in lots."""


class Decision(msgspec.Struct):
    """One wish of the workload, and every order the venue took in for it."""

    number: int
    fingerprint: Fingerprint
    run: int = 0
    """The process whose strategy wished it."""
    on_market_ns: int | None = None
    """Monotonic time of the market event that it was decided on; None where there was none yet."""
    accepted: list[str] = msgspec.field(default_factory=list)


class TrueOrder(msgspec.Struct):
    """An order as the world knows it."""

    client_order_id: str
    symbol: str
    side: Side
    total_lots: int
    price_ticks: int
    decision: int | None
    is_reduce_only: bool = False
    is_for_signal: bool = False
    filled_lots: int = 0
    is_live: bool = True


class Ledger:
    """The world's own books."""

    def __init__(self) -> None:
        self.decisions: list[Decision] = []
        self._by_fingerprint: dict[Fingerprint, Decision] = {}
        self.orders: dict[str, TrueOrder] = {}
        self.signalled_lots: dict[tuple[str, Side], int] = {}
        self.position_lots: dict[str, int] = {}
        self.cash_atoms = 0
        self.fees_atoms = 0
        self.trades: dict[str, int] = {}
        """Lots by trade id, as last corrected."""
        self.uncountable_lots = 0
        """Lots told behind the end of their order, beyond its total, or of busts: nobody could have reckoned with them."""

    def decide(self, fingerprint: Fingerprint, *, run: int = 0, on_market_ns: int | None = None) -> Decision:
        """The workload wishes an order; its fingerprint must be new."""
        decision = Decision(len(self.decisions), fingerprint, run, on_market_ns)
        if fingerprint in self._by_fingerprint:
            raise ValueError(f"two decisions look the same: {fingerprint}")
        self.decisions.append(decision)
        self._by_fingerprint[fingerprint] = decision
        return decision

    def decided(self, fingerprint: Fingerprint) -> Decision | None:
        """The decision that such an order is for."""
        return self._by_fingerprint.get(fingerprint)

    def accept(self, client_order_id: str, fingerprint: Fingerprint, price_ticks: int, *, is_reduce_only: bool) -> None:
        """The venue took an order in."""
        symbol, side, lots = fingerprint
        decision = self._by_fingerprint.get(fingerprint)
        if decision is not None:
            decision.accepted.append(client_order_id)
        self.orders[client_order_id] = TrueOrder(
            client_order_id,
            symbol,
            side,
            lots,
            price_ticks,
            decision.number if decision else None,
            is_reduce_only,
            lots % SIGNAL_LOTS == 0,
        )

    def amend(self, client_order_id: str, total_lots: int, price_ticks: int) -> None:
        order = self.orders[client_order_id]
        order.total_lots = total_lots
        order.price_ticks = price_ticks

    def trade(
        self, client_order_id: str, trade_id: str, symbol: str, side: Side, lots: int, value_atoms: int, fee_atoms: int
    ) -> None:
        """`lots` changed hands for `value_atoms`."""
        order = self.orders.get(client_order_id)
        if order is not None:
            order.filled_lots += lots
        self.position_lots[symbol] = self.position_lots.get(symbol, 0) + side.sign * lots
        self.cash_atoms -= side.sign * value_atoms + fee_atoms
        self.fees_atoms += fee_atoms
        self.trades[trade_id] = lots

    def bust(self, trade_id: str, symbol: str, side: Side, lots: int, value_atoms: int, fee_atoms: int) -> None:
        """The venue took a trade of `lots` back, with its fee."""
        self.position_lots[symbol] -= side.sign * lots
        self.cash_atoms += side.sign * value_atoms + fee_atoms
        self.fees_atoms -= fee_atoms
        self.trades[trade_id] = 0
        self.uncountable_lots += lots

    def signal(self, symbol: str, side: Side, lots: int) -> None:
        """The slow path wishes so much, in as many orders as it takes, one after the other."""
        self.signalled_lots[symbol, side] = self.signalled_lots.get((symbol, side), 0) + lots

    def promised_lots(self, symbol: str, side: Side) -> int:
        """What was and may still be filled for signals."""
        return sum(
            order.total_lots if order.is_live else order.filled_lots
            for order in self.orders.values()
            if order.symbol == symbol and order.side is side and order.is_for_signal
        )

    def end(self, client_order_id: str) -> None:
        """The order can trade no more."""
        self.orders[client_order_id].is_live = False

    def live(self) -> list[TrueOrder]:
        return [order for order in self.orders.values() if order.is_live]

    def worst_lots(self, symbol: str, side: Side) -> int:
        """Position in the direction of `side` if every live order of that side filled, and none of the other."""
        open_lots = sum(
            order.total_lots - order.filled_lots
            for order in self.live()
            if order.symbol == symbol and order.side is side
        )
        return side.sign * self.position_lots.get(symbol, 0) + open_lots
