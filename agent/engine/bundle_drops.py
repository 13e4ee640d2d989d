"""Withdrawals of what is pending at relays, signed before each bundle leaves, where the guard finds them.

The guard has no relay identity, and a relay believes only who signed the exact bytes. So the request that would withdraw a
bundle is signed together with it and written into the guard's folder first: a bundle that may be out there can be withdrawn
without us. Entries of blocks that have passed are let go.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import msgspec

from agent.venues.onchain.bundle import Bundle
from agent.venues.onchain.relay import RelayClient

DROPS_FILE = "bundles.json"
SCHEMA = "mev-agent/bundle-drops/1"


class BundleDrops:
    """The file, and what stands in it. One for a run."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / DROPS_FILE
        self._beside = folder / f".{DROPS_FILE}"
        self._by_id: dict[str, list[dict[str, object]]] = {}
        self._blocks: dict[str, int] = {}

    def note(self, bundle: Bundle, relays: Sequence[RelayClient]) -> None:
        """Before the bundle goes out. A later one under the same id takes the place of the earlier. Raises OSError."""
        uuid, sequence = bundle.replacement_uuid, bundle.sequence
        assert uuid is not None and sequence is not None, "a bundle that cannot be withdrawn is not sent"
        self._by_id = {
            known: rows
            for known, rows in self._by_id.items()
            if self._blocks[known] >= bundle.block_number - 1  # the block before may not have been seen to pass
        }
        self._blocks = {known: self._blocks[known] for known in self._by_id} | {uuid: bundle.block_number}
        rows: list[dict[str, object]] = []
        for relay in relays:
            request = relay.withdrawal(uuid, sequence=sequence + 1)
            rows.append(
                {
                    "relay": relay.endpoint.url,
                    "signature": request.header,
                    "body": request.body.decode(),
                    "target_block": bundle.block_number,
                }
            )
        self._by_id[uuid] = rows
        self._write()

    def _write(self) -> None:
        content = {"schema": SCHEMA, "drops": [row for rows in self._by_id.values() for row in rows]}
        descriptor = os.open(self._beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(msgspec.json.encode(content))
        os.replace(self._beside, self._path)
