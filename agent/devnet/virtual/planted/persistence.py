"""Planted bugs of what survives a process and a machine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from agent.core.desk.markets import Markets
from agent.core.market import Book
from agent.devnet.virtual.planted.swap import bug
from agent.journal import recovery
from agent.journal.reader import Torn
from agent.journal.records import Cut
from agent.journal.segments import segment_name, segment_numbers
from agent.journal.writer import JournalWriter
from agent.ports.disk import Disk


def _leave_the_tail(journal: Path, torn: Torn, disk: Disk) -> Cut:
    return Cut(segment=torn.segment, offset=torn.offset, cut_bytes=torn.byte_count, kept_in="")


def _at_once(self: JournalWriter, callback: Any, *, sequence: int | None = None) -> None:
    callback(None)


def _trust_what_is_there(journal: Path, last: int, disk: Disk) -> None:
    """What the last run left is taken for durable as it stands."""
    for number in segment_numbers(journal, disk):
        if number > last:
            disk.remove(journal / segment_name(number))


def _prices_as_they_were(self: Markets) -> None:
    """A new process goes on with the books of the old one."""


def _never_stale(self: Book, reason: str) -> None:
    """What was told of a book is kept, whatever happened since."""


PERSISTENCE = (
    bug(
        "torn-tail-not-cut",
        "a tail that the loss of power tore is left where it is",
        (recovery, "_cut", _leave_the_tail),
    ),
    bug(
        "sync-not-awaited", "an order leaves before its record is on the disk", (JournalWriter, "when_synced", _at_once)
    ),
    bug(
        "tail-not-settled",
        "what the last run did not sync is not synced at the start",
        (recovery, "_settle", _trust_what_is_there),
    ),
    bug(
        "books-survive-the-process",
        "a new process decides on the books of the old one",
        (Markets, "begin", _prices_as_they_were),
        (Book, "mark_stale", _never_stale),
    ),
)
