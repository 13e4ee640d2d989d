"""RLP, Ethereum's nesting of byte strings and lists; integers are big-endian without leading zeros.

The decoder is strict: whatever it accepts, `encode` gives back byte for byte, so two different
encodings of one transaction cannot exist. Source: Yellow Paper, appendix B.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

Item: TypeAlias = bytes | Sequence["Item"]
Decoded: TypeAlias = bytes | list["Decoded"]

MAX_DEPTH = 64
"""No structure of the protocol is deeper than 5; hostile bytes must not reach Python's recursion limit."""


_SMALL = (b"\x80", *(bytes((value,)) for value in range(1, 0x80)))
_SHORT = tuple(bytes((0x80 + size,)) for size in range(56))
"""Tables: making these few bytes anew costs more than anything else in encoding a transaction."""


class RlpError(ValueError):
    """Bytes that are not canonical RLP, or not of the expected shape."""


def encode(item: Item) -> bytes:
    """Canonical encoding of a byte string or a nested sequence of them."""
    if isinstance(item, (bytes, bytearray, memoryview)):
        return encode_bytes(bytes(item))
    return encode_list([encode(part) for part in item])


def encode_bytes(value: bytes) -> bytes:
    """Encoding of one byte string."""
    size = len(value)
    if size == 1 and value[0] < 0x80:
        return value
    if size < 56:
        return bytes((0x80 + size,)) + value
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((0xB7 + len(length),)) + length + value


def encode_int(value: int) -> bytes:
    """Encoding of a non-negative integer; OverflowError for a negative one."""
    if 0 <= value < 0x80:
        return _SMALL[value]
    size = (value.bit_length() + 7) >> 3
    body = value.to_bytes(size, "big")
    return _SHORT[size] + body if size < 56 else encode_bytes(body)


def encode_list(parts: Sequence[bytes]) -> bytes:
    """Encoding of a list whose members are encoded already."""
    payload = b"".join(parts)
    size = len(payload)
    if size < 56:
        return bytes((0xC0 + size,)) + payload
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((0xF7 + len(length),)) + length + payload


def decode(raw: bytes) -> Decoded:
    """The one item that `raw` encodes; RlpError when it is not canonical or has bytes behind it."""
    item, end = _decode_at(raw, 0, len(raw), 0)
    if end != len(raw):
        raise RlpError(f"{len(raw) - end} bytes behind the item")
    return item


def decode_list(raw: bytes) -> list[Decoded]:
    """As `decode`, for an item that must be a list."""
    return as_list(decode(raw))


def as_list(item: Decoded) -> list[Decoded]:
    """The item, which must be a list."""
    if isinstance(item, bytes):
        raise RlpError("a list was expected, a byte string found")
    return item


def as_bytes(item: Decoded) -> bytes:
    """The item, which must be a byte string."""
    if not isinstance(item, bytes):
        raise RlpError("a byte string was expected, a list found")
    return item


def as_int(item: Decoded, *, bits: int = 256) -> int:
    """The item as an unsigned integer of at most `bits`; leading zeros are refused."""
    raw = as_bytes(item)
    if raw[:1] == b"\0":
        raise RlpError("an integer with leading zeros")
    if len(raw) * 8 > bits:
        raise RlpError(f"an integer of {len(raw)} bytes where {bits} bits are allowed")
    return int.from_bytes(raw, "big")


def as_fixed(item: Decoded, size: int) -> bytes:
    """The item as a byte string of exactly `size` bytes."""
    raw = as_bytes(item)
    if len(raw) != size:
        raise RlpError(f"{size} bytes were expected, {len(raw)} found")
    return raw


def _decode_at(raw: bytes, start: int, end: int, depth: int) -> tuple[Decoded, int]:
    """The item at `start` and the position behind it; nothing is read at or behind `end`."""
    if start >= end:
        raise RlpError("the bytes end where an item should begin")
    first = raw[start]
    if first < 0x80:
        return raw[start : start + 1], start + 1
    is_list = first >= 0xC0
    base = 0xC0 if is_list else 0x80
    body = start + 1
    size = first - base
    if size > 55:
        body, size = _long_size(raw, body, end, size - 55)
    stop = body + size
    if stop > end:
        raise RlpError(f"an item of {size} bytes reaches {stop - end} bytes too far")
    if not is_list:
        value = raw[body:stop]
        if size == 1 and value[0] < 0x80:
            raise RlpError("a single byte below 0x80 with a length prefix")
        return value, stop
    if depth >= MAX_DEPTH:
        raise RlpError(f"lists nested deeper than {MAX_DEPTH}")
    members: list[Decoded] = []
    while body < stop:
        member, body = _decode_at(raw, body, stop, depth + 1)
        members.append(member)
    return members, stop


def _long_size(raw: bytes, start: int, end: int, width: int) -> tuple[int, int]:
    """Position of the body and its size, for the form whose length takes `width` bytes."""
    body = start + width
    if body > end:
        raise RlpError("the bytes end inside a length")
    if raw[start] == 0:
        raise RlpError("a length with leading zeros")
    size = int.from_bytes(raw[start:body], "big")
    if size < 56:
        raise RlpError("a short item in the long form")
    return body, size
