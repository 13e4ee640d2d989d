"""Breaker 5: what taking costs against the mid at the decision; too much of it leaves resting orders alone.

Theory of operation. For each finished taker order s = sign · (average fill - arrival mid) / arrival mid, as ppm · 2^20
rounded up, goes into a moving average of weight 1/8, whose steps round up too, so that the figure is never below the
exact one and two machines agree to the bit. It trips when the average is at the limit, or one order at three times the
limit. Orders without a fill, and dust (under 1 % of the median of the last hundred), do not count.

Once takers are off no fill can show that things are better, so recovery is read from the book: the worse side of a
walk for the median order must stay at half the limit or less for 30 seconds without a break, and 60 seconds must have
passed since the trip. A book too thin for the walk is no evidence. The average then starts again at half the limit.
"""

from __future__ import annotations

from bisect import bisect_left, insort

import msgspec

from agent.core.instruments import Side
from agent.core.market import Book
from agent.core.risk.countdown import Countdown
from agent.core.risk.profiles import PPM, SECOND_NS

ONE_FP = 1 << 20
"""One ppm in fixed point."""
WEIGHT = 8
"""One eighth is new in each step of the average."""
WINDOW = 100
DUST_DIVISOR = 100
SINGLE_FACTOR = 3
"""One order at so many times the limit trips at once."""
HOLD_NS = 60 * SECOND_NS
CALM_NS = 30 * SECOND_NS


class Slippage(msgspec.Struct, kw_only=True):
    """The average of one symbol, and while it is tripped the way back."""

    average_fp: int | None = None
    recent_lots: list[int] = []
    """Sizes of the last hundred taker orders that filled, oldest first."""
    sorted_lots: list[int] = []
    """The same, ascending."""
    hold: Countdown | None = None
    """Runs from the trip: present while tripped."""
    calm: Countdown | None = None
    """Runs while the book shows low slippage."""

    @property
    def is_tripped(self) -> bool:
        return self.hold is not None

    @property
    def median_lots(self) -> int:
        """The lower median, rounded down in its index; 0 before the first order."""
        count = len(self.sorted_lots)
        return self.sorted_lots[(count - 1) >> 1] if count else 0

    def on_order(
        self, side: Side, lots: int, cost_lot_ticks: int, bid_plus_ask_ticks: int, limit_ppm: int, now_ns: int
    ) -> bool:
        """Take a finished taker order: lots filled, Σ lots · ticks, and bid + ask when it was decided.

        True where it trips now.
        """
        if lots == 0 or bid_plus_ask_ticks <= 0:
            return False
        median = self.median_lots
        self._remember(lots)
        if DUST_DIVISOR * lots < median:
            return False
        slip_fp = slippage_fp(side, lots, cost_lot_ticks, bid_plus_ask_ticks)
        average_fp = self.average_fp
        self.average_fp = average_fp = slip_fp if average_fp is None else _averaged_up(average_fp, slip_fp)
        if self.hold is not None:
            return False
        limit_fp = limit_ppm * ONE_FP
        if average_fp < limit_fp and slip_fp < SINGLE_FACTOR * limit_fp:
            return False
        self.hold = Countdown(HOLD_NS, now_ns)
        return True

    def on_book(self, book: Book, limit_ppm: int, now_ns: int) -> bool:
        """Look at the book while tripped. True where it recovers now. The new average is rounded exactly."""
        if self.hold is None:
            return False
        if not self._is_calm(book, limit_ppm):
            self.calm = None
            return False
        if self.calm is None:
            self.calm = Countdown(CALM_NS, now_ns)
        if not (self.calm.is_over(now_ns) and self.hold.is_over(now_ns)):
            return False
        self.hold = self.calm = None
        self.average_fp = limit_ppm * (ONE_FP >> 1)
        return True

    def on_restart(self, last_ns: int, now_ns: int) -> None:
        """The hold goes on with what was left; calm was seen in a book that is gone, so it begins anew."""
        if self.hold is not None:
            self.hold.resume(last_ns, now_ns)
        self.calm = None

    def _is_calm(self, book: Book, limit_ppm: int) -> bool:
        median = self.median_lots
        implied = book.implied_slippage(median) if median and book.is_good else None
        if implied is None:
            return False
        numerator, denominator = implied
        return 2 * numerator * PPM <= limit_ppm * denominator

    def _remember(self, lots: int) -> None:
        if len(self.recent_lots) == WINDOW:
            oldest = self.recent_lots.pop(0)
            del self.sorted_lots[bisect_left(self.sorted_lots, oldest)]
        self.recent_lots.append(lots)
        insort(self.sorted_lots, lots)


def slippage_fp(side: Side, lots: int, cost_lot_ticks: int, bid_plus_ask_ticks: int) -> int:
    """Cost against the arrival mid in ppm · 2^20, rounded up; + is to our loss."""
    middle = lots * bid_plus_ask_ticks
    paid_over = 2 * cost_lot_ticks - middle
    if side is Side.SELL:
        paid_over = -paid_over
    return -(-paid_over * PPM * ONE_FP // middle)


def _averaged_up(average_fp: int, slip_fp: int) -> int:
    return average_fp - (average_fp - slip_fp) // WEIGHT
