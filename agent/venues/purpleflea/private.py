"""Frames of the private side as events: what each one says about an order, and under which epoch it was said."""

from __future__ import annotations

from agent.core.events import Event
from agent.core.events.orders import (
    AccountSnapshot,
    Amended,
    AmendReject,
    Asked,
    Balance,
    Canceled,
    CancelReject,
    FenceDone,
    Fill,
    OpenOrder,
    OpenOrders,
    OrderAck,
    OrderStatus,
    Reject,
    ReplayDone,
    TradeBusted,
    VenuePosition,
)
from agent.venues.purpleflea.decimals import OffGrid
from agent.venues.purpleflea.markets import Markets
from agent.venues.purpleflea.questions import UNASKED, Kind, Question, Questions
from agent.venues.purpleflea.strict import Malformed
from agent.venues.purpleflea.wire import WireError
from agent.venues.purpleflea.wire_orders import (
    RateState,
    WireAccount,
    WireAck,
    WireAmended,
    WireAmendReject,
    WireBust,
    WireCanceled,
    WireCancelReject,
    WireCorrect,
    WireFenceDone,
    WireFill,
    WireOpenOrders,
    WireOrderState,
    WireReject,
    WireReplayDone,
)


class PrivateReader:
    """All methods raise Malformed, NotDecimal or OffGrid where the frame's figures cannot be."""

    def __init__(self, markets: Markets, questions: Questions) -> None:
        self.epoch = 0
        """Of the connection the frames come by."""
        self.answer_asked: Asked | None = None
        """Set while an answer is read that came by another way than the socket, and was asked so."""
        self.rate: RateState | None = None
        """What the venue said last of the rate limits."""
        self.last_exec_seq = 0
        """The highest that was seen; where a reconnect asks the venue to go on from."""
        self._markets = markets
        self._questions = questions

    def ack(self, frame: WireAck) -> list[Event]:
        market = self._markets.of_order(frame.client_order_id, frame.symbol)
        if frame.rl is not None:
            self.rate = frame.rl
        self._seen(frame.exec_seq)
        if frame.status == "canceled" or frame.status == "expired":
            self._markets.close(frame.client_order_id)
        return [
            OrderAck(
                exec_seq=frame.exec_seq,
                client_order_id=frame.client_order_id,
                order_id=frame.order_id,
                status=frame.status,
                cum_lots=market.lots.natural(frame.cum_qty),
                accepted_price_ticks=None
                if frame.accepted_price is None
                else market.prices.positive(frame.accepted_price),
                is_duplicate=frame.duplicate,
                is_replayed=frame.replayed,
                exchange_ns=(frame.exchange_ts or 0) * 1_000,
                epoch=self.epoch,
            )
        ]

    def fill(self, frame: WireFill) -> list[Event]:
        market = self._markets.by_symbol.get(frame.symbol)
        if market is None:
            raise Malformed("a fill of an unknown instrument")
        leaves_lots = market.lots.natural(frame.leaves_qty)
        event = Fill(
            exec_seq=frame.exec_seq,
            symbol=frame.symbol,
            client_order_id=frame.client_order_id,
            order_id=frame.order_id,
            trade_id=frame.trade_id,
            side=frame.side,
            lots=market.lots.positive(frame.qty),
            price_ticks=market.prices.positive(frame.price),
            is_maker=frame.liquidity == "maker",
            fee=self._markets.fee(market, frame.fee, frame.fee_ccy),
            fee_currency=frame.fee_ccy,
            cum_lots=market.lots.positive(frame.cum_qty),
            leaves_lots=leaves_lots,
            is_replayed=frame.replayed,
            exchange_ns=(frame.exchange_ts or 0) * 1_000,
            epoch=self.epoch,
        )
        self._seen(frame.exec_seq)
        self._markets.traded(frame.trade_id, market)
        if not leaves_lots:
            self._markets.close(frame.client_order_id)
        return [event]

    def reject(self, frame: WireReject) -> list[Event]:
        if frame.rl is not None:
            self.rate = frame.rl
        if frame.exec_seq is not None:
            self._seen(frame.exec_seq)
        return [
            Reject(
                client_order_id=frame.client_order_id,
                code=frame.code,
                exec_seq=frame.exec_seq,
                retry_after_ms=frame.retry_after_ms,
                is_replayed=frame.replayed,
                epoch=self.epoch,
            )
        ]

    def canceled(self, frame: WireCanceled) -> list[Event]:
        market = self._markets.of_order(frame.client_order_id, frame.symbol)
        event = Canceled(
            exec_seq=frame.exec_seq,
            client_order_id=frame.client_order_id,
            order_id=frame.order_id,
            cum_lots=market.lots.natural(frame.cum_qty),
            reason=frame.reason,
            is_replayed=frame.replayed,
            epoch=self.epoch,
        )
        if frame.rl is not None:
            self.rate = frame.rl
        self._seen(frame.exec_seq)
        self._markets.close(frame.client_order_id)
        return [event]

    def cancel_reject(self, frame: WireCancelReject) -> list[Event]:
        if frame.rl is not None:
            self.rate = frame.rl
        return [
            CancelReject(
                client_order_id=frame.client_order_id,
                code=frame.code,
                retry_after_ms=frame.retry_after_ms,
                epoch=self.epoch,
            )
        ]

    def amended(self, frame: WireAmended) -> list[Event]:
        market = self._markets.of_order(frame.client_order_id, frame.symbol)
        event = Amended(
            exec_seq=frame.exec_seq,
            client_order_id=frame.client_order_id,
            order_id=frame.order_id,
            new_client_order_id=None
            if frame.new_client_order_id == frame.client_order_id
            else frame.new_client_order_id,
            total_lots=market.lots.natural(frame.quantity),
            price_ticks=market.prices.positive(frame.price),
            cum_lots=market.lots.natural(frame.cum_qty),
            leaves_lots=market.lots.natural(frame.leaves_qty),
            is_replayed=frame.replayed,
            epoch=self.epoch,
        )
        if frame.rl is not None:
            self.rate = frame.rl
        self._seen(frame.exec_seq)
        if event.new_client_order_id is not None:
            self._markets.remember(event.new_client_order_id, market.instrument.symbol)
        return [event]

    def amend_reject(self, frame: WireAmendReject) -> list[Event]:
        return [AmendReject(client_order_id=frame.client_order_id, code=frame.code, epoch=self.epoch)]

    def order_state(self, frame: WireOrderState) -> list[Event]:
        question = self._question(frame.req_id, "status")
        if question is not None and question.subject != frame.client_order_id:
            raise Malformed("an answer about another order than was asked")
        total_lots = price_ticks = cum_lots = None
        if frame.status != "not_found":
            market = self._markets.of_order(frame.client_order_id, frame.symbol)
            if frame.quantity is None or frame.cum_qty is None:
                raise Malformed("an order without its quantities")
            total_lots, cum_lots = market.lots.natural(frame.quantity), market.lots.natural(frame.cum_qty)
            price_ticks = None if frame.price is None else market.prices.positive(frame.price)
        return [
            OrderStatus(
                client_order_id=frame.client_order_id,
                order_id=frame.order_id,
                status=frame.status,
                as_of_exec_seq=frame.as_of_exec_seq,
                total_lots=total_lots,
                price_ticks=price_ticks,
                cum_lots=cum_lots,
                never_seen=frame.never_seen,
                asked=self._asked(question),
                epoch=self.epoch,
            )
        ]

    def open_orders(self, frame: WireOpenOrders) -> list[Event]:
        question = self._question(frame.req_id, "open_orders")
        rows: list[OpenOrder] = []
        for row in frame.orders:
            market = self._markets.by_symbol.get(row.symbol)
            if market is None:
                raise Malformed("an open order of an unknown instrument")
            rows.append(
                OpenOrder(
                    client_order_id=row.client_order_id,
                    order_id=row.order_id,
                    symbol=row.symbol,
                    side=row.side,
                    total_lots=market.lots.positive(row.quantity),
                    price_ticks=market.prices.positive(row.price),
                    cum_lots=market.lots.natural(row.cum_qty),
                )
            )
        for order in rows:
            self._markets.remember(order.client_order_id, order.symbol)
        return [
            OpenOrders(
                as_of_exec_seq=frame.as_of_exec_seq,
                is_complete=frame.complete,
                orders=tuple(rows),
                asked=self._asked(question),
                epoch=self.epoch,
            )
        ]

    def fence_done(self, frame: WireFenceDone) -> list[Event]:
        question = self._questions.answered(frame.req_id, "fence")
        if frame.session_epoch is not None and frame.session_epoch > self.epoch:
            self.epoch = frame.session_epoch
        # Without a question of ours it is the guard's, the dead-man's or another session's: what it fences is not known.
        scope = "none" if question is None else question.fence
        return [
            FenceDone(
                request_id=frame.req_id if question is None else question.name,
                scope=scope,
                symbol="" if question is None else question.subject,
                canceled=frame.canceled,
                failed=tuple((one.id, one.code) for one in frame.failed),
                exec_seq=frame.exec_seq,
                epoch=self.epoch,
            )
        ]

    def replay_done(self, frame: WireReplayDone) -> list[Event]:
        self._questions.answered(frame.req_id, "replay")
        return [ReplayDone(frame.to_exec_seq, self.epoch)]

    def busted(self, frame: WireBust | WireCorrect) -> list[Event]:
        market = self._markets.of_trade(frame.trade_id, frame.symbol)
        lots = market.lots.natural(frame.qty)
        event = TradeBusted(
            exec_seq=frame.exec_seq,
            trade_id=frame.trade_id,
            lots=lots,
            price_ticks=market.prices.positive(frame.price) if lots and frame.price is not None else None,
            is_replayed=frame.replayed,
            epoch=self.epoch,
        )
        self._seen(frame.exec_seq)
        return [event]

    def account(self, frame: WireAccount) -> list[Event]:
        question = self._question(frame.req_id, "account")
        balances = [(row.ccy, self._atoms(row.ccy, row.total)) for row in frame.balances]
        if self._markets.awaited and any(atoms is None for _, atoms in balances):
            return []  # a market that is still to be named may have this currency; the question is asked again
        positions: list[VenuePosition] = []
        for row in frame.positions:
            market = self._markets.by_symbol.get(row.symbol)
            if market is None:
                raise Malformed("a position in an unknown instrument")
            positions.append(VenuePosition(row.symbol, market.lots.parse(row.qty)))
        asked = None if question is None and self.answer_asked is None else self._asked(question)
        return [
            AccountSnapshot(
                as_of_exec_seq=frame.as_of_exec_seq,
                balances=tuple(Balance(currency, atoms) for currency, atoms in balances if atoms is not None),
                positions=tuple(positions),
                asked=asked,
                epoch=self.epoch,
            )
        ]

    def error(self, frame: WireError) -> list[Event]:
        """An error that answers a place, cancel or amend is that request's reject; the core judges its code."""
        kind, name = frame.req_id[:1], frame.req_id[1:]
        if not self._markets.knows(name) or self._questions.is_open(frame.req_id):
            return []
        if kind == "p":
            return [Reject(client_order_id=name, code=frame.code, epoch=self.epoch)]
        if kind == "c":
            return [CancelReject(client_order_id=name, code=frame.code, epoch=self.epoch)]
        if kind == "a":
            return [AmendReject(client_order_id=name, code=frame.code, epoch=self.epoch)]
        return []

    def _atoms(self, currency: str, text: str) -> int | None:
        """Atoms of a quote currency; lots, rounded down, of a base currency; None for one that no instrument has."""
        for market in self._markets.by_symbol.values():
            if market.instrument.quote == currency:
                return market.money.parse(text)
            if market.instrument.base == currency:
                try:
                    return market.lots.parse(text)
                except OffGrid:
                    return market.floor_lots(text)
        return None

    def _question(self, request_id: str, kind: Kind) -> Question | None:
        return None if self.answer_asked is not None else self._questions.answered(request_id, kind)

    def _asked(self, question: Question | None) -> Asked:
        if self.answer_asked is not None:
            return self.answer_asked
        return UNASKED if question is None else question.asked

    def _seen(self, exec_seq: int) -> None:
        if exec_seq > self.last_exec_seq:
            self.last_exec_seq = exec_seq
