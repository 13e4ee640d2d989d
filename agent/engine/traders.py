"""A strategy of an order book at work: what the core knows goes in as a view, what it wants comes out as events."""

from __future__ import annotations

from collections.abc import Iterable

from agent.core.effects.orders import Refuse
from agent.core.events import Event, Stamp
from agent.core.events.market import BookDelta, BookSnapshot, TradePrint
from agent.core.events.orders import Fill
from agent.core.orders.table import OrderState
from agent.core.step import Core
from agent.strategies.order_book import MarketView, OrderBookStrategy, OwnOrder

_SETTLED = frozenset((OrderState.OPEN,))


class StrategyTrader:
    """Calls one strategy for its own symbols, as long as orders may go out."""

    def __init__(self, name: str, strategy: OrderBookStrategy) -> None:
        self.name = name
        self.is_stopped = False
        self._strategy = strategy
        self._symbols = frozenset(strategy.symbols)

    def on_event(self, event: Event, core: Core, stamp: Stamp) -> Iterable[Event]:
        """What the strategy wants after an event of one of its symbols."""
        kind = type(event)
        if kind is BookDelta or kind is BookSnapshot:
            view = self._view(event.symbol, core, stamp)  # type: ignore[union-attr] # `kind` says so, at a tenth of the cost
            return () if view is None else self._strategy.on_book(view)
        if kind is TradePrint:
            view = self._view(event.symbol, core, stamp)  # type: ignore[union-attr] # as above
            return () if view is None else self._strategy.on_trade(event, view)  # type: ignore[arg-type] # as above
        if kind is Fill:
            view = self._view(event.symbol, core, stamp)  # type: ignore[union-attr] # as above
            return () if view is None else self._strategy.on_fill(event, view)  # type: ignore[arg-type] # as above
        return ()

    def on_refused(self, refusal: Refuse) -> None:
        """The next view shows that nothing came of it; a strategy counts on no order it asked for."""

    def _view(self, symbol: str, core: Core, stamp: Stamp) -> MarketView | None:
        desk = core.desk
        if self.is_stopped or symbol not in self._symbols or desk is None or core.is_halted or not desk.session.is_live:
            return None
        market = desk.state.markets.of(symbol)
        if market.instrument is None:
            return None
        return MarketView(
            instrument=market.instrument,
            book=market.book,
            position_lots=desk.state.accounts.lots(symbol),
            orders=tuple(
                OwnOrder(
                    client_order_id=order.client_order_id,
                    side=order.side,
                    price_ticks=order.price_ticks,
                    leaves_lots=order.total_lots - order.cum_lots,
                    cum_lots=order.cum_lots,
                    is_settled=order.state in _SETTLED,
                )
                for order in desk.orders.live(symbol)
                if order.strategy == self.name
            ),
            seq=stamp.seq,
            now_ns=stamp.monotonic_ns,
        )
