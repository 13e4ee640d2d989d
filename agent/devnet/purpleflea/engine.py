"""The matching engine of the venue: one step per message, in order of arrival, and what it says in that order.

Theory of operation. `MatchingEngine` knows markets, books, accounts and orders; it knows no connections, keys or
epochs. A call is one step at one instant. Before anything else a step ends the resting orders whose time is over.
What there is to say is appended to `said`: the answer first, then for each match the taker's fill and the maker's,
then the end of what did not rest. Every frame that changes what an account knows gets the account's next `exec_seq`.
`exchange_ts` rises with every step, whatever the clock does. Levels that changed are in `dirty` until the market-data
side has looked at them.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from typing import Any, NamedTuple

from agent.core.instruments import OrderType, Side, TradingStatus
from agent.devnet.purpleflea import entry_checks, frames, matching
from agent.devnet.purpleflea.accounts import Account, Ledger
from agent.devnet.purpleflea.executions import Executions
from agent.devnet.purpleflea.markets import Market
from agent.devnet.purpleflea.order_book import OrderBook
from agent.devnet.purpleflea.orders import VENUE, Order, Origin, Place

PENDING_KINDS = (OrderType.LIMIT, OrderType.POST_ONLY)
"""Types whose rest stays in the book."""


class Instant(NamedTuple):
    """When a step happens, by the venue's two clocks."""

    mono_ns: int
    wall_ns: int


class Said(NamedTuple):
    """Something to be told. `account` is empty for public frames; `is_answer` also goes to whoever asked."""

    account: str
    frame: frames.Frame
    is_answer: bool = False


class TradeRecord(NamedTuple):
    """One trade, as the venue books it. Fees in atoms of the market's fee currency."""

    trade_id: str
    symbol: str
    lots: int
    price_ticks: int
    taker: Order
    maker: Order
    taker_fee_atoms: int
    maker_fee_atoms: int
    exchange_us: int


class Tuning(NamedTuple):
    """How the next step departs from the rules; for faults."""

    slice_lots: int | None = None
    """Largest size of one trade."""
    ack_last: bool = False
    """The ack is numbered after the fills."""


class MatchingEngine:
    """Order books, accounts, orders and trades of the venue."""

    def __init__(self, markets: tuple[Market, ...], *, max_open: int) -> None:
        self.markets = {market.symbol: market for market in markets}
        self.books = {symbol: OrderBook(symbol) for symbol in self.markets}
        self.status = dict.fromkeys(self.markets, TradingStatus.TRADING)
        self.last_ticks = {symbol: market.first_price_ticks for symbol, market in self.markets.items()}
        self.ledger = Ledger()
        self.executions: dict[str, Executions] = {}
        self.orders: dict[tuple[str, str], Order] = {}
        """By account and client id, former ids of amended orders included."""
        self.by_order_id: dict[str, Order] = {}
        self.open_orders: dict[str, dict[str, Order]] = {}
        """By account and order id."""
        self.trades: list[TradeRecord] = []
        self.busted: set[str] = set()
        self.said: list[Said] = []
        self.dirty: set[str] = set()
        self.tuning = Tuning()
        self.exchange_us = 0
        self._max_open = max_open
        self._order_count = 0
        self._arrivals = 0
        self._expiries: list[tuple[int, int, Order]] = []
        self.now = Instant(0, 0)

    def open_account(self, account_id: str, *, is_house: bool = False) -> Account:
        """A new, empty account."""
        self.executions[account_id] = Executions()
        self.open_orders[account_id] = {}
        return self.ledger.open(account_id, is_house=is_house)

    def begin(self, now: Instant) -> None:
        """Start a step: move the exchange's time on, end what has expired (an order's time is over at its instant)."""
        self.now = now
        self.exchange_us = max(self.exchange_us + 1, now.wall_ns // 1_000)
        while self._expiries and self._expiries[0][0] <= now.wall_ns:
            order = heapq.heappop(self._expiries)[2]
            if order.is_open:
                self._end(order, "expired", status="expired")

    def next_expiry_ns(self) -> int | None:
        """Wall time at which the next resting order expires."""
        return self._expiries[0][0] if self._expiries else None

    def place(self, account: Account, request: Place, origin: Origin, now: Instant) -> Order:
        """Take an order or refuse it; its answer, fills and end are said. The order is kept either way."""
        self.begin(now)
        known = self.orders.get((account.account_id, request.client_order_id))
        if known is not None:
            self._repeat(known, request)
            return known
        order = self._new_order(account, request, origin)
        code = self._entry_code(account, order)
        if code:
            self.refuse(order, code)
            return order
        self._accept(account, order)
        return order

    def reject(self, account: Account, request: Place, origin: Origin, code: str, now: Instant, **more: Any) -> None:
        """Refuse an order for a reason of the door: rate, epoch, scope. A known id is answered as stored."""
        self.begin(now)
        known = self.orders.get((account.account_id, request.client_order_id))
        if known is not None:
            self._repeat(known, request)
            return
        self.refuse(self._new_order(account, request, origin), code, **more)

    def cancel(self, order: Order, reason: str, now: Instant) -> None:
        """End an open order."""
        self.begin(now)
        if order.is_open:
            self._end(order, reason, is_answer=True)

    def cancel_many(self, orders: list[Order], reason: str, now: Instant) -> list[Order]:
        """End all that are open, in one step."""
        self.begin(now)
        ended = [order for order in orders if order.is_open]
        for order in ended:
            self._end(order, reason)
        return ended

    def amend(self, order: Order, *, lots: int, price_ticks: int, new_client_id: str | None, now: Instant) -> str:
        """Change total and price of an open order; the code of the refusal, or empty."""
        self.begin(now)
        if not order.is_open:
            return "TOO_LATE_TO_CANCEL"
        market = self.markets[order.place.symbol]
        code = self._amend_code(market, order, lots, price_ticks, new_client_id)
        if code:
            return code
        old_id = order.client_order_id
        if new_client_id is not None:
            self.orders[order.account, new_client_id] = order
            order.client_order_id = new_client_id
        if lots <= order.cum_lots:
            self._end(order, "self_reduce", is_answer=True)
            return ""
        keeps = price_ticks == order.price_ticks and lots <= order.lots
        account = self.ledger.accounts[order.account]
        half = self.books[market.symbol].half(order.place.side)
        if keeps:
            gone = order.lots - lots
            half.shrink(order, gone)
            account.hold(market, order.place.side, -gone, order.price_ticks)
            order.lots = lots
        else:
            half.remove(order)
            account.hold(market, order.place.side, -order.leaves_lots, order.price_ticks)
            order.lots, order.price_ticks = lots, price_ticks
        self.dirty.add(market.symbol)
        self._tell(
            account,
            lambda: frames.order_amended(market, order, old_id, kept=keeps, exchange_us=self.exchange_us),
            is_answer=True,
        )
        if not keeps:
            self._work(account, market, order)
        return ""

    def set_status(self, symbol: str, status: TradingStatus, now: Instant, *, cancel_resting: bool = False) -> None:
        """Change what a market lets orders do."""
        self.begin(now)
        self.status[symbol] = status
        self.said.append(Said("", {"type": "status", "symbol": symbol, "status": str(status), "from_ns": now.wall_ns}))
        if cancel_resting:
            book = self.books[symbol]
            for half in (book.bids, book.asks):
                for order in [order for level in half.levels() for order in level.orders.values()]:
                    self._end(order, "instrument_halt")

    def bust(self, trade_id: str, now: Instant) -> bool:
        """Take a trade back on both sides, fees included. The orders keep what they count as filled."""
        self.begin(now)
        found = next((trade for trade in self.trades if trade.trade_id == trade_id), None)
        if found is None or trade_id in self.busted:
            return False
        self.busted.add(trade_id)
        market = self.markets[found.symbol]
        for order, fee in ((found.taker, found.taker_fee_atoms), (found.maker, found.maker_fee_atoms)):
            account = self.ledger.accounts[order.account]
            self.ledger.settle(market, account, order.place.side.opposite, found.lots, found.price_ticks, -fee)
            self._tell(account, lambda order=order: frames.trade_bust(market, order, trade_id, self.exchange_us))  # type: ignore[misc] # mypy cannot type a bound default
        return True

    def mark_ticks(self, symbol: str) -> int:
        """The middle of the book, rounded down, else the last price."""
        doubled = self.books[symbol].mid_ticks_doubled()
        return doubled // 2 if doubled is not None else self.last_ticks[symbol]

    def marked(self) -> dict[str, tuple[Market, int]]:
        return {symbol: (market, self.mark_ticks(symbol)) for symbol, market in self.markets.items()}

    def refuse(self, order: Order, code: str, **more: Any) -> None:
        """Keep the order as rejected and say why."""
        order.status, order.code, order.ended_wall_ns = "rejected", code, self.now.wall_ns
        frame = {"type": "reject", "client_order_id": order.client_order_id, "code": code, "text": "", **more}
        self.said.append(Said(order.account, frame, is_answer=True))

    def _new_order(self, account: Account, request: Place, origin: Origin) -> Order:
        self._order_count += 1
        order = Order(
            order_id=f"o{self._order_count}",
            account=account.account_id,
            place=request,
            origin=origin,
            client_order_id=request.client_order_id,
            lots=request.lots,
            price_ticks=request.price_ticks or 0,
            accepted_mono_ns=self.now.mono_ns,
            accepted_wall_ns=self.now.wall_ns,
        )
        self.orders[account.account_id, request.client_order_id] = order
        self.by_order_id[order.order_id] = order
        return order

    def _repeat(self, order: Order, request: Place) -> None:
        """The same id again: the stored answer where the order is the same, else a refusal."""
        if order.place.body != request.body:
            code = "DUPLICATE_CLID_MISMATCH"
        elif order.status == "rejected":
            code = order.code
        else:
            market = self.markets[order.place.symbol]
            ack = frames.order_ack(market, order, self.exchange_us, is_duplicate=True)
            ack["exec_seq"] = order.ack_seq
            self.said.append(Said(order.account, ack, is_answer=True))
            return
        frame = {"type": "reject", "client_order_id": request.client_order_id, "code": code, "text": ""}
        self.said.append(Said(order.account, frame, is_answer=True))

    def _entry_code(self, account: Account, order: Order) -> str:
        request = order.place
        market = self.markets.get(request.symbol)
        if market is None:
            return "UNKNOWN_SYMBOL"
        code = entry_checks.status_code(self.status[market.symbol], request.kind)
        if code:
            return code
        book = self.books[market.symbol]
        if request.kind is OrderType.MARKET:
            best = book.opposite(request.side).best()
            if best is None:
                return "NO_LIQUIDITY"
            if request.max_slippage_ticks is not None:
                collar = best.price_ticks + request.side.sign * request.max_slippage_ticks
                own = order.price_ticks
                order.price_ticks = (
                    collar if not own else min(own, collar) if request.side is Side.BUY else max(own, collar)
                )
        code = entry_checks.band_code(market, order.price_ticks, self.mark_ticks(market.symbol))
        if code and not account.is_house:
            return code
        is_reducing = request.is_reduce_only
        if is_reducing and account.reducible_lots(market.symbol, request.side) == 0:
            return "REDUCE_ONLY_VIOLATION"
        code = entry_checks.size_code(market, request.lots, order.price_ticks)
        if code and not (is_reducing and code == "MIN_NOTIONAL"):
            return code
        if len(self.open_orders[account.account_id]) >= self._max_open and not account.is_house:
            return "MAX_OPEN_ORDERS"
        if not is_reducing and not entry_checks.has_funds(
            account, market, request.side, request.lots, order.price_ticks, self.marked
        ):
            return "INSUFFICIENT_BALANCE"
        if request.kind is OrderType.POST_ONLY and matching.would_cross(book, request.side, order.price_ticks):
            return "POST_ONLY_WOULD_CROSS"
        return ""

    def _amend_code(self, market: Market, order: Order, lots: int, price_ticks: int, new_client_id: str | None) -> str:
        status = self.status[market.symbol]
        if status is not TradingStatus.TRADING and not (lots <= order.lots and price_ticks == order.price_ticks):
            return entry_checks.status_code(status, order.place.kind) or ""
        if new_client_id is not None and (order.account, new_client_id) in self.orders:
            return "DUPLICATE_CLID_MISMATCH"
        if lots <= order.cum_lots:
            return ""
        code = entry_checks.band_code(market, price_ticks, self.mark_ticks(market.symbol))
        code = code or entry_checks.size_code(market, lots, price_ticks)
        if code:
            return code
        account = self.ledger.accounts[order.account]
        side, leaves = order.place.side, lots - order.cum_lots
        account.hold(market, side, -order.leaves_lots, order.price_ticks)
        is_funded = entry_checks.has_funds(account, market, side, leaves, price_ticks, self.marked)
        account.hold(market, side, order.leaves_lots, order.price_ticks)
        if not is_funded and not order.place.is_reduce_only:
            return "INSUFFICIENT_BALANCE"
        if order.place.kind is OrderType.POST_ONLY and matching.would_cross(
            self.books[market.symbol], side, price_ticks
        ):
            return "POST_ONLY_WOULD_CROSS"
        return ""

    def _accept(self, account: Account, order: Order) -> None:
        market = self.markets[order.place.symbol]
        self.open_orders[account.account_id][order.order_id] = order
        ack = frames.order_ack(market, order, self.exchange_us)
        if not self.tuning.ack_last:
            self._ack(account, order, ack)
        if order.place.kind is OrderType.FOK:
            found = matching.fillable_lots(self.books[market.symbol], order, self._reducible)
            if found < order.lots:
                self._leave(order, "canceled", "fok_unfilled")
                self._tell(account, lambda: frames.order_canceled(market, order, "fok_unfilled", self.exchange_us))
                return
        self._work(account, market, order)
        if self.tuning.ack_last:
            self._ack(account, order, ack)

    def _ack(self, account: Account, order: Order, ack: frames.Frame) -> None:
        self._tell(account, lambda: ack, is_answer=True)
        order.ack_seq = self.executions[account.account_id].last_seq

    def _work(self, account: Account, market: Market, order: Order) -> None:
        """Match what crosses; then the rest goes into the book or ends."""
        book = self.books[market.symbol]
        steps = matching.matches(book, order, self._reducible, slice_lots=self.tuning.slice_lots)
        for step in steps:
            if isinstance(step, matching.Trade):
                self._trade(market, order, step.maker, step.lots)
            elif isinstance(step, matching.MakerEnds):
                self._end(step.maker, step.reason)
            else:
                self._leave(order, "canceled", step.reason)
                self._tell(
                    account, lambda step=step: frames.order_canceled(market, order, step.reason, self.exchange_us)
                )  # type: ignore[misc] # as above
        if not order.is_open:
            return
        if order.place.kind in PENDING_KINDS:
            self._arrivals += 1
            order.arrival = self._arrivals
            book.half(order.place.side).add(order)
            account.hold(market, order.place.side, order.leaves_lots, order.price_ticks)
            self.dirty.add(market.symbol)
            if order.place.good_till_ns is not None:
                heapq.heappush(self._expiries, (order.place.good_till_ns, order.arrival, order))
        else:
            self._leave(order, "canceled", "ioc_remainder")
            self._tell(account, lambda: frames.order_canceled(market, order, "ioc_remainder", self.exchange_us))

    def _trade(self, market: Market, taker: Order, maker: Order, lots: int) -> None:
        price = maker.price_ticks
        trade_id = f"t{len(self.trades) + 1}"
        half = self.books[market.symbol].half(maker.place.side)
        maker_account = self.ledger.accounts[maker.account]
        half.shrink(maker, lots)
        maker_account.hold(market, maker.place.side, -lots, price)
        fees = []
        for order, is_maker in ((taker, False), (maker, True)):
            account = self.ledger.accounts[order.account]
            fee = market.fee_atoms(lots, price, is_maker=is_maker)
            fees.append(fee)
            self.ledger.settle(market, account, order.place.side, lots, price, fee)
            order.cum_lots += lots
            self._tell(
                account,
                lambda order=order, fee=fee, is_maker=is_maker: frames.fill(  # type: ignore[misc] # as above
                    market,
                    order,
                    trade_id=trade_id,
                    lots=lots,
                    price_ticks=price,
                    fee_atoms=fee,
                    is_maker=is_maker,
                    exchange_us=self.exchange_us,
                ),
            )
        self.trades.append(
            TradeRecord(trade_id, market.symbol, lots, price, taker, maker, fees[0], fees[1], self.exchange_us)
        )
        self.said.append(Said("", frames.trade(market, trade_id, lots, price, taker.place.side, self.exchange_us)))
        self.last_ticks[market.symbol] = price
        self.dirty.add(market.symbol)
        if maker.cum_lots == maker.lots:
            half.remove(maker)
            self._leave(maker, "filled", "")
        if taker.cum_lots == taker.lots:
            self._leave(taker, "filled", "")

    def _end(self, order: Order, reason: str, *, status: Any = "canceled", is_answer: bool = False) -> None:
        """A resting order leaves the book."""
        market = self.markets[order.place.symbol]
        account = self.ledger.accounts[order.account]
        self.books[market.symbol].half(order.place.side).remove(order)
        account.hold(market, order.place.side, -order.leaves_lots, order.price_ticks)
        self._leave(order, status, reason)
        self.dirty.add(market.symbol)
        self._tell(account, lambda: frames.order_canceled(market, order, reason, self.exchange_us), is_answer=is_answer)

    def _leave(self, order: Order, status: Any, reason: str) -> None:
        order.status, order.code, order.ended_wall_ns = status, reason, self.now.wall_ns
        self.open_orders[order.account].pop(order.order_id, None)
        if self.ledger.accounts[order.account].is_house:
            # Nobody will ask for it again, and the flow makes many.
            self.by_order_id.pop(order.order_id, None)
            self.orders.pop((order.account, order.client_order_id), None)

    def _reducible(self, order: Order) -> int:
        return self.ledger.accounts[order.account].reducible_lots(order.place.symbol, order.place.side)

    def _tell(self, account: Account, make: Callable[[], frames.Frame], *, is_answer: bool = False) -> None:
        if account.is_house:
            return
        frame = self.executions[account.account_id].number(make(), self.now.mono_ns)
        self.said.append(Said(account.account_id, frame, is_answer))


__all__ = ["VENUE", "Instant", "MatchingEngine", "Said", "TradeRecord", "Tuning"]
