"""The client of the venue's article, as a good-faith user runs it today: its behaviour, on the libraries' present API.

What could not run is mended the way its author plainly meant it (the header's argument, the subscription that is never
sent); what it does for each message is as it stands there: `ujson` into dictionaries, floats, a deque of signals of which
the first is looked at, a frame made from a dictionary.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from typing import Any

import msgspec
import ujson
from websockets.asyncio.client import connect


class OrderSignal(msgspec.Struct):
    symbol: str
    side: str
    quantity: float
    max_price: float
    urgency: int
    expires_ms: int


class ArticleExecutor:
    """`process` is `_process_message` with `_on_tick` and `_place_order`: the order's text, or None."""

    def __init__(self, log: logging.Logger | None = None) -> None:
        self.signals: deque[OrderSignal] = deque(maxlen=1_000)
        self._log = log

    def process(self, raw: str | bytes) -> str | None:
        message = ujson.loads(raw)
        if message.get("type") == "tick":
            return self._on_tick(message)
        return None

    def _on_tick(self, message: dict[str, Any]) -> str | None:
        price = float(message["price"])
        now_ms = int(time.time() * 1_000)
        while self.signals:
            signal = self.signals[0]
            if now_ms > signal.expires_ms:
                self.signals.popleft()
                continue
            if (signal.side == "buy" and price <= signal.max_price) or (
                signal.side == "sell" and price >= signal.max_price
            ):
                self.signals.popleft()
                return self._place_order(signal, price)
            break
        return None

    def _place_order(self, signal: OrderSignal, price: float) -> str:
        order = {
            "action": "place_order",
            "symbol": signal.symbol,
            "side": signal.side,
            "quantity": signal.quantity,
            "price": price,
            "type": "limit" if signal.urgency < 8 else "market",
            "timestamp": int(time.time() * 1_000),
        }
        text: str = ujson.dumps(order)
        if self._log is not None:
            self._log.info("order sent symbol=%s side=%s price=%s", signal.symbol, signal.side, price)
        return text


async def trade(url: str, count: int, signal: OrderSignal) -> None:
    """Answer `count` ticks, each with an order: a signal is always waiting, as the venue's measuring wants it."""
    executor = ArticleExecutor()
    async with connect(
        url, additional_headers={"X-API-Key": "k"}, compression=None, ping_interval=None, max_size=2**20, proxy=None
    ) as socket:
        for _ in range(count):
            executor.signals.append(signal)
            message = await socket.recv()
            order = executor.process(message)
            if order is not None:
                await socket.send(order)
