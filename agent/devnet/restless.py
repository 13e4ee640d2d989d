"""A strategy that is never content: it places, amends and cancels as often as it is called, as its dice say.

It wants no profit. It is there to have many orders in every state of their lives at whatever instant something breaks.
"""

from __future__ import annotations

import random

from agent.core.events.market import TradePrint
from agent.core.events.orders import AmendRequested, CancelRequested, Fill, PlaceRequested
from agent.core.instruments import OrderType, Side
from agent.strategies.order_book import Intent, MarketView, OwnOrder, Pulse

_SIDES = (Side.BUY, Side.SELL)
_KINDS = (OrderType.POST_ONLY, OrderType.LIMIT, OrderType.IOC, OrderType.FOK, OrderType.MARKET)
_WEIGHTS = (6, 4, 3, 1, 1)
_REACH_TICKS = 200
"""How far from the touch a resting order may lie."""


class Restless:
    """One symbol. `orders` is how many may be live at a time, `acts` how many requests an event may lead to."""

    def __init__(
        self, name: str, symbol: str, *, seed: int, orders: int = 8, acts: int = 3, max_lots: int = 10,
        max_position_lots: int = 100, limit: int | None = None,
    ) -> None:  # fmt: skip
        self._name = name
        self._symbol = symbol
        self._dice = random.Random(f"restless {name} {seed}")
        self._orders = orders
        self._acts = acts
        self._max_lots = max_lots
        self._max_position_lots = max_position_lots
        self._pulse = Pulse(name)
        self.left = limit
        """How many more orders it asks for; None for any number."""

    @property
    def symbols(self) -> tuple[str, ...]:
        return (self._symbol,)

    def on_book(self, view: MarketView) -> list[Intent]:
        return self._act(view)

    def on_trade(self, trade: TradePrint, view: MarketView) -> list[Intent]:
        return []

    def on_fill(self, fill: Fill, view: MarketView) -> list[Intent]:
        return self._act(view)

    def _act(self, view: MarketView) -> list[Intent]:
        intents = self._pulse.beat(view.now_ns)
        if not view.book.is_good:
            return intents
        settled = [order for order in view.orders if order.is_settled]
        room = self._orders - len(view.orders)
        for _ in range(self._dice.randint(1, self._acts)):
            if settled and (room <= 0 or self._dice.random() < 0.3):
                order = settled.pop(self._dice.randrange(len(settled)))
                is_amended = self._dice.random() < 0.4
                intents.append(self._amend(order, view) if is_amended else CancelRequested(order.client_order_id))
            elif room > 0 and self.left != 0:
                room -= 1
                self.left = None if self.left is None else self.left - 1
                intents.append(self._place(view))
        return intents

    def _place(self, view: MarketView) -> PlaceRequested:
        side = self._dice.choice(_SIDES)
        if abs(view.position_lots) >= self._max_position_lots:
            side = Side.SELL if view.position_lots > 0 else Side.BUY
        kind = self._dice.choices(_KINDS, _WEIGHTS)[0]
        if kind in (OrderType.POST_ONLY, OrderType.LIMIT):
            price = self._resting_ticks(view, side)
        else:
            price = view.book.touch_ticks(side) + side.sign * self._dice.randint(0, _REACH_TICKS)
        return PlaceRequested(
            strategy=self._name,
            symbol=self._symbol,
            side=side,
            order_type=kind,
            lots=self._dice.randint(1, self._max_lots),
            price_ticks=price,
            decided_seq=view.seq,
        )

    def _amend(self, order: OwnOrder, view: MarketView) -> AmendRequested:
        return AmendRequested(
            client_order_id=order.client_order_id,
            total_lots=order.cum_lots + self._dice.randint(1, self._max_lots),
            price_ticks=self._resting_ticks(view, order.side),
        )

    def _resting_ticks(self, view: MarketView, side: Side) -> int:
        own = Side.SELL if side is Side.BUY else Side.BUY
        return view.book.touch_ticks(own) - side.sign * self._dice.randint(0, _REACH_TICKS)
