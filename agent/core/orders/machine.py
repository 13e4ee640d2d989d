"""Carries out the table: takes an order and an event through its cell and keeps every count in step with it.

Theory of operation. `react` picks the cell's variant, runs its effects in order, moves the state and then computes the
reservation anew from the order alone: what may still fill while it lives, what is owed once it is final. So no cell can
forget it. An order that is final and owes nothing shrinks to a `Closed`; a late frame makes it an order again.
"""

from __future__ import annotations

from agent.core.effects.control import ArmTimer, DisarmTimer
from agent.core.effects.orders import ReplayFrom
from agent.core.events import Stamp
from agent.core.instruments import Side
from agent.core.orders.actions import NO_ARGUMENT, Row
from agent.core.orders.ids import IdSource
from agent.core.orders.order import Closed, Order, closed, reopened
from agent.core.orders.outcome import Outcome
from agent.core.orders.state import Fence, FenceAsked, OrdersState, OrderTimes
from agent.core.orders.table import FINAL, OrderState

KEPT_CLOSED = 8_192
"""Final orders of one generation; late frames of older ones are treated as of an order that was lost."""
UNKNOWN = OrderState.UNKNOWN
BUY = Side.BUY


class SymbolOrders:
    """What the checks ask for, per symbol, kept up to date so that they need no loop. Derived, never stored."""

    __slots__ = ("live", "open_count", "reserved_buy", "reserved_sell", "unknown_count")

    def __init__(self) -> None:
        self.live: dict[str, Order] = {}
        self.open_count = 0
        self.unknown_count = 0
        self.reserved_buy = 0
        self.reserved_sell = 0


class Machine:
    """The orders and their table. Everything that must survive is in `state`; the rest is derived from it."""

    __slots__ = ("by_venue_id", "ids", "open_count", "state", "symbols", "times")

    def __init__(self, state: OrdersState, times: OrderTimes) -> None:
        self.state = state
        self.times = times
        self.ids = IdSource(state.run_epoch, state.next_counter)
        self.symbols: dict[str, SymbolOrders] = {}
        self.by_venue_id: dict[str, str] = {}
        self.open_count = 0
        for order in state.live.values():
            self._index(order)

    def begin_run(self, run_epoch: int, stamp: Stamp, out: Outcome) -> None:
        """Ids of a new run from here on; those of earlier ones stay ours.

        The timers ended with the process that armed them, and its monotonic clock may have had another zero: what waits
        for time waits anew.
        """
        self.state.run_epoch, self.state.next_counter = run_epoch, 0
        self.state.wall_base_ns = None
        self.ids = IdSource(run_epoch)
        now_ns = stamp.monotonic_ns
        for name, order in self.state.live.items():
            order.timer = ""
            order.timer_at_ns = order.query_at_ns = order.query_count = order.cancel_sent_ns = 0
            order.placed_ns = min(order.placed_ns, now_ns)
            if order.state is UNKNOWN:
                order.unknown_since_ns, order.unknown_stage = now_ns, 0
                out.effects.append(ArmTimer("unknown:" + name, now_ns + self.times.unknown_fence_ns))
            if order.is_owed_timed:
                out.effects.append(ArmTimer("owed:" + name, now_ns + self.times.owed_ns))

    def symbol(self, name: str) -> SymbolOrders:
        found = self.symbols.get(name)
        if found is None:
            found = self.symbols[name] = SymbolOrders()
        return found

    def add(self, order: Order) -> None:
        """Follow a new order from here on."""
        self.state.live[order.client_order_id] = order
        self._index(order)

    def find(self, client_order_id: str, venue_id: str = "") -> Order | None:
        """The order a frame speaks of, by any of its ids; a closed one becomes an order again."""
        order = self.state.live.get(client_order_id)
        if order is not None:
            return order
        state = self.state
        aliases = state.aliases
        name = aliases.get(client_order_id) or self.by_venue_id.get(venue_id) or aliases.get(venue_id, client_order_id)
        order = state.live.get(name)
        if order is not None:
            return order
        remainder = state.closed.pop(name, None) or state.closed_before.pop(name, None)
        if remainder is None:
            return None
        order = reopened(remainder)
        self.add(order)
        return order

    def look(self, client_order_id: str) -> Order | None:
        """As `find`, but changes nothing: of a closed order it gives a copy."""
        state = self.state
        order = state.live.get(client_order_id)
        if order is not None:
            return order
        remainder: Closed | None = state.closed.get(client_order_id) or state.closed_before.get(client_order_id)
        return None if remainder is None else reopened(remainder)

    def react(
        self,
        order: Order,
        row: Row,
        stamp: Stamp,
        out: Outcome,
        fact: bool = False,
        ends_as: OrderState | None = None,
        argument: tuple[int, int] = NO_ARGUMENT,
    ) -> None:
        """Take the order through the row. `fact` decides `owed` and `io`; `ends_as` is the final state that the event
        names, or takes once nothing more can fill.
        """
        before = order.state
        for choice in row.cells[before]:
            holds = choice.holds
            if holds is None or holds(order, fact):
                break
        for action in choice.actions:
            action(self, order, stamp, out, argument)
        after = choice.next_state
        if after is None:
            assert ends_as is not None, "a final answer names its state"
            after = ends_as
        elif ends_as is not None and order.cum_lots >= order.total_lots and after not in FINAL:
            after = ends_as
        if after is not before:
            order.state = after
            self._moved(order, before, after, stamp, out)
        self._reserve(order, after, choice.asks_for_owed, stamp, out)

    def settle(self, order: Order, stamp: Stamp, out: Outcome) -> None:
        """Put away again what `find` brought back and nothing happened to."""
        self._reserve(order, order.state, False, stamp, out)

    def ask_replay(self, stamp: Stamp, out: Outcome) -> None:
        """Ask for what is missing, once until it is answered."""
        state = self.state
        if state.is_up and not state.is_replay_asked:
            state.is_replay_asked = True
            out.effects.append(ReplayFrom(state.cursor + 1))
            out.effects.append(ArmTimer("replay", stamp.monotonic_ns + self.times.replay_ns))

    def tell_seen(self, exec_seq: int, stamp: Stamp, out: Outcome) -> None:
        """An answer counts an execution that has not come; it may be under way, so it is asked for a little later."""
        state = self.state
        if exec_seq > state.seen_seq:
            state.seen_seq = exec_seq
            if exec_seq > state.cursor and not state.is_replay_asked:
                out.effects.append(ArmTimer("gap", stamp.monotonic_ns + self.times.gap_ns))

    def fence_over(self, order: Order) -> Fence | None:
        """A finished fence that was asked for behind the order's send and binds it."""
        for name in (order.symbol, ""):
            fence = self.state.fences.get(name)
            if (
                fence is not None
                and fence.asked_seq > order.placed_seq
                and (fence.scope == "account" or fence.asked_epoch == order.placed_epoch)
            ):
                return fence
        return None

    def fence_under_way(self, scope: str, symbol: str, stamp: Stamp) -> str:
        """The id of a fence whose answer will prove as much as that of one asked for now; empty where there is none."""
        for request_id, asked in reversed(self.state.fences_asked.items()):
            is_as_wide = asked.scope in ("account", scope) and asked.symbol in ("", symbol)
            if is_as_wide and self.fence_overdue_ns(asked, stamp) and not self._has_sent_since(asked.seq, symbol):
                return request_id
        return ""

    def fence_overdue_ns(self, asked: FenceAsked, stamp: Stamp) -> int:
        """When it has to be answered; 0 where that has passed, or its connection has ended."""
        at_ns = asked.at_ns + self.times.fence_ns
        return at_ns if asked.epoch == self.state.epoch and at_ns > stamp.monotonic_ns else 0

    def _has_sent_since(self, seq: int, symbol: str) -> bool:
        orders = self.symbol(symbol).live.values() if symbol else self.state.live.values()
        return any(order.placed_seq > seq for order in orders)

    def _moved(self, order: Order, before: OrderState, after: OrderState, stamp: Stamp, out: Outcome) -> None:
        symbol = self.symbols[order.symbol]
        if after in FINAL:
            if before not in FINAL:
                symbol.open_count -= 1
                self.open_count -= 1
            order.pending_lots = order.pending_price_ticks = 0
            order.is_cancel_in_flight = False
            if order.timer:
                order.timer = ""
                out.effects.append(DisarmTimer("request:" + order.client_order_id))
            if order.query_at_ns:
                self.disarm_query(order, out)
        elif before in FINAL:
            symbol.open_count += 1
            self.open_count += 1
        if after is UNKNOWN:
            symbol.unknown_count += 1
            order.unknown_since_ns = stamp.monotonic_ns
            order.unknown_stage = 0
            at_ns = stamp.monotonic_ns + self.times.unknown_fence_ns
            out.effects.append(ArmTimer("unknown:" + order.client_order_id, at_ns))
        elif before is UNKNOWN:
            symbol.unknown_count -= 1
            order.query_count = 0
            out.effects.append(DisarmTimer("unknown:" + order.client_order_id))
            if order.query_at_ns:
                self.disarm_query(order, out)

    def disarm_query(self, order: Order, out: Outcome) -> None:
        order.query_at_ns = 0
        out.effects.append(DisarmTimer("query:" + order.client_order_id))

    def _reserve(self, order: Order, state: OrderState, asks_for_owed: bool, stamp: Stamp, out: Outcome) -> None:
        cum_lots = order.cum_lots
        is_final = state in FINAL
        reserved = order.claimed_lots if is_final else max(order.total_lots, order.pending_lots, order.claimed_lots)
        reserved = reserved - cum_lots if reserved > cum_lots else 0
        change = reserved - order.reserved_lots
        if change:
            order.reserved_lots = reserved
            symbol = self.symbols[order.symbol]
            if order.side is BUY:
                symbol.reserved_buy += change
            else:
                symbol.reserved_sell += change
        if is_final:
            if reserved:
                self._await_owed(order, asks_for_owed, stamp, out)
            else:
                self._retire(order, out)

    def _await_owed(self, order: Order, asks_for_owed: bool, stamp: Stamp, out: Outcome) -> None:
        if asks_for_owed:
            self.ask_replay(stamp, out)
        if not order.is_owed_timed:
            order.is_owed_timed = True
            at_ns = stamp.monotonic_ns + self.times.owed_ns
            out.effects.append(ArmTimer("owed:" + order.client_order_id, at_ns))

    def _retire(self, order: Order, out: Outcome) -> None:
        name = order.client_order_id
        if order.is_owed_timed:
            out.effects.append(DisarmTimer("owed:" + name))
        state = self.state
        del state.live[name]
        del self.symbols[order.symbol].live[name]
        if order.venue_id:
            self.by_venue_id.pop(order.venue_id, None)
        state.closed[name] = closed(order)
        if len(state.closed) >= KEPT_CLOSED:
            state.closed_before = state.closed
            state.closed = {}
            if state.aliases:
                self._forget_aliases()

    def _forget_aliases(self) -> None:
        state = self.state
        known = state.live.keys() | state.closed_before.keys()
        state.aliases = {alias: name for alias, name in state.aliases.items() if name in known}

    def _index(self, order: Order) -> None:
        symbol = self.symbol(order.symbol)
        symbol.live[order.client_order_id] = order
        if order.venue_id:
            self.by_venue_id[order.venue_id] = order.client_order_id
        if order.state not in FINAL:
            symbol.open_count += 1
            self.open_count += 1
            if order.state is UNKNOWN:
                symbol.unknown_count += 1
        if order.side is BUY:
            symbol.reserved_buy += order.reserved_lots
        else:
            symbol.reserved_sell += order.reserved_lots
