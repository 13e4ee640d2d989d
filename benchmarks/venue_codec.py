"""A tick's bytes to an order's bytes, without sockets: the article's client against the adapter and the journal.

The rules of trading are left out on both sides but for the one comparison that the article makes, so that what is
compared is decoding, writing down and encoding. The article's client writes one line of a log for each order, ours two
records of the journal (the event, the effects) that survive the process. Both sides make the same order; that is asserted
before anything is timed. Run with `python -m benchmarks.venue_codec`; prints JSON.
"""

from __future__ import annotations

import importlib.util
import json
import logging
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from agent.core.effects.orders import Place
from agent.core.events import Stamp
from agent.core.events.market import MarketTick
from agent.core.instruments import OrderType, Side
from agent.journal.records import Run
from agent.journal.settings import MIB, process_settings
from agent.journal.writer import JournalWriter
from agent.venues.purpleflea.options import Options
from agent.venues.purpleflea.protocol import PurpleFleaProtocol
from benchmarks.rounds import medians_ns, row
from benchmarks.venue_market import BTC, TICK, hello

GATE = 1.5
"""With whole records of event and effects behind each order. The stretch is 5, which one lean record would come near."""
LIMIT_TICKS = 600_100
CALLS = 4_000


class Reflex:
    """The adapter with the article's one rule: buy while the price is at most the limit."""

    def __init__(self, journal: JournalWriter | None) -> None:
        self.protocol = PurpleFleaProtocol(Options(symbols=(BTC.symbol,)), [BTC])
        self.protocol.opened(time.monotonic_ns(), time.time_ns())
        self.protocol.frame(hello(), time.monotonic_ns(), time.time_ns())
        self._journal = journal
        self._sequence = 0

    def process(self, raw: bytes) -> bytes | None:
        monotonic_ns, wall_ns = time.monotonic_ns(), time.time_ns()
        for event in self.protocol.frame(raw, monotonic_ns, wall_ns):
            if self._journal is not None:
                self._sequence = self._journal.event(event, monotonic_ns=monotonic_ns, wall_ns=wall_ns)
            if type(event) is MarketTick and event.price_ticks <= LIMIT_TICKS:
                place = Place(
                    client_order_id="aaaaaaiaaaaaaaaa34",
                    symbol=event.symbol,
                    side=Side.BUY,
                    order_type=OrderType.LIMIT,
                    lots=10,
                    price_ticks=event.price_ticks,
                    expire_ns=wall_ns + 1_000_000_000,
                    epoch=1,
                )
                if self._journal is not None:
                    self._journal.effects((place,), monotonic_ns=monotonic_ns, wall_ns=wall_ns)
                return self.protocol.send(place, Stamp(self._sequence, monotonic_ns, wall_ns))
        return None


def article(log: logging.Logger | None) -> Callable[[], str | None]:
    """The article's way for one tick; the signal that fired is put back, as something must be there to fire."""
    from benchmarks.naive.article import ArticleExecutor, OrderSignal  # not installed everywhere

    executor = ArticleExecutor(log)
    signal = OrderSignal("BTC-USDC", "buy", 0.01, 60_010.0, 5, 1 << 60)

    def once() -> str | None:
        executor.signals.append(signal)
        return executor.process(TICK)

    return once


def same(theirs: str | None, ours: bytes | None) -> None:
    """The order of both, but for the fields that only ours has."""
    if theirs is None or ours is None:
        raise AssertionError("a side sent no order")
    left, right = json.loads(theirs), json.loads(ours)
    if (left["price"], left["quantity"]) != (float(right["price"]), float(right["quantity"])):
        raise AssertionError("the sides differ in price or quantity")
    for name in ("action", "symbol", "side", "type"):
        if left[name] != right[name]:
            raise AssertionError(f"the sides differ in {name}")


def run() -> dict[str, object]:
    """Processor time for one tick by each side, and the ratio with its gate; no rows without the article's library."""
    if importlib.util.find_spec("ujson") is None:
        print("skipped: the article's client needs the package ujson", file=sys.stderr)
        return {"name": "venue_codec", "skipped": "no ujson", "rows": []}
    with tempfile.TemporaryDirectory() as folder:
        log = logging.getLogger("benchmarks.article")
        log.propagate = False
        log.setLevel(logging.INFO)
        handler = logging.FileHandler(Path(folder) / "article.log")
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
        log.addHandler(handler)
        now = {"monotonic_ns": time.monotonic_ns(), "wall_ns": time.time_ns()}
        journal = JournalWriter(
            Path(folder), Run("bench", "", {}), settings=process_settings(segment_bytes=64 * MIB), **now
        )
        try:
            bare, journaled = Reflex(None), Reflex(journal)
            sides: dict[str, Callable[[], object]] = {
                "article": article(None),
                "article_logged": article(log),
                "ours": lambda: bare.process(TICK),
                "ours_journaled": lambda: journaled.process(TICK),
            }
            same(article(None)(), bare.process(TICK))
            same(article(log)(), journaled.process(TICK))
            figures = medians_ns(sides, calls=dict.fromkeys(sides, CALLS))
        finally:
            journal.close()
            handler.close()
            log.removeHandler(handler)
    return {
        "name": "venue_codec",
        "median_ns": {name: round(statistics.median(values)) for name, values in figures.items()},
        "rows": [
            row(
                "P4",
                "tick to order, no sockets: article and log / ours and journal (stretch 5)",
                figures,
                "article_logged",
                "ours_journaled",
                gate=GATE,
            ),
        ],
    }


if __name__ == "__main__":
    print(json.dumps(run(), indent=2))
