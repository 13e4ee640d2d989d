"""A result as an answer: JSON for programs, a table for a person, files for later."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from agent.engine.result import RunResult
from agent.eth.units import Address
from agent.observe.page import page
from agent.observe.report import report
from agent.observe.table import table
from agent.requests import Answer
from agent.session.files import write_json, write_whole


def answer_of(
    result: RunResult, *, symbols: Mapping[Address, str], folder: Path | None, report_path: Path | None
) -> Answer:
    """Write the report where it is wanted (`folder`: report.json and report.html) and make the answer."""
    document = report(result)
    text = table(result, symbols=symbols)
    if folder is not None:
        write_json(folder / "report.json", document)
        write_whole(folder / "report.html", page(result, symbols=symbols).encode())
        text += f"\nreport    {folder / 'report.html'}"
    if report_path is not None:
        write_json(report_path, document)
    return Answer(
        data=document["data"], text=text, mode=result.mode, schema=document["schema"], warnings=tuple(result.warnings)
    )
