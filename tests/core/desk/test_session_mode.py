"""What the session itself allows is told, kept, and acted upon, like a breaker's mode."""

from __future__ import annotations

import msgspec

from agent.core.accounts.marks import Rate
from agent.core.effects import Effect
from agent.core.effects.control import ModeChanged
from agent.core.effects.orders import CancelOrder
from agent.core.events.control import ClockAgreed, ClockStepped, RunStarted
from agent.core.events.orders import AccountSnapshot, Asked, Balance, ClockOffset, OpenOrder, OpenOrders, VenuePosition
from agent.core.instruments import FOREIGN_DIGITS, Side
from agent.core.step import Core
from tests.core.desk.account import ASK, BID, FUNDS_ATOMS, SECOND_NS, SETTINGS, SYMBOL, Played, of, only

MILLISECOND_NS = 1_000_000


def statement(played: Played, lots: int, cash_atoms: int) -> tuple[Effect, ...]:
    """The venue's figures, with every order of ours in its list."""
    asked = Asked(played.seq, True, played.epoch)
    rows = tuple(
        OpenOrder(
            client_order_id=order.client_order_id, order_id="v" + order.client_order_id, symbol=order.symbol,
            side=order.side, total_lots=order.total_lots, price_ticks=order.price_ticks, cum_lots=order.cum_lots,
        )
        for order in played.desk.orders.all_live()
    )  # fmt: skip
    as_of = played.exec_seq
    played.step(OpenOrders(as_of_exec_seq=as_of, is_complete=True, orders=rows, asked=asked, epoch=played.epoch))
    return played.step(
        AccountSnapshot(
            as_of_exec_seq=as_of,
            balances=(Balance("USDC", cash_atoms),),
            positions=(VenuePosition(SYMBOL, lots),) if lots else (),
            asked=asked,
            epoch=played.epoch,
        )
    )


def resting() -> tuple[Played, list[str]]:
    """Ten lots held, a bid and an ask that rest."""
    played = Played().live()
    played.hold(10)
    names = []
    for side, price in ((Side.BUY, BID - 50), (Side.SELL, ASK + 50)):
        place = played.place(side, 5, price)
        played.ack(place)
        names.append(place.client_order_id)
    return played, names


def test_a_difference_takes_away_what_rests_and_would_increase_and_says_so() -> None:
    played, (bid, _) = resting()
    cash_atoms = played.desk.state.accounts.cash["USDC"]
    played.timer("session:full")
    effects = statement(played, 11, cash_atoms)
    changed = only(ModeChanged, effects)
    assert (changed.mode, changed.by, changed.symbol) == ("REDUCE_ONLY", "session", "")
    assert "we have 10 lots, the venue 11" in changed.detail
    assert [cancel.client_order_id for cancel in of(CancelOrder, effects)] == [bid], "what reduces stays"
    assert not of(ModeChanged, statement(played, 11, cash_atoms)), "once"


def test_it_is_told_again_when_all_agrees_and_a_restart_between_changes_nothing() -> None:
    played, _ = resting()
    cash_atoms = played.desk.state.accounts.cash["USDC"]
    played.timer("session:full")
    statement(played, 11, cash_atoms)
    played.core = Core(trading=SETTINGS, needs_guard=True, state=played.core.state())
    played.timer("session:full")
    effects = statement(played, 10, cash_atoms)
    changed = only(ModeChanged, effects)
    assert (changed.mode, changed.by) == ("ACTIVE", "session")
    assert played.desk.state.breakers.mode().words == "ACTIVE"


def test_a_clock_that_is_off_does_the_same() -> None:
    played, (bid, _) = resting()
    effects = played.step(ClockOffset(300 * MILLISECOND_NS, MILLISECOND_NS))
    assert only(ModeChanged, effects).mode == "REDUCE_ONLY"
    assert [cancel.client_order_id for cancel in of(CancelOrder, effects)] == [bid]
    assert only(ModeChanged, played.step(ClockOffset(0, MILLISECOND_NS))).mode == "ACTIVE"


def test_a_wall_clock_that_was_set_does_the_same_until_two_sources_agree() -> None:
    played, (bid, _) = resting()
    effects = played.step(ClockStepped(2 * SECOND_NS))
    changed = only(ModeChanged, effects)
    assert (changed.mode, changed.by) == ("REDUCE_ONLY", "clock")
    assert [cancel.client_order_id for cancel in of(CancelOrder, effects)] == [bid]
    back = only(ModeChanged, played.step(ClockOffset(0, MILLISECOND_NS)))
    assert (back.mode, back.by) == ("ACTIVE", "clock")
    played.step(ClockStepped(2 * SECOND_NS))
    assert only(ModeChanged, played.step(ClockAgreed())).mode == "ACTIVE"
    played.step(ClockStepped(2 * SECOND_NS))
    assert only(ModeChanged, played.step(RunStarted(run_epoch=2))).mode == "ACTIVE", "it was another run's clock"


def test_a_fee_in_a_third_currency_is_a_debt_in_it_and_part_of_the_account_by_its_rate() -> None:
    rates = {"PFT": Rate(2_000_000, 10**FOREIGN_DIGITS)}
    played = Played(msgspec.structs.replace(SETTINGS, rates=rates)).live()
    place = played.place(Side.BUY, 10, BID)
    played.ack(place)
    played.fill(place, fee=3 * 10**17, fee_currency="PFT")
    accounts = played.desk.state.accounts
    assert accounts.cash["PFT"] == -3 * 10**17 and accounts.fees == {"PFT": 3 * 10**17}
    assert played.desk.state.breakers.day_loss.nav_atoms == FUNDS_ATOMS - 600_000
    assert played.desk.state.breakers.mode().words == "ACTIVE"


def test_without_a_rate_the_account_has_no_value_and_halts_by_name() -> None:
    played = Played().live()
    place = played.place(Side.BUY, 10, BID)
    played.ack(place)
    effects = played.fill(place, fee=1, fee_currency="PFT")
    halted = [change for change in of(ModeChanged, effects) if change.mode == "HALTED"]
    assert [(change.by, change.detail) for change in halted] == [("valuation", "no price for PFT")]
    assert played.desk.state.accounts.lots(SYMBOL) == 10, "the trade is booked all the same"
    played.wait(SECOND_NS)
