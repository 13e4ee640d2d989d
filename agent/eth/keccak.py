"""keccak-256, by the fastest backend installed."""

from __future__ import annotations

from agent.eth.units import Hash32

try:
    # safe-pysha3: 6 to 13 times faster than pycryptodome
    from sha3 import keccak_256 as _keccak_256  # type: ignore[import-untyped]

    def keccak256(data: bytes) -> Hash32:
        """32-byte keccak-256 digest."""
        return Hash32(_keccak_256(data).digest())

except ImportError:  # pragma: no cover - a plain install without the C extension
    from eth_hash.auto import keccak as _keccak

    def keccak256(data: bytes) -> Hash32:
        """32-byte keccak-256 digest."""
        return Hash32(_keccak(data))


EMPTY_CODE_HASH = keccak256(b"")
