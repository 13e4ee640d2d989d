"""Balances, positions and what open orders hold back. Integers: quote and base atoms, lots, ticks.

Every change is a transfer: what one account pays another or the venue receives, so that over all accounts and the
venue each currency sums to what was put in. A trade moves base against quote at the resting price; a fee moves from
the account to the venue, a rebate the other way.
"""

from __future__ import annotations

import msgspec

from agent.core.instruments import Side
from agent.devnet.purpleflea.markets import PPM, Market


class Position(msgspec.Struct):
    """Signed lots of one market at average cost."""

    lots: int = 0
    cost_atoms: int = 0
    """Quote atoms of the open position, never negative; nothing when flat."""
    realised_atoms: int = 0
    bought_lots: int = 0
    sold_lots: int = 0

    def apply(self, signed_lots: int, price_ticks: int, tick_value_atoms: int) -> None:
        """A fill: first what it closes, then, on a flip, what it opens."""
        if signed_lots > 0:
            self.bought_lots += signed_lots
        else:
            self.sold_lots -= signed_lots
        sign = 1 if signed_lots > 0 else -1
        opening = abs(signed_lots)
        if self.lots * sign < 0:
            closing = min(opening, abs(self.lots))
            value = closing * price_ticks * tick_value_atoms
            if self.lots > 0:
                released = -(-self.cost_atoms * closing // self.lots)
                self.realised_atoms += value - released
            else:
                released = self.cost_atoms * closing // -self.lots
                self.realised_atoms += released - value
            self.cost_atoms -= released
            self.lots += sign * closing
            opening -= closing
        self.lots += sign * opening
        self.cost_atoms += opening * price_ticks * tick_value_atoms


class Working(msgspec.Struct):
    """Open orders of one account in one market, summed."""

    buy_lots: int = 0
    sell_lots: int = 0
    buy_notional_atoms: int = 0


class Account(msgspec.Struct, kw_only=True, eq=False):
    """One agent's money at the venue."""

    account_id: str
    is_house: bool = False
    """The venue's own flow: has no clients, so no frames are kept for it."""
    balances: dict[str, int] = msgspec.field(default_factory=dict)
    positions: dict[str, Position] = msgspec.field(default_factory=dict)
    working: dict[str, Working] = msgspec.field(default_factory=dict)
    fees_paid: dict[str, int] = msgspec.field(default_factory=dict)
    """Per currency, rebates subtracted."""
    deposits: dict[str, int] = msgspec.field(default_factory=dict)
    has_deposits: bool = False

    def position(self, symbol: str) -> Position:
        return self.positions.setdefault(symbol, Position())

    def work(self, symbol: str) -> Working:
        return self.working.setdefault(symbol, Working())

    def credit(self, currency: str, atoms: int) -> None:
        self.balances[currency] = self.balances.get(currency, 0) + atoms

    def reducible_lots(self, symbol: str, side: Side) -> int:
        """How many lots an order of `side` may trade before it would open something."""
        position = self.positions.get(symbol)
        return max(0, -position.lots * side.sign) if position else 0

    def hold(self, market: Market, side: Side, lots: int, price_ticks: int) -> None:
        """An open order holds back `lots` more (fewer, where negative)."""
        working = self.work(market.symbol)
        if side is Side.BUY:
            working.buy_lots += lots
            working.buy_notional_atoms += market.instrument.notional_atoms(lots, price_ticks)
        else:
            working.sell_lots += lots


class Ledger:
    """All accounts, and what the venue earned."""

    def __init__(self) -> None:
        self.accounts: dict[str, Account] = {}
        self.venue_fees: dict[str, int] = {}
        self.put_in: dict[str, int] = {}

    def open(self, account_id: str, *, is_house: bool = False) -> Account:
        account = self.accounts[account_id] = Account(account_id=account_id, is_house=is_house)
        return account

    def deposit(self, account: Account, currency: str, atoms: int) -> None:
        """Money from outside."""
        account.credit(currency, atoms)
        account.deposits[currency] = account.deposits.get(currency, 0) + atoms
        self.put_in[currency] = self.put_in.get(currency, 0) + atoms

    def settle(self, market: Market, account: Account, side: Side, lots: int, price_ticks: int, fee_atoms: int) -> None:
        """One account's part of a trade. Both parts must be settled for the sums to hold."""
        sign = side.sign
        instrument = market.instrument
        account.credit(instrument.quote, -sign * instrument.notional_atoms(lots, price_ticks))
        account.credit(instrument.base, sign * lots * market.lot_atoms)
        account.position(market.symbol).apply(sign * lots, price_ticks, instrument.tick_value_atoms)
        self.charge(account, market.fee_currency, fee_atoms)

    def charge(self, account: Account, currency: str, atoms: int) -> None:
        account.credit(currency, -atoms)
        account.fees_paid[currency] = account.fees_paid.get(currency, 0) + atoms
        self.venue_fees[currency] = self.venue_fees.get(currency, 0) + atoms

    def imbalance(self) -> dict[str, int]:
        """Per currency, what the books have more than was put in; empty where every transfer had two ends."""
        sums = {currency: -atoms for currency, atoms in self.put_in.items()}
        for holder in (self.venue_fees, *(account.balances for account in self.accounts.values())):
            for currency, atoms in holder.items():
                sums[currency] = sums.get(currency, 0) + atoms
        return {currency: atoms for currency, atoms in sums.items() if atoms}


def available_atoms(account: Account, currency: str, markets: dict[str, tuple[Market, int]]) -> int:
    """What new orders may still take of `currency`: equity less margins, and less what spot orders hold.

    `markets` has each market with its mark price in ticks.
    """
    free = account.balances.get(currency, 0)
    for symbol, (market, mark_ticks) in markets.items():
        position, working = account.positions.get(symbol), account.working.get(symbol)
        if market.instrument.quote == currency:
            free += _quote_effect(market, mark_ticks, position or Position(), working or Working())
        if market.instrument.base == currency and market.kind == "spot" and working:
            free -= working.sell_lots * market.lot_atoms
    return free


def _quote_effect(market: Market, mark_ticks: int, position: Position, working: Working) -> int:
    fee_ppm = (
        max(market.instrument.taker_fee_ppm, market.instrument.maker_fee_ppm, 0) if market.fee_in == "quote" else 0
    )
    if market.kind == "spot":
        return -working.buy_notional_atoms - -(-working.buy_notional_atoms * fee_ppm // PPM)
    lots = max(abs(position.lots + working.buy_lots), abs(position.lots - working.sell_lots))
    worst = market.instrument.notional_atoms(lots, mark_ticks)
    open_lots = working.buy_lots + working.sell_lots
    fees = -(-market.instrument.notional_atoms(open_lots, mark_ticks) * fee_ppm // PPM)
    value = market.instrument.notional_atoms(position.lots, mark_ticks)
    return value - -(-worst * market.initial_margin_ppm // PPM) - fees
