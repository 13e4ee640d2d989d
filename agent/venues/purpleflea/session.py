"""How a session begins and what its end means: the first words of both sides, and the close codes that are final."""

from __future__ import annotations

from agent.core.events.orders import SessionUp
from agent.venues.purpleflea import encoder
from agent.venues.purpleflea.options import Options
from agent.venues.purpleflea.wire import Hello

PROTOCOL = "pf.v1"
PRIVATE_CHANNELS = ("orders", "fills", "account")
PUBLIC_CHANNELS = ("ticker", "orderbook", "trades", "status")
ARTICLE_CHANNELS = ("ticker", "orderbook", "fills")
_FINAL_CLOSES = {4401: "the key is refused", 4403: "the key is not allowed this", 4409: "another session took over"}


def up(hello: Hello, options: Options, offset_ns: int) -> SessionUp:
    """A session by the smaller of both sides' limits."""
    limits = hello.limits
    return SessionUp(
        epoch=hello.session_epoch,
        last_exec_seq=hello.last_exec_seq,
        orders_per_s=min(limits.orders_per_s, options.orders_per_s),
        cancels_per_s=min(limits.cancels_per_s, options.cancels_per_s),
        max_open=min(limits.max_open, options.max_open),
        server_offset_ns=offset_ns,
    )


def opening(options: Options) -> list[bytes]:
    """What we say first.

    Private channels come before everything, so that no execution falls between a reconciliation and its subscription.
    """
    frames = [encoder.subscribe(PRIVATE_CHANNELS, options.symbols)]
    if options.cod_grace_ms is not None:
        frames.append(encoder.set_cod(options.cod_grace_ms))
    frames.append(encoder.subscribe(PUBLIC_CHANNELS, options.symbols, depth=options.depth))
    return frames


def article_up(options: Options) -> SessionUp:
    """A session with a peer that has proved nothing: no orders, unless a test of the simulated venue wants them."""
    return SessionUp(
        epoch=0,
        last_exec_seq=0,
        acknowledges=options.allow_unacked_orders,
        orders_per_s=options.orders_per_s,
        cancels_per_s=options.cancels_per_s,
        max_open=options.max_open,
    )


def article_opening(options: Options) -> bytes:
    return encoder.subscribe(ARTICLE_CHANNELS, options.symbols)


def final_close(code: int | None, epoch_ended: str) -> str:
    """Why no connection may follow after this close code; empty where one may.

    An epoch that a fence ended is ours to begin anew, one that another session took is not.
    """
    if code is None or (code == 4409 and epoch_ended == "fence"):
        return ""
    why = _FINAL_CLOSES.get(code)
    return "" if why is None else f"{code}: {why}"
