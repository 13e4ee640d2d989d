"""The latch: a file that says "halted" and outlives every process.

It is made with O_EXCL and synced before anything else is done about a trip, in the guard's own folder. The agent
refuses to start while it exists, and so does the guard to arm. Its existence is what counts: an empty latch, all that
a full disk allows, halts like any other.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from agent.guard.folder import write_padded

LATCH = "latch"
RESERVE = "latch.reserve"
MUST_REDUCE = "reduce_only"
"""Left by a reset: the next run may only reduce."""
RESERVE_BYTES = 16_384


def is_set(folder: Path) -> bool:
    """Whether everything is halted. A folder that cannot be read counts as halted."""
    try:
        os.stat(folder / LATCH)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return True


def take_reserve(folder: Path) -> None:
    """Take the latch's space while there is some. Raises OSError."""
    write_padded(folder / RESERVE, b"", RESERVE_BYTES)


def set_latch(folder: Path, *, code: str, detail: str, by: str, evidence: bytes = b"", facts: Any = None) -> bool:
    """Halt. True where this call made the latch, False where it was there. Raises OSError where no file can be made.

    Three ways in turn: a new file with the whole record; the reserve renamed, its space being taken already; an empty
    file.
    """
    if is_set(folder):
        return False
    record = _encode(code, detail, by, evidence, facts)
    try:
        _write_new(folder / LATCH, record)
    except FileExistsError:
        return False
    except OSError:
        if not is_set(folder):
            _from_reserve(folder, record)
    _sync_folder(folder)
    return True


def _encode(code: str, detail: str, by: str, evidence: bytes, facts: Any) -> bytes:
    record = {
        "schema": "mev-agent/latch/1",
        "code": code,
        "detail": detail[:500],
        "by": by[:100],
        "wall_ns": time.time_ns(),
        "evidence": hashlib.blake2b(
            evidence + f"{code} {detail} {by} {time.time_ns()}".encode(), digest_size=8
        ).hexdigest(),
        "facts": facts,
    }
    return json.dumps(record).encode()


def _write_new(path: Path, record: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        os.write(descriptor, record)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _from_reserve(folder: Path, record: bytes) -> None:
    try:
        write_padded(folder / RESERVE, record[:RESERVE_BYTES], RESERVE_BYTES)
        # Needs neither a block nor an inode. Another latch of this very moment would lose its reason, not its effect.
        os.rename(folder / RESERVE, folder / LATCH)
    except OSError:
        with contextlib.suppress(FileExistsError):
            os.close(os.open(folder / LATCH, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))


def read(folder: Path) -> dict[str, Any] | None:
    """The latch's record; None where there is no latch. A latch without a readable record says so in `code`."""
    if not is_set(folder):
        return None
    unknown = {
        "code": "unreadable",
        "detail": "the latch holds no readable record",
        "by": "",
        "evidence": "",
        "wall_ns": 0,
    }
    try:
        found = json.loads((folder / LATCH).read_bytes())
    except (OSError, ValueError):
        return unknown
    return found if isinstance(found, dict) and isinstance(found.get("code"), str) else unknown


def release(folder: Path, *, reason: str, by: str, checks: Sequence[str] = ()) -> Path:
    """A person allows trading again: the latch moves into `resets/` with their reason; the next run only reduces.

    `checks` says what was looked at before, and what could not be.

    The order makes a crash in between safe: the mark that only reducing is allowed stands before the latch goes.
    Raises FileNotFoundError where there is no latch, OSError where it cannot be moved.
    """
    held = read(folder)
    if held is None:
        raise FileNotFoundError(folder / LATCH)
    kept = folder / "resets"
    kept.mkdir(mode=0o700, exist_ok=True)
    path = kept / f"{time.time_ns()}.json"
    _write_new(
        path,
        json.dumps(
            {
                "schema": "mev-agent/guard-reset/1",
                "reason": reason,
                "by": by,
                "wall_ns": time.time_ns(),
                "checks": list(checks),
                "latch": held,
            }
        ).encode(),
    )
    with contextlib.suppress(FileExistsError):
        _write_new(folder / MUST_REDUCE, reason.encode())
    _sync_folder(kept)
    _sync_folder(folder)
    os.unlink(folder / LATCH)
    _sync_folder(folder)
    return path


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
