"""A bundle and its JSON in each dialect.

A translation is exact or refused: a service that cannot express what the bundle says (a drop permission, a
refund, an order of replacements) does not get a bundle that says something else. One bundle names one block.
Bodies are compact JSON with fixed field order, so that a template gives the very same bytes.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec
import orjson

from agent.errors import Rejected
from agent.eth.hexes import address_text, to_data, to_quantity
from agent.eth.keccak import keccak256
from agent.eth.units import Address, Hash32
from agent.venues.onchain.endpoints import Dialect

REQUEST_ID = 1
"""Replies are matched by their connection: relays answer with other ids, and some with none."""

_UUID4 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")


class NotExpressible(Rejected):
    """The dialect cannot say what the bundle says; nothing was sent to that endpoint."""

    code = "E_BUNDLE_NOT_EXPRESSIBLE"


class Refund(msgspec.Struct, frozen=True, gc=False):
    """A share of one transaction's profit that the builder gives back."""

    percent: int
    recipient: Address
    """Always named: the default would be the first transaction's sender, in a backrun the target's."""
    transaction: Hash32
    """Whose profit is shared."""


class Bundle(msgspec.Struct, frozen=True, kw_only=True):
    """Signed transactions that run in this order in one block, or not at all.

    `reverting` and `dropping` hold hashes of transactions of the bundle, as they are signed now.
    """

    transactions: tuple[bytes, ...]
    block_number: int
    min_timestamp_s: int | None = None
    max_timestamp_s: int | None = None
    reverting: tuple[Hash32, ...] = ()
    dropping: tuple[Hash32, ...] = ()
    replacement_uuid: str | None = None
    """UUIDv4 in lower case: the one form that every service accepts."""
    sequence: int | None = None
    """Order of replacements under one id: microseconds since the epoch, strictly rising."""
    refund: Refund | None = None
    builders: tuple[str, ...] = ()
    """Names for a relay that hands bundles on; empty: only the endpoint itself."""

    def __post_init__(self) -> None:
        if not self.transactions:
            raise ValueError("a bundle has at least one transaction")
        if self.block_number <= 0:
            raise ValueError(f"a bundle names its block, not {self.block_number}")
        if self.replacement_uuid is not None and not is_uuid4(self.replacement_uuid):
            raise ValueError(f"a replacement id is a lower-case UUIDv4, not {self.replacement_uuid[:40]!r}")
        if (self.replacement_uuid is None) != (self.sequence is None):
            raise ValueError("a replacement id and its sequence come together")
        low, high = self.min_timestamp_s, self.max_timestamp_s
        if high is not None and (high <= 0 or high < (low or 0)):
            # Builders read a maximum of 0 as none.
            raise ValueError(f"the timestamps {low}..{high} hold no block")
        refunded = () if self.refund is None else (self.refund.transaction,)
        named = (*self.reverting, *self.dropping, *refunded)
        strange = [name for name in named if name not in self.hashes] if named else []
        if strange:
            # Services ignore such a hash without a word, and with it the permission or the refund.
            raise ValueError(f"{to_data(strange[0])} is no transaction of the bundle")

    @property
    def hashes(self) -> tuple[Hash32, ...]:
        """Transaction hashes in order."""
        return tuple(keccak256(raw) for raw in self.transactions)


def is_uuid4(text: str) -> bool:
    """Whether the text has the one form of id that every service accepts."""
    return _UUID4.fullmatch(text) is not None


def replacement_uuid(seed: bytes) -> str:
    """A UUIDv4 that is a function of `seed`: the same order keeps its id across a restart."""
    raw = bytearray(keccak256(seed)[:16])
    raw[6] = 0x40 | raw[6] & 0x0F
    raw[8] = 0x80 | raw[8] & 0x3F
    digits = raw.hex()
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


def refusals(bundle: Bundle, dialect: Dialect) -> tuple[str, ...]:
    """Why the dialect cannot express the bundle; empty when it can, exactly."""
    reasons: list[str] = []
    if len(bundle.transactions) > dialect.max_transactions:
        reasons.append(f"{len(bundle.transactions)} transactions, at most {dialect.max_transactions} are taken")
    if 2 * sum(map(len, bundle.transactions)) > dialect.max_body_bytes:
        reasons.append(f"more than {dialect.max_body_bytes} bytes")
    reverting, dropping = set(bundle.reverting), set(bundle.dropping)
    if dropping and not dialect.can_drop:
        reasons.append("permission to drop a transaction")
    if reverting and not dialect.can_revert:
        reasons.append("permission to revert")
    if dialect.reverting_means_dropping and reverting - dropping:
        reasons.append("permission to revert without permission to drop")
    if dialect.reverting_means_dropping and dropping - reverting:
        reasons.append("permission to drop without permission to revert")
    if bundle.refund is not None:
        if dialect.refund_percent_range is None:
            reasons.append("a refund")
        else:
            low, high = dialect.refund_percent_range
            # 0 where the range starts at 1 is said by leaving the field out.
            if not min(low, 0) <= bundle.refund.percent <= high:
                reasons.append(f"a refund of {bundle.refund.percent} percent, {low} to {high} are taken")
    if bundle.builders and not dialect.can_multiplex:
        reasons.append("builders to hand the bundle to")
    return tuple(reasons)


def bundle_params(bundle: Bundle, dialect: Dialect) -> dict[str, Any]:
    """The parameter object of `eth_sendBundle`; NotExpressible when the dialect would lose something."""
    reasons = refusals(bundle, dialect)
    if reasons:
        raise NotExpressible(
            f"{dialect.name} cannot express this bundle: {'; '.join(reasons)}",
            peer=dialect.name,
            method="eth_sendBundle",
            hint="send it to endpoints that can, or make a bundle that is valid without it",
        )
    params: dict[str, Any] = {
        "txs": [to_data(raw) for raw in bundle.transactions],
        "blockNumber": to_quantity(bundle.block_number),
    }
    if bundle.min_timestamp_s is not None:
        params["minTimestamp"] = bundle.min_timestamp_s
    if bundle.max_timestamp_s is not None:
        params["maxTimestamp"] = bundle.max_timestamp_s
    if bundle.reverting:
        params["revertingTxHashes"] = [to_data(named) for named in bundle.reverting]
    if bundle.dropping and not dialect.reverting_means_dropping:
        params["droppingTxHashes"] = [to_data(named) for named in bundle.dropping]
    if bundle.refund is not None and bundle.refund.percent > 0:
        params["refundPercent"] = bundle.refund.percent
        params["refundRecipient"] = address_text(bundle.refund.recipient)
        params["refundTxHashes"] = [to_data(bundle.refund.transaction)]
    if bundle.builders:
        params["builders"] = list(bundle.builders)
    if bundle.replacement_uuid is not None:
        params["replacementUuid"] = bundle.replacement_uuid
        if dialect.sequence_field is not None:
            params[dialect.sequence_field] = bundle.sequence
    return params


def request_body(method: str, params: list[Any]) -> bytes:
    """One JSON-RPC request, compact, in one fixed order."""
    return orjson.dumps({"jsonrpc": "2.0", "id": REQUEST_ID, "method": method, "params": params})


def send_bundle_body(bundle: Bundle, dialect: Dialect) -> bytes:
    """The exact bytes of `eth_sendBundle`."""
    return request_body("eth_sendBundle", [bundle_params(bundle, dialect)])


class BodyTemplate:
    """Writes the body of a bundle again with other transactions, block and sequence, faster than JSON does.

    Made from a first bundle; equal, byte for byte, to `send_bundle_body` of the bundle with the three replaced.
    Only for bundles whose lists and refund name no transaction that will change.
    """

    __slots__ = ("_after_block", "_after_sequence", "_after_transactions", "_before")

    def __init__(self, bundle: Bundle, dialect: Dialect) -> None:
        params = bundle_params(bundle, dialect)
        params["txs"] = ["@txs"]
        params["blockNumber"] = "@block"
        self._after_sequence: bytes | None = None
        if dialect.sequence_field in params:
            params[dialect.sequence_field] = "@sequence"
        body = request_body("eth_sendBundle", [params])
        before, body = body.split(b"@txs")
        after_transactions, body = body.split(b"@block")
        if dialect.sequence_field in params:
            body, self._after_sequence = body.split(b'"@sequence"')
        self._before = before + b"0x"
        self._after_transactions = after_transactions + b"0x"
        self._after_block = body

    def fill(self, transactions: tuple[bytes, ...], *, block_number: int, sequence: int | None = None) -> bytes:
        """The body with these transactions, block and sequence (given exactly when the dialect sends one)."""
        parts = [
            self._before,
            '","0x'.join([raw.hex() for raw in transactions]).encode(),
            self._after_transactions,
            b"%x" % block_number,
            self._after_block,
        ]
        if self._after_sequence is not None:
            if sequence is None:
                raise ValueError("this dialect orders replacements by a sequence, and none is given")
            parts += (b"%d" % sequence, self._after_sequence)
        return b"".join(parts)
