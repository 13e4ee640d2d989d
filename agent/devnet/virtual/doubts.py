"""Which orders are of unknown fate, told from what the agent sent and heard, and what binds it while they are.

Where an order may rest or not, nothing new goes out in its symbol before that is known, or before a fence has made it
impossible. The world sees each request that leaves and each frame that is stepped, so it needs no order table for this.
It is lenient where the agent may know less: whatever can be taken for an answer ends a doubt. Part of the oracles; the
laws are listed in oracles.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from agent.core.effects import Effect
from agent.core.effects.orders import Amend, Place
from agent.core.events import Event, Stamp
from agent.core.events import orders as events
from agent.core.events.control import RunStarted
from agent.devnet.virtual.venue import FORMS_OF_AN_OPEN_OUTCOME

if TYPE_CHECKING:
    from agent.devnet.virtual.world import World

ANSWER_NS = 1_300_000_000
"""A place that nobody answered for so long is in doubt: a second, and as long as a time-out may take to be noticed."""
STEP_NS_MAX = 100_000_000
"""No more of the time between two steps counts: a process that did not run could not notice anything."""


class SentOrder(msgspec.Struct):
    """A place that left the process, as far as the agent was told of it."""

    symbol: str
    awake_ns: int
    """When it left, on the clock that stands while the process does not run."""
    is_answered: bool = False
    """Something told of it since it left, or since the last connection ended."""
    is_doubted: bool = False
    is_fenced: bool = False
    """A fence has passed since it left: where a complete list does not name it, it is over."""


class Doubts:
    """Kept by the world while it runs."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._sent: dict[str, SentOrder] = {}
        """Orders that are not over, in the order in which they left."""
        self._over: set[str] = set()
        self._awake_ns = 0
        self._stepped_ns: int | None = None

    def on_sent(self, place: Place) -> None:
        """A place leaves the process; where its record was slow to reach the disk, that may be behind its end."""
        if place.client_order_id not in self._over:
            self._sent.setdefault(place.client_order_id, SentOrder(place.symbol, self._awake_ns))

    def on_event(self, event: Event, stamp: Stamp) -> None:
        """Before the step's effects are judged."""
        if self._stepped_ns is not None:
            self._awake_ns += max(0, min(STEP_NS_MAX, stamp.monotonic_ns - self._stepped_ns))
        self._stepped_ns = stamp.monotonic_ns
        match event:
            case events.SessionDown() | RunStarted():
                for order in self._sent.values():
                    order.is_answered, order.is_doubted = False, True
            case events.SendResult(request="place"):
                self._on_send_result(event)
            case events.Reject():
                if event.code in FORMS_OF_AN_OPEN_OUTCOME:
                    self._doubt(event.client_order_id)
                else:
                    self._answer(event.client_order_id, is_over=True)
            case events.OrderStatus():
                is_known = event.status != "not_found"
                if is_known or event.never_seen:
                    self._answer(event.client_order_id, is_over=event.status != "open")
            case events.OpenOrders():
                self._on_open_orders(event)
            case events.FenceDone():
                for name, order in list(self._sent.items()):
                    if event.symbol in ("", order.symbol):
                        order.is_fenced = True
                        self._answer(name)
            case events.Fill():
                self._answer(event.client_order_id, is_over=event.leaves_lots == 0)
            case events.OrderAck() | events.Canceled() | events.Amended():
                self._answer(event.client_order_id, is_over=isinstance(event, events.Canceled))
            case _:
                pass

    def on_effects(self, effects: tuple[Effect, ...]) -> None:
        """Judge what the step sends."""
        for effect in effects:
            if type(effect) is Place:
                self._judge(effect, effect.symbol)
            elif type(effect) is Amend:
                order = self._sent.get(effect.client_order_id)
                if order is not None:
                    self._judge(effect, order.symbol)

    def forget_tail(self) -> None:
        """The end of the journal may be gone, and with it orders that the agent sent."""
        self._sent.clear()

    def _judge(self, request: Place | Amend, symbol: str) -> None:
        for name, order in self._sent.items():
            is_unheard_of = not order.is_answered and self._awake_ns - order.awake_ns > ANSWER_NS
            if order.symbol == symbol and (order.is_doubted or is_unheard_of):
                self._world.find("O12", f"sent while the fate of {name} is unknown and no fence has passed: {request}")

    def _on_send_result(self, event: events.SendResult) -> None:
        if event.result == "maybe":
            self._doubt(event.client_order_id)
        else:
            self._sent.pop(event.client_order_id, None)

    def _on_open_orders(self, event: events.OpenOrders) -> None:
        named = {row.client_order_id for row in event.orders}
        for name, order in list(self._sent.items()):
            if name in named or (event.is_complete and order.is_fenced):
                self._answer(name, is_over=name not in named)

    def _doubt(self, client_order_id: str) -> None:
        order = self._sent.get(client_order_id)
        if order is not None and not order.is_answered:
            order.is_doubted = True
            self._world.reach("an order in doubt")

    def _answer(self, client_order_id: str, *, is_over: bool = False) -> None:
        order = self._sent.get(client_order_id)
        if order is not None:
            order.is_answered, order.is_doubted = True, False
        if is_over:
            self._over.add(client_order_id)
            self._sent.pop(client_order_id, None)
