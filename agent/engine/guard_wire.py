"""What agent and guard say to each other, on the agent's side of the socket.

The guard shares no module with the agent, so the layouts stand twice; a test holds the two together byte for byte.
docs/reference/guard-protocol.md has them in words.
"""

from __future__ import annotations

import hashlib
import hmac
import struct

import msgspec

from agent.errors import Halted, ProtocolError
from agent.ports.processes import Figures

VERSION = 1
HELLO, BEAT, BYE = 1, 2, 3
WELCOME, REFUSAL, PULSE = 11, 12, 13
MODES = {"normal": 0, "reduce_only": 1, "cancel_only": 2, "halted": 3}
IS_ARMED, IS_LATCHED, MUST_REDUCE = 1, 2, 4
MAC_BYTES = 16
MESSAGE_BYTES_MAX = 512
DIGEST_BYTES = 16

_HELLO = struct.Struct("!BBHIQ16s16s64s")
_BEAT = struct.Struct("!BBBBIQQQI16sQQ16s16s16sII16s")
_BYE = struct.Struct("!BBHIQ")
_WELCOME = struct.Struct("!BBBBIII32s")
_REFUSAL = struct.Struct("!BB240s")
_PULSE = struct.Struct("!BBBBIQQQ")
PROGRESS = struct.Struct("=QI")


class Welcome(msgspec.Struct, frozen=True):
    """The guard watches. `key` seals every later message of this run, and is never shown."""

    key: bytes
    flags: int
    beat_deadline_ms: int
    guard_pid: int

    def __repr__(self) -> str:
        return f"Welcome(flags={self.flags}, guard_pid={self.guard_pid})"


class Pulse(msgspec.Struct, frozen=True, gc=False):
    seq: int
    monotonic_ns: int
    last_beat_seq: int
    flags: int


def encode_hello(*, run_epoch: int, event_seq: int, digest: bytes, build: bytes, run: str) -> bytes:
    return _HELLO.pack(HELLO, VERSION, 0, run_epoch, event_seq, digest, build, run.encode()[:64])


def encode_beat(figures: Figures, *, run_epoch: int, seq: int, monotonic_ns: int, build: bytes, key: bytes) -> bytes:
    body = _BEAT.pack(
        BEAT,
        VERSION,
        MODES[figures.mode],
        0,
        run_epoch,
        seq,
        monotonic_ns,
        figures.event_seq,
        figures.event_crc,
        figures.digest,
        figures.exec_seq,
        figures.next_order,
        figures.nav_atoms.to_bytes(16, "big", signed=True),
        figures.day_loss_atoms.to_bytes(16, "big", signed=True),
        figures.exposure_atoms.to_bytes(16, "big", signed=True),
        figures.orders_last_second,
        figures.venue_age_ms,
        build,
    )
    return body + mac_of(body, key)


def encode_bye(*, run_epoch: int, seq: int, key: bytes) -> bytes:
    body = _BYE.pack(BYE, VERSION, 0, run_epoch, seq)
    return body + mac_of(body, key)


def decode_answer(message: bytes, *, run_epoch: int) -> Welcome:
    """The guard's answer to a hello. Raises Halted where it refuses, ProtocolError where it is no answer."""
    if len(message) == _REFUSAL.size and message[0] == REFUSAL:
        reason = message[2:].rstrip(b"\0").decode(errors="replace")
        raise Halted(
            f"the guard does not take this run: {reason}",
            code="E_GUARD_REFUSES",
            hint="`mev-agent status` shows why; after a halt, `mev-agent guard reset --reason ...` lets a person go on",
        )
    if len(message) != _WELCOME.size or message[:2] != bytes((WELCOME, VERSION)):
        raise ProtocolError("the guard's answer to a hello is none", peer="guard")
    _, _, flags, _, epoch, beat_deadline_ms, guard_pid, key = _WELCOME.unpack(message)
    if epoch != run_epoch:
        raise ProtocolError("the guard welcomes another run", peer="guard")
    return Welcome(key, flags, beat_deadline_ms, guard_pid)


def decode_pulse(message: bytes, *, run_epoch: int, key: bytes) -> Pulse:
    """Raises ProtocolError."""
    body, mac = message[:-MAC_BYTES], message[-MAC_BYTES:]
    if len(body) != _PULSE.size or not hmac.compare_digest(mac, mac_of(body, key)):
        raise ProtocolError("a pulse that the guard of this run did not make", peer="guard")
    kind, version, flags, _, epoch, seq, monotonic_ns, last_beat_seq = _PULSE.unpack(body)
    if (kind, version, epoch) != (PULSE, VERSION, run_epoch):
        raise ProtocolError("a pulse of another kind, version or run", peer="guard")
    return Pulse(seq, monotonic_ns, last_beat_seq, flags)


def mac_of(body: bytes, key: bytes) -> bytes:
    return hashlib.blake2b(body, digest_size=MAC_BYTES, key=key).digest()
