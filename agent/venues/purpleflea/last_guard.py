"""The last look before an order's frame leaves: caps of its own, counted by itself, knowing nothing of the core.

Theory of operation. Only what raises exposure is looked at: places and amendments. Cancels and questions always leave.
The rate is that of any second, not of the clock's; the price is held against the touch of the adapter's own book, or of
the last one an order met where there is none just now; the value is lots times price. The core's limits are narrower, so
what is refused here is a defect of the core.

A reducing order may be worth more than one order's cap, since it closes what was opened in many, and the venue lets it
reduce and nothing else. Its rate and its price are held like any other's.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable
from enum import StrEnum

import msgspec

from agent.core.effects.control import Alarm
from agent.core.effects.orders import Amend, OrderEffect, Place
from agent.core.market import Book
from agent.venues.purpleflea.markets import Market, Markets
from agent.venues.purpleflea.strict import Malformed

PPM = 1_000_000
SECOND_NS = 1_000_000_000


class Cap(StrEnum):
    """Which cap an order exceeded, or what is missing to hold it against one."""

    RATE = "rate"
    NOTIONAL = "notional"
    PRICE = "price"
    NO_TOUCH = "no_touch"
    NO_MARKET = "no_market"


class OrderCaps(msgspec.Struct, frozen=True, kw_only=True):
    """What no order exceeds, whatever anybody else believes. Wider than the core's limits, for whom they stand in."""

    max_orders_per_s: int = 100
    """Places and amendments, in any second."""
    max_order_notional: int = 10_000
    """Whole units of the quote currency."""
    band_ppm: int = 50_000
    """How far beyond the touch a price may lie, on either side."""


class Refused(msgspec.Struct, frozen=True):
    """Not sent, for this cap, with the figures."""

    cap: Cap
    detail: str

    def __str__(self) -> str:
        return f"{self.cap}: {self.detail}"


class LastGuard:
    """One for each connection's client: `passes` is asked right before an effect is made a frame."""

    def __init__(
        self,
        caps: OrderCaps,
        markets: Markets,
        book_of: Callable[[str], Book | None],
        *,
        on_alarm: Callable[[Alarm], None] = lambda alarm: None,
    ) -> None:
        """`markets` and `book_of` are the adapter's own, by symbol; a person hears of each refusal by `on_alarm`."""
        self.caps = caps
        self.refused: Counter[Cap] = Counter()
        self._markets = markets
        self._book_of = book_of
        self._on_alarm = on_alarm
        self._sent_ns: deque[int] = deque()
        """Monotonic times of the last second's orders, oldest first."""
        self._touches: dict[str, tuple[int, int]] = {}
        """Best bid and ask that the last order met, in ticks; both are set."""

    def passes(self, effect: OrderEffect, now_ns: int) -> bool:
        """Whether it may leave; an order that may counts as sent. `now_ns` is the monotonic clock's."""
        kind = type(effect)
        if kind is not Place and kind is not Amend:
            return True
        refused = self.judge(effect, now_ns)  # type: ignore[arg-type] # `kind` says so, for a tenth of isinstance
        if refused is None:
            self._sent_ns.append(now_ns)
            return True
        self.refused[refused.cap] += 1
        name = effect.client_order_id  # type: ignore[union-attr] # both have one
        self._on_alarm(Alarm("critical", "LAST_GUARD", name, str(refused)))
        return False

    def judge(self, effect: Place | Amend, now_ns: int) -> Refused | None:
        """The first cap that the order exceeds, or None. Counts nothing."""
        caps = self.caps
        sent_ns = self._sent_ns
        while sent_ns and now_ns - sent_ns[0] >= SECOND_NS:
            sent_ns.popleft()
        if len(sent_ns) >= caps.max_orders_per_s:
            return Refused(Cap.RATE, f"more than {caps.max_orders_per_s} orders in a second")
        market: Market | None
        if type(effect) is Place:
            market, lots = self._markets.by_symbol.get(effect.symbol), effect.lots
            is_reduce_only = effect.is_reduce_only
        else:
            market, lots = self._market_of(effect.client_order_id), effect.total_lots  # type: ignore[union-attr] # the other kind
            is_reduce_only = False
        if market is None:
            return Refused(Cap.NO_MARKET, "its instrument was never defined")
        instrument, price_ticks = market.instrument, effect.price_ticks
        notional_atoms = lots * price_ticks * instrument.tick_value_atoms
        if notional_atoms > caps.max_order_notional * 10**instrument.quote_digits and not is_reduce_only:
            allowed = f"{caps.max_order_notional} {instrument.quote} of 10^{instrument.quote_digits}"
            return Refused(Cap.NOTIONAL, f"{notional_atoms} atoms, at most {allowed}")
        symbol = instrument.symbol
        book = self._book_of(symbol)
        if book is not None and (book.best_bid_ticks or book.best_ask_ticks):
            # A side that is empty is where the other one is.
            bid_ticks, ask_ticks = (
                book.best_bid_ticks or book.best_ask_ticks,
                book.best_ask_ticks or book.best_bid_ticks,
            )
            self._touches[symbol] = bid_ticks, ask_ticks
        elif symbol in self._touches:
            bid_ticks, ask_ticks = self._touches[symbol]
        else:
            return Refused(Cap.NO_TOUCH, f"no price of {symbol} was seen yet")
        lowest, highest = bid_ticks * (PPM - caps.band_ppm), ask_ticks * (PPM + caps.band_ppm)
        if not lowest <= price_ticks * PPM <= highest:
            return Refused(Cap.PRICE, f"{price_ticks} ticks, touch {bid_ticks} and {ask_ticks}, {caps.band_ppm} ppm")
        return None

    def _market_of(self, client_order_id: str) -> Market | None:
        try:
            return self._markets.of_order(client_order_id, "")
        except Malformed:
            return None
