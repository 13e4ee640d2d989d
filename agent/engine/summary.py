"""At the end of a run: rows, funnel, drops and latencies from everything that was tracked.

A row is a claim, so only what was executed (or could not be, for want of state) has one. What was dropped on its quote
alone is counted with its code, no more.
"""

from __future__ import annotations

from agent.core.codes import Code
from agent.engine.hunter import Hunter
from agent.engine.outcome_rows import opportunity_row
from agent.engine.result import Ending, Mismatch, RunResult


def summarise(result: RunResult, hunter: Hunter, *, repeat: str) -> None:
    """Fill the result's opportunities, mismatches, drops, funnel and latencies."""
    tracked = list(hunter.tracked.values())
    for one in tracked:
        row = opportunity_row(one, repeat=repeat)
        if one.candidate is not None:
            result.opportunities.append(row)
        if row.code == Code.SIM_MISMATCH and one.candidate is not None:
            result.mismatches.append(Mismatch(row.id, row.quoted_amount, one.candidate.execution.gross_amount))
        if row.code:
            result.drops[row.code] = result.drops.get(row.code, 0) + 1
    for word, count in hunter.retired.items():
        if word in set(Code):
            result.drops[word] = result.drops.get(word, 0) + count
    retired = hunter.retired.total()
    if retired:
        result.warnings.append(f"the rows of the {retired} oldest opportunities were not kept, only their codes")
    candidates = [one.candidate for one in tracked if one.candidate is not None]
    result.funnel = {
        "found": len(tracked) + retired,
        "priced": sum(candidate.value_wei is not None for candidate in candidates),
        "simulated": sum(candidate.execution.is_known for candidate in candidates),
        "passed_risk": sum(one.bundle is not None or one.outcome == Ending.HELD for one in tracked),
        "sent": sum(one.bundle is not None for one in tracked),
        "landed": sum(one.outcome == Ending.LANDED for one in tracked) + hunter.retired[Ending.LANDED],
    }
    result.warnings += [
        f"{alarm.code} {alarm.subject}: {alarm.detail}" for alarm in hunter.alarms if alarm.severity != "notice"
    ]
    result.latency_ns = hunter.stages.summary()
    result.forecasts = hunter.forecasts.figures()
    if warning := hunter.forecasts.warning():
        result.warnings.append(warning)
