"""Steps of the core against the same rules as a careful user writes them: dataclasses and `Decimal` (`naive/desk.py`).

Both get events that are ready (parsing is measured elsewhere): for each order a move of the book, a tick, the wish, the
acknowledgement and the fill. Neither writes anything down. The same orders go out and the books come to the same atoms,
which is asserted; ours knows besides what becomes of lost, doubled and late frames. Run with
`python -m benchmarks.core_steps`; prints JSON.
"""

from __future__ import annotations

import json
import time
from decimal import Decimal

from agent.core.events.market import BookDelta, MarketTick
from agent.core.instruments import Side
from benchmarks.core_world import ASK_TICKS, BID_TICKS, CASH_ATOMS, CoreWorld
from benchmarks.naive import desk as naive
from benchmarks.rounds import medians_ns, row
from benchmarks.venue_market import BTC

GATE = 3.0
CALLS = {"naive": 1_000, "ours": 3_000}
STEPS_OF_A_TURN = 5
ATOMS = 10**6


class Ours:
    def __init__(self) -> None:
        self.world = CoreWorld()
        self.turns = 0

    def turn(self) -> None:
        world = self.world
        self.turns += 1
        number = self.turns
        level = ((BID_TICKS - 1, 1 + number % 100),)
        world.step(BookDelta(symbol=BTC.symbol, book_seq=1 + number, bids=level, asks=(), exchange_ns=1))
        world.step(MarketTick(symbol=BTC.symbol, price_ticks=600_015, mark_ticks=600_015, exchange_ns=1))
        world.life(Side.BUY if number & 1 else Side.SELL)


class Naive:
    def __init__(self) -> None:
        instrument = naive.Instrument(
            BTC.symbol, Decimal("0.1"), Decimal("0.001"), Decimal("0.001"), Decimal("1000"), Decimal("10")
        )
        self.desk = naive.Desk([instrument], Decimal(CASH_ATOMS) / ATOMS, naive.Limits())
        self.turns = 0
        self.desk.guard_at = time.monotonic()
        self.desk.on_delta(
            naive.Delta(
                BTC.symbol,
                [(Decimal(BID_TICKS - level) / 10, Decimal("0.100")) for level in range(20)],
                [(Decimal(ASK_TICKS + level) / 10, Decimal("0.100")) for level in range(20)],
            ),
            time.monotonic(),
        )
        self._bid, self._ask, self._last = (Decimal(ticks) / 10 for ticks in (BID_TICKS, ASK_TICKS, 600_015))
        self._below, self._qty, self._fee = Decimal(BID_TICKS - 1) / 10, Decimal("0.010"), Decimal("-0.00003")
        self._moves = [Decimal(1 + number) / 1000 for number in range(100)]

    def turn(self) -> None:
        desk = self.desk
        self.turns += 1
        number = self.turns
        side = "buy" if number & 1 else "sell"
        price = self._bid if number & 1 else self._ask
        desk.on_delta(naive.Delta(BTC.symbol, [(self._below, self._moves[number % 100])], []), time.monotonic())
        desk.on_tick(naive.Tick(BTC.symbol, self._last, self._last), time.monotonic())
        now = time.monotonic()
        order = desk.on_request(naive.Request("bench", BTC.symbol, side, "limit", self._qty, price, now), now)
        if isinstance(order, str):
            raise AssertionError(f"the order did not go out: {order}")
        desk.on_ack(naive.Ack(order.client_id, f"v{number}"), time.monotonic())
        desk.on_fill(naive.Fill(order.client_id, f"t{number}", side, self._qty, price, self._fee), time.monotonic())


def run() -> dict[str, object]:
    """Nanoseconds a turn of five steps on both sides, after the same books were seen."""
    ours, theirs = Ours(), Naive()
    for _ in range(201):
        ours.turn()
        theirs.turn()
    must_agree(ours, theirs)
    figures = medians_ns({"naive": theirs.turn, "ours": ours.turn}, calls=CALLS)
    return {
        "name": "core_steps",
        "steps_per_s": round(1e9 * STEPS_OF_A_TURN / sorted(figures["ours"])[len(figures["ours"]) // 2]),
        "rows": [row("C2", "steps of the core: dataclasses and Decimal / ours", figures, "naive", "ours", gate=GATE)],
    }


def must_agree(ours: Ours, theirs: Naive) -> None:
    """Position, cash and value to the atom. Raises AssertionError."""
    desk, other = ours.world.core.desk, theirs.desk
    assert desk is not None
    accounts, breakers = desk.state.accounts, desk.state.breakers
    mine = (accounts.lots(BTC.symbol), accounts.cash["USDC"], breakers.day_loss.nav_atoms, breakers.orders_today)
    found = (other.positions[BTC.symbol].qty * 1000, other.cash * ATOMS, other.nav * ATOMS, other.day_count)
    if mine != found:
        raise AssertionError(f"the sides differ: {mine} and {found}")


if __name__ == "__main__":
    print(json.dumps(run(), indent=2))
