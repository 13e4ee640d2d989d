"""The order state machine as one table: what each event does in each state.

Theory of operation. A row is an event, a column a state, a cell the next state and the letters of what is done, in
order. `=` keeps the state, `!` cannot happen (counted and alarmed, no change), `F` is the final state that the answer
names. A cell may have variants, `otherwise / word: cell / word: cell`; the first word that holds wins:

`c` a cancel was requested · `am` an amendment is still unresolved after this evidence · `acked` the order was once
acknowledged or filled · `owed` the fill lies within the fills that terminal evidence promised · `io` the status was
asked on the order's socket behind the amendment, or under a newer epoch.

Letters: P apply the fill · B correct a busted trade · X the reservation becomes what is still owed, and what is owed is
asked for · R it is reserved again · S place · C cancel · M amend, or adopt what was amended · M(sync), sync adopt total
and price of the answer · Q ask the status · T arm the request timer (T(retry): as a cancel's) · K disarm it · c a cancel
is requested from now on · A alarm · H halt · N notify · I count only · check compare with our final state · refuse
refuse the amendment · - nothing.

A partial fill is data and no state, so a fill can be applied in every state; none of its cells loses it. PCANCEL and
PAMEND are a cancel and an amendment under way. UNKNOWN is left by evidence of the venue only, never by time.
"""

from __future__ import annotations

import re
from enum import StrEnum

import msgspec


class OrderState(StrEnum):
    """Where an order stands. The last five are final, by evidence or because nothing ever left us."""

    QUEUED = "QUEUED"
    SENT = "SENT"
    OPEN = "OPEN"
    PENDING_CANCEL = "PCANCEL"
    PENDING_AMEND = "PAMEND"
    UNKNOWN = "UNKNOWN"
    FILLED = "FILLED"
    CANCELED = "CANCELED"
    REJECTED = "REJECTED"
    EXPIRED = "EXPIRED"
    DENIED = "DENIED"


FINAL = frozenset({OrderState.FILLED, OrderState.CANCELED, OrderState.REJECTED, OrderState.EXPIRED, OrderState.DENIED})

LEAVING = """
event           | QUEUED       | SENT                         | OPEN
ack             | UNKNOWN QAH  | OPEN KN / c: PCANCEL CT      | = I
fill_part       | UNKNOWN PQAH | OPEN PKN / c: PCANCEL PCT    | = PN
fill_full       | FILLED PXAH  | FILLED PXKN                  | FILLED PXN
fill_over       | FILLED PXAH  | FILLED PXKAH                 | FILLED PXAH
canceled        | ! A          | CANCELED XKN                 | CANCELED XN
expired         | ! A          | EXPIRED XKN                  | EXPIRED XN
reject          | ! A          | REJECTED XKN                 | REJECTED XAN
cancel_req      | DENIED XN    | = c                          | PCANCEL cCT
amend_req       | = M          | = refuse                     | PAMEND MRT
cancel_rej      | ! A          | = IA                         | = I
cancel_rej_soft | ! A          | = I                          | = I
amended         | ! A          | OPEN MKNA / c: PCANCEL MCTNA | = MAN
amend_rej       | ! A          | = I                          | = I
release         | SENT ST      | ! A                          | ! A
ttl             | DENIED XN    | = I                          | = I
send_clean      | = I          | DENIED XKN                   | = I
send_maybe      | = I          | UNKNOWN QA                   | = I
ack_timeout     | = I          | UNKNOWN QA                   | = I
cancel_timeout  | = I          | = I                          | = I
amend_timeout   | = I          | = I                          | = I
query_due       | = I          | = I                          | = I
disconnect      | DENIED XN    | UNKNOWN K                    | UNKNOWN
session_live    | = -          | ! A                          | = -
status_open     | ! A          | OPEN KN / c: PCANCEL CT      | = sync
status_final    | ! A          | F XKN                        | F XN
nf_final        | = I          | REJECTED XKN                 | UNKNOWN QAH
nf_weak         | = I          | UNKNOWN Q                    | = QA
fence_absent    | = -          | REJECTED XKN                 | UNKNOWN QA
bust            | ! A          | ! A                          | = BAN
"""

WORKING = """
event           | PCANCEL       | PAMEND                      | UNKNOWN
ack             | = I           | = I                         | OPEN KN / c: PCANCEL CT / am: = I
fill_part       | = PN          | = PN                        | = PNQ
fill_full       | FILLED PXKN   | FILLED PXKN                 | FILLED PXKN
fill_over       | FILLED PXKAH  | FILLED PXKAH                | FILLED PXKAH
canceled        | CANCELED XKN  | CANCELED XKN                | CANCELED XKN
expired         | EXPIRED XKN   | EXPIRED XKN                 | EXPIRED XKN
reject          | REJECTED XKAN | REJECTED XKAN               | REJECTED XKN
cancel_req      | = I           | PCANCEL cCT                 | = cCQ
amend_req       | = refuse      | = refuse                    | = refuse
cancel_rej      | UNKNOWN KQ    | = I                         | = Q
cancel_rej_soft | = T(retry)    | = I                         | = T(retry)
amended         | = M           | OPEN MXKN                   | = MQ
amend_rej       | = X           | OPEN XKN                    | = XQ
release         | ! A           | ! A                         | ! A
ttl             | = I           | = I                         | = I
send_clean      | = I           | = I                         | = I
send_maybe      | UNKNOWN Q     | UNKNOWN Q                   | = I
ack_timeout     | = I           | = I                         | = Q
cancel_timeout  | UNKNOWN QC    | = I                         | = QC
amend_timeout   | = I           | UNKNOWN Q                   | = Q
query_due       | = I           | = I                         | = Q / c: = QC
disconnect      | UNKNOWN K     | UNKNOWN K                   | = K
session_live    | = -           | = -                         | = Q
status_open     | = sync        | = sync / io: OPEN M(sync)KN | OPEN KN / c: PCANCEL CT / am: = syncQ
status_final    | F XKN         | F XKN                       | F XKN
nf_final        | UNKNOWN QAH   | UNKNOWN QAH                 | REJECTED XKN / acked: = QAH
nf_weak         | UNKNOWN Q     | UNKNOWN Q                   | = Q
fence_absent    | UNKNOWN QA    | UNKNOWN QA                  | REJECTED XKN / acked: = QAH
bust            | = BAN         | = BAN                       | = BANQ
"""

ENDED = """
event           | FILLED   | CANCELED           | REJECTED       | EXPIRED            | DENIED
ack             | = I      | = I                | UNKNOWN RQA    | = I                | UNKNOWN RQcCAH
fill_part       | = PN     | = PAN / owed: = PN | UNKNOWN PRQAH  | = PAN / owed: = PN | UNKNOWN PRQcCAH
fill_full       | = PN     | FILLED PAN         | FILLED PAH     | FILLED PAN         | FILLED PAH
fill_over       | = PAH    | FILLED PAH         | FILLED PAH     | FILLED PAH         | FILLED PAH
canceled        | = I      | = I                | = I            | = I                | = A
expired         | = I      | = I                | = I            | = I                | = A
reject          | = I      | = I                | = I            | = I                | = A
cancel_req      | = I      | = I                | = I            | = I                | = I
amend_req       | = refuse | = refuse           | = refuse       | = refuse           | = refuse
cancel_rej      | = I      | = I                | = I            | = I                | = I
cancel_rej_soft | = I      | = I                | = I            | = I                | = I
amended         | = A      | = A                | = A            | = A                | = A
amend_rej       | = I      | = I                | = I            | = I                | = I
release         | ! A      | ! A                | ! A            | ! A                | ! A
ttl             | = I      | = I                | = I            | = I                | = I
send_clean      | = I      | = I                | = I            | = I                | = I
send_maybe      | = I      | = I                | = I            | = I                | = I
ack_timeout     | = I      | = I                | = I            | = I                | = I
cancel_timeout  | = I      | = I                | = I            | = I                | = I
amend_timeout   | = I      | = I                | = I            | = I                | = I
query_due       | = I      | = I                | = I            | = I                | = I
disconnect      | = -      | = -                | = -            | = -                | = -
session_live    | = -      | = -                | = -            | = -                | = -
status_open     | = A      | UNKNOWN RQcCAH     | UNKNOWN RQcCAH | UNKNOWN RQcCAH     | UNKNOWN RQcCAH
status_final    | = check  | = check            | = check        | = check            | = check
nf_final        | = A      | = I                | = I            | = I                | = I
nf_weak         | = I      | = I                | = I            | = I                | = I
fence_absent    | = I      | = I                | = I            | = I                | = I
bust            | = BAN    | = BAN              | = BAH          | = BAN              | ! AH
"""

TABLES = (LEAVING, WORKING, ENDED)
NAMED_FINAL = "F"
IMPOSSIBLE = "!"
_LETTERS = re.compile(r"M\(sync\)|T\(retry\)|sync|check|refuse|[PBXRSCMQTKcAHNI-]")


class Variant(msgspec.Struct, frozen=True, kw_only=True):
    """One way a cell can go: taken if `when` holds; None always holds and comes last."""

    when: str | None
    next_state: OrderState | None
    """None where the answer names it (`F`)."""
    effects: tuple[str, ...]
    is_impossible: bool = False


Cell = tuple[Variant, ...]


def parsed(tables: tuple[str, ...]) -> dict[str, dict[OrderState, Cell]]:
    """Event to state to cell. Raises ValueError where a letter or state is none."""
    rows: dict[str, dict[OrderState, Cell]] = {}
    for table in tables:
        header, *lines = ([word.strip() for word in line.split("|")] for line in table.strip().splitlines())
        for event, *cells in lines:
            row = rows.setdefault(event, {})
            for name, text in zip(header[1:], cells, strict=True):
                row[OrderState(name)] = _cell(OrderState(name), text)
    return rows


def _cell(state: OrderState, text: str) -> Cell:
    otherwise, *named = text.split(" / ")
    variants = [_variant(state, *part.split(": ", 1)) for part in named]
    return (*variants, _variant(state, None, otherwise))


def _variant(state: OrderState, when: str | None, text: str) -> Variant:
    word, _, letters = text.partition(" ")
    effects = tuple(_LETTERS.findall(letters))
    if "".join(effects) != letters:
        raise ValueError(f"not a list of effects: {letters!r}")
    return Variant(
        when=when,
        next_state=state if word in ("=", IMPOSSIBLE) else None if word == NAMED_FINAL else OrderState(word),
        effects=tuple(effect for effect in effects if effect != "-"),
        is_impossible=word == IMPOSSIBLE,
    )


TABLE = parsed(TABLES)
