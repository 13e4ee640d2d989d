"""Private keys and the hot signature: type-2 transactions in one straight line of bytes.

Signatures are RFC 6979, low-s, by libsecp256k1 through coincurve, byte-equal to eth-account's.
"""

from __future__ import annotations

import msgspec
from coincurve import PrivateKey

from agent.eth.hexes import address_text
from agent.eth.keccak import keccak256
from agent.eth.rlp import encode_bytes, encode_int, encode_list
from agent.eth.transactions import AccessList, address_of_key, encode_access_list
from agent.eth.units import Address, Hash32


class SignedTransaction(msgspec.Struct, frozen=True, gc=False):
    """The bytes to send and the hash to look for."""

    raw: bytes
    hash: Hash32


class Signer:
    """A private key that signs and is never shown: no attribute, text or pickle gives it out."""

    __slots__ = ("_sign", "address")

    address: Address

    def __init__(self, private_key: bytes) -> None:
        """ValueError when the 32 bytes are no key of the curve; the message does not repeat them."""
        if len(private_key) != 32:
            raise ValueError(f"a private key has 32 bytes, this has {len(private_key)}")
        try:
            key = PrivateKey(private_key)
        except ValueError:
            raise ValueError("the private key is out of the curve's range") from None
        self._sign = key.sign_recoverable
        self.address = address_of_key(key.public_key)

    def sign_digest(self, digest: bytes) -> tuple[int, int, int]:
        """(r, s, v) over a 32-byte hash, v 27 or 28."""
        signature = self.sign_compact(digest)
        return int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:64], "big"), 27 + signature[64]

    def sign_compact(self, digest: bytes) -> bytes:
        """r, s and the parity (0 or 1) as 65 bytes."""
        return self._sign(digest, None)

    def __repr__(self) -> str:
        return f"Signer({address_text(self.address)})"

    def __reduce__(self) -> str:
        raise TypeError("a signer cannot be pickled or copied")


def sign_dynamic_fee(
    signer: Signer,
    *,
    chain_id: int,
    nonce: int,
    max_priority_fee_wei: int,
    max_fee_wei: int,
    gas: int,
    to: Address | None,
    value_wei: int,
    data: bytes,
    access_list: AccessList = (),
) -> SignedTransaction:
    """A signed EIP-1559 transaction (type 2); `to` None creates a contract.

    OverflowError for a negative number. Ranges are the caller's: nothing is checked twice on this path.
    """
    fields = b"".join(
        (
            encode_int(chain_id),
            encode_int(nonce),
            encode_int(max_priority_fee_wei),
            encode_int(max_fee_wei),
            encode_int(gas),
            b"\x80" if to is None else b"\x94" + to,
            encode_int(value_wei),
            encode_bytes(data),
            encode_access_list(access_list) if access_list else b"\xc0",
        )
    )
    signature = signer._sign(keccak256(b"\x02" + encode_list((fields,))), None)
    raw = b"\x02" + encode_list(
        (
            fields,
            b"\x01" if signature[64] else b"\x80",
            _signature_part(signature[:32]),
            _signature_part(signature[32:64]),
        )
    )
    return SignedTransaction(raw, keccak256(raw))


def _signature_part(value: bytes) -> bytes:
    """r or s as an RLP integer: leading zeros go, one in 256 has some."""
    if value[0]:
        return b"\xa0" + value
    return encode_bytes(value.lstrip(b"\0"))
