"""`mev-agent latency`: the histograms that a run left behind, beside the figures that the venue's article names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from agent.errors import SetupError
from agent.requests import Answer
from agent.session.runs import RUNS_FOLDER, read_report, run_folder
from agent.venues.purpleflea.latency import SCHEMA

FILE_NAME = "latency.json"
"""What a run on an order book writes: `agent.venues.purpleflea.latency.Stages.document`."""
ARTICLE = {
    "tick_to_order": "under 1 ms from call to wire",
    "venue": "sub-5 ms for a client beside it",
}
"""What "High-Frequency Trading Agents: Latency Optimization for AI" (4 March 2026) states. It gives no percentiles."""


class Stage(msgspec.Struct, frozen=True):
    """Nanoseconds; `p999` is None where the run did not keep it."""

    n: int
    p50_ns: int
    p99_ns: int
    p999_ns: int | None
    max_ns: int


class _Written(msgspec.Struct, frozen=True):
    schema: str
    stages: dict[str, Stage]
    dropped: int = 0


def latency(run: str | None) -> Answer:
    """The stages of a run. SetupError where it left none."""
    folder = _folder(run)
    path = folder / FILE_NAME
    dropped = 0
    if path.is_file():
        written = _read(path)
        stages, dropped = written.stages, written.dropped
    else:
        stages = _of_report(folder)
    stages = {name: stage for name, stage in stages.items() if stage.n}
    if not stages:
        raise SetupError("the run timed nothing", where=str(folder), hint="name a run that placed orders")
    rows = {
        name: {**msgspec.to_builtins(stage), **({"article": ARTICLE[name]} if name in ARTICLE else {})}
        for name, stage in stages.items()
    }
    warnings = (f"{dropped} orders were not timed: there was no room for them",) if dropped else ()
    return Answer(
        data={"run": folder.name, "stages": rows, "dropped": dropped},
        text=_table(folder.name, stages),
        warnings=warnings,
    )


def _folder(run: str | None) -> Path:
    """The named run, or the newest that has either file; a run's id begins with its time."""
    if run is not None:
        return run_folder(run)
    timed = sorted(path.parent for path in RUNS_FOLDER.glob(f"*/{FILE_NAME}"))
    return timed[-1] if timed else run_folder(None)


def _read(path: Path) -> _Written:
    try:
        written = msgspec.json.decode(path.read_bytes(), type=_Written)
    except OSError as error:
        raise SetupError(f"cannot read {path.name}: {error.strerror}", where=str(path)) from None
    except (msgspec.MsgspecError, ValueError):
        raise SetupError(f"{path.name} is not what a run writes", where=str(path), hint="name another run") from None
    if written.schema != SCHEMA:
        raise SetupError(f"not {SCHEMA}", where=str(path), hint="the run is of another version")
    return written


def _of_report(folder: Path) -> dict[str, Stage]:
    """What the report of a run on chain holds: the agent's own time by stage."""
    found: Any = read_report(folder).get("latency_ns", {})
    try:
        return {name: Stage(one["n"], one["p50"], one["p99"], None, one["max"]) for name, one in dict(found).items()}
    except (TypeError, KeyError, ValueError):
        raise SetupError("the report's times cannot be read", where=str(folder), hint="name another run") from None


def _table(run: str, stages: dict[str, Stage]) -> str:
    lines = [
        f"{run}   times in µs",
        f"{'stage':<16} {'n':>9} {'p50':>10} {'p99':>10} {'p99.9':>10} {'max':>10}  the article says",
    ]
    for name, stage in stages.items():
        figures = (stage.p50_ns, stage.p99_ns, stage.p999_ns, stage.max_ns)
        columns = " ".join(f"{_micros(ns):>10}" for ns in figures)
        lines.append(f"{name:<16} {stage.n:>9} {columns}  {ARTICLE.get(name, '')}".rstrip())
    if "tick_to_order" in stages:
        lines.append("received -decode- decoded -step- stepped -send- sent -venue- answered")
    return "\n".join(lines)


def _micros(ns: int | None) -> str:
    return "" if ns is None else f"{ns // 1_000}.{ns % 1_000 // 100}"
