"""Scores per file, and survivors with their lines."""

from __future__ import annotations

import math
import tomllib
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
REASONS = ROOT / "tests" / "core" / "survivors.toml"
KILLED = ("killed", "timeout")
ALIVE = ("survived", "uncovered")
CERTAINTY = 3.09
"""Of the interval that a sample is judged by: the true score lies above it once in a thousand times."""


class Reasons:
    """The survivors that a person has looked at, each with why no test can tell it from the code."""

    def __init__(self, path: Path = REASONS) -> None:
        entries = tomllib.loads(path.read_text())["survivor"] if path.is_file() else []
        self._reasons = {(e["file"], e["function"], e["old"], e["new"]): e["reason"] for e in entries}
        self._used: set[tuple[str, str, str, str]] = set()

    def of(self, mutant: dict[str, Any]) -> str | None:
        key = (mutant["path"], mutant["function"], mutant["before"], mutant["after"])
        if key in self._reasons:
            self._used.add(key)
        return self._reasons.get(key)

    def unused(self, paths: set[str]) -> list[str]:
        """Entries that no survivor of these files needs: the code changed, or a test came."""
        return [f"{k[0]} {k[1]}: {k[3]}" for k in self._reasons if k[0] in paths and k not in self._used]


def score(counts: Counter[str]) -> tuple[int, int]:
    """How many were killed, of how many."""
    killed = sum(counts[outcome] for outcome in KILLED)
    return killed, killed + sum(counts[outcome] for outcome in ALIVE)


def upper_bound(killed: int, of: int) -> float:
    """Wilson's upper bound of the true score, of which this is a sample."""
    if of == 0:
        return 1.0
    share, z = killed / of, CERTAINTY
    middle = share + z * z / (2 * of)
    spread = z * math.sqrt(share * (1 - share) / of + z * z / (4 * of * of))
    return (middle + spread) / (1 + z * z / of)


def lines(mutants: Sequence[dict[str, Any]], reasons: Reasons, *, is_short: bool) -> Iterator[str]:
    """The report: survivors by file, then the scores."""
    explained = {id(m): reasons.of(m) for m in mutants if m["outcome"] in ALIVE}
    if not is_short:
        for mutant in mutants:
            if mutant["outcome"] in ALIVE:
                yield f"{mutant['path']}:{mutant['line']} {mutant['function']}: {mutant['outcome']}"
                yield from (f"  - {line}" for line in mutant["before"].splitlines())
                yield from (f"  + {line}" for line in mutant["after"].splitlines())
                if explained[id(mutant)] is not None:
                    yield f"  reason: {explained[id(mutant)]}"
        yield ""
    total: Counter[str] = Counter()
    excused = 0
    for path in sorted({mutant["path"] for mutant in mutants}):
        here = [mutant for mutant in mutants if mutant["path"] == path]
        counts = Counter(mutant["outcome"] for mutant in here)
        excused_here = sum(explained.get(id(mutant)) is not None for mutant in here)
        total += counts
        excused += excused_here
        yield row(path, counts, excused_here)
    yield row("all", total, excused)
    other = {outcome: n for outcome, n in total.items() if outcome not in KILLED + ALIVE}
    if other:
        yield f"not judged: {other}"


def row(name: str, counts: Counter[str], excused: int) -> str:
    killed, of = score(counts)
    if of == 0:
        return f"{'-':>7}  {name}"
    without = f"{killed / (of - excused):7.1%} without {excused} explained" if excused and of > excused else ""
    return f"{killed / of:7.1%}  {name}: {killed} of {of} {without}".rstrip()
