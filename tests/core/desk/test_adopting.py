"""A person adopts what the venue says we hold, where no execution explains it."""

from __future__ import annotations

import msgspec
import pytest

from agent.core.accounts.invariants import cash_violations, high_violations, position_violations, value_violations
from agent.core.accounts.marks import Rate
from agent.core.codes import Code
from agent.core.effects import Effect
from agent.core.effects.control import Alarm, PositionAdopted, Stop
from agent.core.effects.orders import QueryAccount, Refuse
from agent.core.events.control import OperatorCommand
from agent.core.events.market import InstrumentDefined
from agent.core.events.orders import (
    AccountSnapshot,
    Asked,
    Balance,
    Canceled,
    OpenOrders,
    SendResult,
    SessionDown,
    TradeBusted,
    VenuePosition,
)
from agent.core.instruments import Side
from agent.core.step import Core
from tests.core.desk.account import ASK, BID, BTC, FUNDS_ATOMS, SECOND_NS, SETTINGS, SYMBOL, Played, of, only

LOT_ATOMS = BTC.tick_value_atoms
OTHER = "ETH-USDC"


def adopt(played: Played, symbol: str = SYMBOL, reason: str = "the venue's statement was read") -> tuple[Effect, ...]:
    return played.step(OperatorCommand(action="adopt_position", reason=reason, target=symbol))


def state_of_venue(played: Played, lots: int, cash_atoms: int, **others: int) -> tuple[Effect, ...]:
    """The venue answers an account question; the effects of the answer that completes the comparison."""
    asked = Asked(played.seq, True, played.epoch)
    played.step(
        OpenOrders(as_of_exec_seq=played.exec_seq, is_complete=True, orders=(), asked=asked, epoch=played.epoch)
    )
    held = {SYMBOL: lots} | {name.replace("_", "-"): amount for name, amount in others.items()}
    return played.step(
        AccountSnapshot(
            as_of_exec_seq=played.exec_seq,
            balances=(Balance("USDC", cash_atoms),),
            positions=tuple(VenuePosition(symbol, amount) for symbol, amount in held.items() if amount),
            asked=asked,
            epoch=played.epoch,
        )
    )


def differing(lots: int, cash_atoms: int) -> Played:
    """A live account of which the venue says something else than our books."""
    played = Played().live()
    played.timer("session:full")
    state_of_venue(played, lots, cash_atoms)
    assert played.desk.session.state.differs_since_ns is not None
    return played


def sound(played: Played) -> bool:
    accounts = played.desk.state.accounts
    found = [line for position in accounts.positions.values() for line in position_violations(position)]
    return found + cash_violations(accounts) + value_violations(accounts, played.now_ns) == []


def test_the_position_and_the_balance_are_taken_over_from_a_fresh_answer() -> None:
    paid_atoms = 10 * BID * LOT_ATOMS
    played = differing(10, FUNDS_ATOMS - paid_atoms)
    assert only(QueryAccount, adopt(played)), "what lay there is not what is adopted"
    assert played.desk.state.accounts.lots(SYMBOL) == 0
    effects = state_of_venue(played, 10, FUNDS_ATOMS - paid_atoms)
    position, balance = of(PositionAdopted, effects)
    assert (position.symbol, position.lots_before, position.lots, position.price_ticks) == (SYMBOL, 0, 10, BID)
    assert (balance.currency, balance.cash_atoms) == ("USDC", -paid_atoms)
    accounts = played.desk.state.accounts
    assert accounts.lots(SYMBOL) == 10 and accounts.cash["USDC"] == FUNDS_ATOMS - paid_atoms
    assert accounts.positions[SYMBOL].average_cost == (paid_atoms, 10 * LOT_ATOMS)
    assert accounts.positions[SYMBOL].unrealised_atoms(BID) == 0 == accounts.positions[SYMBOL].ledger.realised_atoms
    assert [(one.name, one.amount) for one in accounts.adopted] == [(SYMBOL, 10), ("USDC", -paid_atoms)]
    assert sound(played)
    assert "ACCOUNT_AGREES" in [alarm.code for alarm in of(Alarm, effects)]
    assert played.desk.session.mode.words == "ACTIVE"
    played.book()
    assert not of(Refuse, played.request()), "trading goes on"


def test_a_short_position_is_valued_at_what_closing_it_costs() -> None:
    got_atoms = 10 * ASK * LOT_ATOMS
    played = differing(-10, FUNDS_ATOMS + got_atoms)
    adopt(played)
    effects = state_of_venue(played, -10, FUNDS_ATOMS + got_atoms)
    assert of(PositionAdopted, effects)[0].price_ticks == ASK
    assert played.desk.state.breakers.day_loss.nav_atoms == FUNDS_ATOMS
    assert sound(played)


def test_what_is_won_by_it_is_no_profit_and_no_new_high() -> None:
    played = differing(10, FUNDS_ATOMS)
    adopt(played)
    state_of_venue(played, 10, FUNDS_ATOMS)
    breakers = played.desk.state.breakers
    assert breakers.day_loss.nav_atoms == FUNDS_ATOMS + 10 * BID * LOT_ATOMS
    assert breakers.loss_today_atoms == 0
    drawdown = breakers.drawdown
    assert drawdown.high_nav_atoms * drawdown.units >= drawdown.nav_atoms * drawdown.high_units


def test_what_is_lost_by_it_in_a_symbol_of_ours_is_a_loss_of_the_day() -> None:
    played = Played().live()
    played.hold(10)
    cash_atoms = played.desk.state.accounts.cash["USDC"]
    played.timer("session:full")
    state_of_venue(played, 0, cash_atoms)
    adopt(played)
    effects = state_of_venue(played, 0, cash_atoms)
    assert of(PositionAdopted, effects)[0].lots_before == 10
    assert played.desk.state.breakers.loss_today_atoms == 10 * BID * LOT_ATOMS
    assert sound(played)


def test_a_halt_for_the_difference_ends_by_adopting_and_then_by_a_person() -> None:
    played = differing(10, FUNDS_ATOMS)
    played.wait(60 * SECOND_NS)
    assert only(Stop, played.timer("session:difference")).by == "ACCOUNT_DIFFERS"
    played.book()
    adopt(played)
    state_of_venue(played, 10, FUNDS_ATOMS)
    assert played.desk.session.mode.words == "ACTIVE" and played.core.is_halted, "the core's halt is another step"
    played.step(OperatorCommand(action="reset_halt", reason="adopted"))
    assert not played.core.is_halted


@pytest.mark.parametrize("symbol", [SYMBOL, ""])
def test_nothing_is_adopted_while_the_fate_of_an_order_is_unknown(symbol: str) -> None:
    played = Played().live()
    place = played.place(Side.BUY, 10, BID - 5)
    played.step(SendResult(place.client_order_id, "place", "maybe"))
    effects = adopt(played, symbol)
    if not symbol:  # which symbols are meant is known with the answer
        effects = state_of_venue(played, 10, FUNDS_ATOMS)
    refused = only(Refuse, effects)
    assert (refused.subject, refused.code) == (f"adopt_position:{symbol}", Code.SYMBOL_FENCED)
    assert refused.detail == f"{SYMBOL}: order {place.client_order_id} is unknown; it is settled first"
    assert played.desk.state.accounts.lots(SYMBOL) == 0 and not of(PositionAdopted, effects)


def test_it_is_refused_with_its_reason() -> None:
    played = Played().live()
    assert only(Refuse, adopt(played, "XRP-USDC")).code == Code.UNKNOWN_INSTRUMENT
    assert only(Refuse, adopt(played, reason=" ")).code == Code.BAD_FIELD
    adopt(played)
    assert only(Refuse, state_of_venue(played, 0, FUNDS_ATOMS)).code == Code.NOTHING_TO_ADOPT
    adopt(played)
    played.wait(3 * SECOND_NS)  # the book grew old
    assert only(Refuse, state_of_venue(played, 10, FUNDS_ATOMS)).code == Code.STALE_DATA
    adopt(played)
    ended = played.step(SessionDown(reason="cut"))
    assert "ADOPTION_REFUSED" in [alarm.code for alarm in of(Alarm, ended)]
    assert only(Refuse, adopt(played)).code == Code.NOT_LIVE


def test_one_of_several_that_differ_is_not_adopted_alone() -> None:
    played = Played().live()
    played.step(InstrumentDefined(msgspec.structs.replace(BTC, symbol=OTHER, base="ETH")))
    adopt(played)
    refused = only(Refuse, state_of_venue(played, 10, FUNDS_ATOMS, ETH_USDC=5))
    assert refused.code == Code.ADOPT_TOGETHER and OTHER in refused.detail


def test_a_bust_after_it_counts_anew_with_what_was_adopted() -> None:
    played = Played().live()
    played.hold(10)
    cash_atoms = played.desk.state.accounts.cash["USDC"]
    adopt(played)
    state_of_venue(played, 14, cash_atoms)
    played.exec_seq += 1
    played.step(TradeBusted(exec_seq=played.exec_seq, trade_id="t2", lots=0, epoch=played.epoch))
    assert played.desk.state.accounts.lots(SYMBOL) == 4
    assert sound(played)


def test_it_is_in_the_state_that_a_restart_goes_on_from_and_replays_to_the_same() -> None:
    played = differing(10, FUNDS_ATOMS)
    adopt(played)
    between = played.core.state()
    state_of_venue(played, 10, FUNDS_ATOMS)
    other = Core(trading=SETTINGS, needs_guard=True)
    for event, stamp, effects in played.log:
        assert other.step(event, stamp) == effects
    assert other.state() == played.core.state()
    restored = Core(trading=SETTINGS, needs_guard=True, state=between)
    for event, stamp, effects in played.log[-2:]:
        assert restored.step(event, stamp) == effects
    assert Core(trading=SETTINGS, needs_guard=True, state=other.state()).state() == other.state()


@pytest.mark.parametrize(("held", "price_ticks"), [(10, BID), (-10, ASK), (1, BID), (-1, ASK)])
def test_what_is_gone_is_closed_at_what_closing_it_would_have_brought(held: int, price_ticks: int) -> None:
    played = Played().live()
    played.hold(held, BID if held > 0 else ASK)
    played.book()
    cash_atoms = played.desk.state.accounts.cash["USDC"] + held * price_ticks * LOT_ATOMS
    adopt(played)
    effects = state_of_venue(played, 0, cash_atoms)
    assert of(PositionAdopted, effects)[0].price_ticks == price_ticks
    assert played.desk.state.accounts.positions[SYMBOL].ledger.realised_atoms == 0
    assert played.desk.state.breakers.loss_today_atoms == 0 and sound(played)


@pytest.mark.parametrize(("lots", "price_ticks"), [(1, BID), (-1, ASK), (2, BID)])
def test_one_lot_is_a_position_too(lots: int, price_ticks: int) -> None:
    played = Played().live()
    adopt(played)
    effects = state_of_venue(played, lots, FUNDS_ATOMS - lots * price_ticks * LOT_ATOMS)
    assert of(PositionAdopted, effects)[0].price_ticks == price_ticks
    assert only(Alarm, effects).code == "POSITION_ADOPTED" and only(Alarm, effects).subject == f"{SYMBOL}, USDC"


def test_a_position_in_what_the_venue_never_defined_adopts_nothing() -> None:
    played = Played().live()
    adopt(played)
    effects = state_of_venue(played, 10, FUNDS_ATOMS, XRP_USDC=5)
    refused = only(Refuse, effects)
    assert (refused.subject, refused.code) == (f"adopt_position:{SYMBOL}", Code.UNKNOWN_INSTRUMENT)
    assert refused.detail == "XRP-USDC" and played.desk.state.accounts.lots(SYMBOL) == 0


def statement_with_euros(played: Played, cash_atoms: int, euros: int) -> tuple[Effect, ...]:
    asked = Asked(played.seq, True, played.epoch)
    played.step(OpenOrders(as_of_exec_seq=0, is_complete=True, orders=(), asked=asked, epoch=played.epoch))
    balances = (Balance("USDC", cash_atoms), Balance("EUR", euros))
    return played.step(
        AccountSnapshot(as_of_exec_seq=0, balances=balances, positions=(), asked=asked, epoch=played.epoch)
    )


def test_with_a_symbol_only_its_currency_is_taken_over_and_without_one_all_are() -> None:
    played = Played(msgspec.structs.replace(SETTINGS, rates={"EUR": Rate(1, 1)})).live()
    adopt(played)
    effects = statement_with_euros(played, FUNDS_ATOMS + 1, 7)
    assert [(one.currency, one.cash_atoms) for one in of(PositionAdopted, effects)] == [("USDC", 1)]
    adopt(played, "")
    effects = statement_with_euros(played, FUNDS_ATOMS + 1, 7)
    assert [(one.currency, one.cash_atoms) for one in of(PositionAdopted, effects)] == [("EUR", 7)]
    assert played.desk.state.accounts.cash == {"USDC": FUNDS_ATOMS + 1, "EUR": 7}
    assert high_violations(played.desk.state.breakers.drawdown) == [], "not even an atom of it is a new high"


def test_a_balance_that_is_less_than_ours_is_a_loss() -> None:
    played = Played().live()
    adopt(played, "")
    state_of_venue(played, 0, FUNDS_ATOMS - 5)
    assert played.desk.state.breakers.loss_today_atoms == 5


def test_an_order_that_is_owed_fills_may_be_the_explanation() -> None:
    played = Played().live()
    place = played.place(Side.BUY, 10, BID - 5)
    played.ack(place)
    played.exec_seq += 1
    played.step(
        Canceled(
            exec_seq=played.exec_seq, client_order_id=place.client_order_id, order_id="", cum_lots=4, reason="admin",
            epoch=played.epoch,
        )
    )  # fmt: skip
    refused = only(Refuse, adopt(played))
    assert refused.code == Code.SYMBOL_FENCED
    assert refused.detail == f"{SYMBOL}: order {place.client_order_id} is owed fills; it is settled first"


def test_a_refusal_is_told_to_a_person_and_what_was_halted_stays_so() -> None:
    played = differing(10, FUNDS_ATOMS)
    played.wait(60 * SECOND_NS)
    played.timer("session:difference")
    adopt(played)
    effects = state_of_venue(played, 10, FUNDS_ATOMS)  # without a fresh book
    told = [alarm for alarm in of(Alarm, effects) if alarm.code == "ADOPTION_REFUSED"]
    assert [(alarm.subject, alarm.detail.split(":")[0]) for alarm in told] == [(SYMBOL, Code.STALE_DATA)]
    assert played.desk.session.mode.words == "HALTED"


def test_a_gain_in_what_we_trade_takes_nothing_from_the_days_loss() -> None:
    played = Played().live()
    played.hold(10, BID + 5)
    played.book()
    played.timer("beat")
    lost_atoms = played.desk.state.breakers.loss_today_atoms
    assert lost_atoms == 10 * 5 * LOT_ATOMS
    cash_atoms = played.desk.state.accounts.cash["USDC"]
    adopt(played)
    state_of_venue(played, 14, cash_atoms)
    assert played.desk.state.breakers.loss_today_atoms == lost_atoms
