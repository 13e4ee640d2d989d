"""Who is let in, and how a session begins: keys, the hello, and what a login does to the one before it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agent.devnet.purpleflea.floor import Floor
from agent.devnet.purpleflea.keys import OWNER, Key
from agent.devnet.purpleflea.sessions import Session

PROTOCOL = "pf.v1"


class TurnedAway(Exception):
    """No entry: an HTTP status and a code."""

    def __init__(self, status: int, code: str, text: str) -> None:
        super().__init__(f"{status} {code}: {text}")
        self.status = status
        self.code = code
        self.text = text


def secret_of(headers: Mapping[str, str]) -> str | None:
    """The key of a request, from `X-API-Key` or `Authorization: Bearer`; header names in lower case."""
    own = headers.get("x-api-key")
    if own is not None:
        return own
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None


def admit(floor: Floor, headers: Mapping[str, str], ip: str) -> Key:
    """The key that opens the door. TurnedAway: 401 without a live key, 403 from the wrong address."""
    secret = secret_of(headers)
    if not secret:
        raise TurnedAway(401, "unauthorized", "no key")
    now = floor.now()
    key = floor.keys.find(secret, mono_ns=now.mono_ns, wall_ns=now.wall_ns)
    if key is None:
        raise TurnedAway(401, "invalid_key", "no such key")
    if key.ip_allow and ip not in key.ip_allow:
        raise TurnedAway(403, "forbidden", "the key is not for this address")
    floor.conduct.admit(key.account)
    return key


def open_session(floor: Floor, conn_id: int, key: Key, headers: Mapping[str, str]) -> Session:
    """Begin a session and say hello. A key with `trade` raises the epoch and ends the trade session before it."""
    member = floor.members[key.account]
    is_trader = key.may("trade")
    if is_trader:
        floor.end_epoch(member, "replaced")
        member.epoch += 1
        for loss in member.losses:
            loss.cancel()
        member.losses.clear()
    now = floor.now()
    session = Session(
        conn_id=conn_id,
        account=key.account,
        key=key,
        epoch=member.epoch,
        is_trader=is_trader,
        heard_mono_ns=now.mono_ns,
        resume_seq=_resume(headers.get("x-session-resume", "")),
        is_article=floor.terms.is_article,
    )
    floor.sessions[conn_id] = session
    if not session.is_article:
        floor.send(session, _hello(floor, session))
        _beat_later(floor, session, 1)
    floor.conduct.opened(session)
    return session


def delete_key(floor: Floor, key: Key) -> None:
    """Delete a key at once: it opens nothing any more, its sockets close, its orders end."""
    key.is_deleted = True
    wait_ns = floor.conduct.deletion_wait_ns(key)
    if wait_ns:
        key.dies_at_ns = floor.clock.monotonic_ns() + wait_ns
        floor.timers.at(key.dies_at_ns, lambda: _bury(floor, key))
    else:
        _bury(floor, key)


def may_manage(key: Key) -> bool:
    """True for the account's own login."""
    return OWNER in key.scopes


def _bury(floor: Floor, key: Key) -> None:
    for session in floor.sessions_of(key.account):
        if session.key is key:
            floor.end_session(session, 4401, "key revoked")
    orders = floor.engine.open_orders[key.account].values()
    floor.engine.cancel_many([order for order in orders if order.origin.key_id == key.key_id], "admin", floor.now())
    floor.flush()


def _hello(floor: Floor, session: Session) -> dict[str, Any]:
    terms = floor.terms
    return {
        "type": "hello",
        "protocol": PROTOCOL,
        "session_epoch": session.epoch,
        "conn_id": f"c{session.conn_id}",
        "server_ts_ns": floor.now().wall_ns,
        "heartbeat_ms": terms.heartbeat_ms,
        "limits": {
            "orders_per_s": terms.orders_per_s,
            "cancels_per_s": terms.cancels_per_s,
            "max_open": terms.max_open,
            "max_frame": terms.max_frame,
        },
        "features": list(terms.features),
        "last_exec_seq": floor.engine.executions[session.account].last_seq,
    }


def _beat_later(floor: Floor, session: Session, count: int) -> None:
    period_ns = floor.terms.heartbeat_ms * 1_000_000
    floor.timers.at(floor.clock.monotonic_ns() + period_ns, lambda: _beat(floor, session, count))


def _beat(floor: Floor, session: Session, count: int) -> None:
    """Each heartbeat: a ping, and the end of a client that has been silent too long."""
    if floor.sessions.get(session.conn_id) is not session:
        return
    now = floor.now()
    silence_ms = floor.terms.silence_ms
    if session.cod.is_enabled or floor.members[session.account].cod.is_enabled:
        silence_ms = min(silence_ms, 3 * floor.terms.heartbeat_ms)
    if now.mono_ns - session.heard_mono_ns > silence_ms * 1_000_000:
        floor.end_session(session, 4408, "heartbeat")
        return
    floor.send(session, {"type": "ping", "id": f"s{count}", "server_ts_ns": now.wall_ns})
    _beat_later(floor, session, count + 1)


def _resume(header: str) -> int | None:
    """The exec_seq of `X-Session-Resume: epoch:exec_seq`; None where there is none that can be read."""
    _, _, seq = header.partition(":")
    return int(seq) if seq.isascii() and seq.isdigit() else None
