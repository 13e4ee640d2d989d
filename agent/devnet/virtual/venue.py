"""A venue with all the freedom that its contract leaves it, in events instead of bytes.

Theory of operation. It keeps orders by client id and one gap-free log of executions. A request is handled when it
arrives and answered on the connection it came by; executions go to whatever session is logged in, and can be replayed
from the log. What the contract does not forbid it does when a fault says so: answers that leave the outcome open,
questions left unanswered, lists that are not complete, orders that end by themselves, fills behind a cancel's answer.
Every effect on the account is written into the world's ledger at the instant it happens, whether anybody is told or not.

It trades against the levels of `market.py` and knows no other agents, so it is small and fast. The full matching engine
with its wire contract is agent.devnet.purpleflea; this one shares no code with it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from agent.core.effects import orders as requests
from agent.core.events import orders as events
from agent.core.events.market import BookSnapshot, InstrumentDefined
from agent.core.instruments import OrderType
from agent.devnet.virtual.link import NS_PER_MS, End
from agent.devnet.virtual.market import Market
from agent.devnet.virtual.network import Refused
from agent.devnet.virtual.venue_books import VenueBooks, VenueOrder

ORDERS_PER_S = 200
MAX_OPEN = 400
FORMS_OF_AN_OPEN_OUTCOME = ("INTERNAL", "TIMEOUT", "NEVER_HEARD_OF")


class Question(msgspec.Struct, frozen=True):
    """A request on the wire: what the core asked for, and what its answer will be able to prove."""

    request: Any
    asked: events.Asked


class Hello(msgspec.Struct, frozen=True):
    """The first frame, with the venue's wall clock."""

    up: events.SessionUp
    server_wall_ns: int


class Ping(msgspec.Struct, frozen=True):
    sent_ns: int


class Pong(msgspec.Struct, frozen=True):
    """The venue's wall clock when it saw the ping of `sent_ns`."""

    sent_ns: int
    server_wall_ns: int


class Session:
    """One login. Its requests are handled by the venue as they arrive."""

    def __init__(self, venue: Venue, end: End, epoch: int) -> None:
        self._venue = venue
        self.end = end
        self.epoch = epoch
        """As its client knows it: a fence on the account raises it with the answer, not before."""

    def on_frame(self, data: Any) -> None:
        self._venue.handle(data, self)

    def on_close(self, code: int | None, reason: str) -> None:
        self._venue.lose(self)


class Venue(VenueBooks):
    """One account at a venue with several markets."""

    # Connections

    def accept(self, socket: End, path: str, headers: Mapping[str, str]) -> Session:
        """A login with the scope `trade`: a new epoch, and the end of the session before it."""
        if not self.is_up:
            raise Refused(503)
        if self.session is not None:
            self.session.end.abort()
        self.epoch += 1
        self.session = session = Session(self, socket, self.epoch)
        self._schedule.at(self._schedule.now_ns, self._greet, session)
        return session

    def _greet(self, session: Session) -> None:
        up = events.SessionUp(
            epoch=session.epoch,
            last_exec_seq=len(self.log),
            orders_per_s=ORDERS_PER_S,
            cancels_per_s=ORDERS_PER_S,
            max_open=MAX_OPEN,
        )
        session.end.send(Hello(up, self._clock.wall_ns()))
        for market in self.markets.values():
            session.end.send(InstrumentDefined(market.instrument))
            self._send_book(session, market)

    def lose(self, session: Session) -> None:
        if self.session is session:
            self.session = None

    def end_session(self, reason: str, *, is_terminal: bool) -> None:
        """The venue ends the session by itself and says why."""
        if self.session is not None:
            self.session.end.send(events.SessionDown(reason=reason, is_terminal=is_terminal))
            self.session.end.close(4409)
            self.session = None

    def ghost_login(self) -> None:
        """Somebody else logs in with the same key."""
        self.epoch += 1
        self.end_session("replaced", is_terminal=True)

    # Requests

    def handle(self, data: Any, session: Session) -> None:
        """Handle what arrived, even from a session that was replaced meanwhile: its bytes were under way."""
        if isinstance(data, Ping):
            session.end.send(Pong(data.sent_ns, self._clock.wall_ns()))
            return
        request, asked = data.request, data.asked
        match request:
            case requests.Place():
                self._place(request, session)
            case requests.CancelOrder():
                self._cancel(request, session)
            case requests.Amend():
                self._amend(request, session)
            case requests.CancelAll():
                self._cancel_all(request, session)
            case requests.ReplayFrom():
                self._replay(request, session)
            case requests.Resynchronise():
                if request.symbol in self.markets:
                    self._send_book(session, self.markets[request.symbol])
            case requests.ArmDeadman():
                pass
            case _:
                if not self._faults.strikes("venue.silent_query"):
                    answer = self.reply(request, asked, session.epoch)
                    session.end.send(answer)

    def reply(self, request: Any, asked: events.Asked, epoch: int) -> Any:
        """The answer to a question, as things stand now."""
        match request:
            case requests.QueryStatus():
                return self._status(request.client_order_id, asked, epoch)
            case requests.QueryOpen():
                return self._open_orders(asked, epoch)
            case requests.QueryAccount():
                return self._account(asked, epoch)
        raise TypeError(f"{type(request).__name__} is no question")

    def _place(self, place: requests.Place, session: Session) -> None:
        id_ = place.client_order_id
        known = self.orders.get(id_)
        if known is not None:
            if known.place != place:
                self._reject(session, id_, "DUPLICATE_CLID_MISMATCH")
            elif known.ack is None:
                self._reject(session, id_, "OVERLOADED")
            else:
                session.end.send(msgspec.structs.replace(known.ack, is_duplicate=True, epoch=session.epoch))
            return
        code = self._refusal(place)
        if code:
            self._reject(session, id_, code)
            return
        if self._faults.strikes("venue.overloaded"):
            self.orders[id_] = VenueOrder(place, "", place.lots, place.price_ticks, "rejected")
            self._reject(session, id_, "OVERLOADED")
            return
        if self._faults.strikes("venue.internal"):
            form = self._faults.choose("venue.internal", 2 * len(FORMS_OF_AN_OPEN_OUTCOME))
            code = FORMS_OF_AN_OPEN_OUTCOME[form // 2]
            if form % 2:
                self._reject(session, id_, code)
                self._take_in(place)
            else:
                self.orders[id_] = VenueOrder(place, "", place.lots, place.price_ticks, "rejected")
                self._reject(session, id_, code)
            return
        self._take_in(place)

    def _refusal(self, place: requests.Place) -> str:
        if place.epoch != self.epoch:
            return "STALE_EPOCH"
        if place.expire_ns and self._clock.wall_ns() > place.expire_ns:
            return "TOO_LATE"
        market = self.markets[place.symbol]
        if place.order_type is OrderType.POST_ONLY and market.is_crossing(place.side, place.price_ticks):
            return "POST_ONLY_WOULD_CROSS"
        if place.is_reduce_only and self._reducible(place) <= 0:
            return "REDUCE_ONLY_VIOLATION"
        return ""

    def _reducible(self, place: requests.Place) -> int:
        return -place.side.sign * self._ledger.position_lots.get(place.symbol, 0)

    def _take_in(self, place: requests.Place) -> None:
        id_ = place.client_order_id
        market = self.markets[place.symbol]
        order = VenueOrder(place, f"v{len(self.orders) + 1}", place.lots, place.price_ticks)
        self.orders[id_] = self.open[id_] = order
        self._ledger.accept(
            id_, (place.symbol, place.side, place.lots), place.price_ticks, is_reduce_only=place.is_reduce_only
        )
        if self.on_accepted is not None:
            self.on_accepted(id_)
        limit_lots = min(place.lots, self._reducible(place)) if place.is_reduce_only else place.lots
        takes, left = [], limit_lots
        for price_ticks, lots in market.takeable(place.side, place.price_ticks):
            if left > 0:
                takes.append((price_ticks, min(left, lots)))
                left -= min(left, lots)
        if place.order_type is OrderType.FOK and left > 0:
            takes = []
        taken = sum(lots for _, lots in takes)
        rests = place.order_type in (OrderType.LIMIT, OrderType.POST_ONLY) and not place.is_reduce_only
        ends_as: Literal["filled", "open", "canceled"] = (
            "filled" if taken == place.lots else "open" if rests else "canceled"
        )
        order.ack = events.OrderAck(
            exec_seq=self._next(),
            client_order_id=id_,
            order_id=order.order_id,
            status=ends_as if self._acks_tell_result else "open",
            cum_lots=taken if self._acks_tell_result else 0,
            epoch=self._told_epoch,
        )
        self._execute(order.ack)
        for price_ticks, lots in takes:
            self._fill(order, lots, price_ticks, is_maker=False)
        if ends_as == "canceled":
            reasons = {OrderType.FOK: "fok_unfilled", OrderType.IOC: "ioc_remainder", OrderType.MARKET: "ioc_remainder"}
            self._end(order, reasons.get(place.order_type, "self_reduce"))

    def _cancel(self, cancel: requests.CancelOrder, session: Session) -> None:
        id_ = cancel.client_order_id
        order = self.open.get(id_)
        if order is None:
            code = "TOO_LATE_TO_CANCEL" if id_ in self.orders else "UNKNOWN_ORDER"
        elif self._faults.strikes("venue.soft_cancel_reject"):
            code = "RATE_LIMIT"
        elif self._faults.strikes("venue.cancel_refused"):
            code = "TOO_LATE_TO_CANCEL"
        else:
            self._end(order, "user")
            if order.leaves_lots and self._faults.strikes("venue.late_fill"):
                delay_ns = self._faults.span_ns("venue.late_fill", 3_000 * NS_PER_MS)
                self._schedule.at(self._schedule.now_ns + delay_ns, self._fill_late, order)
            return
        retry_after_ms = self._stream.choice((None, 50, 800)) if code == "RATE_LIMIT" else None
        session.end.send(
            events.CancelReject(client_order_id=id_, code=code, retry_after_ms=retry_after_ms, epoch=session.epoch)
        )

    def _amend(self, amend: requests.Amend, session: Session) -> None:
        id_ = amend.client_order_id
        order = self.open.get(id_)
        code = ""
        if amend.epoch != self.epoch:
            code = "STALE_EPOCH"
        elif order is None:
            code = "UNKNOWN_ORDER"
        elif self._faults.strikes("venue.amend_refused"):
            code = "RATE_LIMIT"
        if code or order is None:
            session.end.send(events.AmendReject(client_order_id=id_, code=code, epoch=session.epoch))
            return
        order.total_lots = max(amend.total_lots, order.cum_lots)
        order.price_ticks = amend.price_ticks
        self._ledger.amend(id_, order.total_lots, amend.price_ticks)
        if not order.leaves_lots:
            self._end(order, "self_reduce")
            return
        self._execute(
            events.Amended(
                exec_seq=self._next(),
                client_order_id=id_,
                order_id=order.order_id,
                total_lots=order.total_lots,
                price_ticks=order.price_ticks,
                cum_lots=order.cum_lots,
                leaves_lots=order.leaves_lots,
                epoch=self._told_epoch,
            )
        )
        self._match(order)

    def _cancel_all(self, request: requests.CancelAll, session: Session) -> None:
        if request.fence == "account":
            self.epoch += 1
        ended = []
        orders = [order for order in self.open.values() if request.symbol in ("", order.place.symbol)]
        for order in orders:
            if not self._faults.strikes("venue.fence_leaves_one"):
                self._end(order, "user")
                ended.append(order.place.client_order_id)
        if request.fence == "account" and self.session is session:
            session.epoch = self.epoch
        session.end.send(
            events.FenceDone(
                request_id=request.request_id,
                scope=request.fence,
                symbol=request.symbol,
                canceled=tuple(ended),
                exec_seq=len(self.log),
                epoch=self._told_epoch,
            )
        )

    def _replay(self, request: requests.ReplayFrom, session: Session) -> None:
        if self._faults.strikes("venue.silent_query"):
            return
        start = max(1, request.exec_seq)
        for frame in self.log[start - 1 :]:
            session.end.send(msgspec.structs.replace(frame, is_replayed=True, epoch=session.epoch))
        session.end.send(events.ReplayDone(len(self.log), session.epoch))

    def _send_book(self, session: Session, market: Market) -> None:
        session.end.send(
            BookSnapshot(
                symbol=market.symbol,
                book_seq=market.book_seq,
                bids=market.bids,
                asks=market.asks,
                exchange_ns=self._clock.wall_ns(),
            )
        )

    def _reject(self, session: Session, id_: str, code: str) -> None:
        session.end.send(events.Reject(client_order_id=id_, code=code, epoch=session.epoch))
