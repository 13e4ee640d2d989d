"""The session with an order-book venue: when orders may go out, and whether our books agree with the venue's.

Theory of operation. A connection proves nothing by itself. After the hello the executions that were missed are replayed
(SYNCING); then the venue's open orders and account are asked for and compared with ours, as of the same execution
(RECONCILING); only when that is done may orders go out (LIVE). While live the same comparison runs on, a light one of
the open orders and a full one with the account, because a stream can lose a frame and stay healthy. A list that is not
complete, or an answer that does not come, is never read as empty. No difference is ever explained away by inventing a
fill: it allows reducing only, and if it stays, everything halts until a person adopts it.

The comparison changes nothing where venue and we agree: doing it twice is doing it once.

Connecting, the hello's first checks and subscribing lie before `SessionUp` and belong to the shell: here they are DOWN.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum

import msgspec

from agent.core.accounts.accounts import Accounts
from agent.core.codes import Code
from agent.core.effects.control import Alarm, ArmTimer, DisarmTimer
from agent.core.effects.orders import QueryAccount, QueryOpen, QueryStatus, Reconnect
from agent.core.events import Stamp
from agent.core.events.orders import (
    AccountSnapshot,
    ClockOffset,
    FenceDone,
    OpenOrders,
    OrderEvent,
    ReplayDone,
    SessionDown,
    SessionUp,
)
from agent.core.instruments import TAKING
from agent.core.orders.order import Order
from agent.core.orders.orders import OwnOrders
from agent.core.orders.outcome import Outcome
from agent.core.orders.state import MILLISECOND_NS, SECOND_NS
from agent.core.orders.table import OrderState
from agent.core.risk.modes import ACTIVE, HALTED, REDUCE_ONLY, Mode

MAX_ATTEMPTS = 3
"""Questions without an answer that can be used, before the connection is given up."""
PREFIX = "session:"
LIGHT, FULL, ANSWER = PREFIX + "light", PREFIX + "full", PREFIX + "answer"
COMPARE, DIFFERENCE = PREFIX + "compare", PREFIX + "difference"


class Phase(StrEnum):
    """How far the session is. Cancels may go out from SYNCING on, orders in LIVE alone."""

    DOWN = "down"
    SYNCING = "syncing"
    RECONCILING = "reconciling"
    LIVE = "live"
    UNACKNOWLEDGED = "unacknowledged"
    """A venue without acknowledgements: prices only."""


_LIVE = Phase.LIVE


class SessionTimes(msgspec.Struct, frozen=True, kw_only=True):
    light_ns: int = 5 * SECOND_NS
    full_ns: int = 60 * SECOND_NS
    answer_ns: int = 2 * SECOND_NS
    grace_ns: int = SECOND_NS
    """An order younger than this may be missing in a list that was made before it arrived."""
    difference_ns: int = 60 * SECOND_NS
    """A difference that stays this long halts."""
    max_offset_ns: int = 250 * MILLISECOND_NS
    """Further apart than this, expiry times mean nothing."""


class Round(msgspec.Struct, kw_only=True):
    """One comparison under way."""

    asked_seq: int
    is_full: bool
    attempts: int = 1
    open_orders: OpenOrders | None = None
    account: AccountSnapshot | None = None


class Adoption(msgspec.Struct, frozen=True, kw_only=True):
    """What a person wants to take over from the venue. Without a symbol: whatever differs."""

    symbol: str
    reason: str


WhenAdoptable = Callable[[Adoption, AccountSnapshot, Stamp, Outcome], bool]
"""Books the venue's statement, which is as of our last execution; False where it did not."""


OnMode = Callable[[Mode, str, Stamp, Outcome], None]


class SessionState(msgspec.Struct, kw_only=True):
    phase: Phase = Phase.DOWN
    acknowledges: bool = True
    round: Round | None = None
    is_clock_off: bool = False
    differs_since_ns: int | None = None
    difference: str = ""
    adoption: Adoption | None = None
    """Waits for the venue's figures."""
    is_halted: bool = False
    is_reduced: bool = False
    """What was told last of whether only reducing may go out."""
    agreed_seq: int = 0
    """Of the event at which our books and the venue's account were last found equal."""


class Session:
    """Is given each event of the venue after the orders have taken it in; fills need not be in the books yet."""

    __slots__ = ("_accounts", "_handlers", "_orders", "_times", "on_mode", "state", "when_adoptable")

    def __init__(
        self,
        state: SessionState,
        orders: OwnOrders,
        accounts: Accounts,
        times: SessionTimes = SessionTimes(),  # noqa: B008 # frozen
    ) -> None:
        self.state = state
        self._orders = orders
        self._accounts = accounts
        self._times = times
        self.when_adoptable: WhenAdoptable = lambda adoption, statement, stamp, out: False
        self.on_mode: OnMode = lambda mode, detail, stamp, out: None
        """Told when the session itself begins or ends to let only reducing orders out."""
        self._handlers: dict[type, Callable[..., None]] = {
            SessionUp: self._on_up,
            SessionDown: self._on_down,
            ReplayDone: self._on_replay_done,
            OpenOrders: self._on_open_orders,
            AccountSnapshot: self._on_account,
            FenceDone: self._on_fence,
            ClockOffset: self._on_clock,
        }

    @property
    def is_live(self) -> bool:
        """Orders may go out, as far as the session is concerned."""
        return self.state.phase is _LIVE

    @property
    def epoch(self) -> int:
        return self._orders.state.epoch

    @property
    def acknowledges(self) -> bool:
        return self.state.acknowledges

    @property
    def mode(self) -> Mode:
        """What the session lets pass; the strictest of all modes counts."""
        state = self.state
        if state.is_halted:
            return HALTED
        return REDUCE_ONLY if state.differs_since_ns is not None or state.is_clock_off else ACTIVE

    def apply(self, event: OrderEvent, stamp: Stamp, out: Outcome) -> None:
        """Take the event in; any execution may be the one that a comparison waits for."""
        handler = self._handlers.get(type(event))
        if handler is not None:
            handler(event, stamp, out)
        elif self.state.round is not None:
            self._compare_if_ready(stamp, out)
        self._tell_mode(stamp, out)

    def timer(self, name: str, stamp: Stamp, out: Outcome) -> None:
        """A timer fired; names that do not begin with `session:` belong to others."""
        state, times = self.state, self._times
        if not name.startswith(PREFIX):
            return
        if name == DIFFERENCE:
            self._halt_if_it_differs_still(stamp, out)
        elif name == ANSWER:
            if state.round is not None:
                self._ask_again("no answer", stamp, out)
        elif name == COMPARE:
            if state.round is not None:
                self._compare_if_ready(stamp, out)
        elif state.phase is Phase.LIVE:
            is_full = name == FULL
            out.effects.append(ArmTimer(name, stamp.monotonic_ns + (times.full_ns if is_full else times.light_ns)))
            if state.round is None:
                self._start_round(stamp, out, is_full=is_full or state.differs_since_ns is not None)
            elif is_full:
                self._start_round(stamp, out, is_full=True)
        self._tell_mode(stamp, out)

    @property
    def can_compare(self) -> bool:
        """The venue can be asked for its figures, and ours are complete."""
        return self.state.phase in (Phase.LIVE, Phase.RECONCILING)

    def adopt(self, adoption: Adoption, stamp: Stamp, out: Outcome) -> None:
        """A person wants the venue's figures for ours: they are asked for now, and `when_adoptable` books them."""
        self.state.adoption = adoption
        self._start_round(stamp, out, is_full=True)

    def _tell_mode(self, stamp: Stamp, out: Outcome) -> None:
        """Once for each change: what rests and may not any more is cancelled by it, and it is in the journal."""
        state = self.state
        is_reduced = state.differs_since_ns is not None or state.is_clock_off
        if is_reduced is state.is_reduced:
            return
        state.is_reduced = is_reduced
        if is_reduced:
            why = f"the account differs: {state.difference}" if state.difference else "the venue's clock is off"
            self.on_mode(REDUCE_ONLY, why, stamp, out)
        else:
            self.on_mode(ACTIVE, "books and clock agree with the venue's", stamp, out)

    def _on_up(self, event: SessionUp, stamp: Stamp, out: Outcome) -> None:
        state = self.state
        state.round = None
        state.acknowledges = event.acknowledges
        if not event.acknowledges:
            state.phase = Phase.UNACKNOWLEDGED
            return
        state.phase = Phase.SYNCING if self._orders.state.is_up else Phase.DOWN
        self._judge_clock(event.server_offset_ns, out)

    def _on_down(self, event: SessionDown, stamp: Stamp, out: Outcome) -> None:
        state = self.state
        if state.adoption is not None:
            detail = f"{Code.NOT_LIVE}: the session ended before the venue's figures came"
            out.effects.append(Alarm("warning", "ADOPTION_REFUSED", state.adoption.symbol, detail))
            state.adoption = None
        if state.round is not None:
            state.round = None
            out.effects.append(DisarmTimer(ANSWER))
        if state.phase is Phase.LIVE:
            out.effects.append(DisarmTimer(LIGHT))
            out.effects.append(DisarmTimer(FULL))
        state.phase = Phase.DOWN

    def _on_replay_done(self, event: ReplayDone, stamp: Stamp, out: Outcome) -> None:
        if self.state.phase is Phase.SYNCING and not self._orders.state.is_replay_asked:
            self.state.phase = Phase.RECONCILING
            self._start_round(stamp, out, is_full=True)
        elif self.state.round is not None:
            self._compare_if_ready(stamp, out)

    def _on_fence(self, event: FenceDone, stamp: Stamp, out: Outcome) -> None:
        """What a list proves behind the fence, only a list asked for behind it proves."""
        state = self.state
        if event.scope != "none" and state.phase in (Phase.LIVE, Phase.RECONCILING):
            is_full = state.phase is Phase.RECONCILING or (state.round is not None and state.round.is_full)
            self._start_round(stamp, out, is_full=is_full)

    def _on_clock(self, event: ClockOffset, stamp: Stamp, out: Outcome) -> None:
        was_off = self.state.is_clock_off
        self._judge_clock(event.offset_ns, out)
        if was_off and not self.state.is_clock_off and self.state.phase is Phase.RECONCILING:
            self._start_round(stamp, out, is_full=True)

    def _on_open_orders(self, event: OpenOrders, stamp: Stamp, out: Outcome) -> None:
        round_ = self.state.round
        if round_ is None or event.epoch != self.epoch or event.asked.seq < round_.asked_seq:
            return
        if event.is_complete:
            round_.open_orders = event
            self._compare_if_ready(stamp, out)
        else:
            self._ask_again("an incomplete list", stamp, out)

    def _on_account(self, event: AccountSnapshot, stamp: Stamp, out: Outcome) -> None:
        round_ = self.state.round
        if round_ is None or event.epoch != self.epoch or event.asked is None or event.asked.seq < round_.asked_seq:
            return
        round_.account = event
        self._compare_if_ready(stamp, out)

    def _start_round(self, stamp: Stamp, out: Outcome, *, is_full: bool) -> None:
        self.state.round = Round(asked_seq=stamp.seq, is_full=is_full)
        self._ask(stamp, out)

    def _ask(self, stamp: Stamp, out: Outcome) -> None:
        round_ = self.state.round
        assert round_ is not None
        if round_.open_orders is None:
            out.effects.append(QueryOpen())
        if round_.is_full and round_.account is None:
            out.effects.append(QueryAccount())
        out.effects.append(ArmTimer(ANSWER, stamp.monotonic_ns + self._times.answer_ns))

    def _ask_again(self, why: str, stamp: Stamp, out: Outcome) -> None:
        round_ = self.state.round
        assert round_ is not None
        round_.attempts += 1
        if round_.attempts > MAX_ATTEMPTS:
            self.state.round = None
            out.effects.append(DisarmTimer(ANSWER))
            detail = f"open orders and account could not be compared: {why}"
            out.effects.append(Alarm("critical", "VENUE_DOES_NOT_ANSWER", "", detail))
            out.effects.append(Reconnect(detail))
            return
        self._ask(stamp, out)

    def _compare_if_ready(self, stamp: Stamp, out: Outcome) -> None:
        """Both answers are there and our executions have come as far as they count."""
        round_ = self.state.round
        assert round_ is not None
        listed, account = round_.open_orders, round_.account
        if listed is None or (round_.is_full and account is None):
            return
        if out.fills or out.busts:
            out.effects.append(ArmTimer(COMPARE, stamp.monotonic_ns))  # the books have not taken them in yet
            return
        cursor = self._orders.state.cursor
        if cursor < max(listed.as_of_exec_seq, account.as_of_exec_seq if account is not None else 0):
            return
        if account is not None and account.as_of_exec_seq < cursor:
            round_.account = None  # we have moved on: only figures of the same moment can be compared
            round_.asked_seq = stamp.seq
            if self.is_live and round_.attempts >= MAX_ATTEMPTS:
                round_.is_full = False  # executions come too fast for it now; the next full check tries again
                self._compare_if_ready(stamp, out)
            else:
                self._ask_again("the account's figures are older than its executions", stamp, out)
            return
        self.state.round = None
        out.effects.append(DisarmTimer(ANSWER))
        self._compare_orders(listed, stamp, out)
        if account is not None:
            self._compare_account(account, stamp, out)
        if self.state.phase is Phase.RECONCILING and not self.state.is_clock_off:
            self._go_live(stamp, out)

    def _compare_orders(self, listed: OpenOrders, stamp: Stamp, out: Outcome) -> None:
        """What is listed was taken in as it came; here it is about what is not, and about what should have ended."""
        names = {row.client_order_id for row in listed.orders}
        for order in self._orders.all_live():
            is_young = stamp.monotonic_ns - order.placed_ns < self._times.grace_ns
            if is_young or order.state is OrderState.QUEUED or listed.asked.seq <= order.placed_seq:
                continue
            if order.client_order_id not in names:
                self._judge_missing(order, listed.as_of_exec_seq, stamp, out)
            elif order.order_type in TAKING and order.state is OrderState.OPEN:
                detail = f"{order.order_type.value} is open after {order.cum_lots} of {order.total_lots} lots"
                out.effects.append(Alarm("warning", "IMMEDIATE_ORDER_RESTS", order.client_order_id, detail))
                out.effects.append(QueryStatus(order.client_order_id))

    def _judge_missing(self, order: Order, as_of: int, stamp: Stamp, out: Outcome) -> None:
        is_asked_for = order.state is OrderState.UNKNOWN and (order.query_at_ns != 0 or not self.is_live)
        if not is_asked_for and as_of >= max(order.exec_seq, order.status_seq):
            self._orders.report_missing(order, stamp, out)

    def _compare_account(self, account: AccountSnapshot, stamp: Stamp, out: Outcome) -> None:
        state = self.state
        adoption, state.adoption = state.adoption, None
        is_adopted = adoption is not None and self.when_adoptable(adoption, account, stamp, out)
        difference = self._difference(account)
        if not difference:
            if is_adopted:
                state.is_halted = False
            state.agreed_seq = stamp.seq
            if state.differs_since_ns is not None:
                out.effects.append(Alarm("notice", "ACCOUNT_AGREES", "", f"no longer: {state.difference}"))
                self._forget_difference(out)
            return
        if difference != state.difference:
            state.difference = difference
            out.effects.append(Alarm("critical", "ACCOUNT_DIFFERS", "", difference))
        now_ns = stamp.monotonic_ns
        since_ns = now_ns if state.differs_since_ns is None else min(state.differs_since_ns, now_ns)
        state.differs_since_ns = since_ns
        # Armed each time: a new run has lost the timer, and its monotonic clock may have begun anew.
        out.effects.append(ArmTimer(DIFFERENCE, since_ns + self._times.difference_ns))
        self._orders.replay_again(stamp, out)

    def _difference(self, account: AccountSnapshot) -> str:
        books = self._accounts
        ours = {symbol: position.ledger.lots for symbol, position in books.positions.items()}
        theirs = {position.symbol: position.lots for position in account.positions}
        found = [
            f"{symbol}: we have {ours.get(symbol, 0)} lots, the venue {theirs.get(symbol, 0)}"
            for symbol in sorted(ours.keys() | theirs.keys())
            if ours.get(symbol, 0) != theirs.get(symbol, 0)
        ]
        bases = {position.base for position in books.positions.values()}
        for balance in account.balances:
            atoms = books.cash.get(balance.currency, 0)
            if atoms != balance.atoms and balance.currency not in bases:  # a base is compared as its position
                found.append(f"{balance.currency}: we have {atoms} atoms, the venue {balance.atoms}")
        return "; ".join(found)

    def _halt_if_it_differs_still(self, stamp: Stamp, out: Outcome) -> None:
        state = self.state
        since_ns = state.differs_since_ns
        if since_ns is not None and stamp.monotonic_ns - since_ns >= self._times.difference_ns and not state.is_halted:
            state.is_halted = True
            out.effects.append(Alarm("critical", "ACCOUNT_DIFFERS", "", f"unexplained: {state.difference}"))
            out.halts.append(("ACCOUNT_DIFFERS", state.difference))

    def _forget_difference(self, out: Outcome) -> None:
        if self.state.differs_since_ns is not None:
            self.state.differs_since_ns = None
            self.state.difference = ""
            out.effects.append(DisarmTimer(DIFFERENCE))

    def _judge_clock(self, offset_ns: int, out: Outcome) -> None:
        is_off = abs(offset_ns) > self._times.max_offset_ns
        if is_off and not self.state.is_clock_off:
            detail = f"the venue's clock is {offset_ns // MILLISECOND_NS} ms from ours"
            out.effects.append(Alarm("critical", "CLOCK_OFF", "", detail))
        self.state.is_clock_off = is_off

    def _go_live(self, stamp: Stamp, out: Outcome) -> None:
        self.state.phase = Phase.LIVE
        out.effects.append(ArmTimer(LIGHT, stamp.monotonic_ns + self._times.light_ns))
        out.effects.append(ArmTimer(FULL, stamp.monotonic_ns + self._times.full_ns))
        self._orders.session_live(stamp, out)
