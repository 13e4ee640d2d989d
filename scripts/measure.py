"""Measure what the project promises on archived blocks and the slice: `python scripts/measure.py [CHECK]...`

Each check prints a table and one line of JSON; exit 1 if one of them fails. `--case N` (again and again) measures on
some blocks alone, `--markdown FILE` writes the tables as a page. The cases lie where `MEV_AGENT_TEST_DATA` points,
else in `../shared`.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import orjson

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from scripts import measure_claims, measure_landing, measure_oracle, measure_slice, measure_subsets, measure_survey
from scripts.measure_ground import Checked, Ground

CHECKS: dict[str, Callable[[Ground], Checked]] = {
    "replay": measure_survey.replay,
    "survey": measure_survey.survey,
    "oracle": measure_oracle.oracle,
    "claims": measure_claims.claims,
    "landing": measure_landing.landing,
    "plain-run": measure_landing.plain_run,
    "rivals": measure_landing.rivals,
    "slice": measure_slice.slice_run,
    "subsets": measure_subsets.subsets,
}
"""In the order in which they are best read: later ones use reports that earlier ones made."""


def table(checked: Checked) -> list[list[str]]:
    """Header and rows as text."""
    columns = list(dict.fromkeys(key for row in checked.rows for key in row))
    return [columns, *([_cell(column, row.get(column)) for column in columns] for row in checked.rows)]


def _cell(column: str, value: object) -> str:
    if value is None:
        return "–"
    if column == "block":
        return str(value)
    if isinstance(value, dict):
        return ", ".join(f"{key}: {part}" for key, part in value.items())
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:_}".replace("_", " ") if abs(value) >= 100_000 else str(value)
    return str(value)


def as_text(checked: Checked) -> str:
    """The table for a terminal."""
    lines = table(checked)
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in lines)


def as_markdown(checked: Checked, seconds: float) -> str:
    """The table as a section of a page."""
    lines = table(checked)
    parts = [
        f"## {checked.name}",
        "",
        f"`python scripts/measure.py {checked.name}`, {seconds:.0f} s: "
        + ("holds" if not checked.failures else f"{len(checked.failures)} failures")
        + ". "
        + "; ".join(f"{key.replace('_', ' ')} {_cell(key, value)}" for key, value in checked.figures.items()),
        "",
    ]
    if checked.rows:
        parts += ["| " + " | ".join(lines[0]) + " |", "|" + "---|" * len(lines[0])]
        parts += ["| " + " | ".join(line) + " |" for line in lines[1:]]
        parts.append("")
    return "\n".join(parts)


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("checks", nargs="*", metavar="CHECK", help=f"of {', '.join(CHECKS)}; default all")
    parser.add_argument("--case", type=int, action="append", default=[], help="a block number, repeatable")
    parser.add_argument("--markdown", type=Path, help="write the tables to this file")
    asked = parser.parse_args(arguments)
    if unknown := set(asked.checks) - set(CHECKS):
        parser.error(f"no check named {', '.join(sorted(unknown))}; there are {', '.join(CHECKS)}")
    ground = Ground(tuple(asked.case), say=lambda line: print(f"  {line}", file=sys.stderr, flush=True))
    if not ground.paths:
        print(f"error: no cases in {ground.folder}; set MEV_AGENT_TEST_DATA", file=sys.stderr)
        return 1
    page, failed = [], 0
    try:
        for name, check in CHECKS.items():
            if asked.checks and name not in asked.checks:
                continue
            started = time.monotonic()
            checked = check(ground)
            seconds = time.monotonic() - started
            failed += bool(checked.failures)
            if checked.rows:
                print(as_text(checked))
            for failure in checked.failures:
                print(f"FAIL  {failure}")
            line = {"check": name, "ok": not checked.failures, "seconds": round(seconds, 1)} | checked.figures
            print(orjson.dumps(line | {"failures": checked.failures}).decode(), flush=True)
            page.append(as_markdown(checked, seconds))
    finally:
        ground.close()
    if asked.markdown:
        asked.markdown.write_text(PAGE + "\n".join(page))
    return 1 if failed else 0


PAGE = """# Measurements

Made by `python scripts/measure.py --markdown docs/reference/measurements.md`. Amounts are in units of the start token,
`_wei` is ETH; a share is ours over the reference's, in hundredths of a percent, rounded down.

"""

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
