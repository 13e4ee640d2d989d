"""The header that proves who sent a request to a relay, and the hot path that signs transaction and header.

The header covers the exact bytes of the body: serialise once, sign those bytes, send those bytes. What is
signed is the *text* `0x` + 64 lower-case hex digits of the body's hash; every other choice recovers to some
other valid address and looks like a wrong key. Source: Flashbots documentation; the servers' own checks
(flashbots/go-utils `signature`, BuilderNet/FlowProxy).
"""

from __future__ import annotations

import msgspec

from agent.errors import AgentError, ConfigError
from agent.eth.hexes import address_text
from agent.eth.keccak import keccak256
from agent.eth.keys import SignedTransaction, Signer, sign_dynamic_fee
from agent.eth.transactions import TransactionError, recover
from agent.eth.units import Address, Hash32

SIGNATURE_HEADER = "X-Flashbots-Signature"

_EIP191_PREFIX = b"\x19Ethereum Signed Message:\n660x"
"""66 is the length of the text that follows, its `0x` included."""


class SignatureRefused(AgentError):
    """A signature header that a server must refuse; the message is go-utils' wording."""

    code = "E_RELAY_SIGNATURE"
    exit_code = 4


class RelaySigner:
    """Signs request bodies with the identity key: it holds no funds and is never the trading key."""

    __slots__ = ("_prefix", "_signer")

    def __init__(self, signer: Signer) -> None:
        self._signer = signer
        self._prefix = address_text(signer.address) + ":0x"

    @property
    def address(self) -> Address:
        return self._signer.address

    def header(self, body: bytes) -> str:
        """The value of the signature header for exactly these bytes."""
        signature = self._signer.sign_compact(body_digest(body))
        return self._prefix + signature[:64].hex() + ("1c" if signature[64] else "1b")

    def __repr__(self) -> str:
        return f"RelaySigner({address_text(self._signer.address)})"


def body_digest(body: bytes) -> Hash32:
    """What the header signs: the EIP-191 hash of the hex text of the body's hash."""
    return keccak256(_EIP191_PREFIX + keccak256(body).hex().encode())


def verify_header(header: str, body: bytes) -> Address:
    """The signer of `body` by a header value, decided as the servers do; SignatureRefused with their reason."""
    if not header:
        raise SignatureRefused("no signature provided")
    claimed, separator, text = header.partition(":")
    if not separator:
        raise _invalid("missing separator")
    if not text.startswith("0x"):
        raise _invalid("hex string without 0x prefix")
    try:
        signature = bytes.fromhex(text[2:])
    except ValueError:
        raise _invalid("invalid hex string") from None
    if len(signature) != 65:
        raise _invalid("signature must be 65 bytes long")
    y_parity = signature[64] - 27 if signature[64] >= 27 else signature[64]
    if y_parity > 1:
        raise _invalid("invalid recovery id")
    try:
        signer = recover(
            body_digest(body),
            y_parity=y_parity,
            r=int.from_bytes(signature[:32], "big"),
            s=int.from_bytes(signature[32:64], "big"),
        )
    except TransactionError as error:
        raise _invalid(str(error)) from error
    if claimed.lower() != "0x" + signer.hex():
        raise _invalid("signing address mismatch")
    return signer


def require_separate_keys(*, relay: Signer | RelaySigner, trading: list[Signer]) -> None:
    """ConfigError when the identity shown to every relay is also a key that holds funds."""
    if relay.address in {signer.address for signer in trading}:
        raise ConfigError(
            f"the relay key {address_text(relay.address)} is also a trading key",
            code="E_RELAY_KEY_IS_TRADING_KEY",
            hint="make a separate key without funds for the relays: its address is shown to each of them",
        )


class SignedBody(msgspec.Struct, frozen=True, gc=False):
    """The exact bytes of a request and the header that belongs to them and to nothing else."""

    body: bytes
    header: str


def sign_body(relay: RelaySigner, body: bytes) -> SignedBody:
    """A body with its header."""
    return SignedBody(body, relay.header(body))


class TransactionTemplate:
    """Signs the same call again and again with other amounts: chain, contract and gas stay, the rest is given."""

    __slots__ = ("_chain_id", "_signer", "_to")

    def __init__(self, signer: Signer, *, chain_id: int, to: Address) -> None:
        self._signer = signer
        self._chain_id = chain_id
        self._to = to

    @property
    def sender(self) -> Address:
        return self._signer.address

    def sign(
        self, *, nonce: int, max_priority_fee_wei: int, max_fee_wei: int, gas: int, data: bytes, value_wei: int = 0
    ) -> SignedTransaction:
        """The signed type-2 transaction and its hash."""
        return sign_dynamic_fee(
            self._signer,
            chain_id=self._chain_id,
            nonce=nonce,
            max_priority_fee_wei=max_priority_fee_wei,
            max_fee_wei=max_fee_wei,
            gas=gas,
            to=self._to,
            value_wei=value_wei,
            data=data,
        )


def _invalid(reason: str) -> SignatureRefused:
    return SignatureRefused(f"invalid signature provided: {reason}")
