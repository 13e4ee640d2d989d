"""One instrument's position: its ledger, the fills kept for a recount, and its episodes.

Theory of operation. Fills are booked in the order of their `exec_seq` and kept, with the ledger as it was before the
oldest kept one (`before`). What comes late (a lower `exec_seq`) is put in its place, what the venue takes back is
taken out, and either is followed by a recount from `before`: never by a reverse trade at some other price. Kept are
the open episode and 24 hours, and at most `FILLS_KEPT_MAX`; older fills move into `before`, and a bust of one of
those is answered with "not kept".

A fill is new if neither its `exec_seq` nor its trade id is known. Two fills of equal content are two fills.

An episode runs from flat to flat (or through zero); its result is the change of `equity_atoms` (realised, fees,
funding), so a bust or a late fill counts in the episode that is open when it is heard of.
"""

from __future__ import annotations

import msgspec

from agent.core.accounts.ledger import KeptFill, Ledger

KEPT_NS = 24 * 3_600 * 1_000_000_000
"""A venue may bust a trade of the last day."""
FILLS_KEPT_MAX = 16_384
"""About 4 MB an instrument. A recount of so many takes 20 ms, and is as rare as a bust."""
PRUNE_BATCH = 1_024
"""Fills are let go in batches: taking single entries off the front of a dict is quadratic."""


class Episode(msgspec.Struct, frozen=True, gc=False):
    """A finished unit of profit or loss of one symbol."""

    symbol: str
    result_atoms: int
    """Realised, less fees, plus funding, in atoms of the quote currency."""
    exec_seq: int
    """Of the fill that ended it; 0 where a timer did."""


class Position(msgspec.Struct, kw_only=True):
    """The books of one instrument. Amounts in atoms of its quote currency."""

    symbol: str
    base: str
    quote: str
    tick_value_atoms: int
    ledger: Ledger = msgspec.field(default_factory=Ledger)
    before: Ledger = msgspec.field(default_factory=Ledger)
    """The ledger as it stood before the oldest fill in `fills`."""
    before_exec_seq: int = 0
    fills: dict[str, KeptFill] = {}
    """By side and trade id, in the order of execution."""
    last_exec_seq: int = 0
    funding_atoms: int = 0
    """Signed sum; + was received. Inside cash, outside the ledger."""
    other_fee_atoms: int = 0
    """Fees in third currencies, at the quote value they had when booked; for episodes alone."""
    episode_start_atoms: int = 0
    """`equity_atoms` when the present episode began."""
    episode_start_ns: int = 0
    """Monotonic time of the episode's first fill, or of its last cut."""
    episode_first_wall_ns: int = 0

    @property
    def lots(self) -> int:
        return self.ledger.lots

    @property
    def has_traded(self) -> bool:
        """A trade of ours was booked in it at some time, of those that the venue numbers."""
        return self.last_exec_seq > 0

    @property
    def cash_atoms(self) -> int:
        """Quote cash that this instrument brought: fills, quote fees and funding."""
        return self.ledger.cash_atoms + self.funding_atoms

    @property
    def equity_atoms(self) -> int:
        """Result so far without the open lots' gain or loss."""
        ledger = self.ledger
        return ledger.realised_atoms - ledger.fee_value_atoms - self.other_fee_atoms + self.funding_atoms

    @property
    def average_cost(self) -> tuple[int, int] | None:
        """Ticks per lot as an exact fraction (numerator, denominator); None when flat."""
        lots = self.ledger.lots
        return (self.ledger.cost_atoms, abs(lots) * self.tick_value_atoms) if lots else None

    def unrealised_atoms(self, price_ticks: int) -> int:
        """Gain or loss of the open lots at a price."""
        ledger = self.ledger
        value_atoms = ledger.lots * price_ticks * self.tick_value_atoms
        return value_atoms - ledger.cost_atoms if ledger.lots > 0 else value_atoms + ledger.cost_atoms

    def knows(self, fill: KeptFill) -> bool:
        """The fill is booked already."""
        if _key(fill) in self.fills:
            return True
        exec_seq = fill.exec_seq
        if exec_seq == 0 or exec_seq > self.last_exec_seq:
            return False
        return exec_seq <= self.before_exec_seq or any(kept.exec_seq == exec_seq for kept in self.fills.values())

    def book(self, fill: KeptFill, monotonic_ns: int) -> Episode | None:
        """Book a fill that is not known yet. The episode that ended by it, if one did."""
        was_flat = self.ledger.lots == 0
        exec_seq = fill.exec_seq
        if 0 < exec_seq < self.last_exec_seq:
            self._insert(fill)
            has_closed = self.recount()
        else:
            self.last_exec_seq = exec_seq or self.last_exec_seq
            self.fills[_key(fill)] = fill
            has_closed = self.ledger.add(fill, self.base, self.quote, self.tick_value_atoms)
            if len(self.fills) >= FILLS_KEPT_MAX + PRUNE_BATCH:
                self._let_go(fill.wall_ns)
        if was_flat or has_closed:
            return self._turn(fill, was_flat and not has_closed, monotonic_ns)
        return None

    def recount(self) -> bool:
        """Make the ledger anew from the fills that are kept. True where an open position is flat or turned by it."""
        old_lots = self.ledger.lots
        ledger = self.before.copy()
        for fill in self.fills.values():
            ledger.add(fill, self.base, self.quote, self.tick_value_atoms)
        self.ledger = ledger
        return old_lots != 0 and (ledger.lots == 0 or (ledger.lots > 0) != (old_lots > 0))

    def correct(self, trade_id: str, lots: int, price_ticks: int | None) -> tuple[KeptFill, ...]:
        """Take a trade back (`lots` 0) or put other figures in its place, and recount.

        The fills it was booked as before; none where it is not kept. A busted trade's fee goes with it.
        """
        found = []
        for key in (_BUY + trade_id, _SELL + trade_id):
            fill = self.fills.get(key)
            if fill is None:
                continue
            found.append(fill)
            if lots == 0:
                del self.fills[key]
            else:
                price = fill.price_ticks if price_ticks is None else price_ticks
                self.fills[key] = msgspec.structs.replace(fill, lots=lots, price_ticks=price)
        if found:
            self.recount()
        return tuple(found)

    def end_episode(self, exec_seq: int, open_atoms: int = 0) -> Episode:
        """Close the books on the present episode. `open_atoms`: gain of lots that stay open and are counted now."""
        equity_atoms = self.equity_atoms + open_atoms
        result_atoms = equity_atoms - self.episode_start_atoms
        self.episode_start_atoms = equity_atoms
        return Episode(self.symbol, result_atoms, exec_seq)

    def _turn(self, fill: KeptFill, is_opening: bool, monotonic_ns: int) -> Episode | None:
        self.episode_start_ns = monotonic_ns
        self.episode_first_wall_ns = fill.wall_ns
        return None if is_opening else self.end_episode(fill.exec_seq)

    def _insert(self, fill: KeptFill) -> None:
        """Put a late fill where its `exec_seq` belongs; one without keeps its place behind the one it came after."""
        fills: dict[str, KeptFill] = {}
        is_placed = False
        for key, kept in self.fills.items():
            if not is_placed and kept.exec_seq > fill.exec_seq:
                fills[_key(fill)] = fill
                is_placed = True
            fills[key] = kept
        if not is_placed:
            fills[_key(fill)] = fill
        self.fills = fills

    def _let_go(self, now_wall_ns: int) -> None:
        """Move the oldest fills into `before`: all that are a day old and of no open episode, and what is too many."""
        keep_from_ns = now_wall_ns - KEPT_NS
        if self.ledger.lots:
            keep_from_ns = min(keep_from_ns, self.episode_first_wall_ns)
        surplus = len(self.fills) - FILLS_KEPT_MAX
        old: list[str] = []
        for key, fill in self.fills.items():
            if len(old) >= surplus and fill.wall_ns >= keep_from_ns:
                break
            old.append(key)
        for key in old:
            fill = self.fills.pop(key)
            self.before.add(fill, self.base, self.quote, self.tick_value_atoms)
            self.before_exec_seq = max(self.before_exec_seq, fill.exec_seq)


_BUY, _SELL = "b", "s"
"""Before the trade id: a trade with ourselves has one id and two fills."""


def _key(fill: KeptFill) -> str:
    return (_BUY if fill.is_buy else _SELL) + fill.trade_id
