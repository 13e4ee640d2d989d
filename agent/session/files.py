"""The folder of a run, and writing a report so that nobody ever sees half of one."""

from __future__ import annotations

import os
import secrets
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson

from agent.errors import SetupError


def new_run_id(wall_ns: int) -> str:
    """When it began, and four digits against two in one second."""
    began = datetime.fromtimestamp(wall_ns // 10**9, tz=UTC)  # floor: a run is named after its second
    return f"{began:%Y-%m-%dT%H-%M-%SZ}-{secrets.token_hex(2)}"


def write_whole(path: Path, content: bytes) -> None:
    """Write beside and rename: the file is whole or absent. SetupError where it cannot be written."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, beside = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
            os.replace(beside, path)
        except BaseException:
            os.unlink(beside)
            raise
    except OSError as error:
        raise SetupError(
            f"cannot write the file: {error.strerror}", where=str(path), hint="free disk space or choose another path"
        ) from error


def write_json(path: Path, document: Any) -> None:
    write_whole(path, orjson.dumps(document, option=orjson.OPT_INDENT_2))
