"""What the desk is told before it starts."""

from __future__ import annotations

import msgspec

from agent.core.accounts.marks import Rate
from agent.core.orders.state import OrderTimes
from agent.core.risk.check_view import AccountLimits
from agent.core.risk.profiles import Profile
from agent.core.signals.admission import ProducerBudget


class DeskSettings(msgspec.Struct, frozen=True, kw_only=True):
    """One account at one venue."""

    symbols: tuple[str, ...]
    """What may be traded."""
    currency: str
    """Of the account: its net asset value is told in it."""
    profile: Profile
    account: AccountLimits
    times: OrderTimes = OrderTimes()
    budgets: dict[str, ProducerBudget] = {}
    """What each producer of signals may ask for."""
    is_margin: bool = True
    """The account may sell what it does not hold."""
    rates: dict[str, Rate] = {}
    """Of currencies that no instrument prices, and fees may be in; one without a rate makes the account's value unknown."""
    made_symbols: tuple[str, ...] = ()
    """Symbols that a market maker quotes: their episodes also end by time."""
    is_flattened_on_halt: bool = False
