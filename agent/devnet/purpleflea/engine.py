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
from typing import Any

from agent.core.instruments import OrderType, TradingStatus
from agent.devnet.purpleflea import entry_checks, frames, matching
from agent.devnet.purpleflea.accounts import Account, Ledger
from agent.devnet.purpleflea.executions import Executions
from agent.devnet.purpleflea.markets import Market
from agent.devnet.purpleflea.order_book import OrderBook
from agent.devnet.purpleflea.orders import Order, Origin, Place, Status
from agent.devnet.purpleflea.steps import Instant, Said, TradeRecord, Tuning

RESTING_KINDS = (OrderType.LIMIT, OrderType.POST_ONLY)
"""Types whose rest stays in the book."""


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
        self.max_open = max_open
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
        code = entry_checks.entry_code(self, account, order)
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
        code = entry_checks.amend_code(self, order, lots, price_ticks, new_client_id)
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
        self.tell(
            account,
            frames.order_amended(market, order, old_id, kept=keeps, exchange_us=self.exchange_us),
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

    def _accept(self, account: Account, order: Order) -> None:
        market = self.markets[order.place.symbol]
        self.open_orders[account.account_id][order.order_id] = order
        ack = frames.order_ack(market, order, self.exchange_us)
        if not self.tuning.ack_last:
            self._ack(account, order, ack)
        is_fok = order.place.kind is OrderType.FOK
        if is_fok and matching.fillable_lots(self.books[market.symbol], order, self._reducible) < order.lots:
            self._drop(order, "fok_unfilled")
        else:
            self._work(account, market, order)
        if self.tuning.ack_last:
            self._ack(account, order, ack)

    def _ack(self, account: Account, order: Order, ack: frames.Frame) -> None:
        self.tell(account, ack, is_answer=True)
        order.ack_seq = self.executions[account.account_id].last_seq

    def _work(self, account: Account, market: Market, order: Order) -> None:
        """Match what crosses; then the rest goes into the book or ends."""
        book = self.books[market.symbol]
        for step in matching.matches(book, order, self._reducible, slice_lots=self.tuning.slice_lots):
            if isinstance(step, matching.Trade):
                self.trade(market, order, step.maker, step.lots)
            elif isinstance(step, matching.MakerEnds):
                self._end(step.maker, step.reason)
            else:
                self._drop(order, step.reason)
        if not order.is_open:
            return
        if order.place.kind not in RESTING_KINDS:
            self._drop(order, "ioc_remainder")
            return
        self._arrivals += 1
        order.arrival = self._arrivals
        book.half(order.place.side).add(order)
        account.hold(market, order.place.side, order.leaves_lots, order.price_ticks)
        self.dirty.add(market.symbol)
        if order.place.good_till_ns is not None:
            heapq.heappush(self._expiries, (order.place.good_till_ns, order.arrival, order))

    def trade(self, market: Market, taker: Order, maker: Order, lots: int) -> None:
        """Book one trade at the maker's price and tell both. A maker that has ended already stays ended."""
        price, rests = maker.price_ticks, maker.is_open
        trade_id = f"t{len(self.trades) + 1}"
        half = self.books[market.symbol].half(maker.place.side)
        if rests:
            half.shrink(maker, lots)
            self.ledger.accounts[maker.account].hold(market, maker.place.side, -lots, price)
        fees = [self._fill(market, order, trade_id, lots, price, is_maker=order is maker) for order in (taker, maker)]
        record = TradeRecord(trade_id, market.symbol, lots, price, taker, maker, fees[0], fees[1], self.exchange_us)
        self.trades.append(record)
        self.said.append(Said("", frames.trade(market, trade_id, lots, price, taker.place.side, self.exchange_us)))
        self.last_ticks[market.symbol] = price
        self.dirty.add(market.symbol)
        if rests and maker.cum_lots == maker.lots:
            half.remove(maker)
            self._leave(maker, "filled", "")
        if taker.cum_lots == taker.lots:
            self._leave(taker, "filled", "")

    def _fill(self, market: Market, order: Order, trade_id: str, lots: int, price_ticks: int, *, is_maker: bool) -> int:
        """One side of a trade; its fee."""
        account = self.ledger.accounts[order.account]
        fee_atoms = market.fee_atoms(lots, price_ticks, is_maker=is_maker)
        self.ledger.settle(market, account, order.place.side, lots, price_ticks, fee_atoms)
        order.cum_lots += lots
        if not account.is_house:
            frame = frames.fill(
                market,
                order,
                trade_id=trade_id,
                lots=lots,
                price_ticks=price_ticks,
                fee_atoms=fee_atoms,
                is_maker=is_maker,
                exchange_us=self.exchange_us,
            )
            self.tell(account, frame)
        return fee_atoms

    def _end(self, order: Order, reason: str, *, status: Status = "canceled", is_answer: bool = False) -> None:
        """A resting order leaves the book."""
        market = self.markets[order.place.symbol]
        self.books[market.symbol].half(order.place.side).remove(order)
        self.ledger.accounts[order.account].hold(market, order.place.side, -order.leaves_lots, order.price_ticks)
        self.dirty.add(market.symbol)
        self._drop(order, reason, status=status, is_answer=is_answer)

    def _drop(self, order: Order, reason: str, *, status: Status = "canceled", is_answer: bool = False) -> None:
        """An order that is not in the book ends, and its account is told."""
        self._leave(order, status, reason)
        account = self.ledger.accounts[order.account]
        if not account.is_house:
            told_lots = order.cum_lots + self.tuning.owed_lots
            frame = frames.order_canceled(self.markets[order.place.symbol], order, told_lots, reason, self.exchange_us)
            self.tell(account, frame, is_answer=is_answer)

    def _leave(self, order: Order, status: Status, reason: str) -> None:
        order.status, order.code, order.ended_wall_ns = status, reason, self.now.wall_ns
        self.open_orders[order.account].pop(order.order_id, None)
        if self.ledger.accounts[order.account].is_house:
            # Nobody will ask for it again, and the flow makes many.
            self.by_order_id.pop(order.order_id, None)
            self.orders.pop((order.account, order.client_order_id), None)

    def _reducible(self, order: Order) -> int:
        return self.ledger.accounts[order.account].reducible_lots(order.place.symbol, order.place.side)

    def tell(self, account: Account, frame: frames.Frame, *, is_answer: bool = False) -> None:
        """Number a frame of an account and say it."""
        if not account.is_house:
            self.executions[account.account_id].number(frame, self.now.mono_ns)
            self.said.append(Said(account.account_id, frame, is_answer))
