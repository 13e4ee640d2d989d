"""`make bench`: every module here that has `run()`, one after the other, as JSON under build/bench and as a table.

    python -m benchmarks [NAME...] [--check]

Exit 1 with `--check` where a gate is missed: off by default, for a busy machine misses what a quiet one holds.
"""

from __future__ import annotations

import argparse
import importlib
import json
import platform
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent
OUT = FOLDER.parent / "build" / "bench"
NO_BENCHMARKS = {"__init__", "__main__", "rounds"}


def names() -> list[str]:
    """Modules that can be run, in order of name."""
    return sorted(
        path.stem for path in FOLDER.glob("*.py") if path.stem not in NO_BENCHMARKS and "\ndef run(" in path.read_text()
    )


def rows(figures: Any) -> Iterator[dict[str, Any]]:
    """The rows with a gate, wherever a module has put them."""
    if isinstance(figures, dict):
        if "gate" in figures:
            yield figures
        else:
            for value in figures.values():
                yield from rows(value)
    elif isinstance(figures, list):
        for value in figures:
            yield from rows(value)


def main() -> int:
    parser = argparse.ArgumentParser(prog="benchmarks", description="Measure, and write what was measured.")
    parser.add_argument("names", nargs="*", help=f"of {', '.join(names())}; all if left out")
    parser.add_argument("--check", action="store_true", help="exit 1 where a gate is missed")
    asked = parser.parse_args()
    unknown = sorted(set(asked.names) - set(names()))
    if unknown:
        parser.error(f"no benchmark is called {', '.join(unknown)}")
    OUT.mkdir(parents=True, exist_ok=True)
    missed = 0
    for name in asked.names or names():
        print(f"{name} ...", file=sys.stderr, flush=True)
        figures = importlib.import_module(f"benchmarks.{name}").run()
        document = {
            "schema": f"mev-agent/bench-{name}/1",
            "python": platform.python_version(),
            "machine": platform.machine(),
            "data": figures,
        }
        (OUT / f"{name}.json").write_text(json.dumps(document, indent=2) + "\n")
        for row in rows(figures):
            passed = bool(row.get("passed", True))
            missed += not passed
            shown = "  ".join(f"{key} {value}" for key, value in row.items() if key not in ("id", "passed", "what"))
            print(f"{'ok  ' if passed else 'MISS'}  {row.get('id', name)!s:<5}  {row.get('what', '')}  {shown}")
    print(f"written to {OUT.relative_to(FOLDER.parent)}", file=sys.stderr)
    return 1 if missed and asked.check else 0


if __name__ == "__main__":
    sys.exit(main())
