"""Where runs lie: by id under `runs/`, by folder, or the last one; and their reports read back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson

from agent.errors import SetupError

RUNS_FOLDER = Path("runs")
REPORT_NAME = "report.json"
SCHEMA = "mev-agent/report/1"


def run_folder(run: str | None) -> Path:
    """The folder of a run; for None the newest one with a report. SetupError where there is none."""
    if run is not None:
        given = Path(run)
        folder = given if given.exists() else RUNS_FOLDER / run
        if not folder.is_dir():
            raise SetupError(f"no run {run}", where=str(folder), hint="name a run's id under runs/, or its folder")
        return folder
    # Ids begin with the time, so their order is that of the runs.
    found = sorted(path.parent for path in RUNS_FOLDER.glob(f"*/{REPORT_NAME}"))
    if not found:
        raise SetupError(
            "there is no run with a report yet", where=str(RUNS_FOLDER), hint="start one with `mev-agent run`"
        )
    return found[-1]


def read_report(folder: Path) -> dict[str, Any]:
    """The data of a run's report. SetupError for a file that is none, or of another version."""
    path = folder / REPORT_NAME
    hint = "the run may have broken off before its report; its journal is beside it"
    try:
        document = orjson.loads(path.read_bytes())
    except OSError as error:
        raise SetupError(f"cannot read the report: {error.strerror}", where=str(path), hint=hint) from None
    except orjson.JSONDecodeError as error:
        raise SetupError(f"the report is not JSON: {error}", where=str(path), hint=hint) from None
    if not isinstance(document, dict) or document.get("schema") != SCHEMA or not isinstance(document.get("data"), dict):
        raise SetupError(f"not a report of schema {SCHEMA}", where=str(path), hint="name the folder of a run")
    content: dict[str, Any] = document["data"]
    return content
