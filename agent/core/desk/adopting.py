"""Adopting: a person takes the venue's figures for ours where no execution explains the difference.

Theory of operation. Nothing is taken from a figure that is lying about: the command asks the venue anew, and what is
adopted is its answer at the moment of the comparison, as of our own last execution. An order whose fate is unknown, or
that is owed fills, may be the very explanation: while there is one, nothing is adopted.

The difference in lots is booked like a trade at the liquidation mark, paid for by a transfer in kind, so that what is
held has a cost, its gain starts at nothing, and no cash moves; then the balance of the currency it is traded in is made
the venue's by a transfer of its own. All symbols that differ and share that currency go together, since a missed trade
changes both. What the account is worth more by it is no profit: it comes in like a deposit. What it is worth less is a
loss of the day, or a person could forgive a loss by adopting it; only in a symbol that we never traded, held before us,
is it no result at all.
"""

from __future__ import annotations

from agent.core.codes import Code
from agent.core.desk.state import DeskState
from agent.core.effects.control import Alarm, PositionAdopted
from agent.core.effects.orders import Refuse
from agent.core.events import Stamp
from agent.core.events.orders import AccountSnapshot
from agent.core.orders.orders import OwnOrders
from agent.core.orders.outcome import Outcome
from agent.core.orders.table import OrderState
from agent.core.session import Adoption, Session

ADOPT = "adopt_position"


class Adopting:
    """Asks for the venue's figures, and books them when they come."""

    __slots__ = ("_orders", "_session", "_state")

    def __init__(self, state: DeskState, orders: OwnOrders, session: Session) -> None:
        self._state = state
        self._orders = orders
        self._session = session
        session.when_adoptable = self.book

    def ask(self, symbol: str, reason: str, stamp: Stamp, out: Outcome) -> None:
        """A person's command; without a symbol all that differs is meant."""
        if not reason.strip():
            _refuse(symbol, Code.BAD_FIELD, "an adoption needs a reason", out)
        elif symbol and symbol not in self._state.accounts.positions:
            _refuse(symbol, Code.UNKNOWN_INSTRUMENT, symbol, out)
        elif not self._session.can_compare:
            _refuse(symbol, Code.NOT_LIVE, f"the session is {self._session.state.phase.value}", out)
        elif not self._is_uncertain([symbol] if symbol else [], symbol, out):
            self._session.adopt(Adoption(symbol=symbol, reason=reason), stamp, out)

    def book(self, asked: Adoption, statement: AccountSnapshot, stamp: Stamp, out: Outcome) -> bool:
        """Take over what the venue states now. False where nothing was, which is told."""
        accounts = self._state.accounts
        theirs = {position.symbol: position.lots for position in statement.positions}
        differing = [symbol for symbol in accounts.positions if accounts.lots(symbol) != theirs.get(symbol, 0)]
        unknown = sorted(theirs.keys() - accounts.positions.keys())
        if unknown:
            return _refuse(asked.symbol, Code.UNKNOWN_INSTRUMENT, ", ".join(unknown), out)
        quotes = {accounts.positions[symbol].quote for symbol in differing}
        balances = {
            balance.currency: balance.atoms
            for balance in statement.balances
            if not any(position.base == balance.currency for position in accounts.positions.values())
        }
        if asked.symbol:
            quote = accounts.positions[asked.symbol].quote
            others = [
                symbol for symbol in differing if symbol != asked.symbol and accounts.positions[symbol].quote == quote
            ]
            if others:
                detail = f"{', '.join(others)} differ too, and share {quote}: adopt all at once, without a symbol"
                return _refuse(asked.symbol, Code.ADOPT_TOGETHER, detail, out)
            differing = [symbol for symbol in differing if symbol == asked.symbol]
            quotes = {quote}
        else:
            quotes |= balances.keys()
        cash = {
            currency: balances[currency] - accounts.cash.get(currency, 0)
            for currency in sorted(quotes & balances.keys())
            if balances[currency] != accounts.cash.get(currency, 0)
        }
        if not differing and not cash:
            return _refuse(asked.symbol, Code.NOTHING_TO_ADOPT, "the venue states what our books say", out)
        if self._is_uncertain(differing, asked.symbol, out):
            return False
        prices = {symbol: self._price_ticks(symbol, theirs.get(symbol, 0), stamp) for symbol in differing}
        unpriced = [symbol for symbol, price_ticks in prices.items() if not price_ticks]
        if unpriced:
            return _refuse(asked.symbol, Code.STALE_DATA, f"no fresh book to value {', '.join(unpriced)} by", out)
        self._take_over(
            {symbol: (theirs.get(symbol, 0), prices[symbol]) for symbol in differing}, cash, asked, stamp, out
        )
        return True

    def _take_over(
        self,
        positions: dict[str, tuple[int, int]],
        cash: dict[str, int],
        asked: Adoption,
        stamp: Stamp,
        out: Outcome,
    ) -> None:
        accounts, breakers = self._state.accounts, self._state.breakers
        is_result = not positions or any(accounts.positions[symbol].has_traded for symbol in positions)
        before_atoms = accounts.valuation(stamp.monotonic_ns).nav_atoms
        effects = []
        for symbol, (lots, price_ticks) in positions.items():
            lots_before = accounts.lots(symbol)
            accounts.adopt(symbol, lots, price_ticks, f"adopted:{stamp.seq}", stamp)
            effects.append(
                PositionAdopted(
                    symbol=symbol, lots_before=lots_before, lots=lots, price_ticks=price_ticks, reason=asked.reason
                )
            )
        for currency, atoms in cash.items():
            accounts.adopt_cash(currency, atoms, stamp)
            effects.append(PositionAdopted(currency=currency, cash_atoms=atoms, reason=asked.reason))
        after = accounts.valuation(stamp.monotonic_ns)
        worth_atoms = after.nav_atoms - before_atoms
        out.effects.extend(effects)
        what = ", ".join([*positions, *cash])
        out.effects.append(Alarm("warning", "POSITION_ADOPTED", what, f"worth {worth_atoms} atoms: {asked.reason}"))
        if worth_atoms > 0 or not is_result:
            out.effects.extend(breakers.on_flow(worth_atoms, stamp))
        if not after.unpriceable:
            out.effects.extend(breakers.on_nav(after, stamp))

    def _is_uncertain(self, symbols: list[str], subject: str, out: Outcome) -> bool:
        """An order whose fate is unknown, or that is owed fills, may explain the difference yet."""
        for order in self._orders.state.live.values():
            if order.symbol in symbols and (order.state is OrderState.UNKNOWN or order.owed_lots):
                fate = "unknown" if order.state is OrderState.UNKNOWN else "owed fills"
                why = f"order {order.client_order_id} is {fate}"
                _refuse(subject, Code.SYMBOL_FENCED, f"{order.symbol}: {why}; it is settled first", out)
                return True
        return False

    def _price_ticks(self, symbol: str, lots: int, stamp: Stamp) -> int:
        """What closing it would bring: a long position at the bid, a short one at the ask; 0 without a fresh book."""
        mark = self._state.accounts.marks.get(symbol)
        if mark is None or mark.haircut_bps(stamp.monotonic_ns):
            return 0
        is_long = lots > 0 or (lots == 0 and self._state.accounts.lots(symbol) > 0)
        return mark.bid_ticks if is_long else mark.ask_ticks


def _refuse(subject: str, code: Code, detail: str, out: Outcome) -> bool:
    """Told to programs and to a person; always False."""
    out.effects.append(Refuse(subject=f"{ADOPT}:{subject}", code=code, detail=detail))
    out.effects.append(Alarm("warning", "ADOPTION_REFUSED", subject, f"{code}: {detail}"))
    return False
