"""Who signed a request: `X-Flashbots-Signature` verified as flashbots/go-utils does.

The signature covers the text `0x` + lower-case hex of keccak256(body), as an EIP-191 message of 66 characters. This
is the server's side, written apart from the client's, so that one mistake cannot hide in both.
"""

from __future__ import annotations

import coincurve

from agent.eth.keccak import keccak256
from agent.eth.units import Address

HEADER = "X-Flashbots-Signature"
_HALF_ORDER = 0x7FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF5D576E7357A4501DDFE92F46681B20A0


class SignatureRefused(Exception):
    """The header proves nothing; the text is go-utils' own."""


def verify_signature(header: str, body: bytes) -> Address:
    """The signer of these exact bytes; SignatureRefused with the server's words otherwise."""
    claimed, separator, text = header.partition(":")
    if not separator:
        raise SignatureRefused("missing separator")
    signature = _decode_hex(text)
    if len(signature) != 65:
        raise SignatureRefused("invalid signature length")
    recovery = signature[64] - 27 if signature[64] >= 27 else signature[64]
    if recovery > 1:
        raise SignatureRefused("invalid recovery id")
    if int.from_bytes(signature[32:64], "big") > _HALF_ORDER:
        raise SignatureRefused("invalid signature")
    signer = _recover(signature[:64] + bytes([recovery]), _digest(body))
    if signer != _lenient_address(claimed):
        raise SignatureRefused("signing address mismatch")
    return signer


def _digest(body: bytes) -> bytes:
    message = b"0x" + keccak256(body).hex().encode()
    return keccak256(b"\x19Ethereum Signed Message:\n66" + message)


def _recover(signature: bytes, digest: bytes) -> Address:
    try:
        key = coincurve.PublicKey.from_signature_and_message(signature, digest, hasher=None)
    except Exception:  # noqa: BLE001 - coincurve raises bare Exception for a point that is not on the curve
        raise SignatureRefused("recovery failed") from None
    return Address(keccak256(key.format(compressed=False)[1:])[12:])


def _decode_hex(text: str) -> bytes:
    if not text:
        raise SignatureRefused("empty hex string")
    if not text.startswith(("0x", "0X")):
        raise SignatureRefused("hex string without 0x prefix")
    if len(text) % 2:
        raise SignatureRefused("hex string of odd length")
    try:
        return bytes.fromhex(text[2:]) if text.isascii() and " " not in text else _invalid()
    except ValueError:
        return _invalid()


def _invalid() -> bytes:
    raise SignatureRefused("invalid hex string")


def _lenient_address(text: str) -> bytes:
    """go-ethereum's HexToAddress: any case, cut or padded on the left, and zero for what is no hex."""
    digits = text[2:] if text[:2] in ("0x", "0X") else text
    try:
        raw = bytes.fromhex("0" * (len(digits) % 2) + digits)
    except ValueError:
        raw = b""
    return raw[-20:].rjust(20, b"\0")
