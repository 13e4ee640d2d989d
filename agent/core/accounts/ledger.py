"""Average-cost accounting of one instrument: what a sequence of fills comes to, in integers.

Theory of operation. A position is signed lots with the total they cost, never an average price: the average is a
fraction, its total is exact. Closing a part releases a part of the cost. That is rounded so that the realised result
is never above the exact one (up when long, down when short); the remainder stays in `cost_atoms` and is gone to the
last atom when the position is flat. A fill that goes through zero is two: the old position closes, the rest opens at
the fill's own price. Fees never enter cost or result. A fee in the base currency is a disposal (a rebate an
acquisition) of that many lots at the fill's price, with no cash, and its value counts as a fee.

A ledger is a function of the fills in their order, so a trade taken back by the venue is a recount without it.
"""

from __future__ import annotations

import msgspec


class KeptFill(msgspec.Struct, frozen=True, gc=False):
    """One trade of ours as it is kept for a recount. `fee`: + is paid; in lots where its currency is the base."""

    exec_seq: int
    """The account's execution sequence; 0 where the source has none."""
    trade_id: str
    is_buy: bool
    lots: int
    price_ticks: int
    fee: int
    fee_currency: str
    wall_ns: int


class Ledger(msgspec.Struct, kw_only=True):
    """Totals over fills; all amounts in atoms of the quote currency.

    At all times `realised_atoms` = `cash_atoms` + `fee_value_atoms` + sign(`lots`) · `cost_atoms`.
    """

    lots: int = 0
    """Signed: + is long."""
    cost_atoms: int = 0
    """What the open lots cost (long) or brought (short); 0 if and only if flat."""
    realised_atoms: int = 0
    """Result of what was closed, before fees."""
    cash_atoms: int = 0
    """Quote cash of the fills, net of fees paid in the quote currency. Funding is not in it."""
    fee_value_atoms: int = 0
    """Fees in quote currency, and those in base currency at their fill's price. + is paid."""
    fees: dict[str, int] = {}
    """Fees by their own currency, in its units. + is paid."""

    def add(self, fill: KeptFill, base: str, quote: str, tick_value_atoms: int) -> bool:
        """Book one fill. True where the position closed on the way, whatever was opened after. Rounds for caution."""
        is_closed = self._move(fill.lots if fill.is_buy else -fill.lots, fill.price_ticks * tick_value_atoms)
        notional_atoms = fill.lots * fill.price_ticks * tick_value_atoms
        self.cash_atoms += -notional_atoms if fill.is_buy else notional_atoms
        fee = fill.fee
        if fee:
            currency = fill.fee_currency
            self.fees[currency] = self.fees.get(currency, 0) + fee
            if currency == quote:
                self.cash_atoms -= fee
                self.fee_value_atoms += fee
            elif currency == base:
                self.fee_value_atoms += fee * fill.price_ticks * tick_value_atoms
                is_closed |= self._move(-fee, fill.price_ticks * tick_value_atoms)
        return is_closed

    def _move(self, lots: int, lot_price_atoms: int) -> bool:
        """Take on signed `lots` at a price; the cost released is rounded against us. True where the old ones closed."""
        held = self.lots
        if held == 0 or (held > 0) == (lots > 0):
            self.lots = held + lots
            self.cost_atoms += abs(lots) * lot_price_atoms
            return False
        size, taken = abs(held), abs(lots)
        if taken >= size:
            self.realised_atoms += held * lot_price_atoms + (-self.cost_atoms if held > 0 else self.cost_atoms)
            self.lots = held + lots
            self.cost_atoms = (taken - size) * lot_price_atoms
            return True
        if held > 0:
            released_atoms = -(-self.cost_atoms * taken // size)
            self.realised_atoms += taken * lot_price_atoms - released_atoms
        else:
            released_atoms = self.cost_atoms * taken // size
            self.realised_atoms += released_atoms - taken * lot_price_atoms
        self.cost_atoms -= released_atoms
        self.lots = held + lots
        return False

    def copy(self) -> Ledger:
        return Ledger(
            lots=self.lots,
            cost_atoms=self.cost_atoms,
            realised_atoms=self.realised_atoms,
            cash_atoms=self.cash_atoms,
            fee_value_atoms=self.fee_value_atoms,
            fees=dict(self.fees),
        )
