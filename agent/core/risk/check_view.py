"""What is known when an order is judged, as plain values: the checks read it and nothing else."""

from __future__ import annotations

import msgspec

from agent.core.events.orders import PlaceRequested
from agent.core.instruments import Instrument
from agent.core.market import Book
from agent.core.risk.exposure import Exposure, worst_exposure
from agent.core.risk.modes import Mode
from agent.core.risk.profiles import PPM, Profile


class AccountLimits(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The limits that belong to an account and its venue, beside those of the profile."""

    max_order_lots: int
    max_open_per_symbol: int = 64
    max_open_orders: int = 256
    margin_ppm: int = PPM
    """What must be paid down of a position's value, where the account may sell what it does not hold."""
    max_mark_age_ns: int = 2_000_000_000
    max_guard_age_ns: int = 250_000_000
    """Beyond it only reducing orders go out, beyond twice of it none."""


class CheckView(msgspec.Struct, frozen=True, gc=False):
    """All that is known when an order is judged. A price of 0 is no price; times are monotonic.

    For an amend: the order with its new price and what it would leave open, and the reservations without it.
    """

    order: PlaceRequested
    profile: Profile
    account: AccountLimits
    now_ns: int
    decided_ns: int | None
    """When the event came on which it was decided."""
    expires_ns: int | None
    """When the signal it serves ends; None where it serves none."""

    is_latched: bool
    guard_age_ns: int | None
    """Since the guard's last pulse; None without a guard."""
    mode: Mode
    is_live: bool
    """The session is up, and reconciled."""
    is_epoch_current: bool
    is_acknowledging: bool
    journal_problem: str
    """Empty where the journal can take what the order needs."""
    instrument: Instrument | None
    is_whitelisted: bool
    is_fenced: bool

    book: Book | None
    mark_ticks: int
    mark_age_ns: int | None
    duplicates: int
    """Equal orders let out within the window, this one not counted."""

    position_lots: int
    reserved_buy_lots: int
    """Of live orders, of those whose fate is unknown, and of fills owed."""
    reserved_sell_lots: int
    own_highest_bid_ticks: int
    own_lowest_ask_ticks: int
    gross_others_atoms: int
    """Worst positions of all other symbols, each the larger of its two sides."""
    net_long_others_atoms: int
    """All other symbols' positions if every buy order filled and no sell order, a short one negative."""
    net_short_others_atoms: int
    """The same with every sell order filled and no buy order."""

    quote_free_atoms: int
    """Balance less what orders reserve."""
    base_free_lots: int | None
    """The same of what is sold; None where the account may sell what it does not hold."""
    nav_ref_atoms: int
    """The smaller of NAV now and NAV at the start of the day with flows: limits never grow by a day's profit."""
    day_loss_atoms: int
    day_start_atoms: int
    """NAV at the start of the day, less withdrawals."""
    open_symbol: int
    open_total: int
    day_notional_atoms: int
    day_orders: int
    repeats: int
    """Entries of this strategy on this side since it last gave a sign of life."""

    def exposure(self) -> Exposure:
        """The worst case of the symbol with the order let out."""
        order, instrument = self.order, self.instrument
        return worst_exposure(
            position_lots=self.position_lots,
            reserved_buy_lots=self.reserved_buy_lots,
            reserved_sell_lots=self.reserved_sell_lots,
            side=order.side,
            lots=order.lots,
            price_ticks=order.price_ticks,
            highest_buy_ticks=self.own_highest_bid_ticks,
            mark_ticks=self.mark_ticks,
            tick_value_atoms=0 if instrument is None else instrument.tick_value_atoms,
        )
