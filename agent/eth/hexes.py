"""Hex text at the edges: JSON-RPC quantities and data, EIP-55 addresses.

Quantities are minimal hex (`0x0`, `0x41`), data has two digits a byte: the two encodings of
the Ethereum JSON-RPC specification. Decoders raise ValueError on anything else.
"""

from __future__ import annotations

from binascii import unhexlify
from functools import lru_cache

from agent.eth.keccak import keccak256
from agent.eth.units import Address, Hash32


def to_quantity(value: int) -> str:
    """Minimal hex of a non-negative integer."""
    if value < 0:
        raise ValueError(f"a quantity cannot be negative: {value}")
    return hex(value)


def from_quantity(text: str) -> int:
    """Integer of a hex quantity; leading zeros are accepted, as nodes send them for storage."""
    try:
        value = int(text, 16)
        if hex(value) == text and value >= 0:
            return value  # as nearly every quantity is written; making the text anew is the quickest check of it
    except (ValueError, TypeError):
        pass  # said below
    digits = text[2:]
    # int() alone also takes signs, blanks, underscores, the digits of other scripts, and a second prefix.
    if not text.startswith("0x") or not digits.isalnum() or not digits.isascii() or digits[1:2] in ("x", "X"):
        raise ValueError(f"not a hex quantity: {text[:80]!r}")
    return int(digits, 16)


def to_data(value: bytes) -> str:
    """`0x` and two hex digits a byte."""
    return "0x" + value.hex()


def from_data(text: str) -> bytes:
    """Bytes of hex data; the prefix is required."""
    if not text.startswith("0x"):
        raise ValueError(f"hex data needs 0x: {text[:80]!r}")
    return unhexlify(text[2:])  # unlike bytes.fromhex it takes no blanks


def to_address(text: str) -> Address:
    """20 bytes of an address in any case; a mixed-case address must carry a right checksum (EIP-55)."""
    raw = from_data(text)
    if len(raw) != 20:
        raise ValueError(f"an address has 20 bytes, this has {len(raw)}: {text[:80]!r}")
    digits = text[2:]
    if digits not in (digits.lower(), digits.upper()) and address_text(Address(raw)) != text:
        raise ValueError(f"wrong EIP-55 checksum: {text}")
    return Address(raw)


def to_hash(text: str) -> Hash32:
    """32 bytes of a hash."""
    raw = from_data(text)
    if len(raw) != 32:
        raise ValueError(f"a hash has 32 bytes, this has {len(raw)}: {text[:80]!r}")
    return Hash32(raw)


@lru_cache(maxsize=65_536)
def address_text(address: Address) -> str:
    """The checksummed form of EIP-55."""
    digits = address.hex()
    digest = keccak256(digits.encode()).hex()
    return "0x" + "".join(c.upper() if int(digest[i], 16) >= 8 else c for i, c in enumerate(digits))
