"""Scripted frames through the real protocol class: `event_of` is what a player of scripts needs."""

from __future__ import annotations

from typing import Any

import msgspec

from agent.core.effects.orders import CancelAll, QueryOpen, QueryStatus
from agent.core.events import Event, Stamp
from agent.core.events.orders import Asked
from agent.venues.purpleflea.protocol import PurpleFleaProtocol
from tests.venues.purpleflea.worlds import BTC, NOW_NS, hello, options

_request_id = msgspec.json.Decoder(dict).decode


def event_of(frame: dict[str, Any], asked: Asked | None, epoch: int) -> Event:
    """The one event that the frame is on a connection of this epoch, where its question was put as `asked` says."""
    protocol = session(epoch)
    sent = wired(frame)
    if asked is not None and not asked.is_socket:
        events = protocol.answer(msgspec.json.encode(sent), asked)
    else:
        if asked is not None:
            sent["req_id"] = question(protocol, frame, asked)
        elif frame["type"] == "cancel_all_done":
            sent["req_id"] = fence(protocol, frame["req_id"])
        events = protocol.frame(msgspec.json.encode(sent), NOW_NS, NOW_NS)
    assert not protocol.counters, protocol.counters
    assert len(events) == 1, events
    return events[0]


def session(epoch: int) -> PurpleFleaProtocol:
    """A live session of this epoch."""
    protocol = PurpleFleaProtocol(options(), [BTC])
    protocol.opened(NOW_NS, NOW_NS)
    protocol.frame(hello(session_epoch=epoch), NOW_NS, NOW_NS)
    return protocol


def question(protocol: PurpleFleaProtocol, frame: dict[str, Any], asked: Asked) -> str:
    """Put the question that the frame answers, at the place in the journal where the script has it."""
    protocol._private.epoch, now = asked.epoch, protocol.epoch
    effect = QueryOpen() if frame["type"] == "open_orders" else QueryStatus(frame["client_order_id"])
    data = protocol.send(effect, Stamp(asked.seq, NOW_NS, NOW_NS))
    protocol._private.epoch = now
    return str(_request_id(data)["req_id"])


def fence(protocol: PurpleFleaProtocol, name: str) -> str:
    data = protocol.send(CancelAll(request_id=name, fence="account"), Stamp(1, NOW_NS, NOW_NS))
    return str(_request_id(data)["req_id"])


def wired(frame: dict[str, Any]) -> dict[str, Any]:
    """The frame as a venue sends it: the scripts leave out of a row what they never look at."""
    if frame["type"] == "open_orders":
        return {**frame, "orders": [{"symbol": "BTC-USDC", "side": "buy", **row} for row in frame["orders"]]}
    return dict(frame)
