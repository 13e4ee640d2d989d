"""Own time by stage: appended as integers while the agent works, summed up at the end."""

from __future__ import annotations

from collections import deque

from agent.engine.result import StageLatency

KEPT = 65_536
"""Durations kept of each stage, the latest: percentiles of a run of days are those of its last hours."""


class StageClock:
    """Durations in ns by stage name. The caller reads the clock; this only keeps the figures."""

    __slots__ = ("_durations",)

    def __init__(self) -> None:
        self._durations: dict[str, deque[int]] = {}

    def add(self, stage: str, duration_ns: int) -> None:
        durations = self._durations.get(stage)
        if durations is None:
            durations = self._durations[stage] = deque(maxlen=KEPT)
        durations.append(duration_ns)

    def summary(self) -> dict[str, StageLatency]:
        """Nearest-rank percentiles of each stage."""
        return {stage: _summary(sorted(durations)) for stage, durations in sorted(self._durations.items())}


def _summary(ordered: list[int]) -> StageLatency:
    def rank(percent: int) -> int:
        return ordered[-(-len(ordered) * percent // 100) - 1]  # ceiling: the nearest-rank percentile

    return StageLatency(p50=rank(50), p99=rank(99), max=ordered[-1], n=len(ordered))
