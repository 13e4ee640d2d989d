"""What is known when an order is judged, put together for the checks."""

from __future__ import annotations

import msgspec

from agent.core.desk.markets import Market
from agent.core.desk.settings import DeskSettings
from agent.core.desk.state import DeskState
from agent.core.events.orders import PlaceRequested
from agent.core.instruments import Side
from agent.core.orders.machine import SymbolOrders
from agent.core.orders.order import Order
from agent.core.orders.orders import OwnOrders
from agent.core.risk.check_view import CheckView
from agent.core.risk.exposure import worst_exposure
from agent.core.risk.modes import ACTIVE
from agent.core.risk.profiles import PPM
from agent.core.risk.recent import DuplicateWindow
from agent.core.session import Phase, Session
from agent.core.standing import Standing

BUY = Side.BUY
LIVE = Phase.LIVE
NO_TOUCH = (0, 0)
NO_OTHERS = (0, 0, 0, 0)


class Views:
    """Reads everything and changes nothing."""

    __slots__ = ("_account", "_duplicates", "_orders", "_session", "_settings", "_standing", "_state", "_symbols")

    def __init__(
        self,
        settings: DeskSettings,
        state: DeskState,
        standing: Standing,
        orders: OwnOrders,
        session: Session,
        duplicates: DuplicateWindow,
    ) -> None:
        self._settings = settings
        self._symbols = frozenset(settings.symbols)
        self._state = state
        self._standing = standing
        self._orders = orders
        self._session = session
        self._duplicates = duplicates
        self.adopt_venue()

    def adopt_venue(self) -> None:
        """The venue's own limit of open orders counts where it is smaller."""
        account, most = self._settings.account, self._state.venue_max_open
        if most and most < account.max_open_orders:
            account = msgspec.structs.replace(account, max_open_orders=most)
        self._account = account

    def worst_exposure_atoms(self) -> int:
        """Of all symbols together, each on its worse side."""
        return self._others("")[0]

    def of(
        self,
        order: PlaceRequested,
        decided_ns: int | None,
        expires_ns: int | None,
        now_ns: int,
        *,
        without: Order | None = None,
    ) -> CheckView:
        """All that is known; `without` is the order itself where it is among those that are reserved for."""
        state, orders, standing, session = self._state, self._orders, self._standing, self._session.state
        breakers, markets = state.breakers, state.markets
        symbol, side, strategy = order.symbol, order.side, order.strategy
        market = markets.look(symbol)
        book = market.book
        mark_ticks = book.venue_mark_ticks or market.mark_ticks
        mark_age_ns = market.mark_age_ns(now_ns)
        position_lots = state.accounts.lots(symbol)
        known = orders.of_symbol(symbol)
        reserved_buy_lots, reserved_sell_lots = known.reserved_buy, known.reserved_sell
        open_symbol, open_total = known.open_count, orders.open_count()
        if without is not None:
            open_symbol, open_total = open_symbol - 1, open_total - 1
            if without.side is BUY:
                reserved_buy_lots -= without.reserved_lots
            else:
                reserved_sell_lots -= without.reserved_lots
        own_highest_bid_ticks, own_lowest_ask_ticks = self._own_touch(symbol, without) if known.live else NO_TOUCH
        is_alone = len(markets.by_symbol) == 1 and symbol in markets.by_symbol
        others = NO_OTHERS if is_alone else self._others(symbol)
        gross_others_atoms, net_long_others_atoms, net_short_others_atoms, worst_others_atoms = others
        quote_free_atoms, base_free_lots = self._free(
            market, mark_ticks, position_lots, worst_others_atoms, reserved_sell_lots, known, without
        )
        mode = breakers.mode(symbol)
        for stricter in (self._session.mode, standing.mode):
            if stricter is not ACTIVE:
                mode = mode.joined(stricter)
        account, is_latched, guard_age_ns = self._account, standing.is_halted, standing.guard_age_ns(now_ns)
        is_live, is_acknowledging = session.phase is LIVE, session.acknowledges
        # What was decided under an earlier session was decided on its prices. Row 9 judges what has no time.
        is_epoch_current = decided_ns is None or decided_ns >= state.session_up_ns
        is_whitelisted = symbol in self._symbols
        is_fenced = known.unknown_count != 0 and orders.is_fenced(symbol)
        duplicates = self._duplicates.count((strategy, symbol, side, order.price_ticks, order.lots), now_ns)
        nav_ref_atoms, day_loss_atoms, day_start_atoms = breakers.day_loss.figures_atoms()
        day_notional_atoms, day_orders = breakers.notional_today_atoms, breakers.orders_today
        repeats = state.repeats.count(strategy, side)
        # By place, under the fields' own names (which a test compares): naming so many takes ten times as long.
        return CheckView(
            order, breakers.profile, account, now_ns, decided_ns, expires_ns,
            is_latched, guard_age_ns, mode, is_live, is_epoch_current, is_acknowledging, standing.journal_problem,
            market.instrument, is_whitelisted, is_fenced,
            book, mark_ticks, mark_age_ns, duplicates,
            position_lots, reserved_buy_lots, reserved_sell_lots, own_highest_bid_ticks, own_lowest_ask_ticks,
            gross_others_atoms, net_long_others_atoms, net_short_others_atoms,
            quote_free_atoms, base_free_lots, nav_ref_atoms, day_loss_atoms, day_start_atoms,
            open_symbol, open_total, day_notional_atoms, day_orders, repeats,
        )  # fmt: skip

    def _own_touch(self, symbol: str, without: Order | None) -> tuple[int, int]:
        """Highest price of our buys and lowest of our sells that may rest; 0 without any."""
        highest = lowest = 0
        for order in self._orders.live(symbol):
            if without is not None and order.client_order_id == without.client_order_id:
                continue
            if order.side is BUY:
                highest = max(highest, order.price_ticks, order.pending_price_ticks)
            else:
                for price in (order.price_ticks, order.pending_price_ticks):
                    if price and (lowest == 0 or price < lowest):
                        lowest = price
        return highest, lowest

    def _others(self, symbol: str) -> tuple[int, int, int, int]:
        """Worst gross, net long, net short and worst margin value of every other symbol, in atoms."""
        gross = net_long = net_short = worst = 0
        accounts, orders = self._state.accounts, self._orders
        for other in self._state.markets.by_symbol.values():
            instrument = other.instrument
            if other.symbol == symbol or instrument is None:
                continue
            lots = accounts.lots(other.symbol)
            buys = orders.reserved_lots(other.symbol, Side.BUY)
            sells = orders.reserved_lots(other.symbol, Side.SELL)
            if not (lots or buys or sells):
                continue
            highest, _ = self._own_touch(other.symbol, None)
            mark = other.mark_ticks
            exposures = [
                worst_exposure(
                    position_lots=lots,
                    reserved_buy_lots=buys,
                    reserved_sell_lots=sells,
                    side=side,
                    lots=0,
                    price_ticks=0,
                    highest_buy_ticks=highest,
                    mark_ticks=mark,
                    tick_value_atoms=instrument.tick_value_atoms,
                ).side_value_atoms
                for side in (Side.BUY, Side.SELL)
            ]
            gross += max(exposures)
            net_long += instrument.notional_atoms(lots + buys, max(mark, highest) if lots + buys > 0 else mark)
            net_short += instrument.notional_atoms(lots - sells, mark)
            worst += max(exposures)
        return gross, net_long, net_short, worst

    def _free(
        self,
        market: Market,
        mark_ticks: int,
        position_lots: int,
        others_atoms: int,
        reserved_sell: int,
        known: SymbolOrders,
        without: Order | None,
    ) -> tuple[int, int | None]:
        """Quote atoms that an order may use, and lots that may be sold (None where short sales are allowed).

        Margin and fees in use are rounded up, so what is free is rounded down.
        """
        state = self._state
        instrument = market.instrument
        if instrument is None:
            return 0, 0
        if self._settings.is_margin:
            # Worth of the account less the margin of the worst that may come of everything as it is; the order's own
            # margin is what the check adds.
            nav_atoms = state.breakers.day_loss.nav_atoms or 0
            here = max(position_lots + known.reserved_buy, known.reserved_sell - position_lots, 0)
            if without is not None:
                here = max(0, here - without.reserved_lots)
            used = others_atoms + instrument.notional_atoms(here, mark_ticks)
            return nav_atoms - -(-used * self._settings.account.margin_ppm // PPM), None
        cash = state.accounts.cash
        reserved_atoms = 0
        for other in state.markets.by_symbol.values():
            if other.instrument is None or other.instrument.quote != instrument.quote:
                continue
            for order in self._orders.live(other.symbol):
                if order.side is BUY and (without is None or order.client_order_id != without.client_order_id):
                    price = max(order.price_ticks, order.pending_price_ticks)
                    value_atoms = other.instrument.notional_atoms(order.reserved_lots, price)
                    fee_ppm = max(0, other.instrument.maker_fee_ppm, other.instrument.taker_fee_ppm)
                    reserved_atoms += value_atoms + -(-value_atoms * fee_ppm // PPM)
        held = position_lots + cash.get(instrument.base, 0)
        return cash.get(instrument.quote, 0) - reserved_atoms, held - reserved_sell
