"""What agent and guard say to each other over the guard's socket, as fixed layouts in network byte order.

The socket keeps message boundaries and order, and its other end is one process. So every message has one length, a
beat's number is that of the beat before plus one, and anything else is a fault of the sender, never of the way.
The agent has its own copy of these layouts; a test holds the two together.
"""

from __future__ import annotations

import hashlib
import hmac
import struct
from typing import NamedTuple

VERSION = 1
HELLO, BEAT, BYE = 1, 2, 3
WELCOME, REFUSAL, PULSE = 11, 12, 13

MODES = ("normal", "reduce_only", "cancel_only", "halted")
KEY_BYTES = 32
MAC_BYTES = 16
MESSAGE_BYTES_MAX = 512
NO_VENUE = 0xFFFF_FFFF
"""`venue_age_ms` of an agent that has no session at a venue."""

IS_ARMED, IS_LATCHED, MUST_REDUCE = 1, 2, 4
"""Flags of a welcome and of a pulse."""

_HELLO = struct.Struct("!BBHIQ16s16s64s")
_BEAT = struct.Struct("!BBBBIQQQI16sQQ16s16s16sII16s")
_BYE = struct.Struct("!BBHIQ")
_WELCOME = struct.Struct("!BBBBIII32s")
_REFUSAL = struct.Struct("!BB240s")
_PULSE = struct.Struct("!BBBBIQQQ")
PROGRESS = struct.Struct("=QI")
"""The shared word: the sequence of the last completed step and its record's CRC, in the machine's own order."""


class ProtocolFault(Exception):
    """A message that the protocol does not allow; `code` says which rule it breaks."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail


class Hello(NamedTuple):
    """The agent's first message; the descriptor of its progress word comes with it."""

    run_epoch: int
    event_seq: int
    digest: bytes
    build: bytes
    run: str


class Beat(NamedTuple):
    """A sign of life, made by a step of the core itself. Amounts in the atoms of the account's quote currency."""

    run_epoch: int
    seq: int
    monotonic_ns: int
    event_seq: int
    event_crc: int
    digest: bytes
    exec_seq: int
    next_order: int
    mode: str
    nav: int
    day_loss: int
    exposure: int
    orders_last_second: int
    venue_age_ms: int
    build: bytes


class Bye(NamedTuple):
    """The agent ends in order: nothing of its own is live any more, by its own account."""

    run_epoch: int
    seq: int


class Welcome(NamedTuple):
    key: bytes
    flags: int
    run_epoch: int
    beat_deadline_ms: int
    guard_pid: int


class Pulse(NamedTuple):
    run_epoch: int
    seq: int
    monotonic_ns: int
    last_beat_seq: int
    flags: int


def decode_hello(message: bytes) -> Hello:
    """Raises ProtocolFault."""
    if len(message) != _HELLO.size:
        raise ProtocolFault("length", f"a hello has {_HELLO.size} bytes, not {len(message)}")
    kind, version, _, run_epoch, event_seq, digest, build, run = _HELLO.unpack(message)
    _check_head(kind, HELLO, version)
    try:
        name = run.rstrip(b"\0").decode()
    except UnicodeDecodeError:
        raise ProtocolFault("text", "the run's name is not UTF-8") from None
    if not name.isprintable():
        raise ProtocolFault("text", "the run's name does not print")
    return Hello(run_epoch, event_seq, digest, build, name)


def decode_beat_or_bye(message: bytes, key: bytes) -> Beat | Bye:
    """The message of an armed agent. Raises ProtocolFault; nothing of a message with a wrong MAC is looked at."""
    body, mac = message[:-MAC_BYTES], message[-MAC_BYTES:]
    if len(body) not in (_BEAT.size, _BYE.size):
        raise ProtocolFault("length", f"no message of an armed agent has {len(message)} bytes")
    if not hmac.compare_digest(mac, mac_of(body, key)):
        raise ProtocolFault("mac", "the message was not made with the key of this run")
    if len(body) == _BYE.size:
        kind, version, _, run_epoch, seq = _BYE.unpack(body)
        _check_head(kind, BYE, version)
        return Bye(run_epoch, seq)
    (
        kind,
        version,
        mode,
        _,
        run_epoch,
        seq,
        monotonic_ns,
        event_seq,
        event_crc,
        digest,
        exec_seq,
        next_order,
        nav,
        day_loss,
        exposure,
        orders_last_second,
        venue_age_ms,
        build,
    ) = _BEAT.unpack(body)
    _check_head(kind, BEAT, version)
    if mode >= len(MODES):
        raise ProtocolFault("mode", f"no mode has the number {mode}")
    return Beat(
        run_epoch=run_epoch,
        seq=seq,
        monotonic_ns=monotonic_ns,
        event_seq=event_seq,
        event_crc=event_crc,
        digest=digest,
        exec_seq=exec_seq,
        next_order=next_order,
        mode=MODES[mode],
        nav=int.from_bytes(nav, signed=True),
        day_loss=int.from_bytes(day_loss, signed=True),
        exposure=int.from_bytes(exposure, signed=True),
        orders_last_second=orders_last_second,
        venue_age_ms=venue_age_ms,
        build=build,
    )


def encode_welcome(welcome: Welcome) -> bytes:
    return _WELCOME.pack(
        WELCOME,
        VERSION,
        welcome.flags,
        0,
        welcome.run_epoch,
        welcome.beat_deadline_ms,
        welcome.guard_pid,
        welcome.key,
    )


def encode_refusal(reason: str) -> bytes:
    """The reason is cut to what fits, on a character's edge."""
    return _REFUSAL.pack(REFUSAL, VERSION, reason.encode()[:240].decode(errors="ignore").encode())


def encode_pulse(pulse: Pulse, key: bytes) -> bytes:
    body = _PULSE.pack(
        PULSE, VERSION, pulse.flags, 0, pulse.run_epoch, pulse.seq, pulse.monotonic_ns, pulse.last_beat_seq
    )
    return body + mac_of(body, key)


def mac_of(body: bytes, key: bytes) -> bytes:
    """Keyed BLAKE2b of 16 bytes (RFC 7693): one microsecond, and no second pass as HMAC needs."""
    return hashlib.blake2b(body, digest_size=MAC_BYTES, key=key).digest()


def _check_head(kind: int, wanted: int, version: int) -> None:
    if version != VERSION:
        raise ProtocolFault("version", f"version {version} is not {VERSION}")
    if kind != wanted:
        raise ProtocolFault("kind", f"a message of kind {kind} where {wanted} belongs")
