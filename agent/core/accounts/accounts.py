"""The books of the whole account: positions, cash and fees by currency, flows, and what it is all worth.

Theory of operation. Every movement of money comes in as a fill, a bust, or a flow, each once: a second one with the
same identity changes nothing. Cash is a running total by currency. The account has one currency of its own, in which
its net asset value is told: cash, plus open positions at liquidation marks, plus other currencies at their price.
A currency that is the base of an instrument is counted in that instrument's lots (as its fees are) and valued together
with the position in it; any other needs a `Rate`. What has no price makes the value unknown, which halts.

Deposits and withdrawals are no result: they come back as a value for the fund's units. Funding is a result.
"""

from __future__ import annotations

import msgspec

from agent.core.accounts.ledger import KeptFill
from agent.core.accounts.marks import Mark, Rate, Valuation
from agent.core.accounts.position import Episode, Position
from agent.core.errors import ContradictoryEvent
from agent.core.events import Stamp
from agent.core.events.orders import Fill, Flow, TradeBusted
from agent.core.instruments import Instrument, Side
from agent.core.market import Book

FLOWS_KEPT_MAX = 4_096
"""Flow ids remembered against repetition; the oldest half goes when they are reached."""
MAKER_EPISODE_NS = 15 * 60 * 1_000_000_000
"""A market maker is rarely flat, so its episodes also end by time."""

ADOPTED_KEPT = 64
"""Each one is the work of a person; the journal has them all."""

BUY = Side.BUY


class Adopted(msgspec.Struct, frozen=True, gc=False):
    """A difference that was taken over: signed lots of a symbol at a price, or signed atoms of a currency."""

    name: str
    amount: int
    price_ticks: int
    """0 for a currency."""
    wall_ns: int


class Accounts(msgspec.Struct, kw_only=True):
    """All books. Create with the account's currency, then tell it of instruments, books, fills, busts and flows."""

    currency: str
    positions: dict[str, Position] = {}
    cash: dict[str, int] = {}
    """Atoms by currency; lots where the currency is the base of an instrument."""
    fees: dict[str, int] = {}
    """Fees by currency in its units; + was paid."""
    transfers: dict[str, int] = {}
    """Deposits less withdrawals by currency."""
    loose_funding: dict[str, int] = {}
    """Funding that named no symbol, by currency."""
    marks: dict[str, Mark] = {}
    rates: dict[str, Rate] = {}
    flow_ids: dict[str, None] = {}
    made_symbols: list[str] = []
    """Symbols whose episodes also end each 15 minutes, at liquidation value."""
    episodes: list[Episode] = []
    """Ended and not yet taken by `take_episodes`."""
    adopted: list[Adopted] = []
    """What a person took over from the venue without an execution, the latest `ADOPTED_KEPT`."""
    pricing_symbols: dict[str, str] = {}
    """Base currency to the symbol that prices it in the account's currency."""

    def define(self, instrument: Instrument) -> None:
        """Open books for a market. Its tick value cannot change while it is held: all totals would mean another thing."""
        position = self.positions.get(instrument.symbol)
        if position is None:
            self.positions[instrument.symbol] = Position(
                symbol=instrument.symbol,
                base=instrument.base,
                quote=instrument.quote,
                tick_value_atoms=instrument.tick_value_atoms,
            )
        elif position.tick_value_atoms != instrument.tick_value_atoms:
            if position.lots:
                raise ContradictoryEvent(f"the tick value of {instrument.symbol} changed under an open position")
            position.tick_value_atoms = instrument.tick_value_atoms
            position.fills.clear()
            position.before = position.ledger.copy()
            position.before_exec_seq = position.last_exec_seq
        if instrument.quote == self.currency:
            self.pricing_symbols.setdefault(instrument.base, instrument.symbol)

    def lots(self, symbol: str) -> int:
        """Signed position; 0 where the symbol is not known."""
        position = self.positions.get(symbol)
        return position.ledger.lots if position is not None else 0

    def on_fill(self, fill: Fill, stamp: Stamp) -> bool:
        """Book a fill whatever became of its order. False where it was booked before. The instrument must be defined."""
        position = self.positions.get(fill.symbol)
        if position is None:
            raise ContradictoryEvent(f"a fill of {fill.symbol}, which no venue defined")
        is_buy, wall_ns = fill.side is BUY, stamp.wall_ns
        kept = KeptFill(
            fill.exec_seq, fill.trade_id, is_buy, fill.lots, fill.price_ticks, fill.fee, fill.fee_currency, wall_ns
        )
        if position.knows(kept):
            return False
        cash_before_atoms = position.ledger.cash_atoms
        if fill.fee:
            self._charge(position, fill.fee_currency, fill.fee)
        episode = position.book(kept, stamp.monotonic_ns)
        quote = position.quote
        self.cash[quote] = self.cash.get(quote, 0) + position.ledger.cash_atoms - cash_before_atoms
        if episode is not None:
            self.episodes.append(episode)
        return True

    def on_bust(self, bust: TradeBusted, stamp: Stamp) -> bool:
        """Take a trade back or correct it, and recount. False where it is not kept: then only the venue knows."""
        is_found = False
        for position in self.positions.values():
            was_open = position.ledger.lots != 0
            cash_before_atoms = position.ledger.cash_atoms
            old = position.correct(bust.trade_id, bust.lots, bust.price_ticks)
            if not old:
                continue
            is_found = True
            if bust.lots == 0:
                for fill in old:
                    self._charge(position, fill.fee_currency, -fill.fee)
            quote = position.quote
            self.cash[quote] = self.cash.get(quote, 0) + position.ledger.cash_atoms - cash_before_atoms
            if was_open and position.ledger.lots == 0:
                self.episodes.append(position.end_episode(bust.exec_seq))
            elif not was_open and position.ledger.lots:
                position.episode_start_ns = stamp.monotonic_ns
                position.episode_first_wall_ns = old[0].wall_ns
        return is_found

    def on_flow(self, flow: Flow, now_ns: int) -> int | None:
        """Book money that came or went, once per id.

        The value in the account's currency by which the fund changed: 0 for funding and for a repetition, None where
        the currency has no price (then the net asset value has none either).
        """
        if flow.flow_id in self.flow_ids:
            return 0
        if len(self.flow_ids) >= FLOWS_KEPT_MAX:
            self.flow_ids = dict.fromkeys(list(self.flow_ids)[FLOWS_KEPT_MAX >> 1 :])
        self.flow_ids[flow.flow_id] = None
        currency, atoms = flow.currency, flow.atoms
        if flow.kind == "funding":
            position = self.positions.get(flow.symbol)
            if position is not None and position.quote == currency:
                position.funding_atoms += atoms
            else:
                self.loose_funding[currency] = self.loose_funding.get(currency, 0) + atoms
            self.cash[currency] = self.cash.get(currency, 0) + atoms
            return 0
        before = self._worth_atoms(currency, now_ns)
        self.transfers[currency] = self.transfers.get(currency, 0) + atoms
        self.cash[currency] = self.cash.get(currency, 0) + atoms
        after = self._worth_atoms(currency, now_ns)
        return None if before is None or after is None else after - before

    def adopt(self, symbol: str, lots: int, price_ticks: int, adoption_id: str, stamp: Stamp) -> None:
        """Come to hold signed `lots` of a symbol because the venue says so: a trade at that price, paid for in kind.

        The difference has a cost and no cash moved. A recount keeps it, as it keeps the fills around it.
        """
        position = self.positions[symbol]
        change = lots - position.ledger.lots
        cash_before_atoms = position.ledger.cash_atoms
        kept = KeptFill(0, adoption_id, change > 0, abs(change), price_ticks, 0, position.quote, stamp.wall_ns)
        episode = position.book(kept, stamp.monotonic_ns)
        in_kind_atoms = cash_before_atoms - position.ledger.cash_atoms
        self.transfers[position.quote] = self.transfers.get(position.quote, 0) + in_kind_atoms
        if episode is not None:
            self.episodes.append(episode)
        self._remember_adoption(Adopted(symbol, change, price_ticks, stamp.wall_ns))

    def adopt_cash(self, currency: str, atoms: int, stamp: Stamp) -> None:
        """Change a balance by so much because the venue says so."""
        self.transfers[currency] = self.transfers.get(currency, 0) + atoms
        self.cash[currency] = self.cash.get(currency, 0) + atoms
        self._remember_adoption(Adopted(currency, atoms, 0, stamp.wall_ns))

    def _remember_adoption(self, adopted: Adopted) -> None:
        self.adopted.append(adopted)
        del self.adopted[:-ADOPTED_KEPT]

    def on_book(self, book: Book, wall_ns: int) -> None:
        """Remember the best prices of a good book as the symbol's mark; any other book leaves the old one to age."""
        bid_ticks, ask_ticks = book.best_bid_ticks, book.best_ask_ticks
        if not (book.is_valid and 0 < bid_ticks < ask_ticks):
            return
        mark = self.marks.get(book.symbol)
        if mark is None:
            self.marks[book.symbol] = Mark(bid_ticks, ask_ticks, book.arrival_ns, wall_ns)
        else:
            mark.bid_ticks = bid_ticks
            mark.ask_ticks = ask_ticks
            mark.at_ns = book.arrival_ns
            mark.wall_ns = wall_ns

    def on_restart(self, stamp: Stamp) -> None:
        """A new monotonic clock: marks are as old as the wall clock says, downtime included."""
        for mark in self.marks.values():
            mark.at_ns = stamp.monotonic_ns - max(0, stamp.wall_ns - mark.wall_ns)
        for position in self.positions.values():
            position.episode_start_ns = stamp.monotonic_ns

    def take_episodes(self) -> tuple[Episode, ...]:
        """The episodes that ended since the last call, in order."""
        ended = tuple(self.episodes)
        self.episodes.clear()
        return ended

    def cut_maker_episodes(self, now_ns: int) -> None:
        """End the open episodes of market-made symbols that began 15 minutes ago, at liquidation value."""
        for symbol in self.made_symbols:
            position = self.positions.get(symbol)
            mark = self.marks.get(symbol)
            if position is None or mark is None or position.ledger.lots == 0:
                continue
            if now_ns - position.episode_start_ns < MAKER_EPISODE_NS:
                continue
            lots = position.ledger.lots
            value_atoms = mark.value_atoms(lots, position.tick_value_atoms, mark.haircut_bps(now_ns))
            cost_atoms = position.ledger.cost_atoms
            open_atoms = value_atoms - cost_atoms if lots > 0 else value_atoms + cost_atoms
            position.episode_start_ns = now_ns
            self.episodes.append(position.end_episode(0, open_atoms))

    def valuation(self, now_ns: int) -> Valuation:
        """Net asset value at liquidation marks, rounded down; `now_ns` is monotonic."""
        nav_atoms = self.cash.get(self.currency, 0)
        stale: list[str] = []
        unpriceable: list[str] = []
        pricing = self.pricing_symbols
        for position in self.positions.values():
            lots = position.ledger.lots
            if lots == 0 or pricing.get(position.base) == position.symbol:
                continue
            value_atoms = self._lots_worth_atoms(position, lots, now_ns, stale)
            if value_atoms is None:
                unpriceable.append(position.symbol)
            else:
                nav_atoms += value_atoms
        for base, symbol in pricing.items():
            position = self.positions[symbol]
            lots = position.ledger.lots + self.cash.get(base, 0)
            if lots == 0:
                continue
            value_atoms = self._lots_worth_atoms(position, lots, now_ns, stale)
            if value_atoms is None:
                unpriceable.append(symbol)
            else:
                nav_atoms += value_atoms
        for currency, atoms in self.cash.items():
            if atoms and currency != self.currency and currency not in pricing:
                rate = self.rates.get(currency)
                if rate is None:
                    unpriceable.append(currency)
                else:
                    nav_atoms += rate.value_atoms(atoms)
        if stale or unpriceable:
            return Valuation(nav_atoms, tuple(stale), tuple(unpriceable))
        return Valuation(nav_atoms)

    def _lots_worth_atoms(self, position: Position, lots: int, now_ns: int, stale: list[str]) -> int | None:
        mark = self.marks.get(position.symbol)
        if mark is None:
            return None
        haircut_bps = mark.haircut_bps(now_ns)
        if haircut_bps:
            stale.append(position.symbol)
        value_atoms = mark.value_atoms(lots, position.tick_value_atoms, haircut_bps)
        if position.quote == self.currency:
            return value_atoms
        rate = self.rates.get(position.quote)
        return None if rate is None else rate.value_atoms(value_atoms)

    def _worth_atoms(self, currency: str, now_ns: int) -> int | None:
        """What the account's holding of one currency is worth, with the position that is valued together with it."""
        atoms = self.cash.get(currency, 0)
        if currency == self.currency:
            return atoms
        symbol = self.pricing_symbols.get(currency)
        if symbol is not None:
            lots = self.positions[symbol].ledger.lots + atoms
            return self._lots_worth_atoms(self.positions[symbol], lots, now_ns, []) if lots else 0
        rate = self.rates.get(currency)
        if rate is not None:
            return rate.value_atoms(atoms)
        return 0 if atoms == 0 else None

    def _charge(self, position: Position, currency: str, fee: int) -> None:
        """Enter a fee under its currency; one that is neither quote nor base leaves a balance of its own. Rounds up."""
        self.fees[currency] = self.fees.get(currency, 0) + fee
        if currency == position.quote or currency == position.base:
            return
        self.cash[currency] = self.cash.get(currency, 0) - fee
        rate = self.rates.get(currency)
        if currency == self.currency:
            position.other_fee_atoms += fee
        elif rate is not None:
            position.other_fee_atoms -= rate.value_atoms(-fee)
