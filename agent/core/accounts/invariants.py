"""What must hold between the books at any moment; each function says in words what does not.

Cheap enough for every event in a test, and for one event in a thousand in a live run. An empty answer is good.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from agent.core.accounts.accounts import Accounts
from agent.core.accounts.position import Position
from agent.core.instruments import Side
from agent.core.risk.breakers.drawdown import Drawdown


def position_violations(position: Position) -> list[str]:
    """Result, cash, fees and cost agree; a cost stands if and only if lots do; a recount gives the same ledger."""
    found = []
    ledger = position.ledger
    sign = (ledger.lots > 0) - (ledger.lots < 0)
    balance_atoms = position.cash_atoms - position.funding_atoms + ledger.fee_value_atoms + sign * ledger.cost_atoms
    if ledger.realised_atoms != balance_atoms:
        found.append(f"{position.symbol}: realised {ledger.realised_atoms}, cash and cost say {balance_atoms}")
    if (ledger.cost_atoms == 0) != (ledger.lots == 0) or ledger.cost_atoms < 0:
        found.append(f"{position.symbol}: {ledger.lots} lots at a cost of {ledger.cost_atoms}")
    recounted = position.before.copy()
    for fill in position.fills.values():
        recounted.add(fill, position.base, position.quote, position.tick_value_atoms)
    if recounted != ledger:
        found.append(f"{position.symbol}: the kept fills come to {recounted}, the ledger is {ledger}")
    return found


def cash_violations(accounts: Accounts) -> list[str]:
    """The cash of each currency is what flows, funding, trades and fees in that currency come to."""
    expected: dict[str, int] = dict(accounts.transfers)
    fees: dict[str, int] = {}

    def add(currency: str, atoms: int) -> None:
        expected[currency] = expected.get(currency, 0) + atoms

    for currency, atoms in accounts.loose_funding.items():
        add(currency, atoms)
    for position in accounts.positions.values():
        add(position.quote, position.cash_atoms)
        for currency, fee in position.ledger.fees.items():
            fees[currency] = fees.get(currency, 0) + fee
            if currency not in (position.quote, position.base):
                add(currency, -fee)
    found = [
        f"{currency}: cash {accounts.cash.get(currency, 0)}, its entries come to {expected.get(currency, 0)}"
        for currency in sorted({*accounts.cash, *expected})
        if accounts.cash.get(currency, 0) != expected.get(currency, 0)
    ]
    found += [
        f"{currency}: fees {accounts.fees.get(currency, 0)}, its fills say {fees.get(currency, 0)}"
        for currency in sorted({*accounts.fees, *fees})
        if accounts.fees.get(currency, 0) != fees.get(currency, 0)
    ]
    return found


def value_violations(accounts: Accounts, now_ns: int) -> list[str]:
    """Net asset value = what was paid in + realised + unrealised - fees + funding, at the present marks.

    Told of accounts in which everything is in the account's currency; with others the conversion is part of the result.
    """
    nav_atoms = accounts.transfers.get(accounts.currency, 0) + accounts.loose_funding.get(accounts.currency, 0)
    for position in accounts.positions.values():
        ledger = position.ledger
        nav_atoms += ledger.realised_atoms - ledger.fee_value_atoms + position.funding_atoms
        if ledger.lots:
            mark = accounts.marks[position.symbol]
            value_atoms = mark.value_atoms(ledger.lots, position.tick_value_atoms, mark.haircut_bps(now_ns))
            nav_atoms += value_atoms - ledger.cost_atoms if ledger.lots > 0 else value_atoms + ledger.cost_atoms
    told_atoms = accounts.valuation(now_ns).nav_atoms
    return [] if told_atoms == nav_atoms else [f"the net asset value is {told_atoms}, its parts come to {nav_atoms}"]


def venue_violations(accounts: Accounts, venue_lots: Mapping[str, int]) -> list[str]:
    """After a reconciliation the venue holds what we hold, symbol by symbol."""
    return [
        f"{symbol}: ours {accounts.lots(symbol)} lots, the venue's {venue_lots.get(symbol, 0)}"
        for symbol in sorted({*accounts.positions, *venue_lots})
        if accounts.lots(symbol) != venue_lots.get(symbol, 0)
    ]


def reservation_violations(
    reserved: Mapping[tuple[str, Side], int], orders: Iterable[tuple[str, Side, int]]
) -> list[str]:
    """What is reserved is the sum over the orders of each symbol and side, and no order reserves less than nothing."""
    sums: dict[tuple[str, Side], int] = {}
    found = []
    for symbol, side, lots in orders:
        sums[symbol, side] = sums.get((symbol, side), 0) + lots
        if lots < 0:
            found.append(f"{symbol}: an order to {side} reserves {lots} lots")
    found += [
        f"{symbol}: {reserved.get((symbol, side), 0)} lots to {side} are reserved, the orders come to {lots}"
        for (symbol, side), lots in sorted((dict.fromkeys(reserved, 0) | sums).items())
        if reserved.get((symbol, side), 0) != lots
    ]
    return found


def high_violations(drawdown: Drawdown) -> list[str]:
    """After a valid mark no unit is worth more than the high, the mark that still waits for its second included."""
    if drawdown.units == 0:
        return []
    pairs = [(drawdown.high_nav_atoms, drawdown.high_units)]
    if drawdown.held_units:
        pairs.append((drawdown.held_nav_atoms, drawdown.held_units))
    if any(nav * drawdown.units >= drawdown.nav_atoms * units for nav, units in pairs):
        return []
    return [f"a unit is worth {drawdown.nav_atoms}/{drawdown.units}, above the high {pairs[-1][0]}/{pairs[-1][1]}"]
