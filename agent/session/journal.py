"""What a person asks of a journal: is it whole, what stands in it, why was that done, and does it replay.

Reads only, and nothing but the journal: an answer here needs no node, no configuration and no clock.
"""

from __future__ import annotations

import json
import sqlite3
from collections import deque
from pathlib import Path

from agent.errors import SetupError
from agent.journal.code import code_hash
from agent.journal.errors import CorruptJournal
from agent.journal.export import content_of, kind_of, record_object
from agent.journal.export import export as write_export
from agent.journal.machine import make_core
from agent.journal.reader import JournalReader
from agent.journal.records import CLOSE, Record
from agent.journal.replay import Replay
from agent.journal.snapshots import newest_snapshots
from agent.journal.why import why as chain_of
from agent.ports.disk import SYSTEM_DISK
from agent.requests import Answer, JournalRequest, ReplayRequest, Say

RUNS_FOLDER = Path("runs")


def open_run(run: str) -> JournalReader:
    """The journal of a run by its folder, or by its id under `runs/`."""
    folder = Path(run)
    return JournalReader(folder if folder.exists() else RUNS_FOLDER / run)


def verify(request: JournalRequest, say: Say) -> Answer:
    """Every record's check sum, each seeded with the one before, and every digest; no where the chain breaks."""
    reader = open_run(request.run)
    count = 0
    last_type = 0
    try:
        for record in reader.records():
            count += 1
            last_type = record.type
    except CorruptJournal as broken:
        found: dict[str, object] = {"records": count, "is_whole": False, "is_torn": False, "broken_at": broken.sequence}
        return Answer(
            data=found, text=f"broken: {broken.message}; the {count} records before it are sound", exit_code=1
        )
    found = {
        "records": count,
        "is_whole": True,
        "is_torn": reader.is_torn,
        "broken_at": None,
        "segments": len(reader.numbers),
        "is_closed": last_type == CLOSE,
        "digest": reader.digest.hex(),
        "run_epoch": None if reader.header is None else reader.header.run_epoch,
    }
    torn = ""
    if reader.torn is not None:
        torn = f" (the last {reader.torn.byte_count} bytes were torn off, and none of it was known to be on the disk)"
    return Answer(data=found, text=f"ok: {count} records, digest {reader.digest.hex()}{torn}")


def tail(request: JournalRequest, say: Say) -> Answer:
    """The last records as they were written."""
    records = list(deque(open_run(request.run).records(), maxlen=request.last))
    return Answer(
        data=[record_object(record) for record in records],
        text="\n".join(line(record) for record in records),
    )


def why(request: JournalRequest, say: Say) -> Answer:
    """The chain of events that led to a decision: named by an id, or by `sequence.index` of the effect."""
    links = chain_of(open_run(request.run), request.subject)
    if not links:
        return Answer(data=[], text=f"no record names {request.subject}", exit_code=1)
    return Answer(
        data=[
            {**record_object(link.record), "content": link.content, "is_cause": link.is_cause, "indexes": link.indexes}
            for link in links
        ],
        text="\n".join(line(link.record, link.content) for link in links),
    )


def export(request: JournalRequest, say: Say) -> Answer:
    """SQLite, JSON Lines, CSV and, where pyarrow is, Parquet in the folder, each complete or not there."""
    assert request.out is not None
    reader = open_run(request.run)
    try:
        count, paths = write_export(reader.records(), request.out)
    except (OSError, sqlite3.Error) as error:
        raise SetupError(
            f"cannot write into {request.out}: {error}", hint="make room, or choose a folder that you may write to"
        ) from None
    text = "\n".join([f"{count} records", *(f"wrote {path}" for path in paths)])
    return Answer(data={"records": count, "paths": [str(path) for path in paths]}, text=text)


def replay(request: ReplayRequest, say: Say) -> Answer:
    """Every event through a fresh core with the limits of the run; with `--verify` a difference is a no.

    `--deep` has the world made anew, and compares what the agent then finds, executes and decides.
    """
    if request.is_deep:
        from agent.session.deep import replay_deep  # a world is heavy, and only this needs one

        return replay_deep(request, open_run(request.run), say)
    reader = open_run(request.run)
    kept = newest_snapshots(reader.path, SYSTEM_DISK)
    start = kept[-1] if kept and reader.numbers[0] > 1 else None  # older segments are gone: from the oldest snapshot
    going = Replay(reader, make_core, start=start, until=request.until)
    differences = list(going.differences())
    lines = [f"{going.events} events, {going.effects_alike}/{going.effects} effects identical"]
    if going.states:
        lines.append(f"{going.states} states compared")
    lines += [f"first difference at record {one.sequence} {one.reason}".rstrip() for one in differences[:1]]
    return Answer(
        data={
            "events": going.events,
            "effects": going.effects,
            "states": going.states,
            "differences": [difference.sequence for difference in differences],
            "is_torn": reader.is_torn,
        },
        text="\n".join(lines),
        exit_code=1 if request.is_verified and differences else 0,
        warnings=_other_code(reader),
    )


def _other_code(reader: JournalReader) -> tuple[str, ...]:
    """A journal verifies under the code that wrote it; under other code a difference says nothing against either."""
    last = reader.last_header()
    if last is None or last.code_hash == code_hash():
        return ()
    return (f"written by code {last.code_hash.hex()[:12]}, replayed by {code_hash().hex()[:12]}",)


def line(record: Record, content: object = None) -> str:
    """A record for a person's eyes, with everything that is not empty; `content` instead of its own, where given."""
    if content is None:
        content = json.loads(content_of(record))
    steps = content if isinstance(content, list) else [content]
    return f"{record.sequence:>8}  {kind_of(record):<7}  " + "  |  ".join(map(_step, steps))


def _step(step: object) -> str:
    if not isinstance(step, dict):
        return str(step)
    shown = [str(step.get("type", ""))]
    for name, value in step.items():
        if name != "type" and value not in (None, "", [], {}):
            shown.append(f"{name}={value if isinstance(value, str | int) else json.dumps(value)}")
    return " ".join(filter(None, shown))
