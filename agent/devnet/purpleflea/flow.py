"""Seeded order flow: makers who quote, noise, momentum and snipers, so that a client's orders meet somebody.

Theory of operation. Each market has a worth that walks at random and that the makers know. Events come in clusters:
the intensity is a base rate plus a part that each event adds and time takes away (a Hawkes process, thinned after
Ogata, 1981). At an event one agent acts: a maker pulls its quotes and shows new ones around the worth, noise takes or
joins at random, momentum follows the last trades, a sniper takes what the worth has left behind. All of it is a
function of the seed and the clock alone: the same seed on the same virtual clock gives the same orders.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable

from agent.core.instruments import OrderType, Side
from agent.devnet.purpleflea.accounts import Account
from agent.devnet.purpleflea.floor import Floor
from agent.devnet.purpleflea.markets import Market
from agent.devnet.purpleflea.orders import VENUE, Order, Place

BASE_EVENTS_PER_S = 20.0
BRANCHING = 0.5
"""How many further events one event causes on average; under 1, or they never end."""
DECAY_PER_S = 10.0
LADDER_LEVELS = 8
MAKERS = 2
SPREAD_PPM = 100
"""Half the distance between a maker's best quotes, of the price."""
STEP_PPM = 30
"""How far a worth may walk at one event."""
WEIGHTS = (("maker", 6), ("noise", 8), ("momentum", 2), ("sniper", 2))


class Flow:
    """The venue's own agents on every market."""

    def __init__(self, floor: Floor, *, seed: int, events_per_s: float = BASE_EVENTS_PER_S) -> None:
        self._floor = floor
        self._random = random.Random(f"purpleflea flow {seed}")
        self._base = events_per_s
        self._excess = 0.0
        self._excess_at_ns = 0
        self._names = 0
        engine = floor.engine
        self._accounts: dict[str, Account] = {
            name: engine.open_account(f"flow_{name}", is_house=True)
            for name in (*(f"maker{index}" for index in range(MAKERS)), "noise", "momentum", "sniper")
        }
        self._quotes: dict[tuple[str, str], list[Order]] = {}
        self.worth_ticks = {symbol: market.first_price_ticks for symbol, market in engine.markets.items()}
        self.events = 0
        self._acts: dict[str, Callable[[Market], None]] = {
            "maker": self._maker, "noise": self._noise, "momentum": self._momentum, "sniper": self._sniper,
        }  # fmt: skip
        self.is_running = False

    def open_books(self) -> None:
        """The makers' first quotes on every market."""
        for market in self._floor.engine.markets.values():
            for index in range(MAKERS):
                self._quote(market, f"maker{index}")
        self._floor.flush()

    def start(self) -> None:
        """Let events come from now on."""
        self.is_running = True
        self._excess_at_ns = self._floor.clock.monotonic_ns()
        self._later(self._excess_at_ns)

    def stop(self) -> None:
        self.is_running = False

    def relink(self) -> None:
        """The engine went back to an older state: act for its accounts, and quote anew."""
        ledger = self._floor.engine.ledger
        self._accounts = {name: ledger.accounts[account.account_id] for name, account in self._accounts.items()}
        for name in self._accounts:
            for symbol in self._floor.engine.markets:
                resting = self._floor.engine.open_orders[f"flow_{name}"].values()
                self._quotes[symbol, name] = [order for order in resting if order.place.symbol == symbol]

    def act(self) -> None:
        """One event now, whatever the arrivals say."""
        market = self._random.choice(list(self._floor.engine.markets.values()))
        names = [name for name, _ in WEIGHTS]
        chosen = self._random.choices(names, [weight for _, weight in WEIGHTS])[0]
        worth = self.worth_ticks[market.symbol]
        reach = max(1, worth * STEP_PPM // 1_000_000)
        worth = max(reach + 1, worth + self._random.randint(-reach, reach))
        self.worth_ticks[market.symbol] = self._floor.market_data.index_ticks[market.symbol] = worth
        self.events += 1
        self._acts[chosen](market)
        self._floor.flush()

    def _later(self, from_ns: int) -> None:
        """Thinning: candidates at the present intensity, each kept in proportion to what is left of it by then."""
        if self._base <= 0:
            return
        at_ns = from_ns
        while True:
            most = self._base + self._level(at_ns)
            at_ns += max(1, int(self._random.expovariate(most) * 1e9))
            if self._random.random() * most <= self._base + self._level(at_ns):
                break
        self._floor.timers.at(at_ns, lambda: self._event(at_ns))

    def _event(self, at_ns: int) -> None:
        if not self.is_running:
            return
        self._excess = self._level(at_ns) + BRANCHING * DECAY_PER_S
        self._excess_at_ns = at_ns
        self.act()
        # A loop that came late does not owe the events of the time it missed.
        self._later(max(at_ns, self._floor.clock.monotonic_ns() - 1_000_000_000))

    def _level(self, at_ns: int) -> float:
        return self._excess * math.exp(-DECAY_PER_S * (at_ns - self._excess_at_ns) / 1e9)

    def _maker(self, market: Market) -> None:
        self._quote(market, f"maker{self._random.randrange(MAKERS)}")

    def _quote(self, market: Market, name: str) -> None:
        engine, now = self._floor.engine, self._floor.now()
        engine.cancel_many(self._quotes.get((market.symbol, name), []), "user", now)
        worth = self.worth_ticks[market.symbol]
        half = max(1, worth * SPREAD_PPM // 1_000_000) + self._random.randint(0, 3)
        gap = max(1, half // 2)
        quotes = []
        for level in range(LADDER_LEVELS):
            for side in (Side.BUY, Side.SELL):
                price = worth - side.sign * (half + level * gap)
                lots = market.instrument.min_lots * self._random.randint(20, 400)
                quotes.append(self._place(name, market, side, OrderType.POST_ONLY, lots, price))
        self._quotes[market.symbol, name] = quotes

    def _noise(self, market: Market) -> None:
        side = self._random.choice((Side.BUY, Side.SELL))
        lots = market.instrument.min_lots * self._random.randint(1, 150)
        if self._random.random() < 0.6:
            self._take("noise", market, side, lots)
            return
        worth = self.worth_ticks[market.symbol]
        away = self._random.randint(0, max(1, worth * SPREAD_PPM * 4 // 1_000_000))
        mine = list(self._floor.engine.open_orders["flow_noise"].values())
        if len(mine) > 20:
            self._floor.engine.cancel(self._random.choice(mine), "user", self._floor.now())
        self._place("noise", market, side, OrderType.LIMIT, lots, worth - side.sign * away)

    def _momentum(self, market: Market) -> None:
        recent = [trade.price_ticks for trade in self._floor.engine.trades[-40:] if trade.symbol == market.symbol][-8:]
        if len(recent) < 4 or recent[-1] == recent[0]:
            return
        side = Side.BUY if recent[-1] > recent[0] else Side.SELL
        self._take("momentum", market, side, market.instrument.min_lots * self._random.randint(5, 80))

    def _sniper(self, market: Market) -> None:
        """Takes what clients and makers left on the wrong side of the worth."""
        book, worth = self._floor.engine.books[market.symbol], self.worth_ticks[market.symbol]
        for side in (Side.BUY, Side.SELL):
            best = book.opposite(side).best()
            if best is not None and (worth - best.price_ticks) * side.sign > 0:
                self._place("sniper", market, side, OrderType.IOC, best.lots, worth)
                return

    def _take(self, name: str, market: Market, side: Side, lots: int) -> None:
        best = self._floor.engine.books[market.symbol].opposite(side).best()
        if best is not None:
            reach = max(1, best.price_ticks * SPREAD_PPM * 4 // 1_000_000)
            self._place(name, market, side, OrderType.IOC, lots, best.price_ticks + side.sign * reach)

    def _place(self, name: str, market: Market, side: Side, kind: OrderType, lots: int, price_ticks: int) -> Order:
        self._names += 1
        least = -(-market.instrument.min_notional_atoms // market.instrument.notional_atoms(1, max(1, price_ticks)))
        request = Place(
            client_order_id=f"f{self._names}",
            symbol=market.symbol,
            side=side,
            kind=kind,
            lots=min(max(lots, least), market.instrument.max_lots),
            price_ticks=max(1, price_ticks),
        )
        return self._floor.engine.place(self._accounts[name], request, VENUE, self._floor.now())
