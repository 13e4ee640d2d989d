"""Faults that happen to connections, keys, books and the server as a whole: at a time, or on the occasion of a request."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from agent.core.instruments import TradingStatus
from agent.devnet.purpleflea import door
from agent.devnet.purpleflea.faults.clock import SkewedClock
from agent.devnet.purpleflea.faults.trigger import Subject, Trigger
from agent.devnet.purpleflea.sessions import Session

if TYPE_CHECKING:
    from agent.devnet.purpleflea.faults.faulty_conduct import FaultyConduct

Happening = Callable[["FaultyConduct", Trigger, "Session | None"], None]
"""The session is the one whose request was the occasion; at a time there is none, and all that match are meant."""


def phantom_fill(conduct: FaultyConduct, trigger: Trigger, session: Session | None) -> None:
    """F15: numbered like any other frame, but no order, trade or money is behind it."""
    floor, own = conduct.floor, trigger.fault.parameters
    symbol = own.get("symbol", trigger.fault.symbol or next(iter(floor.engine.markets)))
    market = floor.engine.markets[symbol]
    qty = own.get("qty", market.lots_text(market.instrument.min_lots * 10))
    for account in _accounts(conduct, trigger, session):
        floor.engine.begin(floor.now())
        frame: dict[str, Any] = {
            "type": "fill",
            "symbol": symbol,
            "client_order_id": own.get("client_order_id", f"phantom-{trigger.fired}"),
            "order_id": f"p{trigger.fired}",
            "trade_id": f"p{account[-4:]}{trigger.fired}",
            "side": own.get("side", "buy"),
            "qty": qty,
            "price": own.get("price", market.price_text(floor.engine.mark_ticks(symbol))),
            "liquidity": "taker",
            "fee": market.fee_text(0),
            "fee_ccy": market.fee_currency,
            "cum_qty": qty,
            "leaves_qty": market.lots_text(0),
            "status": "filled",
            "exchange_ts": floor.engine.exchange_us,
            "replayed": False,
        }
        numbered = floor.engine.executions[account].number(frame, floor.engine.now.mono_ns)
        for each in floor.sessions_of(account):
            if each.wants(numbered):
                floor.send(each, numbered)


def half_open(conduct: FaultyConduct, trigger: Trigger, session: Session | None) -> None:
    """F21."""
    _stall(conduct, trigger, session, is_reading_too=True)


def write_stall(conduct: FaultyConduct, trigger: Trigger, session: Session | None) -> None:
    """F22."""
    _stall(conduct, trigger, session, is_reading_too=False)


def revoke(conduct: FaultyConduct, trigger: Trigger, session: Session | None) -> None:
    """F24, mode revoke: the trade keys of the account are deleted."""
    for account in _accounts(conduct, trigger, session):
        for key in conduct.floor.keys.of(account):
            if key.may("trade"):
                door.delete_key(conduct.floor, key)


def ghost_login(conduct: FaultyConduct, trigger: Trigger, session: Session | None) -> None:
    """F25."""
    for account in _accounts(conduct, trigger, session):
        member = conduct.floor.members[account]
        conduct.floor.end_epoch(member, "replaced")
        member.epoch += 1


def restart(conduct: FaultyConduct, trigger: Trigger, session: Session | None) -> None:
    """F26: every connection breaks; what was forgotten is as if it had not been."""
    floor = conduct.floor
    for each in tuple(floor.sessions.values()):
        conduct.wire.abort(each.conn_id)
        floor.forget_session(each, is_loss=True)
    if conduct.saved is not None:
        restore(conduct)
    conduct.close_for(int(trigger.fault.parameters.get("down_ms", 0)))


def save(conduct: FaultyConduct) -> None:
    """What the server will remember after F26."""
    conduct.saved = copy.deepcopy(conduct.floor.engine.__dict__)


def restore(conduct: FaultyConduct) -> None:
    """Go back to what was saved; whoever holds accounts is given the old ones."""
    floor, saved = conduct.floor, conduct.saved
    assert saved is not None
    exchange_us = floor.engine.exchange_us
    floor.engine.__dict__.update(saved)
    floor.engine.exchange_us = exchange_us
    conduct.saved = None
    accounts = floor.engine.ledger.accounts
    for name, member in floor.members.items():
        if name in accounts:
            member.account = accounts[name]
    conduct.house = accounts[conduct.house.account_id]
    conduct.relink()
    floor.market_data.forget()


def book_seq_reset(conduct: FaultyConduct, trigger: Trigger, session: Session | None) -> None:
    """F27."""
    for each in _sessions(conduct, trigger, session):
        for symbol, book in each.books.items():
            if trigger.fault.symbol in (None, symbol):
                book.book_seq = 0


def clock(conduct: FaultyConduct, trigger: Trigger, session: Session | None) -> None:
    """F30."""
    own, skewed = trigger.fault.parameters, conduct.floor.clock
    assert isinstance(skewed, SkewedClock)
    skewed.skew(offset_ns=int(own.get("offset_ms", 0) * 1_000_000), drift_ppm=int(own.get("drift_ppm", 0)))


def closing(conduct: FaultyConduct, trigger: Trigger, session: Session | None) -> None:
    """F36 but for its text: a close code, a drain, or maintenance of all markets."""
    own, floor = trigger.fault.parameters, conduct.floor
    mode, ms = own.get("mode", "close"), int(own.get("ms", 1_000))
    if mode == "close":
        for each in _sessions(conduct, trigger, session):
            floor.end_session(each, int(own.get("code", 1001)), "fault")
    elif mode == "drain":
        conduct.exchange.drain(ms)
    else:
        _set_all(conduct, TradingStatus.MAINTENANCE)
        floor.timers.at(floor.clock.monotonic_ns() + ms * 1_000_000, lambda: _set_all(conduct, TradingStatus.TRADING))


def _set_all(conduct: FaultyConduct, status: TradingStatus) -> None:
    for symbol in conduct.floor.engine.markets:
        conduct.floor.engine.set_status(symbol, status, conduct.floor.now())
    conduct.floor.flush()


def _stall(conduct: FaultyConduct, trigger: Trigger, session: Session | None, *, is_reading_too: bool) -> None:
    floor, for_s = conduct.floor, trigger.fault.parameters.get("for_s")
    for each in _sessions(conduct, trigger, session):
        conn_id = each.conn_id
        conduct.wire.transport.stall(conn_id, is_reading_too=is_reading_too)
        if for_s is not None:
            due_ns = floor.clock.monotonic_ns() + int(float(for_s) * 1e9)
            floor.timers.at(due_ns, lambda conn_id=conn_id: conduct.wire.transport.resume(conn_id))  # type: ignore[misc] # mypy cannot type a bound default


def _sessions(conduct: FaultyConduct, trigger: Trigger, session: Session | None) -> Iterable[Session]:
    if session is not None:
        return (session,)
    return [each for each in conduct.floor.sessions.values() if _concerns(trigger, each.account)]


def _accounts(conduct: FaultyConduct, trigger: Trigger, session: Session | None) -> list[str]:
    if session is not None:
        return [session.account]
    return [name for name in conduct.floor.members if _concerns(trigger, name)]


def _concerns(trigger: Trigger, account: str) -> bool:
    fault = trigger.fault
    return fault.account is None or trigger.matches(Subject(fault.kind or "", account, fault.symbol, fault.order))


HAPPENINGS: dict[str, Happening] = {
    "F15": phantom_fill,
    "F21": half_open,
    "F22": write_stall,
    "F24": revoke,
    "F25": ghost_login,
    "F26": restart,
    "F27": book_seq_reset,
    "F30": clock,
    "F36": closing,
}
