"""`make bench`: every module here that has `run()`, each in a process of its own, judged by `benchmarks.verdict`.

    python -m benchmarks [NAME...] [--anyway]

Writes build/bench/bench.json, prints a table, and exits 1 where a gate is missed. On a machine that is busier than it
has cores, or whose host takes time away, it says so and measures nothing, unless told to do it `--anyway`.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks import machine
from benchmarks.verdict import REPEATS, Row, is_decided, judged

FOLDER = Path(__file__).parent
OUT = FOLDER.parent / "build" / "bench" / "bench.json"
STEAL_PERCENT_MAX = 5.0
RUN_SECONDS_MAX = 180


def names() -> list[str]:
    """Modules that can be run, in order of name."""
    return sorted(path.stem for path in FOLDER.glob("*.py") if "\ndef run(" in path.read_text())


def main() -> int:
    parser = argparse.ArgumentParser(prog="benchmarks", description="Measure, and write what was measured.")
    parser.add_argument("names", nargs="*", help=f"of {', '.join(names())}; all if left out")
    parser.add_argument("--anyway", action="store_true", help="measure on a busy machine, too; the load is recorded")
    asked = parser.parse_args()
    unknown = sorted(set(asked.names) - set(names()))
    if unknown:
        parser.error(f"no benchmark is called {', '.join(unknown)}")
    load, steal = machine.load(), machine.steal_percent()
    if (load > machine.cores() or steal > STEAL_PERCENT_MAX) and not asked.anyway:
        say(f"skipped: load {load} on {machine.cores()} cores, {steal} % of the time taken by the host")
        say("  what to do: wait until the machine is quiet, or measure all the same with ARGS=--anyway")
        return 0
    rows: list[Row] = []
    figures: dict[str, Any] = {}
    for name in asked.names or names():
        judged_rows, figures[name] = measure(name)
        rows += judged_rows
        for row in judged_rows:
            print(line(row), flush=True)
    is_held = all(row["is_held"] for row in rows)
    machine_now = {**machine.describe(), "load_before": load, "load_after": machine.load(), "steal_percent": steal}
    document = {
        "schema": "mev-agent/bench/1",
        "ok": is_held,
        "data": {**machine_now, "rows": rows, "figures": figures},
    }
    OUT.parent.mkdir(parents=True, exist_ok=True)
    OUT.write_text(json.dumps(document, indent=1) + "\n")
    say(f"written to {OUT.relative_to(FOLDER.parent)}")
    return 0 if is_held else 1


def measure(name: str) -> tuple[list[Row], dict[str, Any]]:
    """Judged rows, and all figures of the first run."""
    runs: list[dict[str, Any]] = []
    while not runs or (len(runs) < REPEATS and not all(map(is_decided, by_row(runs)))):
        say(f"{name} ..." if not runs else f"{name} once more ...")
        runs.append(run_once(name))
    rest = {key: value for key, value in runs[0].items() if key != "rows"}
    return [judged(row_runs) for row_runs in by_row(runs)], rest


def by_row(runs: list[dict[str, Any]]) -> list[list[Row]]:
    return [list(one) for one in zip(*(run["rows"] for run in runs), strict=True)]


def run_once(name: str) -> dict[str, Any]:
    """What the module prints. Its own process, so that no other benchmark's heap or imports are in it."""
    command = [sys.executable, "-m", f"benchmarks.{name}"]
    done = subprocess.run(command, cwd=FOLDER.parent, stdout=subprocess.PIPE, timeout=RUN_SECONDS_MAX)
    if done.returncode != 0:
        raise SystemExit(f"benchmarks.{name} failed: the sides differ, or it could not run; see above")
    printed: dict[str, Any] = json.loads(done.stdout)
    return printed


def line(row: Row) -> str:
    """One row for a terminal."""
    verdict = "ok  " if row["is_held"] else "MISS"
    gate = f"{'<=' if row['is_limit'] else '>='} {row['gate']:g}"
    span = f"{row['min']:g} to {row['max']:g}"
    again = f"  {row['runs']} runs" if row["runs"] > 1 else ""
    return f"{verdict}  {row['id']:<8} {row['what']:<66} {row['value']:>8g} {row['unit']:<3} ({span})  {gate}{again}"


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
