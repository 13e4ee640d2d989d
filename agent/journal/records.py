"""The journal's record: what is written for one step, and the frame around it.

A record is a fixed header, then the payload. The CRC covers header (without the CRC) and payload. It is seeded with the
previous record's, which the header names too: so records chain (cutting, swapping or changing one breaks every later
one), and yet each can be checked by itself, which tells a tail that the loss of power tore from damage in the middle.
"""

from __future__ import annotations

import struct
from zlib import crc32

import msgspec

HEADER = struct.Struct("<IBBHQQqqII")
"""length of the payload, type, schema, flags, sequence, synced sequence, monotonic ns, wall ns, previous crc, crc."""
COVERED = struct.Struct("<IBBHQQqqI")
CRC = struct.Struct("<I")
HEADER_BYTES = HEADER.size
PAYLOAD_BYTES_MAX = 1 << 20
DIGEST_BYTES = 16

RUN = 1
"""A run begins here: what was started."""
EVENT = 2
EFFECTS = 3
"""All effects of the step of the event before it, in order."""
DIGEST = 4
"""16 bytes: BLAKE2b of the digest before it and every byte of the segment since."""
STATE = 5
"""The hash of the core's state here."""
CUT = 6
"""A torn tail was cut off before this run."""
HALT = 7
"""The writer stopped itself; nothing follows in this run."""
CLOSE = 8
"""The run ended in good order; nothing follows in this run."""
TYPES = {
    RUN: "run",
    EVENT: "event",
    EFFECTS: "effects",
    DIGEST: "digest",
    STATE: "state",
    CUT: "cut",
    HALT: "halt",
    CLOSE: "close",
}


class Run(msgspec.Struct, frozen=True):
    """First record of a run: what was started, so that a replay starts the same."""

    run: str
    version: str
    settings: dict[str, str]


class State(msgspec.Struct, frozen=True):
    """The hash of the core's whole state behind every event so far, in hexadecimal; empty where the core has none."""

    hash: str
    is_snapshot: bool = False


class Cut(msgspec.Struct, frozen=True):
    """What was cut off the journal's end: where it began, how much it was, and the file that keeps it."""

    segment: int
    offset: int
    cut_bytes: int
    kept_in: str


class Halt(msgspec.Struct, frozen=True):
    """Why the writer stopped itself."""

    reason: str


class Record(msgspec.Struct, frozen=True, gc=False):
    """One record read back."""

    type: int
    sequence: int
    monotonic_ns: int
    wall_ns: int
    payload: bytes
    crc: int
    schema: int = 1
    synced_sequence: int = 0
    """Everything up to here was known to be on the disk when this was written; 0 for nothing."""


_encoder = msgspec.json.Encoder()
encode_payload = _encoder.encode
_run_decoder = msgspec.json.Decoder(Run)
_state_decoder = msgspec.json.Decoder(State)


def decode_run(payload: bytes) -> Run:
    return _run_decoder.decode(payload)


def decode_state(payload: bytes) -> State:
    return _state_decoder.decode(payload)


def check(data: bytes | memoryview, offset: int, end: int, previous_crc: int) -> int:
    """CRC of the record at offset..end of `data` as it lies there."""
    covered = data[offset : offset + COVERED.size]
    return crc32(data[offset + HEADER_BYTES : end], crc32(covered, previous_crc))
