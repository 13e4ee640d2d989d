"""The places a bundle can be sent to, as rows of data: address, dialect, limits.

A new relay or builder is a new row; code changes only where a dialect needs a rule that no row can say.
Everything here was read in the services' documentation (Flashbots 2025-11, BuilderNet 2026-08, Titan and
Quasar 2025-26), nothing was probed. `mev-agent doctor` asks; the rows only say what to expect.
"""

from __future__ import annotations

import ipaddress
from enum import Enum
from urllib.parse import SplitResult, urlsplit

import msgspec

from agent.errors import ConfigError


class Cancel(Enum):
    """How a replacement id is withdrawn."""

    METHOD = "eth_cancelBundle"
    EMPTY_BUNDLE = "eth_sendBundle with no transactions, the same id and a higher sequence"


class Dialect(msgspec.Struct, frozen=True, kw_only=True):
    """What a service understands of a bundle; whatever it cannot express is refused here, never dropped."""

    name: str
    sequence_field: str | None
    """Field that orders replacements of one id. None: by arrival, so sends of one id are serialised."""
    can_revert: bool
    """A listed transaction may revert and stay."""
    can_drop: bool
    """A listed transaction may be left out, and may not stay reverted."""
    reverting_means_dropping: bool = False
    """`revertingTxHashes` gives both permissions at once and neither can be given alone."""
    refund_percent_range: tuple[int, int] | None = None
    """Accepted values of refundPercent; None: refunds cannot be expressed in a bundle."""
    can_multiplex: bool = False
    """Takes `builders`, names to hand the bundle to."""
    cancel: Cancel
    can_call: bool = False
    can_send_private: bool = False
    can_cancel_private: bool = False
    max_transactions: int = 100
    max_body_bytes: int = 300_000


class Endpoint(msgspec.Struct, frozen=True, kw_only=True):
    """One place that takes private orders."""

    name: str
    url: str
    dialect: Dialect
    chain_id: int = 1
    fee_recipients: tuple[str, ...] = ()
    """Under which addresses its blocks are built, where known: tells whose block a rival won in."""


def endpoint_address(url: str) -> SplitResult:
    """The parts of an endpoint's URL; ConfigError when a bundle must not be sent there.

    Plain HTTP is for this machine alone: on a network everybody on the way would read the bundle.
    """
    parts = urlsplit(url)
    shown = url[:100]
    is_plain = url.isascii() and url.isprintable() and " " not in url
    if not is_plain or parts.scheme not in ("http", "https") or not parts.hostname or parts.username is not None:
        raise ConfigError(f"not the address of an endpoint: {shown!r}", hint="use https://host[:port][/path]")
    if parts.scheme == "http" and not _is_loopback(parts.hostname):
        raise ConfigError(
            f"{shown!r} would carry bundles unencrypted",
            code="E_ENDPOINT_NOT_PRIVATE",
            hint="use https; plain http is taken for 127.0.0.1 and localhost only",
        )
    return parts


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


FLASHBOTS = Dialect(
    name="flashbots",
    sequence_field=None,
    can_revert=True,
    can_drop=False,
    can_multiplex=True,
    cancel=Cancel.METHOD,
    can_call=True,
    can_send_private=True,
    can_cancel_private=True,
)
BUILDERNET = Dialect(
    name="buildernet",
    sequence_field="replacementNonce",
    can_revert=True,
    can_drop=True,
    refund_percent_range=(1, 99),
    cancel=Cancel.EMPTY_BUNDLE,
)
TITAN = Dialect(
    name="titan",
    sequence_field="replacementSeqNumber",
    can_revert=True,
    can_drop=True,
    reverting_means_dropping=True,
    refund_percent_range=(0, 99),
    cancel=Cancel.METHOD,
    can_send_private=True,
)
QUASAR = Dialect(
    name="quasar",
    sequence_field="replacementSeqNumber",
    can_revert=True,
    can_drop=True,
    refund_percent_range=(0, 99),
    # Its pages name no cancel; an empty bundle is what builders of its family take for one.
    cancel=Cancel.EMPTY_BUNDLE,
)

DIALECTS: dict[str, Dialect] = {dialect.name: dialect for dialect in (FLASHBOTS, BUILDERNET, TITAN, QUASAR)}

ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint(
        name="titan",
        url="https://rpc.titanbuilder.xyz",
        dialect=TITAN,
        fee_recipients=("0x4838B106FCe9647Bdf1E7877BF73cE8B0BAD5f97",),
    ),
    Endpoint(name="buildernet", url="https://rpc.buildernet.org", dialect=BUILDERNET),
    Endpoint(name="quasar", url="https://rpc.quasar.win", dialect=QUASAR),
    Endpoint(name="flashbots", url="https://relay.flashbots.net", dialect=FLASHBOTS),
    Endpoint(
        name="flashbots-sepolia",
        url="https://relay-sepolia.flashbots.net",
        dialect=FLASHBOTS,
        chain_id=11_155_111,
    ),
    Endpoint(name="titan-hoodi", url="https://rpc-hoodi.titanbuilder.xyz", dialect=TITAN, chain_id=560_048),
)


def endpoints_for(chain_id: int) -> tuple[Endpoint, ...]:
    """The known endpoints of a chain, the largest builders first; empty where none is known."""
    return tuple(endpoint for endpoint in ENDPOINTS if endpoint.chain_id == chain_id)
