"""Effects of the core as frames for the venue, and what of each is remembered for its answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from agent.core.effects.orders import (
    Amend,
    ArmDeadman,
    CancelAll,
    CancelOrder,
    OrderEffect,
    Place,
    QueryAccount,
    QueryOpen,
    QueryStatus,
    ReplayFrom,
    Resynchronise,
)
from agent.core.events import Stamp
from agent.core.events.orders import Asked
from agent.errors import Rejected
from agent.venues.purpleflea import encoder
from agent.venues.purpleflea.market_data import MarketData
from agent.venues.purpleflea.markets import Markets
from agent.venues.purpleflea.options import Options
from agent.venues.purpleflea.private import PrivateReader
from agent.venues.purpleflea.questions import Question, Questions

UNACKED = "VENUE_UNACKED"
_MS = 1_000_000


class Sender:
    """One for each protocol; `may_place` is the session's."""

    def __init__(
        self, markets: Markets, questions: Questions, private: PrivateReader, data: MarketData, options: Options
    ) -> None:
        self.may_place = False
        """Whether the peer has proved that it acknowledges orders."""
        self._markets = markets
        self._questions = questions
        self._private = private
        self._data = data
        self._stp = options.stp
        self._senders: dict[type, Callable[[Any, Stamp], bytes]] = {
            Place: self._place,
            CancelOrder: self._cancel,
            Amend: self._amend,
            CancelAll: self._cancel_all,
            QueryStatus: self._query_status,
            QueryOpen: self._query_open,
            QueryAccount: self._query_account,
            ReplayFrom: self._replay_from,
            ArmDeadman: self._arm_deadman,
            Resynchronise: self._resynchronise,
        }

    def send(self, effect: OrderEffect, stamp: Stamp) -> bytes:
        """The frame for an effect of the step with this stamp; empty for effects that are not for the venue.

        Raises Rejected (VENUE_UNACKED) for an order to a peer that has not proved acknowledgements.
        """
        sender = self._senders.get(type(effect))
        return b"" if sender is None else sender(effect, stamp)

    def _place(self, effect: Place, stamp: Stamp) -> bytes:
        if not self.may_place:
            raise _unacked()
        market = self._markets.remember(effect.client_order_id, effect.symbol)
        return encoder.place(effect, market, stamp.wall_ns // _MS, self._stp)

    def _cancel(self, effect: CancelOrder, stamp: Stamp) -> bytes:
        return encoder.cancel(effect.client_order_id)

    def _amend(self, effect: Amend, stamp: Stamp) -> bytes:
        if not self.may_place:
            raise _unacked()
        return encoder.amend(effect, self._markets.of_order(effect.client_order_id, ""))

    def _cancel_all(self, effect: CancelAll, stamp: Stamp) -> bytes:
        question = Question("fence", self._asked(stamp), effect.symbol, effect.fence, effect.request_id)
        return encoder.cancel_all(effect, self._questions.ask(question))

    def _query_status(self, effect: QueryStatus, stamp: Stamp) -> bytes:
        question = Question("status", self._asked(stamp), effect.client_order_id)
        return encoder.order_status(effect.client_order_id, self._questions.ask(question))

    def _query_open(self, effect: QueryOpen, stamp: Stamp) -> bytes:
        return encoder.open_orders(self._questions.ask(Question("open_orders", self._asked(stamp))))

    def _query_account(self, effect: QueryAccount, stamp: Stamp) -> bytes:
        return encoder.account(self._questions.ask(Question("account", self._asked(stamp))))

    def _replay_from(self, effect: ReplayFrom, stamp: Stamp) -> bytes:
        request_id = self._questions.ask(Question("replay", self._asked(stamp)))
        return encoder.fills_since(effect.exec_seq, request_id)

    def _arm_deadman(self, effect: ArmDeadman, stamp: Stamp) -> bytes:
        return encoder.deadman(effect.timeout_ms)

    def _resynchronise(self, effect: Resynchronise, stamp: Stamp) -> bytes:
        return self._data.ask_again(effect.symbol)

    def _asked(self, stamp: Stamp) -> Asked:
        return Asked(stamp.seq, True, self._private.epoch)


def _unacked() -> Rejected:
    return Rejected("the venue has not proved that it acknowledges orders", code=UNACKED)
