"""Explicit-state search of the table against an honest venue on a bad network. Plain data, one order of two lots.

The venue accepts, rejects, answers INTERNAL with and without an order, fills, cancels by itself, rejects cancels hard and
soft, accepts or rejects amendments and finishes fences. The network loses frames and requests silently, doubles and
reorders frames, and cuts the connection: then bytes already sent may still be processed until the next epoch, and
answers by REST survive. How often each of these may happen is a budget; everything else may happen at any time. Timers
are explicit: one that fires while something is under way costs a budget too.

A fair step needs no luck and no help: delivery, an armed timer when nothing is under way, a reconnect, a replay, the
light check of a live session, the fence for an order that stays unknown.
"""

from __future__ import annotations

import gc
from array import array
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from agent.core.orders.table import FINAL, TABLE, Cell, OrderState

QUANTITY = 2
Table = dict[str, dict[OrderState, Cell]]
State = tuple[Any, ...]

SENT, OPEN, UNKNOWN = OrderState.SENT, OrderState.OPEN, OrderState.UNKNOWN
PENDING_CANCEL, PENDING_AMEND = OrderState.PENDING_CANCEL, OrderState.PENDING_AMEND
ENDS = {"F": OrderState.FILLED, "C": OrderState.CANCELED}
TIMEOUTS = {"ack": "ack_timeout", "cancel": "cancel_timeout", "amend": "amend_timeout"}
NEEDED_TIMER = {SENT: "ack", PENDING_CANCEL: "cancel", PENDING_AMEND: "amend"}

# The agent's side
STATE, CUM, TOTAL, PENDING, CLAIMED, FLAG, ACKED, IN_FLIGHT, TIMER, QUERY, AMEND_EPOCH, AMENDS = range(12)
SESSION, EPOCH, CURSOR, SEEN, REPLAY, FENCE, HELD = range(12, 19)
# The venue's: 0 nothing yet, 1 open, 2 ended
VENUE, VENUE_TOTAL, VENUE_CUM, LOG = range(19, 23)
# What is under way: requests, requests of the connection before, frames, the one answer by REST
REQUESTS, OLD_REQUESTS, FRAMES, REST = range(23, 27)
BUDGETS = 27
DOWN, SYNCING, LIVE = range(3)


@dataclass(frozen=True)
class Budgets:
    """How often something may happen in one run."""

    cancel: int = 1
    amend: int = 0
    soft: int = 0
    internal: int = 0
    reject: int = 0
    fence: int = 0
    disconnect: int = 0
    early: int = 0
    lost: int = 0
    double: int = 0
    reorder: int = 0


NAMES = tuple(Budgets.__dataclass_fields__)
CANCEL, AMEND, SOFT, INTERNAL, REJECT, FENCES, DISCONNECT, EARLY, LOST, DOUBLE, REORDER = (
    BUDGETS + place for place in range(len(NAMES))
)


class Broken(Exception):
    """A law does not hold."""


@dataclass
class Found:
    states: int
    broken: str = ""
    steps: list[str] = field(default_factory=list)
    """The way there, where a law is broken."""
    stuck: int = 0
    """States from which fair steps alone never lead to a resolved one."""


class Model:
    """The table and the rules around it, over one order, as plain lists."""

    def __init__(self, table: Table = TABLE, *, judges_by_answer: bool = False) -> None:
        self.table = table
        self.judges_by_answer = judges_by_answer

    # The agent

    def react(self, s: list[Any], event: str, fact: bool = False, ends_as: OrderState | None = None) -> None:
        before = s[STATE]
        for variant in self.table[event][before]:
            when = variant.when
            if (
                when is None
                or (when == "c" and s[FLAG])
                or (when == "am" and s[PENDING])
                or (when == "acked" and s[ACKED])
                or (when in ("owed", "io") and fact)
            ):
                break
        if variant.is_impossible:
            raise Broken(f"impossible: {event} in {before}")
        for letter in variant.effects:
            if letter == "C":
                if s[SESSION] and not s[IN_FLIGHT]:
                    s[IN_FLIGHT] = 1
                    s[REQUESTS] += (("cancel",),)
            elif letter == "Q":
                if s[SESSION]:
                    s[QUERY] = 1
                    if event == "nf_weak" and before is UNKNOWN:
                        continue  # asked at once or by the timer when nothing is under way: the same question
                    question = ("query", s[EPOCH], s[AMENDS], s[FENCE] == 2)
                    if s[REQUESTS][-1:] != (question,):  # the same twice in a row is answered twice alike
                        s[REQUESTS] += (question,)
            elif letter == "T":
                s[TIMER] = "amend" if event == "amend_req" else "cancel"
            elif letter == "T(retry)":
                s[TIMER] = "cancel"
            elif letter == "K":
                s[TIMER] = ""
            elif letter == "c":
                s[FLAG] = 1
            elif letter == "H":
                raise Broken(f"false halt: {event} in {before}")
        after = variant.next_state or ends_as
        if variant.next_state is not None and ends_as and s[CUM] >= s[TOTAL] and after not in FINAL:
            after = ends_as
        s[STATE] = after
        if before is UNKNOWN and after is not UNKNOWN:
            s[QUERY] = 0
        if after in FINAL:
            s[PENDING] = s[IN_FLIGHT] = s[QUERY] = 0
            s[TIMER] = ""
            if "X" in variant.effects and s[CLAIMED] > s[CUM]:
                self.ask_replay(s)

    def ask_replay(self, s: list[Any]) -> None:
        if s[SESSION] and not s[REPLAY]:
            s[REPLAY] = 1
            s[REQUESTS] += (("replay", s[CURSOR] + 1),)

    def execution(self, s: list[Any], seq: int) -> None:
        if seq <= s[CURSOR]:
            return
        if seq > s[CURSOR] + 1:
            if seq not in s[HELD]:
                s[HELD] = tuple(sorted((*s[HELD], seq)))
            self.ask_replay(s)
            return
        s[CURSOR] = seq
        self.apply(s, s[LOG][seq - 1], seq)
        while s[CURSOR] + 1 in s[HELD]:
            s[HELD] = tuple(held for held in s[HELD] if held > s[CURSOR] + 1)
            s[CURSOR] += 1
            self.apply(s, s[LOG][s[CURSOR] - 1], s[CURSOR])

    def apply(self, s: list[Any], entry: tuple[str, int], seq: int) -> None:
        kind, number = entry
        s[SEEN] = max(s[SEEN], seq)
        s[ACKED] = 1
        if kind == "ack":
            self.react(s, "ack")
        elif kind == "fill":
            is_owed = s[CLAIMED] > s[CUM]
            s[CUM] += 1
            largest = max(s[TOTAL], s[PENDING])
            event = "fill_part" if s[CUM] < largest else "fill_full" if s[CUM] == largest else "fill_over"
            self.react(s, event, is_owed)
        elif kind == "canceled":
            if s[STATE] not in FINAL:
                s[CLAIMED] = max(s[CLAIMED], number)
                if number > s[TOTAL] and s[PENDING] >= number:
                    s[TOTAL] = s[PENDING]
            self.react(s, "canceled")
        elif s[STATE] in FINAL:
            self.react(s, "amended")
        else:
            s[TOTAL], s[PENDING] = number, 0
            self.react(s, "amended", ends_as=OrderState.CANCELED)

    def answer(self, s: list[Any], answer: tuple[Any, ...]) -> None:
        _, word, total, cum, as_of, epoch, amends, is_fenced, is_socket = answer
        if as_of < s[SEEN] or (word == "open" and not s[SESSION]):
            return
        s[SEEN] = as_of
        if word == "none":
            asked_epoch = s[EPOCH] if self.judges_by_answer else epoch
            self.react(s, "nf_final" if asked_epoch > 1 or is_fenced else "nf_weak")
            return
        is_in_order = epoch > s[AMEND_EPOCH] or (is_socket and amends == s[AMENDS])
        is_cleared = s[PENDING] != 0 and (is_in_order or word != "open")
        if s[STATE] is not OrderState.FILLED:
            s[TOTAL] = total
            if is_cleared:
                s[PENDING] = 0
        if word == "open":
            s[ACKED] = 1
            self.react(s, "status_open", is_cleared, OrderState.FILLED if is_cleared else None)
            if cum > s[CUM]:
                self.ask_replay(s)
            if s[STATE] is not UNKNOWN:
                s[QUERY] = 0
        else:
            self.final_answer(s, ENDS[word], cum)

    def final_answer(self, s: list[Any], ends_as: OrderState, cum: int) -> None:
        if s[STATE] not in FINAL:
            s[ACKED] = 1
            s[CLAIMED] = max(s[CLAIMED], cum)
        elif cum > s[CUM]:
            s[CLAIMED] = max(s[CLAIMED], cum)
            self.ask_replay(s)
        elif cum < s[CUM] or s[STATE] is not ends_as:
            raise Broken(f"false halt: the venue says {ends_as} with {cum}, we have {s[STATE]} with {s[CUM]}")
        self.react(s, "status_final", ends_as=ends_as)

    def absent(self, s: list[Any], status: tuple[Any, ...]) -> None:
        """The order is missing in a complete list asked for behind a fence."""
        _, _, _, _, as_of, epoch, amends, _, _ = status
        if as_of < s[SEEN] or (s[STATE] is UNKNOWN and s[ACKED] and as_of > s[CURSOR]):
            return
        if s[PENDING]:
            if as_of > s[CURSOR] or (epoch <= s[AMEND_EPOCH] and amends != s[AMENDS]):
                return
            s[PENDING] = 0
            self.react(s, "amend_rej", ends_as=OrderState.FILLED)
        if s[STATE] not in FINAL:
            self.react(s, "fence_absent")

    def receive(self, s: list[Any], frame: Any) -> None:
        if type(frame) is int:
            self.execution(s, frame)
            return
        kind = frame[0]
        if kind == "status":
            self.answer(s, frame)
        elif kind == "replay_done":
            s[REPLAY] = 0
            if s[CURSOR] < frame[1] or s[HELD]:
                self.ask_replay(s)
            elif s[SESSION] == SYNCING:
                s[SESSION] = LIVE
                self.react(s, "session_live")
        elif kind == "fence_done":
            s[FENCE] = 2
            s[REQUESTS] += (("list", s[EPOCH], s[AMENDS]),)
        elif kind == "list":
            _, status = frame
            if status[1] == "open":
                self.answer(s, status)
            else:
                self.absent(s, status)
        else:
            if kind in ("cancel_rej", "cancel_rej_soft"):
                s[IN_FLIGHT] = 0
            was_pending = s[PENDING] != 0
            if kind == "amend_rej":
                s[PENDING] = 0
            self.react(s, kind, ends_as=OrderState.FILLED if kind == "amend_rej" and was_pending else None)

    # The venue

    def log(self, s: list[Any], kind: str, number: int = 0) -> None:
        s[LOG] += ((kind, number),)
        if s[SESSION]:
            s[FRAMES] += (len(s[LOG]),)

    def tell(self, s: list[Any], *frame: Any) -> None:
        if s[SESSION] and s[FRAMES][-1:] != (frame,):
            s[FRAMES] += (frame,)

    def status(self, s: list[Any], epoch: int, amends: int, is_fenced: bool, is_socket: bool) -> tuple[Any, ...]:
        word = ("none", "open", "F" if s[VENUE_CUM] >= s[VENUE_TOTAL] else "C")[s[VENUE]]
        return ("status", word, s[VENUE_TOTAL], s[VENUE_CUM], len(s[LOG]), epoch, amends, is_fenced, is_socket)

    def process(self, s: list[Any], request: tuple[Any, ...]) -> Iterator[tuple[str, list[Any]]]:
        """Every way in which the venue may deal with a request."""
        kind = request[0]
        if kind == "place":
            accepted = s[:]
            accepted[VENUE] = 1
            unsure = accepted[:]
            self.log(accepted, "ack")
            yield "accepts", accepted
            if s[REJECT]:
                rejected = s[:]
                rejected[REJECT] -= 1
                self.tell(rejected, "reject")
                yield "rejects", rejected
            if s[INTERNAL]:
                for name, internal in (("with", unsure), ("without", s[:])):
                    internal[INTERNAL] -= 1
                    self.tell(internal, "send_maybe")
                    if name == "with":
                        self.log(internal, "ack")
                    yield f"INTERNAL {name} an order", internal
        elif kind == "cancel":
            after = s[:]
            if s[VENUE] == 1:
                after[VENUE] = 2
                self.log(after, "canceled", s[VENUE_CUM])
                yield "cancels", after
                if s[SOFT]:
                    soft = s[:]
                    soft[SOFT] -= 1
                    self.tell(soft, "cancel_rej_soft")
                    yield "rejects the cancel softly", soft
            else:
                self.tell(after, "cancel_rej")
                yield "rejects the cancel", after
        elif kind == "amend":
            if s[VENUE] == 1:
                after = s[:]
                after[VENUE_TOTAL] = request[1]
                if request[1] <= s[VENUE_CUM]:
                    after[VENUE] = 2
                    after[VENUE_TOTAL] = s[VENUE_TOTAL]
                    self.log(after, "canceled", s[VENUE_CUM])
                else:
                    self.log(after, "amended", request[1])
                yield f"amends to {request[1]}", after
            refused = s[:]
            self.tell(refused, "amend_rej")
            yield "rejects the amendment", refused
        else:
            after = s[:]
            if kind == "query":
                self.tell(after, *self.status(s, request[1], request[2], request[3], True))
            elif kind == "list":
                self.tell(after, "list", self.status(s, request[1], request[2], True, True))
            elif kind == "replay":
                if s[SESSION]:
                    missed = tuple(range(request[1], len(s[LOG]) + 1))
                    after[FRAMES] += (*missed, ("replay_done", len(s[LOG])))
            else:
                if s[VENUE] == 1:
                    after[VENUE] = 2
                    self.log(after, "canceled", s[VENUE_CUM])
                self.tell(after, "fence_done")
            yield f"answers {kind}", after

    # Steps

    def steps(self, state: State) -> Iterator[tuple[str, list[Any], bool]]:
        """Name, state after and fairness of every step. May raise Broken while a step is worked out."""
        s = list(state)
        yield from self.deliveries(s)
        yield from self.timers(s)
        yield from self.requests(s)
        yield from self.network(s)
        if s[VENUE] == 1:
            filled = s[:]
            filled[VENUE_CUM] += 1
            if filled[VENUE_CUM] == s[VENUE_TOTAL]:
                filled[VENUE] = 2
            self.log(filled, "fill")
            yield "the venue fills", filled, False
            ended = s[:]
            ended[VENUE] = 2
            self.log(ended, "canceled", s[VENUE_CUM])
            yield "the venue cancels", ended, False

    def deliveries(self, s: list[Any]) -> Iterator[tuple[str, list[Any], bool]]:
        if s[REQUESTS]:
            rest = s[:]
            rest[REQUESTS] = s[REQUESTS][1:]
            for how, after in self.process(rest, s[REQUESTS][0]):
                yield f"the venue {how}", after, True
            if s[LOST]:
                lost = rest[:]
                lost[LOST] -= 1
                yield f"lost: {s[REQUESTS][0][0]}", lost, False
        if s[OLD_REQUESTS]:
            rest = s[:]
            rest[OLD_REQUESTS] = s[OLD_REQUESTS][1:]
            for how, after in self.process(rest, s[OLD_REQUESTS][0]):
                yield f"late, the venue {how}", after, False
        if s[FRAMES]:
            frames = s[FRAMES]
            after = s[:]
            after[FRAMES] = frames[1:]
            if s[LOST]:
                lost = after[:]
                lost[LOST] -= 1
                yield f"lost: {frames[0]}", lost, False
            self.receive(after, frames[0])
            yield f"comes: {self.shown(s, frames[0])}", after, True
            if s[DOUBLE]:
                doubled = s[:]
                doubled[DOUBLE] -= 1
                self.receive(doubled, frames[0])
                yield f"comes for the first of two times: {self.shown(s, frames[0])}", doubled, False
            if s[REORDER] and len(frames) > 1:
                swapped = s[:]
                swapped[REORDER] -= 1
                swapped[FRAMES] = (frames[0], *frames[2:])
                self.receive(swapped, frames[1])
                yield f"comes too early: {self.shown(s, frames[1])}", swapped, False
        if s[REST]:
            after = s[:]
            after[REST] = ()
            self.answer(after, s[REST])
            yield f"comes by REST: {s[REST][1]}", after, True

    def timers(self, s: list[Any]) -> Iterator[tuple[str, list[Any], bool]]:
        is_quiet = not (s[REQUESTS] or s[FRAMES])
        if (s[TIMER] or s[QUERY]) and (is_quiet or s[EARLY]):
            for kind in ("request", "query"):
                if not (s[TIMER] if kind == "request" else s[QUERY]):
                    continue
                after = s[:]
                if not is_quiet:
                    after[EARLY] -= 1
                if kind == "request":
                    after[TIMER] = ""
                    if s[TIMER] == "cancel":
                        after[IN_FLIGHT] = 0
                    self.react(after, TIMEOUTS[s[TIMER]])
                else:
                    after[QUERY] = 0
                    self.react(after, "query_due")
                yield f"{s[TIMER] if kind == 'request' else 'query'} timer", after, is_quiet
        if not is_quiet or not s[SESSION]:
            return
        if s[REPLAY]:
            after = s[:]
            after[REPLAY] = 0
            self.ask_replay(after)
            yield "replay timer", after, True
        elif s[SESSION] == LIVE and (s[CURSOR] < len(s[LOG])):
            after = s[:]
            self.ask_replay(after)
            yield "light check", after, True
        if s[STATE] is UNKNOWN and s[SESSION] == LIVE and s[FENCE] < 2:
            after = s[:]
            after[FENCE] = 1
            after[REQUESTS] += (("fence",),)
            yield "fence for the unknown", after, True

    def requests(self, s: list[Any]) -> Iterator[tuple[str, list[Any], bool]]:
        if s[CANCEL] and s[STATE] not in FINAL:
            after = s[:]
            after[CANCEL] -= 1
            self.react(after, "cancel_req")
            yield "cancel is asked for", after, False
        if s[AMEND] and s[STATE] is OPEN:
            for total in (1, 3):
                if total <= s[CUM]:
                    continue
                after = s[:]
                after[AMEND] -= 1
                after[PENDING], after[AMENDS], after[AMEND_EPOCH] = total, s[AMENDS] + 1, s[EPOCH]
                after[REQUESTS] += (("amend", total),)
                self.react(after, "amend_req")
                yield f"amendment to {total} is asked for", after, False
        if s[FENCES] and s[SESSION] == LIVE and not s[FENCE]:
            after = s[:]
            after[FENCES] -= 1
            after[FENCE] = 1
            after[REQUESTS] += (("fence",),)
            yield "fence is asked for", after, False
        if s[EARLY] and not s[REST] and s[STATE] is UNKNOWN:
            after = s[:]
            after[EARLY] -= 1
            after[REST] = self.status(s, s[EPOCH], s[AMENDS], s[FENCE] == 2, False)
            yield "asked by REST, read later", after, False

    def network(self, s: list[Any]) -> Iterator[tuple[str, list[Any], bool]]:
        if not s[SESSION]:
            after = s[:]
            after[OLD_REQUESTS] = ()
            after[EPOCH] += 1
            after[SESSION] = SYNCING
            self.ask_replay(after)
            yield "reconnect", after, True
        elif s[DISCONNECT]:
            after = s[:]
            after[DISCONNECT] -= 1
            after[OLD_REQUESTS] = s[REQUESTS]
            after[REQUESTS] = after[FRAMES] = after[HELD] = ()
            after[REPLAY] = after[IN_FLIGHT] = 0
            after[FENCE] = s[FENCE] if s[FENCE] == 2 else 0
            after[SESSION] = DOWN
            self.react(after, "disconnect")
            yield "disconnect", after, False

    def shown(self, s: list[Any], frame: Any) -> str:
        return f"{frame} {s[LOG][frame - 1][0]}" if type(frame) is int else str(frame[:2])


def first(budgets: Budgets) -> State:
    """Just placed."""
    agent = (SENT, 0, QUANTITY, 0, 0, 0, 0, 0, "ack", 0, 0, 0)
    session = (LIVE, 1, 0, 0, 0, 0, ())
    venue = (0, QUANTITY, 0, ())
    return (*agent, *session, *venue, (("place",),), (), (), (), *(getattr(budgets, name) for name in NAMES))


def reduced(s: list[Any]) -> State:
    """The same state without what cannot matter any more, so that fewer are told apart.

    A frame at or below the cursor, or an answer older than what was applied, is a double that changes nothing. Budgets
    of what cannot happen any more are spent.
    """
    cursor = s[CURSOR]
    frames = s[FRAMES]
    if frames:
        seen, is_safe, kept = s[SEEN], not s[LOST], []
        for frame in frames:
            if type(frame) is int:
                if frame <= cursor or (is_safe and (frame in kept or frame in s[HELD])):
                    continue
            elif frame[0] == "status" and frame[4] < seen:
                continue
            kept.append(frame)
        if len(kept) != len(frames):
            s[FRAMES] = tuple(kept)
    if s[REST] and s[REST][4] < s[SEEN]:
        s[REST] = ()
    if s[VENUE] or ("place",) not in s[REQUESTS] + s[OLD_REQUESTS]:
        s[REJECT] = s[INTERNAL] = 0
    if s[VENUE] == 2:
        s[SOFT] = 0
    if s[FLAG] or s[STATE] in FINAL:
        s[AMEND] = 0
    if s[VENUE] and not (s[PENDING] or s[AMEND]):
        _forget_when_asked(s)
    if s[OLD_REQUESTS]:
        acts = ("place", "cancel", "amend", "fence") if s[VENUE] < 2 else ()
        s[OLD_REQUESTS] = tuple(request for request in s[OLD_REQUESTS] if request[0] in acts)
    if s[STATE] in FINAL:
        if is_over(s):
            return over(s)
        s[CANCEL] = 0
    return tuple(s)


def _forget_when_asked(s: list[Any]) -> None:
    """The venue has the order and no amendment is open: when a question was put proves nothing more."""
    s[AMENDS] = s[AMEND_EPOCH] = 0
    if s[REQUESTS]:
        s[REQUESTS] = tuple(("query", 1, 0, False) if request[0] == "query" else request for request in s[REQUESTS])
    if s[FRAMES]:
        s[FRAMES] = tuple(
            (*frame[:5], 1, 0, False, True) if type(frame) is tuple and frame[0] == "status" else frame
            for frame in s[FRAMES]
        )
    if s[REST] and s[REST][1] != "none":
        s[REST] = (*s[REST][:5], 1, 0, False, True)


def is_over(s: list[Any]) -> bool:
    """Ended on both sides, and everything that was filled is known: whatever comes now is old."""
    may_arrive = s[VENUE] == 0 and ("place",) in s[REQUESTS] + s[OLD_REQUESTS]
    return s[VENUE] != 1 and not may_arrive and s[CURSOR] == len(s[LOG]) and s[CLAIMED] <= s[CUM]


def over(s: list[Any]) -> State:
    """One state for each way an order can end. Raises Broken where the venue would name another end."""
    if s[VENUE] == 2:
        venue_says = OrderState.FILLED if s[VENUE_CUM] >= s[VENUE_TOTAL] else OrderState.CANCELED
        if s[STATE] is not venue_says or s[CUM] != s[VENUE_CUM]:
            raise Broken(f"{s[STATE]} with {s[CUM]}, the venue {venue_says} with {s[VENUE_CUM]}")
    end = [*first(Budgets(cancel=0))]
    end[STATE], end[TIMER], end[CUM], end[VENUE_CUM], end[VENUE] = s[STATE], "", s[CUM], s[CUM], 2
    end[REQUESTS] = ()
    return tuple(end)


def check(s: State) -> None:
    """The laws of every single state. Raises Broken."""
    state, cum = s[STATE], s[CUM]
    sent = s[REQUESTS] + s[OLD_REQUESTS]
    may_arrive = s[VENUE] == 0 and ("place",) in sent
    if state in FINAL:
        if s[VENUE] == 1 or may_arrive:
            raise Broken(f"{state} while the order is live or may arrive")
        reserved = s[CLAIMED] - cum
    else:
        reserved = max(s[TOTAL], s[PENDING], s[CLAIMED]) - cum
    can_fill = s[VENUE_CUM]
    if s[VENUE] == 1 or may_arrive:
        can_fill = max([s[VENUE_TOTAL], *(request[1] for request in sent if request[0] == "amend")])
    if max(0, reserved) < can_fill - cum:
        raise Broken(f"{state}: {reserved} reserved, {can_fill - cum} can still come")
    if cum > s[VENUE_CUM]:
        raise Broken("more fills than the venue made")
    if state in NEEDED_TIMER and s[TIMER] != NEEDED_TIMER[state]:
        raise Broken(f"{state} without its timer")
    if state is UNKNOWN and s[SESSION] == LIVE and not s[QUERY]:
        raise Broken("UNKNOWN with neither question nor timer")
    if s[FLAG] and state in (OPEN, PENDING_AMEND):
        raise Broken("a requested cancel is forgotten")
    if s[CANCEL] == 0 and not s[FLAG] and state in (OPEN, PENDING_AMEND, SENT):
        raise Broken("a requested cancel is forgotten")
    if state is OPEN and s[PENDING]:
        raise Broken("OPEN with a pending total and no timer that ends it")


def is_resolved(s: State) -> bool:
    """Nothing is unknown, owed or under way; a cancel that was requested has ended the order."""
    if s[CURSOR] != len(s[LOG]) or s[CLAIMED] > s[CUM]:
        return False
    return s[STATE] in FINAL or (s[STATE] is OPEN and not s[FLAG])


def search(model: Model, budgets: Budgets, at_most: int = 3_000_000) -> Found:
    """Every reachable state, breadth first; ends at the first that breaks a law."""
    gc.disable()  # millions of tuples and no cycle: collecting takes longer than searching
    try:
        return _searched(model, budgets, at_most)
    finally:
        gc.enable()


def _searched(model: Model, budgets: Budgets, at_most: int) -> Found:
    start = first(budgets)
    number_of = {start: 0}
    states = [start]
    parents = array("i", [-1])
    names = [""]
    fair_from, fair_to = array("i"), array("i")
    at = 0
    while at < len(states):
        state = states[at]
        try:
            check(state)
            for name, after, is_fair in model.steps(state):
                following = reduced(after)
                number = number_of.get(following)
                if number is None:
                    number = len(states)
                    number_of[following] = number
                    states.append(following)
                    parents.append(at)
                    names.append(name)
                if is_fair:
                    fair_from.append(at)
                    fair_to.append(number)
        except Broken as broken:
            return Found(len(states), str(broken), _way(at, parents, names))
        at += 1
        assert at < at_most, "the search does not end"
    stuck = _stuck(states, fair_from, fair_to, is_resolved)
    if stuck:
        return Found(len(states), "no fair way to a resolved state", _way(stuck[0], parents, names), len(stuck))
    return Found(len(states))


def _way(at: int, parents: array[int], names: list[str]) -> list[str]:
    way = []
    while at > 0:
        way.append(names[at])
        at = parents[at]
    return way[::-1]


def _stuck(
    states: list[State], fair_from: array[int], fair_to: array[int], is_goal: Callable[[State], bool]
) -> list[int]:
    """States that cannot reach a goal along fair steps."""
    count = len(states)
    begins = array("i", bytes(4 * (count + 1)))
    for number in fair_to:
        begins[number + 1] += 1
    for number in range(count):
        begins[number + 1] += begins[number]
    place = begins[:]
    sources = array("i", bytes(4 * len(fair_from)))
    for source, target in zip(fair_from, fair_to, strict=True):
        sources[place[target]] = source
        place[target] += 1
    reached = bytearray(count)
    todo = [number for number, state in enumerate(states) if is_goal(state)]
    for number in todo:
        reached[number] = 1
    while todo:
        number = todo.pop()
        for source in sources[begins[number] : begins[number + 1]]:
            if not reached[source]:
                reached[source] = 1
                todo.append(source)
    return [number for number in range(count) if not reached[number]]
