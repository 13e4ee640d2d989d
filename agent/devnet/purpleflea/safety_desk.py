"""What cancels by itself: the dead-man timer and cancel-on-disconnect."""

from __future__ import annotations

from typing import Any

from agent.devnet.purpleflea import reading
from agent.devnet.purpleflea.floor import Caller, Floor, Member
from agent.devnet.purpleflea.reading import Refused
from agent.devnet.purpleflea.sessions import CancelOnDisconnect

DEADMAN_MIN_MS, DEADMAN_MAX_MS = 5_000, 120_000
GRACE_MAX_MS = 10_000


def deadman(caller: Caller, frame: dict[str, Any]) -> None:
    """W31: arm or re-arm; 0 disarms. Once it has fired, only arming it anew lets orders in again."""
    floor, member = caller.floor, caller.member
    if not caller.key.may("trade", "cancel"):
        raise Refused("KEY_SCOPE", "deadman")
    timeout_ms = reading.whole(frame, "timeout_ms")
    if timeout_ms and not DEADMAN_MIN_MS <= timeout_ms <= DEADMAN_MAX_MS:
        raise Refused("MALFORMED", f"timeout_ms: 0, or {DEADMAN_MIN_MS} to {DEADMAN_MAX_MS}")
    if member.deadman is not None:
        member.deadman.cancel()
        member.deadman = None
    now = floor.now()
    answer: dict[str, Any] = {"type": "deadman_ack", "deadline_ns": None}
    if timeout_ms:
        member.has_deadman_fired = False
        answer["deadline_ns"] = now.wall_ns + timeout_ms * 1_000_000
        wait_ns = floor.conduct.deadman_wait_ns(member, timeout_ms * 1_000_000)
        if wait_ns is not None:
            member.deadman = floor.timers.at(now.mono_ns + wait_ns, lambda: fire_deadman(floor, member))
    caller.answer(answer)


def fire_deadman(floor: Floor, member: Member) -> None:
    """Cancel everything of the account and tell whoever listens."""
    member.deadman, member.has_deadman_fired = None, True
    account_id = member.account.account_id
    ended = floor.engine.cancel_many(list(floor.engine.open_orders[account_id].values()), "deadman", floor.now())
    floor.flush()
    for session in floor.sessions_of(account_id):
        if session.has_orders:
            floor.send(
                session,
                {
                    "type": "cancel_all_done",
                    "canceled": [order.client_order_id for order in ended],
                    "failed": [],
                    "reason": "deadman",
                    "exec_seq": floor.engine.executions[account_id].last_seq,
                    "session_epoch": member.epoch,
                },
            )


def set_cod(caller: Caller, frame: dict[str, Any]) -> None:
    """W30: on a connection for that connection, by REST for every later trade connection of the account."""
    if not caller.key.may("trade", "cancel"):
        raise Refused("KEY_SCOPE", "set_cod")
    scope = frame.get("scope", "connection")
    if scope not in ("connection", "account"):
        raise Refused("MALFORMED", "scope: connection or account")
    grace_ms = reading.whole(frame, "grace_ms", default=0)
    if grace_ms > GRACE_MAX_MS:
        raise Refused("MALFORMED", f"grace_ms: 0 to {GRACE_MAX_MS}")
    cod = CancelOnDisconnect(reading.flag(frame, "enabled", default=True), scope, grace_ms)
    if caller.session is not None and caller.session.is_trader:
        caller.session.cod = cod
    else:
        caller.member.cod = cod
    caller.answer({"type": "cod_ack", "enabled": cod.is_enabled, "scope": cod.scope, "grace_ms": cod.grace_ms})


def logout(caller: Caller, frame: dict[str, Any]) -> None:
    """A graceful end. Cancel-on-disconnect acts here too, unless `keep_orders` says otherwise."""
    assert caller.session is not None, "only a connection can log out"
    caller.session.keeps_orders = reading.flag(frame, "keep_orders")
    caller.floor.end_session(caller.session, 1000, "logout")
