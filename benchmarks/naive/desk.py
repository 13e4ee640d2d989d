"""A risk core as a careful user writes one: dataclasses, `Decimal`, a dictionary of orders, the checks one after another.

The same twenty checks, the order's states, books with fees and averages, and the breakers, at the same limits. What
makes orders safe when frames are lost (order of executions, fences, reconciliation, reservations of unknown orders,
restarts) is not in it, nor any log line.
"""

from __future__ import annotations

import uuid
from collections import deque
from dataclasses import dataclass, field
from decimal import Decimal

ZERO = Decimal(0)


@dataclass
class Limits:
    max_order_qty: Decimal = Decimal("1.000")
    max_order_notional: Decimal = Decimal("1e12")
    max_position: Decimal = Decimal("1e12")
    max_gross: Decimal = Decimal("1e12")
    max_net: Decimal = Decimal("1e12")
    day_notional: Decimal = Decimal("1e18")
    day_loss: Decimal = Decimal("0.05")
    drawdown: Decimal = Decimal("0.20")
    collar: Decimal = Decimal("0.005")
    band: Decimal = Decimal("0.10")
    gap: Decimal = Decimal("0.05")
    max_age: float = 1e6
    duplicate_window: float = 0.1
    duplicate_max: int = 10**9
    repeat_max: int = 10**9
    day_orders: int = 10**9
    orders_per_s: float = 1e9
    max_open: int = 64
    losses: int = 15


@dataclass
class Instrument:
    symbol: str
    tick: Decimal
    lot: Decimal
    min_qty: Decimal
    max_qty: Decimal
    min_notional: Decimal
    status: str = "trading"


@dataclass
class Tick:
    symbol: str
    price: Decimal
    mark: Decimal


@dataclass
class Delta:
    symbol: str
    bids: list[tuple[Decimal, Decimal]]
    asks: list[tuple[Decimal, Decimal]]


@dataclass
class Request:
    strategy: str
    symbol: str
    side: str
    kind: str
    qty: Decimal
    price: Decimal
    decided: float


@dataclass
class Ack:
    client_id: str
    order_id: str


@dataclass
class Fill:
    client_id: str
    trade_id: str
    side: str
    qty: Decimal
    price: Decimal
    fee: Decimal


@dataclass
class Order:
    client_id: str
    strategy: str
    symbol: str
    side: str
    kind: str
    qty: Decimal
    price: Decimal
    status: str = "new"
    filled: Decimal = ZERO
    order_id: str = ""
    ack_deadline: float = 0.0


@dataclass
class Book:
    bids: dict[Decimal, Decimal] = field(default_factory=dict)
    asks: dict[Decimal, Decimal] = field(default_factory=dict)
    best_bid: Decimal = ZERO
    best_ask: Decimal = ZERO
    last: Decimal = ZERO
    mark: Decimal = ZERO
    at: float = 0.0
    mark_at: float = 0.0

    def apply(self, delta: Delta, now: float) -> None:
        for side, levels in ((self.bids, delta.bids), (self.asks, delta.asks)):
            for price, qty in levels:
                if qty:
                    side[price] = qty
                else:
                    side.pop(price, None)
        self.best_bid, self.best_ask = max(self.bids), min(self.asks)
        self.at = now


@dataclass
class Position:
    qty: Decimal = ZERO
    average: Decimal = ZERO
    realised: Decimal = ZERO
    fees: Decimal = ZERO

    def add(self, side: str, qty: Decimal, price: Decimal, fee: Decimal) -> Decimal | None:
        """The result of what was closed, where something was."""
        signed = qty if side == "buy" else -qty
        self.fees += fee
        closed = None
        if self.qty * signed >= 0:
            self.average = (self.average * abs(self.qty) + price * qty) / (abs(self.qty) + qty)
        else:
            taken = min(abs(self.qty), qty)
            closed = taken * (price - self.average) * (1 if self.qty > 0 else -1)
            self.realised += closed
            if qty > abs(self.qty):
                self.average = price
        self.qty += signed
        if self.qty == 0:
            self.average = ZERO
        return closed


class Desk:
    """One account."""

    def __init__(self, instruments: list[Instrument], cash: Decimal, limits: Limits) -> None:
        self.instruments = {one.symbol: one for one in instruments}
        self.books = {one.symbol: Book() for one in instruments}
        self.positions = {one.symbol: Position() for one in instruments}
        self.limits = limits
        self.cash = self.nav = self.day_start = self.high = cash
        self.orders: dict[str, Order] = {}
        self.done: deque[Order] = deque(maxlen=10_000)
        self.trades: set[str] = set()
        self.recent: deque[tuple[float, tuple[str, str, str, Decimal, Decimal]]] = deque()
        self.repeats: dict[tuple[str, str], int] = {}
        self.day_count = 0
        self.day_turnover = ZERO
        self.tokens, self.tokens_at = limits.orders_per_s, 0.0
        self.is_live = self.is_journal_healthy = True
        self.guard_at = 0.0
        self.mode = "active"
        self.streak = 0

    def on_tick(self, tick: Tick, now: float) -> None:
        book = self.books[tick.symbol]
        book.last, book.mark, book.mark_at = tick.price, tick.mark, now

    def on_delta(self, delta: Delta, now: float) -> None:
        self.books[delta.symbol].apply(delta, now)
        if self.positions[delta.symbol].qty:
            self.value()

    def on_request(self, wish: Request, now: float) -> Order | str:
        """The order that goes out, or why none does."""
        refusal = self.check(wish, now)
        if refusal:
            return refusal
        order = Order(
            client_id=uuid.uuid4().hex,
            strategy=wish.strategy,
            symbol=wish.symbol,
            side=wish.side,
            kind=wish.kind,
            qty=wish.qty,
            price=wish.price,
            ack_deadline=now + 1.0,
        )
        self.orders[order.client_id] = order
        self.recent.append((now, (wish.strategy, wish.symbol, wish.side, wish.price, wish.qty)))
        key = (wish.strategy, wish.side)
        self.repeats[key] = self.repeats.get(key, 0) + 1
        self.day_count += 1
        self.day_turnover += wish.qty * wish.price
        return order

    def check(self, wish: Request, now: float) -> str:
        limits, book, instrument = self.limits, self.books.get(wish.symbol), self.instruments.get(wish.symbol)
        if now - self.guard_at > limits.max_age:
            return "guard lost"
        if not self.is_live:
            return "session"
        if not self.is_journal_healthy:
            return "journal"
        if instrument is None or book is None or instrument.status != "trading":
            return "instrument"
        if any(order.symbol == wish.symbol and order.status == "unknown" for order in self.orders.values()):
            return "fenced"
        if wish.price <= 0 or wish.price % instrument.tick:
            return "tick"
        if wish.qty <= 0 or wish.qty % instrument.lot or not instrument.min_qty <= wish.qty <= instrument.max_qty:
            return "lot"
        notional = wish.qty * max(wish.price, book.mark)
        position = self.positions[wish.symbol]
        buys, sells = ZERO, ZERO
        for order in self.orders.values():
            if order.symbol == wish.symbol:
                if order.side == "buy":
                    buys += order.qty - order.filled
                else:
                    sells += order.qty - order.filled
        if wish.side == "buy":
            is_reducing = position.qty < 0 and wish.qty <= -position.qty - buys
        else:
            is_reducing = position.qty > 0 and wish.qty <= position.qty - sells
        if self.mode == "halted" or (self.mode == "reduce only" and not is_reducing):
            return self.mode
        if not is_reducing and wish.qty * wish.price < instrument.min_notional:
            return "min notional"
        if now - book.at > limits.max_age or now - book.mark_at > limits.max_age or book.best_bid >= book.best_ask:
            return "stale data"
        if now - wish.decided > limits.max_age:
            return "decision"
        while self.recent and self.recent[0][0] < now - limits.duplicate_window:
            self.recent.popleft()
        key = (wish.strategy, wish.symbol, wish.side, wish.price, wish.qty)
        if (
            len(self.recent) >= limits.duplicate_max
            and sum(one == key for _, one in self.recent) > limits.duplicate_max
        ):
            return "duplicate"
        middle = (book.best_bid + book.best_ask) / 2
        if abs(wish.price - middle) > limits.collar * middle or abs(wish.price - book.last) > limits.collar * book.last:
            return "collar"
        if abs(wish.price - book.mark) > limits.band * book.mark:
            return "band"
        if not is_reducing and (wish.qty > limits.max_order_qty or notional > limits.max_order_notional):
            return "size"
        for order in self.orders.values():
            if order.symbol == wish.symbol and order.side != wish.side:
                crosses = order.price <= wish.price if wish.side == "buy" else order.price >= wish.price
                if crosses:
                    return "self trade"
        worst_long = position.qty + buys + (wish.qty if wish.side == "buy" else 0)
        worst_short = position.qty - sells - (wish.qty if wish.side == "sell" else 0)
        gross = max(abs(worst_long), abs(worst_short)) * max(book.mark, wish.price)
        net = worst_long * book.mark if wish.side == "buy" else -worst_short * book.mark
        for symbol, other in self.positions.items():
            if symbol != wish.symbol:
                gross += abs(other.qty) * self.books[symbol].mark
                net += other.qty * self.books[symbol].mark
        if not is_reducing:
            if gross > limits.max_position or gross > limits.max_gross or net > limits.max_net:
                return "position"
            if notional > self.nav - gross:
                return "funds"
            loss = max(ZERO, self.day_start - self.nav) + gross * limits.gap
            if loss > limits.day_loss * self.day_start:
                return "loss budget"
            if self.day_turnover + notional > limits.day_notional or self.day_count >= limits.day_orders:
                return "day"
        if len(self.orders) >= limits.max_open:
            return "open orders"
        if self.repeats.get((wish.strategy, wish.side), 0) >= limits.repeat_max:
            return "repeated"
        self.tokens = min(limits.orders_per_s, self.tokens + (now - self.tokens_at) * limits.orders_per_s)
        self.tokens_at = now
        if self.tokens < 1:
            return "rate"
        self.tokens -= 1
        return ""

    def on_ack(self, ack: Ack, now: float) -> None:
        order = self.orders.get(ack.client_id)
        if order is not None and order.status == "new":
            order.status, order.order_id, order.ack_deadline = "open", ack.order_id, 0.0

    def on_fill(self, fill: Fill, now: float) -> None:
        order = self.orders.get(fill.client_id)
        if order is None or fill.trade_id in self.trades:
            return
        self.trades.add(fill.trade_id)
        order.filled += fill.qty
        order.status = "partial"
        if order.filled >= order.qty:
            order.status = "filled"
            self.done.append(self.orders.pop(order.client_id))
        value = fill.qty * fill.price
        self.cash += -value - fill.fee if fill.side == "buy" else value - fill.fee
        closed = self.positions[order.symbol].add(fill.side, fill.qty, fill.price, fill.fee)
        if closed is not None and closed != 0:
            self.streak = self.streak + 1 if closed < 0 else 0
        self.value()
        if self.streak >= self.limits.losses:
            self.mode = "halted"

    def value(self) -> None:
        """Net asset value at what a close would bring, and the breakers that look at it."""
        nav = self.cash
        for symbol, position in self.positions.items():
            if position.qty:
                book = self.books[symbol]
                nav += position.qty * (book.best_bid if position.qty > 0 else book.best_ask)
        self.nav = nav
        self.high = max(self.high, nav)
        if self.day_start - nav >= self.limits.day_loss * self.day_start:
            self.mode = "halted"
        elif (self.high - nav) / self.high >= self.limits.drawdown:
            self.mode = "reduce only"
