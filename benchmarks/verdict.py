"""Whether a gate is held, by the fair rules: noise must not fail it, and a miss must not pass by one lucky round.

A gate is judged by medians. One that its first run misses is measured up to twice more, and is missed when two of the
three miss it. The run that is shown is the middle one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

REPEATS = 3
Row = dict[str, Any]


def meets(row: Row) -> bool:
    """Whether the median of this run holds the gate."""
    return bool(row["value"] <= row["gate"] if row["is_limit"] else row["value"] >= row["gate"])


def is_decided(runs: Sequence[Row]) -> bool:
    """Whether another run could change nothing: the first holds, or two of a kind are there."""
    held = sum(map(meets, runs))
    return meets(runs[0]) or held >= 2 or len(runs) - held >= 2


def judged(runs: Sequence[Row]) -> Row:
    """The middle run with what came of all: `is_held`, and how many runs there were."""
    held = sum(map(meets, runs))
    shown = runs[0] if len(runs) == 1 or meets(runs[0]) else sorted(runs, key=lambda row: row["value"])[len(runs) // 2]
    is_held = meets(runs[0]) or held * 2 > len(runs)
    return {**shown, "is_held": is_held, "runs": len(runs)}
