"""The command line in a process made to break: `python -m tests.engine.broken_child WHERE ARGUMENT...`."""

from __future__ import annotations

import sys
from typing import Any

from agent.cli import main
from agent.core.events.control import TimerFired
from agent.core.events.market import BookDelta
from agent.core.step import Core
from agent.journal.writer import JournalWriter
from agent.strategies.market_making.maker import MarketMaker


class Planted(RuntimeError):
    pass


def breaks(where: str) -> None:
    """From the first order on that place fails."""
    step, effects, on_book = Core.step, JournalWriter.effects, MarketMaker.on_book
    has_orders = False

    def stepped(self: Core, event: Any, stamp: Any) -> Any:
        nonlocal has_orders
        assert self.desk is not None
        live = [order for order in self.desk.orders.all_live() if order.is_acked]
        has_orders = has_orders or len(live) >= 2
        is_here = (where == "beat" and type(event) is TimerFired and event.name == "beat") or (
            where == "frame" and type(event) is BookDelta
        )
        if has_orders and is_here:
            raise Planted
        return step(self, event, stamp)

    def wrote(self: JournalWriter, *args: Any, **more: Any) -> None:
        if has_orders and where == "journal":
            raise Planted
        effects(self, *args, **more)

    def looked(self: MarketMaker, view: Any) -> Any:
        if has_orders and where == "strategy":
            raise Planted
        return on_book(self, view)

    Core.step = stepped  # type: ignore[method-assign] # this process is made for it
    JournalWriter.effects = wrote  # type: ignore[method-assign] # as above
    MarketMaker.on_book = looked  # type: ignore[method-assign] # as above


if __name__ == "__main__":
    breaks(sys.argv[1])
    sys.exit(main(sys.argv[2:]))
