"""One line of JSON is one signal: its shape, its bounds, and the code over it.

Theory of operation. Whatever a line holds, an event comes of it, so that the core decides and the journal keeps the
decision. A line that cannot be read becomes a signal that is known by a digest of its bytes and says in words of ours what
is wrong; no text of a sender goes any further. The code over a signal is HMAC-SHA256 of its fields as JSON, in the order
in which they stand here, without spaces and without the code itself.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from typing import Annotated

import msgspec
from msgspec import Meta

from agent.core.events.market import SignalIn
from agent.core.instruments import Side

LINE_BYTES_MAX = 4_096
ANSWER_SCHEMA = "mev-agent/signal-answer/1"

Whole = Annotated[int, Meta(ge=0, lt=2**62)]
Name = Annotated[str, Meta(pattern=r"^[A-Za-z0-9:._-]{1,64}$")]
Hex = Annotated[str, Meta(pattern=r"^[0-9a-f]{0,64}$")]


class WireSignal(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a producer sends. Times are Unix nanoseconds, quantities lots, prices ticks."""

    signal_id: Annotated[str, Meta(pattern=r"^[0-9a-f]{32}$")]
    producer: Annotated[str, Meta(pattern=r"^[a-z0-9_-]{1,32}$")]
    symbol: Name
    side: Side
    lots: Whole
    limit_ticks: Whole
    urgency: Annotated[int, Meta(ge=1, le=10)]
    valid_from_ns: Whole
    expires_ns: Whole
    max_slippage_ppm: Annotated[int, Meta(ge=0, lt=1_000_000)]
    position_target_lots: Annotated[int, Meta(gt=-(2**62), lt=2**62)] | None = None
    model_hash: Hex = ""
    input_seq: Whole = 0
    mac: Hex = ""


class Ask(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a producer must know to make a signal: the market of a symbol, and the event that it saw last."""

    ask: Annotated[str, Meta(pattern=r"^market$")]
    symbol: Name


class Answer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What became of one line. `code` is empty where the signal was let in; `ok` says the same."""

    schema: str
    signal_id: str
    ok: bool
    code: str = ""
    detail: str = ""
    seq: int = 0
    """Of the event in the journal: `journal why` follows it."""
    orders: int = 0
    """That went out, or wait for their turn, at once."""
    unmet: str = ""
    """Let in, and the code for which no order went out yet."""


_SIGNAL = msgspec.json.Decoder(WireSignal)
_ASK = msgspec.json.Decoder(Ask)


def read(line: bytes, keys: Mapping[str, bytes | None]) -> SignalIn | Ask:
    """A question, or the event that a line is, whatever it holds. `keys`: each producer's, None where it needs none."""
    if len(line) > LINE_BYTES_MAX:
        return unreadable(line, f"longer than {LINE_BYTES_MAX} bytes")
    try:
        wire = _SIGNAL.decode(line)
    except msgspec.ValidationError:
        try:
            return _ASK.decode(line)
        except (msgspec.MsgspecError, ValueError):
            return unreadable(line, "JSON of another shape, or out of bounds")
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return unreadable(line, "not JSON")
    return SignalIn(
        signal_id=wire.signal_id,
        producer=wire.producer,
        symbol=wire.symbol,
        side=wire.side,
        lots=wire.lots,
        limit_ticks=wire.limit_ticks,
        urgency=wire.urgency,
        valid_from_ns=wire.valid_from_ns,
        expires_ns=wire.expires_ns,
        max_slippage_ppm=wire.max_slippage_ppm,
        position_target_lots=wire.position_target_lots,
        model_hash=wire.model_hash,
        input_seq=wire.input_seq,
        is_authentic=_is_authentic(wire, keys),
    )


def unreadable(line: bytes, problem: str) -> SignalIn:
    """The event of something that is no signal, named after its content."""
    return SignalIn(
        signal_id=hashlib.blake2b(line, digest_size=16).hexdigest(),
        producer="",
        symbol="",
        side=Side.BUY,
        lots=0,
        limit_ticks=0,
        urgency=0,
        valid_from_ns=0,
        expires_ns=0,
        max_slippage_ppm=0,
        problem=problem,
    )


def signed(wire: WireSignal, key: bytes) -> WireSignal:
    """The same with its producer's code over it."""
    return msgspec.structs.replace(wire, mac=_code(wire, key))


def _is_authentic(wire: WireSignal, keys: Mapping[str, bytes | None]) -> bool:
    if wire.producer not in keys:
        return False
    key = keys[wire.producer]
    return key is None or hmac.compare_digest(wire.mac, _code(wire, key))


def _code(wire: WireSignal, key: bytes) -> str:
    fields = msgspec.structs.asdict(wire)
    del fields["mac"]
    return hmac.new(key, msgspec.json.encode(fields), hashlib.sha256).hexdigest()
