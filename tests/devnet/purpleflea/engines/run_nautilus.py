"""Run takers of one account through NautilusTrader's simulated exchange: JSON in, JSON out. Runs in `.venv-engines` alone.

In: streams, each a list of {"bids", "asks" (rows of [ticks, lots]), "side", "lots", "ticks" (null for market), "type",
"reduce_only"}; each book replaces the one before, then its order comes. Out, per order: its fills as [lots, ticks,
commission], whether it was rejected or cancelled, the signed position after it; and at the end the account's balance.
"""

import json
import sys
from decimal import Decimal

from nautilus_trader.backtest.engine import BacktestEngine, BacktestEngineConfig
from nautilus_trader.config import LoggingConfig
from nautilus_trader.model.currencies import BTC, USDC
from nautilus_trader.model.data import BookOrder, OrderBookDelta, OrderBookDeltas
from nautilus_trader.model.enums import AccountType, BookAction, BookType, OmsType, OrderSide, RecordFlag, TimeInForce
from nautilus_trader.model.identifiers import InstrumentId, Symbol, TraderId, Venue
from nautilus_trader.model.instruments import CryptoPerpetual
from nautilus_trader.model.objects import Money, Price, Quantity
from nautilus_trader.trading.strategy import Strategy

STEP_NS = 1_000_000_000
VENUE = Venue("FLEA")
FEES = json.loads(sys.argv[1])
TYPES = {"ioc": TimeInForce.IOC, "fok": TimeInForce.FOK}

instrument = CryptoPerpetual(
    instrument_id=InstrumentId(Symbol("BTC-USDC"), VENUE),
    raw_symbol=Symbol("BTC-USDC"),
    base_currency=BTC,
    quote_currency=USDC,
    settlement_currency=USDC,
    is_inverse=False,
    price_precision=1,
    size_precision=3,
    price_increment=Price(0.1, 1),
    size_increment=Quantity(0.001, 3),
    max_quantity=None,
    min_quantity=None,
    max_notional=None,
    min_notional=None,
    max_price=None,
    min_price=None,
    margin_init=Decimal("0.1"),
    margin_maint=Decimal("0.05"),
    maker_fee=Decimal(FEES["maker_ppm"]) / 1_000_000,
    taker_fee=Decimal(FEES["taker_ppm"]) / 1_000_000,
    ts_event=0,
    ts_init=0,
)


def price(ticks):
    return Price(Decimal(ticks) / 10, 1)


def quantity(lots):
    return Quantity(Decimal(lots) / 1000, 3)


def deltas(step, ts):
    found = [OrderBookDelta.clear(instrument.id, 0, ts, ts)]
    for name, side in (("bids", OrderSide.BUY), ("asks", OrderSide.SELL)):
        for ticks, lots in step[name]:
            order = BookOrder(side, price(ticks), quantity(lots), 0)
            found.append(OrderBookDelta(instrument.id, BookAction.ADD, order, 0, 0, ts, ts))
    last = found[-1]
    found[-1] = OrderBookDelta(instrument.id, last.action, last.order, RecordFlag.F_LAST.value, 0, ts, ts)
    return OrderBookDeltas(instrument.id, found)


class Taker(Strategy):
    def __init__(self, steps):
        super().__init__()
        self.steps = steps

    def on_start(self):
        self.count = 0
        self.results = []
        self.subscribe_order_book_deltas(instrument.id, BookType.L2_MBP)

    def on_order_book_deltas(self, _):
        if self.count == len(self.steps):
            return
        step = self.steps[self.count]
        self.count += 1
        self.results.append({"fills": [], "ended": ""})
        side = OrderSide.BUY if step["side"] == "buy" else OrderSide.SELL
        common = {"reduce_only": step["reduce_only"]}
        if step["type"] == "market":
            order = self.order_factory.market(instrument.id, side, quantity(step["lots"]), **common)
        else:
            order = self.order_factory.limit(
                instrument.id,
                side,
                quantity(step["lots"]),
                price(step["ticks"]),
                time_in_force=TYPES[step["type"]],
                **common,
            )
        self.submit_order(order)

    def on_order_filled(self, event):
        lots, ticks = int(event.last_qty.as_decimal() * 1000), int(event.last_px.as_decimal() * 10)
        self.results[-1]["fills"].append([lots, ticks, str(event.commission.as_decimal())])
        self.note()

    def on_order_canceled(self, event):
        self.results[-1]["ended"] = "canceled"

    def on_order_rejected(self, event):
        self.results[-1]["ended"] = "rejected"

    def on_order_denied(self, event):
        self.results[-1]["ended"] = f"denied {event.reason}"

    def note(self):
        self.results[-1]["position"] = int(self.portfolio.net_position(instrument.id) * 1000)


def run(steps):
    engine = BacktestEngine(BacktestEngineConfig(trader_id=TraderId("T-1"), logging=LoggingConfig(bypass_logging=True)))
    engine.add_venue(
        venue=VENUE,
        oms_type=OmsType.NETTING,
        account_type=AccountType.MARGIN,
        base_currency=USDC,
        starting_balances=[Money(10_000_000, USDC)],
        default_leverage=Decimal(10),
        book_type=BookType.L2_MBP,
    )
    engine.add_instrument(instrument)
    taker = Taker(steps)
    engine.add_strategy(taker)
    engine.add_data([deltas(step, (index + 1) * STEP_NS) for index, step in enumerate(steps)])
    engine.run()
    balance = engine.portfolio.account(VENUE).balance_total(USDC).as_decimal()
    engine.dispose()
    return {"orders": taker.results, "balance": str(balance)}


json.dump([run(steps) for steps in json.load(sys.stdin)], sys.stdout)
