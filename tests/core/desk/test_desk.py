"""The desk as a whole: what one event of a venue leads to, from the checks to the books."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.desk.settings import DeskSettings
from agent.core.effects.control import Alarm, ArmTimer, DayRolled, ModeChanged, Stop
from agent.core.effects.orders import Amend, CancelAll, CancelOrder, Place, Refuse, Resynchronise
from agent.core.events import Event, Stamp
from agent.core.events.control import (
    ClockAgreed,
    ClockStepped,
    GuardGone,
    GuardPulse,
    HaltAsked,
    JournalHealth,
    OperatorCommand,
    RunStarted,
    StrategyAlive,
)
from agent.core.events.market import BookDelta, BookStale, SignalIn
from agent.core.events.orders import (
    AccountSnapshot,
    AmendRequested,
    Asked,
    Balance,
    CancelRequested,
    Flow,
    OpenOrders,
    ReplayDone,
    SendResult,
    SessionDown,
    SessionUp,
    TradeBusted,
)
from agent.core.instruments import OrderType, Side
from agent.core.limits import RiskLimits
from agent.core.orders.table import OrderState
from agent.core.signals.admission import ProducerBudget
from agent.core.step import Core
from tests.core.desk.account import (
    ASK,
    BID,
    FUNDS_ATOMS,
    MILLISECOND_NS,
    SECOND_NS,
    SETTINGS,
    START_NS,
    SYMBOL,
    Played,
    of,
    only,
)


def refusal(effects: tuple[object, ...]) -> str:
    (effect,) = [one for one in effects if isinstance(one, Refuse)]
    assert not [one for one in effects if isinstance(one, Place)]
    return effect.code


def test_the_first_statement_is_what_the_day_begins_with() -> None:
    played = Played().live()
    rolled = [effect for _, _, effects in played.log for effect in of(DayRolled, effects)]
    assert rolled[-1].nav_start_atoms == FUNDS_ATOMS
    breakers = played.desk.state.breakers
    assert (breakers.loss_today_atoms, breakers.nav_ref_atoms) == (0, FUNDS_ATOMS)


def test_an_order_goes_out_under_an_id_of_ours_with_a_deadline() -> None:
    played = Played().live()
    place = played.place()
    assert (place.side, place.lots, place.price_ticks, place.epoch) == (Side.BUY, 10, BID, 1)
    assert played.desk.orders.was_issued(place.client_order_id)
    assert START_NS + played.now_ns < place.expire_ns <= START_NS + played.now_ns + SECOND_NS


def test_a_fill_moves_position_cash_and_value() -> None:
    played = Played().live()
    place = played.place()
    played.ack(place)
    played.fill(place, 4, fee=-7)
    assert played.desk.state.accounts.lots(SYMBOL) == 4
    assert played.desk.state.accounts.cash["USDC"] == FUNDS_ATOMS - 4 * BID * 100 + 7
    assert played.desk.state.breakers.day_loss.nav_atoms == FUNDS_ATOMS + 7, "marked at the bid it was bought at"
    played.fill(place, 6)
    order = played.desk.orders.get(place.client_order_id)
    assert order is not None and order.state is OrderState.FILLED
    assert not played.desk.state.working


@pytest.mark.parametrize(
    ("age_ns", "lots", "side", "code"),
    [
        (249 * MILLISECOND_NS, 10, Side.BUY, None),
        (251 * MILLISECOND_NS, 10, Side.BUY, "R_GUARD_LOST"),
        (251 * MILLISECOND_NS, 10, Side.SELL, None),
        (501 * MILLISECOND_NS, 10, Side.SELL, "R_GUARD_LOST"),
    ],
)
def test_a_late_pulse_lets_only_what_reduces_out_and_a_lost_one_nothing(
    age_ns: int, lots: int, side: Side, code: str | None
) -> None:
    played = Played().live()
    played.hold(20)
    played.step(GuardPulse(True))
    played.wait(age_ns - 3_000, is_guarded=False)
    played.book()
    effects = played.request(side, lots)
    if code is None:
        only(Place, effects)
    else:
        assert refusal(effects) == code


def test_without_an_armed_guard_nothing_goes_out() -> None:
    played = Played().live()
    played.step(GuardPulse(False))
    played.book()
    assert refusal(played.request()) == "R_GUARD_LOST"


def test_a_silent_guard_stops_an_idle_agent_at_the_next_beat() -> None:
    played = Played().live()
    played.wait(501 * MILLISECOND_NS, is_guarded=False)
    effects = played.timer("beat")
    assert only(Stop, effects).by == "guard"
    assert only(CancelAll, effects).fence == "account"
    assert not of(Stop, played.timer("beat")), "once"


@pytest.mark.parametrize("event", [GuardGone("its process ended"), HaltAsked("person", "drill")])
def test_a_halt_cancels_behind_a_fence_and_lets_nothing_out(event: Event) -> None:
    played = Played().live()
    played.hold(10)
    effects = played.step(event)
    only(Stop, effects)
    assert only(CancelAll, effects).fence == "account"
    played.step(GuardPulse(True))
    played.book()
    assert refusal(played.request(Side.SELL)) == "R_KILLED"
    assert not of(Stop, played.step(event))


def test_orders_above_the_rate_wait_and_go_out_at_the_exact_instant() -> None:
    played = Played().live()
    played.book()
    rate = SETTINGS.profile.orders_per_s
    for number in range(rate):
        only(Place, played.request(lots=1, price_ticks=BID - number))
        played.step(StrategyAlive("hand"))
    effects = played.request(lots=1, price_ticks=BID - rate)
    assert not of(Place, effects)
    assert not of(Refuse, effects)
    timer = only(ArmTimer, effects)
    assert timer.name == "desk:rate"
    played.now_ns = timer.at_monotonic_ns
    released = played.timer("desk:rate")
    assert only(Place, released).price_ticks == BID - rate


def test_what_waits_is_denied_when_the_session_ends() -> None:
    played = Played().live()
    played.book()
    for number in range(SETTINGS.profile.orders_per_s + 1):
        played.request(lots=1, price_ticks=BID - number)
        played.step(StrategyAlive("hand"))
    assert played.desk.state.rate.length == 1
    effects = played.step(SessionDown(reason="cut"))
    assert played.desk.state.rate.length == 0
    assert not of(Place, effects)
    (waited,) = (played.desk.orders.get(name) for name in played.desk.orders.state.closed)
    assert waited is not None and waited.state is OrderState.DENIED


def test_cancels_have_tokens_of_their_own_and_wait_only_for_those() -> None:
    played = Played().live()
    place = played.place()
    played.ack(place)
    assert only(CancelOrder, played.step(CancelRequested(place.client_order_id)))
    for _ in range(2 * SETTINGS.profile.orders_per_s):
        played.step(CancelRequested("none"))
    other = played.place()
    played.ack(other)
    effects = played.step(CancelRequested(other.client_order_id))
    timer = only(ArmTimer, effects)
    assert timer.name == f"desk:cancel:{other.client_order_id}"
    played.now_ns = timer.at_monotonic_ns
    assert only(CancelOrder, played.timer(timer.name))


def test_an_amendment_is_judged_like_the_order_it_leaves() -> None:
    played = Played().live()
    place = played.place()
    played.ack(place)
    assert refusal(
        played.step(AmendRequested(client_order_id=place.client_order_id, total_lots=2_000, price_ticks=BID))
    )
    amend = only(
        Amend, played.step(AmendRequested(client_order_id=place.client_order_id, total_lots=12, price_ticks=BID - 1))
    )
    assert (amend.total_lots, amend.price_ticks) == (12, BID - 1)
    assert played.desk.orders.reserved_lots(SYMBOL, Side.BUY) == 12


def test_an_order_that_never_left_is_denied_and_frees_its_reservation() -> None:
    played = Played().live()
    place = played.place()
    played.step(SendResult(place.client_order_id, "place", "clean"))
    assert played.desk.orders.reserved_lots(SYMBOL, Side.BUY) == 0


def test_the_days_loss_halts_and_only_reducing_goes_out() -> None:
    played = Played().live()
    for _ in range(8):
        played.wait(200 * MILLISECOND_NS)  # the same order more often is taken for a mistake
        played.hold(30)
    fallen = BID * 3 // 4  # floor: a quarter off 14,400 of 100,000 is more than the day may lose
    effects = played.book(fallen, fallen + 10)
    assert any(change.by == "day_loss" and change.mode == "HALTED" for change in of(ModeChanged, effects))
    assert only(CancelAll, effects).fence == "account"
    played.step(GuardPulse(True))
    assert refusal(played.request(Side.BUY, 1, fallen)) == "R_HALTED"
    only(Place, played.request(Side.SELL, 1, fallen + 10))


def test_what_was_decided_under_an_earlier_session_stays_in() -> None:
    played = Played().live()
    played.book()
    decided_seq = played.decided_seq
    played.step(SessionDown(reason="cut"))
    played.epoch += 1
    played.up()
    played.book()
    fresh, played.decided_seq = played.decided_seq, decided_seq
    assert refusal(played.request()) == "R_STALE_EPOCH"
    played.decided_seq = fresh
    only(Place, played.request())


def fallen_account(settings: DeskSettings) -> tuple[Played, int]:
    """14.4 % of the value in one position, and then a price that is a quarter lower."""
    played = Played(settings).live()
    for _ in range(8):
        played.wait(200 * MILLISECOND_NS)
        played.hold(30)
    fallen = BID * 3 // 4  # floor: any price so low would do
    played.book(fallen, fallen + 10)
    played.step(GuardPulse(True))
    return played, fallen


def test_after_a_halt_the_position_stays_unless_it_is_to_be_flattened() -> None:
    played, _ = fallen_account(SETTINGS)
    assert not of(Place, played.timer("beat"))
    played, fallen = fallen_account(msgspec.structs.replace(SETTINGS, is_flattened_on_halt=True))
    place = only(Place, played.timer("beat"))
    assert (place.side, place.lots, place.order_type, place.is_reduce_only) == (Side.SELL, 240, OrderType.IOC, True)
    assert place.price_ticks == -(-(2 * fallen + 10) * 995_000 // 2_000_000), "the collar's edge, rounded inward"
    assert not of(Place, played.timer("beat")), "one at a time"


def test_a_position_far_above_its_limit_is_brought_down() -> None:
    tight = msgspec.structs.replace(SETTINGS.profile, position_ppm=60_000, order_notional_ppm=60_000, name="tight")
    played = Played(msgspec.structs.replace(SETTINGS, profile=tight)).live()
    played.hold(95)
    assert not of(Place, played.timer("beat")), "up to 1.25 times its limit it is let be"
    played.book(BID * 4 // 3, BID * 4 // 3 + 10)  # floor: a third higher is 7.6 % of the value
    played.step(GuardPulse(True))
    place = only(Place, played.timer("beat"))
    assert (place.side, place.is_reduce_only) == (Side.SELL, True)
    assert (95 - place.lots) * (BID * 4 // 3) * 100 < 6_000 * 10**6 * 103 // 100


def test_the_venues_own_limit_of_open_orders_counts() -> None:
    played = Played().live()
    played.step(SessionDown(reason="cut"))
    played.epoch += 1
    played.step(SessionUp(epoch=2, last_exec_seq=0, orders_per_s=500, cancels_per_s=500, max_open=1))
    played.step(ReplayDone(0, 2))
    asked = Asked(played.seq, True, 2)
    played.step(OpenOrders(as_of_exec_seq=0, is_complete=True, orders=(), asked=asked, epoch=2))
    played.step(
        AccountSnapshot(as_of_exec_seq=0, balances=(Balance("USDC", FUNDS_ATOMS),), positions=(), asked=asked, epoch=2)
    )
    played.place()
    played.book()
    assert refusal(played.request(price_ticks=BID - 1)) == "R_MAX_OPEN_ORDERS"


def test_losing_episodes_pause_and_the_pause_ends_by_the_monotonic_clock() -> None:
    settings = msgspec.structs.replace(SETTINGS, profile=msgspec.structs.replace(SETTINGS.profile, losses=2))
    played = Played(settings).live()
    for _ in range(2):
        played.hold(1, BID)
        played.hold(-1, BID - 10)
    assert played.desk.state.breakers.mode(SYMBOL).words == "PAUSED"
    played.book()
    assert refusal(played.request()) == "R_PAUSED"
    played.wait(300 * SECOND_NS)
    played.book()
    only(Place, played.request(price_ticks=BID - 1))
    assert played.desk.state.breakers.mode(SYMBOL).words == "ACTIVE"


def test_a_crossed_book_is_thrown_away_and_asked_for_anew() -> None:
    played = Played().live()
    effects = played.step(
        BookDelta(symbol=SYMBOL, book_seq=9, bids=((ASK, 5),), asks=(), exchange_ns=START_NS + played.now_ns)
    )
    assert only(Resynchronise, effects).symbol == SYMBOL
    assert refusal(played.request()) == "R_STALE_DATA"


def test_no_order_without_a_journal_a_book_or_an_agreed_clock() -> None:
    played = Played().live()
    played.step(JournalHealth(False, "no room"))
    played.book()
    assert refusal(played.request()) == "R_JOURNAL_UNHEALTHY"
    played.step(JournalHealth(True))
    played.step(ClockStepped(5 * SECOND_NS))
    assert refusal(played.request()) == "R_REDUCE_ONLY"
    played.step(ClockAgreed())
    played.step(BookStale(SYMBOL, "gap"))
    assert refusal(played.request()) == "R_STALE_DATA"
    played.book()
    only(Place, played.request())


def test_a_slow_journal_that_loses_nothing_is_an_alarm_and_no_refusal() -> None:
    played = Played().live()
    assert only(Alarm, played.step(JournalHealth(True, "not synced in time"))).code == "JOURNAL"
    played.book()
    only(Place, played.request())


def test_a_busted_trade_is_counted_out() -> None:
    played = Played().live()
    place = played.place()
    played.ack(place)
    played.fill(place)
    trade = f"t{played.exec_seq}"
    played.exec_seq += 1
    played.step(TradeBusted(exec_seq=played.exec_seq, trade_id=trade, lots=0, epoch=1))
    assert played.desk.state.accounts.lots(SYMBOL) == 0
    assert played.desk.state.accounts.cash["USDC"] == FUNDS_ATOMS


def test_a_deposit_widens_no_limit_of_the_day_and_is_no_profit() -> None:
    played = Played().live()
    played.step(Flow(kind="deposit", currency="USDC", atoms=FUNDS_ATOMS, flow_id="d1"))
    breakers = played.desk.state.breakers
    assert breakers.loss_today_atoms == 0
    assert breakers.drawdown.fall_ppm() == 0
    played.step(Flow(kind="deposit", currency="USDC", atoms=FUNDS_ATOMS, flow_id="d1"))
    assert played.desk.state.accounts.cash["USDC"] == 2 * FUNDS_ATOMS, "the same deposit comes once"


def signal(played: Played, **more: object) -> SignalIn:
    values = {
        "signal_id": "0" * 31 + "1",
        "producer": "model",
        "symbol": SYMBOL,
        "side": Side.BUY,
        "lots": 10,
        "limit_ticks": ASK,
        "urgency": 9,
        "valid_from_ns": START_NS,
        "expires_ns": START_NS + played.now_ns + 2 * SECOND_NS,
        "max_slippage_ppm": 5_000,
        "input_seq": played.seq,
        "is_authentic": True,
    }
    return SignalIn(**(values | more))  # type: ignore[arg-type] # a test's keywords


SIGNALLED = msgspec.structs.replace(
    SETTINGS, budgets={"model": ProducerBudget(signals_per_s=5, notional_atoms_per_day=10**12)}
)


def test_a_signal_becomes_one_order_and_ends_with_its_fill() -> None:
    played = Played(SIGNALLED).live()
    played.book()
    place = only(Place, played.step(signal(played)))
    assert (place.order_type, place.price_ticks) == (OrderType.IOC, ASK)
    assert not of(Place, played.book()), "one order at a time"
    played.ack(place)
    played.fill(place)
    assert len(played.desk.signals) == 0


def test_a_signal_that_expires_takes_its_order_with_it() -> None:
    played = Played(SIGNALLED).live()
    played.book()
    effects = played.step(signal(played, urgency=4, limit_ticks=BID + 2))
    timers = {timer.name: timer for timer in of(ArmTimer, effects)}
    place = only(Place, effects)
    played.ack(place)
    played.now_ns = timers["desk:signals"].at_monotonic_ns
    effects = played.timer("desk:signals")
    assert only(CancelOrder, effects).client_order_id == place.client_order_id
    assert [one.code for one in of(Refuse, effects)] == ["R_EXPIRED"]


def test_a_signal_of_nobody_is_refused() -> None:
    played = Played(SIGNALLED).live()
    played.book()
    assert refusal(played.step(signal(played, is_authentic=False))) == "R_SIGNAL_NOT_AUTHENTIC"


def test_a_person_pauses_and_resumes() -> None:
    played = Played().live()
    played.step(OperatorCommand(action="pause", reason="lunch"))
    played.book()
    assert refusal(played.request()) == "R_PAUSED"
    played.step(OperatorCommand(action="resume", reason="back"))
    played.book()
    only(Place, played.request())


def test_a_profile_tightens_at_once() -> None:
    played = Played().live()
    played.step(OperatorCommand(action="set_profile", reason="storm", target="conservative"))
    assert played.desk.state.rate.orders.per_s == 10
    played.step(OperatorCommand(action="set_profile", reason="calm", target="aggressive"))
    assert played.desk.state.rate.orders.per_s == 10, "looser only with the next day"
    played.wait(86_400 * SECOND_NS)
    assert played.desk.state.rate.orders.per_s == 200


def test_a_command_that_means_nothing_is_told() -> None:
    played = Played().live()
    effects = played.step(OperatorCommand(action="set_profile", reason="?", target="brave"))
    assert only(Alarm, effects).code == "COMMAND_REFUSED"


def test_after_a_reset_only_reducing_goes_out_until_a_person_resumes() -> None:
    played = Played().live()
    played.hold(10)
    played.step(HaltAsked("person", "drill"))
    again = resumed(played, is_reset=True)
    again.book()
    assert refusal(again.request()) == "R_REDUCE_ONLY"
    only(Place, again.request(Side.SELL))
    again.step(OperatorCommand(action="resume", reason="looked at everything"))
    again.book()
    only(Place, again.request(price_ticks=BID - 5))


def test_a_halt_outlives_a_restart() -> None:
    played = Played().live()
    played.step(HaltAsked("person", "drill"))
    again = resumed(played)
    again.book()
    assert refusal(again.request()) == "R_KILLED"


def resumed(played: Played, *, is_reset: bool = False) -> Played:
    """A new process that starts from what the old one wrote, on a monotonic clock of its own."""
    again = Played(played.settings, needs_guard=played.needs_guard)
    again.core = Core(trading=played.settings, needs_guard=played.needs_guard, state=played.core.state())
    again.seq, again.exec_seq, again.epoch = played.seq, played.exec_seq, played.epoch + 1
    again.now_ns = played.now_ns
    again.step(RunStarted(run_epoch=2, is_reset=is_reset))
    again.step(GuardPulse(True))
    again.up(lots=played.desk.state.accounts.lots(SYMBOL))
    return again


def test_a_new_run_keeps_books_orders_and_breakers_but_no_price_or_id() -> None:
    played = Played().live()
    played.hold(7)
    place = played.place()
    played.ack(place)
    again = resumed(played)
    assert again.desk.state.accounts.lots(SYMBOL) == 7
    order = again.desk.orders.get(place.client_order_id)
    assert order is not None
    assert order.state is OrderState.UNKNOWN, "its fate is asked for"
    assert again.desk.orders.reserved_lots(SYMBOL, Side.BUY) == place.lots
    assert refusal(again.request()) in ("R_STALE_DATA", "R_SYMBOL_FENCED")


def test_an_order_with_a_direction_has_no_place_on_a_chain() -> None:
    core = Core(RiskLimits(min_net_wei=1, max_gas_wei_per_day=1, max_exposure_wei=1, max_bundles_per_block=1))
    played = Played().live()
    played.request()
    wish = played.log[-1][0]
    assert refusal(core.step(wish, Stamp(1, 1, 1))) == "R_NO_INVENTORY"


MOVES = ("buy", "sell", "book", "ack", "fill", "part", "cancel", "beat", "down", "wait")
ACTIONS = st.lists(
    st.tuples(st.sampled_from(MOVES), st.integers(0, 40)),
    min_size=5,
    max_size=60,
)  # fmt: skip


def act(played: Played, action: str, number: int) -> None:
    """One move; what makes no sense now is left out."""
    orders = [one for one in played.desk.orders.all_live() if one.state is not OrderState.QUEUED]
    places = [effect for _, _, effects in played.log for effect in of(Place, effects)]
    by_id = {place.client_order_id: place for place in places}
    if action in ("buy", "sell"):
        side = Side.BUY if action == "buy" else Side.SELL
        played.request(side, 1 + number, (BID - number) if side is Side.BUY else (ASK + number))
    elif action == "book":
        played.book(BID + number, ASK + number)
    elif action == "beat":
        played.timer("beat")
    elif action == "wait":
        played.wait(number * 10 * MILLISECOND_NS)
    elif action == "down" and number > 35:
        played.step(SessionDown(reason="cut"))
        played.epoch += 1
        played.step(
            SessionUp(epoch=played.epoch, last_exec_seq=played.exec_seq, orders_per_s=9, cancels_per_s=9, max_open=9)
        )
        played.step(ReplayDone(played.exec_seq, played.epoch))
    elif orders and orders[number % len(orders)].client_order_id in by_id:
        order = orders[number % len(orders)]
        place = by_id[order.client_order_id]
        left = order.total_lots - order.cum_lots
        if action == "ack":
            played.ack(place)
        elif action == "fill" and left:
            played.fill(place, left)
        elif action == "part" and left > 1:
            played.fill(place, 1)
        elif action == "cancel":
            played.step(CancelRequested(place.client_order_id))


@given(ACTIONS, st.integers(0, 60))
def test_a_core_that_is_written_and_read_goes_on_as_if_it_were_the_same(
    actions: list[tuple[str, int]], cut_at: int
) -> None:
    played = Played().live()
    for action, number in actions:
        act(played, action, number)
    again = Played()
    for at, (event, stamp, effects) in enumerate(played.log):
        if at == cut_at:
            written = again.core.state()
            again.core = Core(trading=again.settings, needs_guard=True, state=written)
            assert again.core.state() == written
        assert again.core.step(event, stamp) == effects
    assert again.core.state() == played.core.state()


@given(ACTIONS)
def test_reservations_and_money_are_never_less_than_they_must_be(actions: list[tuple[str, int]]) -> None:
    played = Played().live()
    for action, number in actions:
        act(played, action, number)
        for side in Side:
            open_lots = sum(
                order.total_lots - order.cum_lots
                for order in played.desk.orders.all_live()
                if order.side is side and order.state not in (OrderState.DENIED, OrderState.CANCELED)
            )
            assert played.desk.orders.reserved_lots(SYMBOL, side) >= open_lots >= 0
        accounts = played.desk.state.accounts
        bought = [effect for event, _, _ in played.log for effect in [event] if type(event).__name__ == "Fill"]
        lots = sum(fill.side.sign * fill.lots for fill in bought)
        cash = FUNDS_ATOMS - sum(fill.side.sign * fill.lots * fill.price_ticks * 100 for fill in bought)
        assert (accounts.lots(SYMBOL), accounts.cash["USDC"]) == (lots, cash)
