"""Names that services give to bundles, computed.

There is no one bundle hash: Flashbots hashes the transaction hashes, so submissions that differ in block or
permissions share it; BuilderNet hashes every field in a way of its own and cannot be computed here. Store
what came back, per endpoint, and compare only within one. Sources: flashbots/go-utils rpctypes,
flashbots/mev-share-node.
"""

from __future__ import annotations

from collections.abc import Sequence

from agent.eth.keccak import keccak256
from agent.eth.units import Hash32


def bundle_hash(hashes: Sequence[Hash32]) -> Hash32:
    """Flashbots' hash of a bundle: over the hashes of its transactions."""
    return keccak256(b"".join(hashes))


def mev_share_hash(hashes: Sequence[Hash32]) -> Hash32:
    """MEV-Share's hash of a bundle; a body of one element has that element's own."""
    return hashes[0] if len(hashes) == 1 else bundle_hash(hashes)


def mev_share_event_hash(shared_hash: Hash32) -> Hash32:
    """The hash by which the MEV-Share stream names a transaction or bundle: the hash of its hash."""
    return keccak256(shared_hash)
