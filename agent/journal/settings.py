"""How a journal is kept: what a record must have survived before an effect leaves, and how much room it takes."""

from __future__ import annotations

from enum import Enum

import msgspec

MIB = 1 << 20
GIB = 1 << 30
MILLISECOND_NS = 1_000_000


class Durability(Enum):
    """What a record survives before an effect may leave behind it."""

    PROCESS = "process"
    """The death of the process: the bytes are the kernel's."""
    POWER = "power"
    """The loss of power: the bytes are on the disk."""


class JournalSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The defaults are for trading; a devnet takes less room."""

    durability: Durability = Durability.PROCESS
    segment_bytes: int = 64 * MIB
    free_bytes_min: int = GIB
    """Less than this at the start, and nothing is started."""
    retain_bytes: int = 64 * GIB
    """Older segments go beyond this, but none that a start would need."""
    sync_every_ns: int = 10 * MILLISECOND_NS
    """How often what nobody waits for is synced."""
    unsynced_max_ns: int = 50 * MILLISECOND_NS
    """The oldest record that is not synced may be this old; above it the journal is not healthy."""
    is_threaded: bool = True
    """False where time is virtual: then `JournalWriter.work` does what the threads do, when it is called."""


def process_settings(*, segment_bytes: int = 64 * MIB) -> JournalSettings:
    """Synced ten times a second only: each sync makes the next write to a page a fault."""
    return JournalSettings(
        segment_bytes=segment_bytes, sync_every_ns=100 * MILLISECOND_NS, unsynced_max_ns=250 * MILLISECOND_NS
    )


DEVNET = process_settings(segment_bytes=2 * MIB)
"""Many short runs: two blocks write some 200 kB."""
