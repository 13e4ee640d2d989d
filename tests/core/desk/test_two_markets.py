"""Limits over several markets, and money of every kind of account: the figures that a refusal names, to the atom."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from agent.core.codes import Code
from agent.core.effects import Effect
from agent.core.effects.orders import Place, Refuse
from agent.core.events.market import BookSnapshot, InstrumentDefined, MarketTick
from agent.core.events.orders import AmendRequested, PlaceRequested
from agent.core.instruments import OrderType, Side
from agent.core.risk.check_view import AccountLimits
from agent.core.risk.profiles import PPM, STANDARD
from tests.core.desk.account import BID, BTC, SETTINGS, START_NS, SYMBOL, Played, of, only

ETH, SOL = "ETH-USDC", "SOL-USDC"
ETHER = msgspec.structs.replace(BTC, symbol=ETH, base="ETH", tick_value_atoms=1_000)
SOLANA = msgspec.structs.replace(BTC, symbol=SOL, base="SOL", tick_value_atoms=10, maker_fee_ppm=900, taker_fee_ppm=100)
ETH_BID, SOL_BID = 30_000, 2_000
BTC_LOT, ETH_LOT = BID * 100, ETH_BID * 1_000
FREE = msgspec.structs.replace(
    STANDARD, position_ppm=PPM, order_notional_ppm=PPM, max_gross_ppm=3 * PPM, max_net_ppm=3 * PPM, gap_ppm=0
)
NAV = 10**11


def account(*, is_margin: bool = True, margin_ppm: int = PPM, max_open_per_symbol: int = 64, **limits: int) -> Played:
    """Live in three markets; a lot of BTC is worth 60 USDC, one of ETH 30, one of SOL 0.02."""
    settings = msgspec.structs.replace(
        SETTINGS,
        symbols=(SYMBOL, ETH, SOL),
        profile=msgspec.structs.replace(FREE, **limits),
        account=AccountLimits(
            max_order_lots=10**6,
            margin_ppm=margin_ppm,
            max_open_per_symbol=max_open_per_symbol,
            max_open_orders=2 * max_open_per_symbol,
        ),
        is_margin=is_margin,
    )
    played = Played(settings).live()
    for instrument, bid in ((ETHER, ETH_BID), (SOLANA, SOL_BID)):
        played.step(InstrumentDefined(instrument))
        show(played, instrument.symbol, bid)
    return played


def show(played: Played, symbol: str, bid: int) -> None:
    """A book one tick wide, and a mark at the bid."""
    now = START_NS + played.now_ns
    played.step(MarketTick(symbol=symbol, price_ticks=bid, mark_ticks=bid, exchange_ns=now))
    book = BookSnapshot(symbol=symbol, book_seq=played.seq, bids=((bid, 500),), asks=((bid + 1, 500),), exchange_ns=now)
    played.step(book)


def wish(played: Played, symbol: str, side: Side, lots: int, price: int, **more: Any) -> tuple[Effect, ...]:
    show(played, symbol, {SYMBOL: BID, ETH: ETH_BID, SOL: SOL_BID}[symbol])
    return played.step(
        PlaceRequested(
            strategy="hand",
            symbol=symbol,
            side=side,
            order_type=OrderType.LIMIT,
            lots=lots,
            price_ticks=price,
            decided_seq=played.decided_seq,
            **more,
        )
    )


def placed(played: Played, symbol: str, side: Side, lots: int, price: int) -> Place:
    place = only(Place, wish(played, symbol, side, lots, price))
    played.ack(place)
    return place


def bought(played: Played, symbol: str, lots: int, price: int) -> None:
    """Come to hold signed lots."""
    side = Side.BUY if lots > 0 else Side.SELL
    place = placed(played, symbol, side, abs(lots), price)
    played.fill(place, price_ticks=price)


def refused(effects: tuple[Effect, ...], code: Code) -> str:
    """The words of the one refusal."""
    (refusal,) = of(Refuse, effects)
    assert refusal.code is code
    return refusal.detail


class TestWorst:
    """What fills can make of all positions together, each on its worse side."""

    def test_of_nothing_it_is_nothing(self) -> None:
        assert account().desk.worst_exposure_atoms() == 0

    def test_it_adds_up_over_markets_of_the_larger_side_of_each(self) -> None:
        played = account()
        bought(played, SYMBOL, 3, BID)
        placed(played, SYMBOL, Side.SELL, 5, BID + 10)
        assert played.desk.worst_exposure_atoms() == 3 * BTC_LOT, "long three or short two"
        placed(played, SYMBOL, Side.SELL, 3, BID + 20)
        assert played.desk.worst_exposure_atoms() == 5 * BTC_LOT, "long three or short five"
        bought(played, ETH, -7, ETH_BID)
        placed(played, ETH, Side.BUY, 8, ETH_BID - 5)
        assert played.desk.worst_exposure_atoms() == 5 * BTC_LOT + 7 * ETH_LOT

    def test_a_long_is_worth_the_highest_that_may_be_paid(self) -> None:
        played = account()
        placed(played, ETH, Side.BUY, 2, ETH_BID - 3)
        assert played.desk.worst_exposure_atoms() == 2 * ETH_LOT
        placed(played, ETH, Side.BUY, 1, ETH_BID + 1)
        placed(played, ETH, Side.BUY, 1, ETH_BID - 1)
        assert played.desk.worst_exposure_atoms() == 4 * (ETH_BID + 1) * 1_000


class TestLimitsOverMarkets:
    def test_gross_counts_what_others_may_come_to(self) -> None:
        played = account(max_gross_ppm=600_000)
        bought(played, ETH, -1_000, ETH_BID)
        placed(played, ETH, Side.SELL, 10, ETH_BID)
        detail = refused(wish(played, SYMBOL, Side.BUY, 500, BID), Code.MAX_GROSS)
        assert detail.split()[0] == str(1_010 * ETH_LOT + 500 * BTC_LOT)

    def test_net_of_a_buy_counts_what_others_may_come_to_hold(self) -> None:
        """Held and what may be bought, at the highest bid; what others sell is no help."""
        played = account(max_net_ppm=600_000)
        bought(played, ETH, 900, ETH_BID)
        placed(played, ETH, Side.BUY, 100, ETH_BID + 1)
        placed(played, ETH, Side.SELL, 50, ETH_BID + 5)
        detail = refused(wish(played, SYMBOL, Side.BUY, 501, BID), Code.MAX_NET)
        assert detail.split()[0] == str(1_000 * (ETH_BID + 1) * 1_000 + 501 * BTC_LOT)

    def test_net_of_a_buy_is_less_by_what_others_are_short(self) -> None:
        played = account(max_net_ppm=200_000)
        bought(played, ETH, -100, ETH_BID)
        placed(played, ETH, Side.BUY, 40, ETH_BID + 1)
        detail = refused(wish(played, SYMBOL, Side.BUY, 400, BID), Code.MAX_NET)
        assert detail.split()[0] == str(400 * BTC_LOT - 60 * ETH_LOT), "at the mark: a short is bought back there"

    def test_net_of_a_sale_counts_what_others_may_be_short(self) -> None:
        played = account(max_net_ppm=600_000)
        bought(played, ETH, -900, ETH_BID)
        placed(played, ETH, Side.SELL, 100, ETH_BID)
        placed(played, ETH, Side.BUY, 50, ETH_BID - 5)
        detail = refused(wish(played, SYMBOL, Side.SELL, 501, BID), Code.MAX_NET)
        assert detail.split()[0] == str(1_000 * ETH_LOT + 501 * BTC_LOT)

    def test_open_orders_are_counted_by_symbol_and_in_all_less_the_one_that_is_amended(self) -> None:
        played = account(max_open_per_symbol=2)
        first = placed(played, SYMBOL, Side.BUY, 1, BID - 1)
        placed(played, SYMBOL, Side.SELL, 1, BID + 1)
        placed(played, ETH, Side.BUY, 1, ETH_BID)
        detail = refused(wish(played, SYMBOL, Side.BUY, 1, BID - 2), Code.MAX_OPEN_ORDERS)
        assert detail == "2 of the symbol, 3 in all"
        played.book()
        amended = played.step(AmendRequested(client_order_id=first.client_order_id, total_lots=2, price_ticks=BID - 1))
        assert of(Refuse, amended) == [], "it does not stand in its own way"
        placed(played, ETH, Side.BUY, 1, ETH_BID - 1)
        assert refused(wish(played, SOL, Side.BUY, 500, SOL_BID), Code.MAX_OPEN_ORDERS) == "0 of the symbol, 4 in all"


class TestOwnOrders:
    def test_the_nearest_of_ours_on_the_other_side_is_named(self) -> None:
        played = account()
        for price in (BID + 7, BID + 5, BID + 6):
            placed(played, SYMBOL, Side.SELL, 1, price)
        assert refused(wish(played, SYMBOL, Side.BUY, 1, BID + 6), Code.SELF_TRADE).endswith(f"own ask {BID + 5}")
        played = account()
        for price in (BID - 7, BID - 5, BID - 6):
            placed(played, SYMBOL, Side.BUY, 1, price)
        assert refused(wish(played, SYMBOL, Side.SELL, 1, BID - 6), Code.SELF_TRADE).endswith(f"own bid {BID - 5}")

    def test_a_price_that_is_asked_for_counts_beside_the_one_that_rests(self) -> None:
        """Until the venue has answered an amendment the order may be at either."""
        played = account()
        place = placed(played, SYMBOL, Side.SELL, 1, BID + 9)
        played.book()
        played.step(AmendRequested(client_order_id=place.client_order_id, total_lots=1, price_ticks=BID + 4))
        assert refused(wish(played, SYMBOL, Side.BUY, 1, BID + 4), Code.SELF_TRADE).endswith(f"own ask {BID + 4}")
        assert only(Place, wish(played, SYMBOL, Side.BUY, 1, BID + 3))
        played = account()
        place = placed(played, SYMBOL, Side.BUY, 1, BID - 9)
        played.book()
        played.step(AmendRequested(client_order_id=place.client_order_id, total_lots=1, price_ticks=BID - 4))
        assert refused(wish(played, SYMBOL, Side.SELL, 1, BID - 4), Code.SELF_TRADE).endswith(f"own bid {BID - 4}")


class TestMargin:
    """Free is what the account is worth less the margin of the worst that may come of it."""

    def free(self, played: Played) -> int:
        """As a buy too large says."""
        detail = refused(wish(played, SYMBOL, Side.BUY, 10**5, BID), Code.INSUFFICIENT_FUNDS)
        return int(detail.split()[2])

    @pytest.fixture
    def played(self) -> Played:
        return account(
            margin_ppm=333_333, position_ppm=10**9, order_notional_ppm=10**9, max_gross_ppm=10**9, max_net_ppm=10**9
        )

    def used(self, atoms: int) -> int:
        """Rounded up."""
        return -(-atoms * 333_333 // PPM)

    def test_of_an_account_that_holds_nothing_it_is_all(self, played: Played) -> None:
        assert self.free(played) == NAV

    def test_what_is_held_and_what_may_be_takes_margin(self, played: Played) -> None:
        placed(played, SYMBOL, Side.BUY, 7, BID - 1)
        assert self.free(played) == NAV - self.used(7 * BTC_LOT)
        placed(played, SYMBOL, Side.SELL, 9, BID + 30)
        assert self.free(played) == NAV - self.used(9 * BTC_LOT), "the larger of both sides"
        placed(played, ETH, Side.SELL, 11, ETH_BID + 30)
        assert self.free(played) == NAV - self.used(9 * BTC_LOT + 11 * ETH_LOT)

    def test_a_position_counts_on_its_own_side(self, played: Played) -> None:
        bought(played, SYMBOL, 5, BID)
        placed(played, SYMBOL, Side.SELL, 9, BID + 30)
        assert self.free(played) == NAV - self.used(5 * BTC_LOT)
        placed(played, SYMBOL, Side.SELL, 2, BID + 30)
        assert self.free(played) == NAV - self.used(6 * BTC_LOT)

    def test_an_order_that_is_amended_is_not_counted_twice(self, played: Played) -> None:
        place = placed(played, SYMBOL, Side.BUY, 7, BID - 1)
        played.book()
        detail = refused(
            played.step(AmendRequested(client_order_id=place.client_order_id, total_lots=10**5, price_ticks=BID - 1)),
            Code.INSUFFICIENT_FUNDS,
        )
        assert int(detail.split()[2]) == NAV


class TestCash:
    """An account that pays for what it buys and sells what it has."""

    @pytest.fixture
    def played(self) -> Played:
        return account(
            is_margin=False, position_ppm=10**9, order_notional_ppm=10**9, max_gross_ppm=10**9, max_net_ppm=10**9
        )

    def free(self, played: Played, symbol: str = SYMBOL) -> int:
        price = {SYMBOL: BID, ETH: ETH_BID}[symbol]
        detail = refused(wish(played, symbol, Side.BUY, 10**5, price), Code.INSUFFICIENT_FUNDS)
        return int(detail.split()[2])

    @staticmethod
    def cost(lots: int, price: int, tick_value: int, fee_ppm: int) -> int:
        value = lots * price * tick_value
        return value - (-value * fee_ppm // PPM)  # minus a negative that is rounded down: the fee rounded up

    def test_what_working_buys_may_cost_with_the_higher_fee_is_not_free(self, played: Played) -> None:
        assert self.free(played) == NAV
        placed(played, SYMBOL, Side.BUY, 7, BID - 1)
        of_btc = self.cost(7, BID - 1, 100, 450)
        assert self.free(played) == NAV - of_btc
        placed(played, SOL, Side.BUY, 333, SOL_BID - 1)
        of_sol = self.cost(333, SOL_BID - 1, 10, 900)
        assert self.free(played) == self.free(played, ETH) == NAV - of_btc - of_sol
        place = placed(played, ETH, Side.BUY, 3, ETH_BID - 1)
        played.step(AmendRequested(client_order_id=place.client_order_id, total_lots=3, price_ticks=ETH_BID - 2))
        assert self.free(played) == NAV - of_btc - of_sol - self.cost(3, ETH_BID - 1, 1_000, 450), "the higher price"

    def test_an_order_that_is_amended_does_not_stand_in_its_own_way(self, played: Played) -> None:
        place = placed(played, SYMBOL, Side.BUY, 7, BID - 1)
        played.book()
        detail = refused(
            played.step(AmendRequested(client_order_id=place.client_order_id, total_lots=10**5, price_ticks=BID - 1)),
            Code.INSUFFICIENT_FUNDS,
        )
        assert int(detail.split()[2]) == NAV

    def test_only_what_is_held_and_not_for_sale_already_may_be_sold(self, played: Played) -> None:
        assert refused(wish(played, SYMBOL, Side.SELL, 1, BID), Code.INSUFFICIENT_FUNDS) == "1 of 0 lots"
        bought(played, SYMBOL, 9, BID)
        placed(played, SYMBOL, Side.SELL, 4, BID + 5)
        assert refused(wish(played, SYMBOL, Side.SELL, 6, BID), Code.INSUFFICIENT_FUNDS) == "6 of 5 lots"
        assert only(Place, wish(played, SYMBOL, Side.SELL, 5, BID + 5))
        assert self.free(played) == NAV - 9 * BTC_LOT, "a sale takes no cash"


def test_a_symbol_that_nobody_defined_is_refused_whatever_else_there_is() -> None:
    played = account()
    wished = PlaceRequested(
        strategy="hand", symbol="DOGE-USDC", side=Side.BUY, order_type=OrderType.LIMIT, lots=1, price_ticks=1,
        decided_seq=played.decided_seq,
    )  # fmt: skip
    assert refused(played.step(wished), Code.UNKNOWN_INSTRUMENT) == "DOGE-USDC"
