"""What the simulated venue keeps of its account, what happens in it by itself, and its answers to questions."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from typing import Any, Literal, Protocol

import msgspec

from agent.core.effects import orders as requests
from agent.core.events import orders as events
from agent.core.instruments import OrderType, Side
from agent.devnet.virtual.clock import VirtualClock
from agent.devnet.virtual.faults import PPM, Faults
from agent.devnet.virtual.ledger import SIGNAL_LOTS, Ledger
from agent.devnet.virtual.link import End
from agent.devnet.virtual.market import Market
from agent.devnet.virtual.schedule import Schedule

DEPOSIT_ATOMS = 800_000 * 10**6
"""What the account begins with."""


class VenueOrder(msgspec.Struct):
    """An order in the venue's book."""

    place: requests.Place
    order_id: str
    total_lots: int
    price_ticks: int
    status: Literal["open", "filled", "canceled", "expired", "rejected"] = "open"
    cum_lots: int = 0
    ack: events.OrderAck | None = None

    @property
    def leaves_lots(self) -> int:
        return self.total_lots - self.cum_lots


class Told(Protocol):
    """A session, as far as executions go."""

    end: End
    epoch: int


class VenueBooks:
    """Orders by client id, executions in order, and trades."""

    def __init__(
        self,
        schedule: Schedule,
        clock: VirtualClock,
        faults: Faults,
        stream: random.Random,
        ledger: Ledger,
        markets: Mapping[str, Market],
        *,
        acks_tell_result: bool,
    ) -> None:
        self._schedule = schedule
        self._clock = clock
        self._faults = faults
        self._stream = stream
        self._ledger = ledger
        self.markets = markets
        self._acks_tell_result = acks_tell_result
        self.epoch = 0
        self.session: Told | None = None
        self.orders: dict[str, VenueOrder] = {}
        self.open: dict[str, VenueOrder] = {}
        self.log: list[Any] = []
        """Every execution, in order; the first has exec_seq 1."""
        self._trades: list[events.Fill] = []
        self.is_up = True
        self.unordered_exec_seq: int | None = None
        """Of the latest execution that nobody had ordered."""
        self.on_accepted: Callable[[str], None] | None = None
        """Told of each order that is taken in."""

    # What happens by itself

    def on_market(self, market: Market) -> None:
        """The market moved: others trade against what rests in it."""
        for order in [order for order in self.open.values() if order.place.symbol == market.symbol]:
            self._match(order)
            if order.status == "open" and self._faults.strikes("venue.cancels_itself"):
                self._end(order, "admin")

    def _match(self, order: VenueOrder) -> None:
        place = order.place
        market = self.markets[place.symbol]
        if market.is_crossing(place.side, order.price_ticks):
            self._fill(
                order,
                min(order.leaves_lots, SIGNAL_LOTS * self._stream.randint(1, 30)),
                order.price_ticks,
                is_maker=True,
            )

    def _fill(self, order: VenueOrder, lots: int, price_ticks: int, *, is_maker: bool) -> None:
        while lots:
            part = min(lots, SIGNAL_LOTS) if lots > 1 and self._faults.strikes("venue.dust") else lots
            lots -= part
            self._fill_once(order, part, price_ticks, is_maker=is_maker)

    def _fill_once(self, order: VenueOrder, lots: int, price_ticks: int, *, is_maker: bool) -> None:
        place, instrument = order.place, self.markets[order.place.symbol].instrument
        if self._faults.strikes("venue.overfill"):
            lots = max(0, order.leaves_lots) + 1 + self._stream.randrange(5)
            self.unordered_exec_seq = self._next()
        order.cum_lots += lots
        self._ledger.uncountable_lots += min(lots, max(0, order.cum_lots - order.total_lots))
        value_atoms = instrument.notional_atoms(lots, price_ticks)
        fee_ppm = instrument.maker_fee_ppm if is_maker else instrument.taker_fee_ppm
        fee_atoms = -(-value_atoms * fee_ppm // PPM)
        leaves_lots = max(0, order.leaves_lots)
        fill = events.Fill(
            exec_seq=self._next(),
            symbol=place.symbol,
            client_order_id=place.client_order_id,
            order_id=order.order_id,
            trade_id=f"t{len(self._trades) + 1}",
            side=place.side,
            lots=lots,
            price_ticks=price_ticks,
            is_maker=is_maker,
            fee=fee_atoms,
            fee_currency=instrument.quote,
            cum_lots=order.cum_lots,
            leaves_lots=leaves_lots,
            epoch=self._told_epoch,
        )
        self._trades.append(fill)
        self._ledger.trade(place.client_order_id, fill.trade_id, place.symbol, place.side, lots, value_atoms, fee_atoms)
        if leaves_lots == 0 and order.status == "open":
            order.status = "filled"
            self.open.pop(place.client_order_id, None)
            self._ledger.end(place.client_order_id)
        self._execute(fill)

    def _fill_late(self, order: VenueOrder) -> None:
        """A trade that was made before the cancel and is told behind its answer."""
        self._ledger.uncountable_lots += order.leaves_lots
        lots = min(order.leaves_lots, SIGNAL_LOTS * self._stream.randint(1, 30))
        self._fill_once(order, lots, order.price_ticks, is_maker=True)

    def phantom_fill(self) -> None:
        """A fill for an order that nobody ever sent."""
        symbol = self._stream.choice(sorted(self.markets))
        place = requests.Place(
            client_order_id="GHOST",
            symbol=symbol,
            side=Side.BUY,
            order_type=OrderType.LIMIT,
            lots=7,
            price_ticks=self.markets[symbol].ask_ticks,
            expire_ns=0,
            epoch=self.epoch,
        )
        self.unordered_exec_seq = self._next()
        self._fill_once(VenueOrder(place, "v0", 7, place.price_ticks, "filled"), 7, place.price_ticks, is_maker=False)

    def bust(self) -> None:
        """Take back one of the last trades."""
        candidates = [fill for fill in self._trades[-20:] if self._ledger.trades[fill.trade_id]]
        if candidates:
            fill = self._stream.choice(candidates)
            value_atoms = self.markets[fill.symbol].instrument.notional_atoms(fill.lots, fill.price_ticks)
            self._ledger.bust(fill.trade_id, fill.symbol, fill.side, fill.lots, value_atoms, fill.fee)
            self._execute(
                events.TradeBusted(exec_seq=self._next(), trade_id=fill.trade_id, lots=0, epoch=self._told_epoch)
            )

    def _end(self, order: VenueOrder, reason: str) -> None:
        id_ = order.place.client_order_id
        order.status = "expired" if reason == "expired" else "canceled"
        self.open.pop(id_, None)
        self._ledger.end(id_)
        self._execute(
            events.Canceled(
                exec_seq=self._next(),
                client_order_id=id_,
                order_id=order.order_id,
                cum_lots=order.cum_lots,
                reason=reason,
                epoch=self._told_epoch,
            )
        )

    # Answers

    def _status(self, id_: str, asked: events.Asked, epoch: int) -> events.OrderStatus:
        order = self.orders.get(id_)
        as_of = len(self.log)
        if order is None or self._faults.strikes("venue.not_found"):
            return events.OrderStatus(
                client_order_id=id_,
                status="not_found",
                as_of_exec_seq=as_of,
                never_seen=order is None,
                asked=asked,
                epoch=epoch,
            )
        return events.OrderStatus(
            client_order_id=id_,
            order_id=order.order_id,
            status=order.status,
            as_of_exec_seq=as_of,
            total_lots=order.total_lots,
            price_ticks=order.price_ticks,
            cum_lots=order.cum_lots,
            asked=asked,
            epoch=epoch,
        )

    def _open_orders(self, asked: events.Asked, epoch: int) -> events.OpenOrders:
        is_complete = not self._faults.strikes("venue.incomplete_list")
        rows = tuple(
            events.OpenOrder(
                client_order_id=id_,
                order_id=order.order_id,
                symbol=order.place.symbol,
                side=order.place.side,
                total_lots=order.total_lots,
                price_ticks=order.price_ticks,
                cum_lots=order.cum_lots,
            )
            for id_, order in self.open.items()
        )
        return events.OpenOrders(
            as_of_exec_seq=len(self.log),
            is_complete=is_complete,
            orders=rows if is_complete else (),
            asked=asked,
            epoch=epoch,
        )

    def _account(self, asked: events.Asked, epoch: int) -> events.AccountSnapshot:
        return events.AccountSnapshot(
            as_of_exec_seq=len(self.log),
            balances=(events.Balance("USDC", DEPOSIT_ATOMS + self._ledger.cash_atoms),),
            positions=tuple(
                events.VenuePosition(symbol, lots) for symbol, lots in self._ledger.position_lots.items() if lots
            ),
            asked=asked,
            epoch=epoch,
        )

    # Writing it down

    @property
    def _told_epoch(self) -> int:
        return self.epoch if self.session is None else self.session.epoch

    def _next(self) -> int:
        return len(self.log) + 1

    def _execute(self, frame: Any) -> None:
        self.log.append(frame)
        if self.session is not None:
            self.session.end.send(frame)
