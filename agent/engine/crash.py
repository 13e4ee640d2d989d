"""What is left of a run whose core stopped by an exception: one file beside its journal, on the disk before it ends."""

from __future__ import annotations

import contextlib
import json
import os
import traceback
from collections.abc import Callable
from pathlib import Path

from agent.ports.processes import Guard

FILE_NAME = "crash.json"
SCHEMA = "mev-agent/run-crash/1"


def record_crash(folder: Path, error: BaseException, *, run: str, sequence: int, wall_ns: int) -> Path:
    """Write it; a disk that takes nothing any more is no reason not to end.

    `sequence` is the journal's last record. The error's own text is left out: it may quote an address with its key.
    """
    frames = [
        {"file": frame.filename.rpartition("/agent/")[2], "line": frame.lineno, "function": frame.name}
        for frame in traceback.extract_tb(error.__traceback__)
    ]
    content = {
        "schema": SCHEMA,
        "run": run,
        "wall_ns": wall_ns,
        "record": sequence,
        "error": type(error).__name__,
        "frames": frames,
    }
    path = folder / FILE_NAME
    with contextlib.suppress(OSError), path.open("w") as file:
        file.write(json.dumps(content, indent=1) + "\n")
        file.flush()
        os.fsync(file.fileno())
    return path


def abandon(
    guard: Guard,
    error: BaseException,
    *,
    folder: Path,
    run: str,
    sequence: int,
    wall_ns: int,
    say: Callable[[str], None],
) -> None:
    """Leave a broken run to its guard: say why on disk and to a person, and no good-bye."""
    path = record_crash(folder, error, run=run, sequence=sequence, wall_ns=wall_ns)
    say(f"STOPPED by {type(error).__name__}: the guard cancels what is left; see {path}")
    guard.abandon()
