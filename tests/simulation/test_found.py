"""Defects that worlds have found, each as the few calls that show it."""

from __future__ import annotations

from itertools import pairwise

import msgspec
import pytest

from agent.core.desk.desk import OrderDesk
from agent.core.effects.control import ArmTimer
from agent.core.effects.orders import CancelAll
from agent.core.events import Event, Stamp
from agent.core.events import orders as events
from agent.core.events.control import RunStarted, StrategyAlive
from agent.core.events.market import BookSnapshot, InstrumentDefined, MarketTick
from agent.core.instruments import OrderType, Side
from agent.core.orders.order import NewOrder
from agent.core.orders.orders import OwnOrders
from agent.core.orders.outcome import Outcome
from agent.core.orders.state import OrdersState, OrderTimes
from agent.core.standing import Standing
from agent.core.step import Core
from agent.devnet.virtual.clock import Timeline, VirtualClock
from agent.devnet.virtual.disk import VirtualDisk
from agent.devnet.virtual.faults import Faults
from agent.devnet.virtual.host import RUN_FOLDER
from agent.devnet.virtual.market import BTC, ETH
from agent.devnet.virtual.profile import Profile
from agent.devnet.virtual.program import AgentProcess, AgentProgram, desk_settings
from agent.devnet.virtual.randomness import Streams

PROFILE = Profile(rates_ppm={})
S = 1_000_000_000


def stamp(seq: int, *, at_s: float = 0) -> Stamp:
    return Stamp(seq, int(at_s * S), 1_772_582_400 * S + int(at_s * S))


class Machine:
    """A disk and what is started on it."""

    def __init__(self, seed: int = 0) -> None:
        streams = Streams(seed)
        self.disk = VirtualDisk(Faults({}, streams), streams["disk"])
        self.clock = VirtualClock(Timeline())

    def start(self) -> AgentProcess:
        return AgentProgram().start(self.disk, self.clock, PROFILE)

    def write(self, process: AgentProcess, *written: Event) -> None:
        for event in written:
            process.log.event(event, monotonic_ns=self.clock.monotonic_ns(), wall_ns=self.clock.wall_ns())


def test_every_event_that_is_written_can_be_read_at_the_next_start() -> None:
    machine = Machine()
    first = machine.start()
    machine.write(first, RunStarted(run_epoch=1), StrategyAlive("maker"))
    machine.disk.kill_process()
    assert machine.start().log.run_epoch == first.log.run_epoch + 1


def test_a_first_segment_without_a_header_is_begun_anew() -> None:
    machine = Machine()
    machine.disk.make_folder(RUN_FOLDER / "journal")
    machine.disk.create(RUN_FOLDER / "journal" / "0000000001.mvj", size=1 << 18)
    machine.disk.kill_process()
    assert machine.start().log.run_epoch == 1


@pytest.mark.parametrize("seed", range(12))
def test_what_a_failed_sync_left_out_is_written_again_before_it_is_called_durable(seed: int) -> None:
    machine = Machine(seed)
    process = machine.start()
    machine.write(process, RunStarted(run_epoch=1), *[StrategyAlive(f"strategy {number}") for number in range(200)])
    machine.disk.faults.rates_ppm = {"disk.sync_fails": 1_000_000}
    process.log.work()
    machine.disk.faults.calm()
    machine.disk.kill_process()
    machine.start()
    machine.disk.lose_power()
    machine.start()  # a record that was called durable and is gone would be refused as corruption


def test_a_bust_that_waits_behind_a_gap_is_booked_when_the_gap_closes() -> None:
    desk = OrderDesk(desk_settings(PROFILE), Standing(needs_guard=False))

    def fill(exec_seq: int, trade_id: str) -> events.Fill:
        return events.Fill(
            exec_seq=exec_seq, symbol=BTC.symbol, client_order_id="x", order_id="v", trade_id=trade_id, side=Side.BUY,
            lots=5, price_ticks=600_000, is_maker=False, fee=0, fee_currency="USDC", cum_lots=5, leaves_lots=0, epoch=1,
        )  # fmt: skip

    told: list[Event] = [
        InstrumentDefined(BTC),
        events.SessionUp(epoch=1, last_exec_seq=0, orders_per_s=10, cancels_per_s=10, max_open=9),
        fill(1, "t1"),
        events.TradeBusted(exec_seq=3, trade_id="t1", lots=0, epoch=1),
        fill(2, "t2"),
    ]
    for seq, event in enumerate(told, 1):
        desk.step(event, stamp(seq))
    assert desk.state.accounts.lots(BTC.symbol) == 5
    assert desk.orders.state.cursor == 3


def test_a_new_run_asks_again_for_what_is_unknown() -> None:
    times = OrderTimes()
    orders = OwnOrders(OrdersState(run_epoch=1), times)
    orders.apply(events.SessionUp(epoch=1, last_exec_seq=0, orders_per_s=9, cancels_per_s=9, max_open=9), stamp(1))
    orders.session_live(stamp(2))
    new = NewOrder(
        strategy="s", symbol=BTC.symbol, side=Side.BUY, order_type=OrderType.LIMIT, lots=5, price_ticks=600_000
    )
    placed = orders.place(new, release=True, stamp=stamp(3)).placed
    orders.timer("request:" + placed, stamp(4, at_s=1))
    for asked in range(len(times.query_ns) + 2):
        orders.timer("query:" + placed, stamp(5 + asked, at_s=2 + 6 * asked))
    kept = msgspec.json.decode(msgspec.json.encode(orders.state), type=OrdersState)

    again = OwnOrders(kept, times)
    out = Outcome()
    again.begin_run(2, stamp(20, at_s=0.1), out)
    assert any(getattr(effect, "name", "") == f"unknown:{placed}" for effect in out.effects), "its escalation is armed"
    again.apply(events.SessionUp(epoch=2, last_exec_seq=0, orders_per_s=9, cancels_per_s=9, max_open=9), stamp(21))
    live = again.session_live(stamp(22, at_s=0.2))
    assert any(getattr(effect, "client_order_id", "") == placed for effect in live.effects), "it is asked for"


def test_an_order_that_a_list_does_not_name_is_not_over_while_executions_are_missing() -> None:
    orders = OwnOrders(OrdersState(run_epoch=1))
    orders.apply(events.SessionUp(epoch=1, last_exec_seq=0, orders_per_s=9, cancels_per_s=9, max_open=9), stamp(1))
    orders.session_live(stamp(2))
    new = NewOrder(
        strategy="s", symbol=BTC.symbol, side=Side.BUY, order_type=OrderType.LIMIT, lots=5, price_ticks=600_000
    )
    placed = orders.place(new, release=True, stamp=stamp(3)).placed
    out = Outcome()
    orders.fence("account", stamp(4), out)
    (asked,) = [effect for effect in out.effects if isinstance(effect, CancelAll)]
    orders.apply(events.FenceDone(request_id=asked.request_id, scope="account", exec_seq=3, epoch=2), stamp(5))
    orders.apply(
        events.OpenOrders(
            as_of_exec_seq=3, is_complete=True, orders=(), asked=events.Asked(seq=5, is_socket=True, epoch=2), epoch=2
        ),
        stamp(6),
    )
    order = orders.get(placed)
    assert order is not None
    assert order.reserved_lots == 5, "the three executions that are missing may have filled it"


def test_an_order_whose_token_came_while_nothing_was_stepped_is_judged_as_things_stand_then() -> None:
    core = Core(trading=desk_settings(msgspec.structs.replace(PROFILE, risk="conservative")))
    assert core.desk is not None
    seq = 0

    def step(event: Event, at_s: float) -> list[str]:
        nonlocal seq
        seq += 1
        return [type(effect).__name__ for effect in core.step(event, stamp(seq, at_s=at_s))]

    def asked() -> events.Asked:
        return events.Asked(seq=seq, is_socket=True, epoch=1)

    step(InstrumentDefined(BTC), 0)
    step(events.SessionUp(epoch=1, last_exec_seq=0, orders_per_s=99, cancels_per_s=99, max_open=99), 0)
    step(events.ReplayDone(0, 1), 0)
    step(events.OpenOrders(as_of_exec_seq=0, is_complete=True, orders=(), asked=asked(), epoch=1), 1)
    balance = events.Balance("USDC", 10**12)
    step(events.AccountSnapshot(as_of_exec_seq=0, balances=(balance,), positions=(), asked=asked(), epoch=1), 1)
    step(MarketTick(symbol=BTC.symbol, price_ticks=600_000, exchange_ns=0), 2)
    step(BookSnapshot(symbol=BTC.symbol, book_seq=1, bids=((599_990, 9),), asks=((600_010, 9),), exchange_ns=0), 2)
    sent = []
    for number in range(12):
        wish = events.PlaceRequested(
            strategy="s", symbol=BTC.symbol, side=Side.BUY, order_type=OrderType.LIMIT, lots=1,
            price_ticks=599_900 - number, decided_seq=seq,
        )  # fmt: skip
        sent += step(wish, 2)
        step(MarketTick(symbol=BTC.symbol, price_ticks=600_000, exchange_ns=0), 2)
    assert core.desk.state.rate.length == 2, "the tokens of a second are spent"
    assert "Place" not in step(StrategyAlive("s"), 4), "two seconds later its book is old and its time is over"
    assert core.desk.state.rate.length == 0
    assert sent.count("Place") == 10


@pytest.mark.parametrize("symbols", [(BTC.symbol,), (BTC.symbol, ETH.symbol)])
def test_the_account_has_one_fence_at_a_time_however_many_orders_stay_unknown(symbols: tuple[str, ...]) -> None:
    times = OrderTimes()
    orders = OwnOrders(OrdersState(run_epoch=1), times)
    orders.apply(events.SessionUp(epoch=1, last_exec_seq=0, orders_per_s=9, cancels_per_s=9, max_open=99), stamp(1))
    orders.session_live(stamp(2))
    due: dict[str, int] = {}

    def keep(out: Outcome) -> None:
        for effect in out.effects:
            if isinstance(effect, ArmTimer) and effect.name.startswith("unknown:"):
                due[effect.name] = effect.at_monotonic_ns

    for seq in range(3, 12):
        new = NewOrder(
            strategy="s", symbol=symbols[seq % len(symbols)], side=Side.BUY, order_type=OrderType.LIMIT, lots=5,
            price_ticks=600_000,
        )  # fmt: skip
        placed = orders.place(new, release=True, stamp=stamp(seq, at_s=seq / 1000)).placed
        keep(orders.apply(events.SendResult(placed, "place", "maybe"), stamp(seq, at_s=seq / 1000)))
    assert len(due) == 9

    asked_ns: list[int] = []
    seq = 12
    while due:
        name = min(due, key=lambda one: due[one])
        now_ns = due.pop(name)
        if now_ns > 35 * S:
            break
        out = orders.timer(name, Stamp(seq, now_ns, 1_772_582_400 * S + now_ns))
        asked_ns += [now_ns for effect in out.effects if isinstance(effect, CancelAll)]
        keep(out)
        seq += 1
    assert len(asked_ns) > 1, "nobody answers, so it is asked for anew"
    assert all(later - earlier >= S for earlier, later in pairwise(asked_ns))


def test_what_a_fence_has_passed_needs_no_other() -> None:
    orders = OwnOrders(OrdersState(run_epoch=1))
    orders.apply(events.SessionUp(epoch=1, last_exec_seq=0, orders_per_s=9, cancels_per_s=9, max_open=99), stamp(1))
    orders.session_live(stamp(2))
    names = []
    for seq in (3, 4):
        new = NewOrder(
            strategy="s", symbol=BTC.symbol, side=Side.BUY, order_type=OrderType.LIMIT, lots=seq, price_ticks=600_000
        )
        names.append(orders.place(new, release=True, stamp=stamp(seq)).placed)
        orders.apply(events.SendResult(names[-1], "place", "maybe"), stamp(seq, at_s=seq - 3))
    out = orders.timer("unknown:" + names[0], stamp(5, at_s=30))
    (asked,) = [effect for effect in out.effects if isinstance(effect, CancelAll)]
    orders.apply(
        events.FenceDone(request_id=asked.request_id, scope="account", symbol=BTC.symbol, exec_seq=0, epoch=2),
        stamp(6, at_s=30.1),
    )
    late = orders.timer("unknown:" + names[1], stamp(7, at_s=31))
    assert late.symbol_halts, "it is told all the same"
    assert not any(isinstance(effect, CancelAll) for effect in late.effects)


def test_a_fill_that_came_before_the_first_statement_is_counted_once() -> None:
    desk = OrderDesk(desk_settings(PROFILE), Standing(needs_guard=False))
    fill = events.Fill(
        exec_seq=1, symbol=BTC.symbol, client_order_id="x", order_id="v", trade_id="t1", side=Side.BUY, lots=5,
        price_ticks=600_000, is_maker=False, fee=7, fee_currency="USDC", cum_lots=5, leaves_lots=0, epoch=1,
    )  # fmt: skip

    def account(as_of: int, atoms: int) -> events.AccountSnapshot:
        return events.AccountSnapshot(
            as_of_exec_seq=as_of, balances=(events.Balance("USDC", atoms),), positions=(),
            asked=events.Asked(seq=1, is_socket=True, epoch=1), epoch=1,
        )  # fmt: skip

    spent = BTC.notional_atoms(5, 600_000) + 7
    desk.step(InstrumentDefined(BTC), stamp(1))
    desk.step(events.SessionUp(epoch=1, last_exec_seq=0, orders_per_s=9, cancels_per_s=9, max_open=9), stamp(2))
    desk.step(account(1, 10**12 - spent), stamp(3))  # tells of an execution that has not come yet
    desk.step(fill, stamp(4))
    desk.step(account(0, 10**12), stamp(5))  # was written before it
    desk.step(account(1, 10**12 - spent), stamp(6))
    assert desk.state.accounts.cash["USDC"] == 10**12 - spent
