"""Fair timing of alternatives that do the same work: interleaved rounds, medians, ratios with their range.

Each round times every alternative once, starting with another one each time, so that drift of the machine falls
on all of them alike. The collector is off and the heap frozen. What only computes is timed by its thread's processor
time, which other work on the machine lengthens least; what waits for another process, by the clock on the wall.
Equality of results is the caller's to assert before timing.
"""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Mapping

ROUNDS = 9


def medians_ns(
    alternatives: Mapping[str, Callable[[], object]],
    *,
    calls: Mapping[str, int],
    rounds: int = ROUNDS,
    clock_ns: Callable[[], int] = time.thread_time_ns,
) -> dict[str, list[float]]:
    """Nanoseconds for one call of each alternative, one figure per round."""
    names = list(alternatives)
    figures: dict[str, list[float]] = {name: [] for name in names}
    for name in names:
        for _ in range(max(1, calls[name] // 10)):
            alternatives[name]()
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        for turn in range(rounds):
            for name in names[turn % len(names) :] + names[: turn % len(names)]:
                call, count = alternatives[name], calls[name]
                start = clock_ns()
                for _ in range(count):
                    call()
                figures[name].append((clock_ns() - start) / count)
    finally:
        gc.enable()
        gc.unfreeze()
    return figures


def ratio(figures: Mapping[str, list[float]], slow: str, fast: str) -> dict[str, float]:
    """How many times longer `slow` takes than `fast`: by medians, and the least and greatest of any round."""
    by_round = [a / b for a, b in zip(figures[slow], figures[fast], strict=True)]
    return {
        "ratio": round(statistics.median(figures[slow]) / statistics.median(figures[fast]), 2),
        "min": round(min(by_round), 2),
        "max": round(max(by_round), 2),
    }


def row(
    name: str,
    what: str,
    figures: Mapping[str, list[float]],
    slow: str,
    fast: str,
    *,
    gate: float,
    is_limit: bool = False,
) -> dict[str, object]:
    """One gate on a ratio: what the medians give, and the range over the rounds. A limit must not be exceeded."""
    measured = ratio(figures, slow, fast)
    return {
        "id": name,
        "what": what,
        "unit": "x",
        "value": measured["ratio"],
        "min": measured["min"],
        "max": measured["max"],
        "gate": gate,
        "is_limit": is_limit,
        "slow_ns": round(statistics.median(figures[slow])),
        "fast_ns": round(statistics.median(figures[fast])),
    }


def limit(name: str, what: str, values: list[float], *, unit: str, gate: float) -> dict[str, object]:
    """One gate on a figure that must not be exceeded: its median and its range."""
    return {
        "id": name,
        "what": what,
        "unit": unit,
        "value": round(statistics.median(values), 2),
        "min": round(min(values), 2),
        "max": round(max(values), 2),
        "gate": gate,
        "is_limit": True,
    }
