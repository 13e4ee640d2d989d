"""What is left of a run whose core stopped by an exception: one file beside its journal, on the disk before it ends."""

from __future__ import annotations

import contextlib
import json
import os
import traceback
from pathlib import Path

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
