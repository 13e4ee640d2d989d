"""Which segments may go: the oldest, where there are too many bytes, but none that a start would read."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

from agent.journal.segments import SEGMENT_HEADER_BYTES, decode_header, segment_name, segment_numbers
from agent.journal.snapshots import snapshot_sequences
from agent.ports.disk import Disk


def prune(folder: Path, disk: Disk, retain_bytes: int) -> list[int]:
    """Remove what is beyond `retain_bytes` and older than every snapshot that is kept; the numbers removed."""
    snapshots = snapshot_sequences(folder, disk)
    numbers = segment_numbers(folder, disk)
    if not snapshots:
        return []
    oldest_needed = snapshots[0]
    sizes, firsts = {}, {}
    for number in numbers:
        file = disk.open_to_read(folder / segment_name(number))
        try:
            sizes[number] = file.size
            header = decode_header(file.read_at(0, SEGMENT_HEADER_BYTES), path=folder)
            firsts[number] = 0 if header is None else header.first_sequence
        finally:
            file.close()
    total = sum(sizes.values())
    removed = []
    for number, following in pairwise(numbers):
        # The segment is needed while the record behind the oldest snapshot may stand in it.
        if total <= retain_bytes or not 0 < firsts[following] <= oldest_needed:
            break
        disk.remove(folder / segment_name(number))
        disk.sync_folder(folder)  # each by itself: a loss of power must not leave an older one without a newer
        total -= sizes[number]
        removed.append(number)
    return removed
