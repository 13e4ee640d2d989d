"""`mev-agent replay --deep`: the same world again, searched and executed afresh, its journal compared with the old one.

A run in a case or in the slice is a function of what was asked: the same events in the same order, or something has
changed. Times are no part of the comparison. What a fork's or a live chain's node said cannot be had again.
"""

from __future__ import annotations

import tempfile
from itertools import zip_longest
from pathlib import Path

from agent.devnet.case import load_case
from agent.devnet.case_run import run_case
from agent.devnet.slice_run import run_slice
from agent.errors import SetupError
from agent.journal.reader import JournalReader
from agent.journal.records import EFFECTS, EVENT, Record
from agent.ports.clock import SystemClock
from agent.requests import Answer, ReplayRequest, Say
from agent.session.asked import Asked, recall
from agent.session.loop import run_loop
from agent.session.run import case_run, slice_run


def replay_deep(request: ReplayRequest, reader: JournalReader, say: Say) -> Answer:
    """Exit code 1, with `--verify`, where any event or effect differs."""
    asked = recall(reader.path.parent)
    recorded = _steps(reader, until=request.until)
    with tempfile.TemporaryDirectory(prefix="mev-agent-replay-") as folder:
        again = _steps(_run_again(asked, Path(folder), say), until=request.until)
    differing = [
        position
        for position, (old, new) in enumerate(zip_longest(recorded, again))
        if old is None or new is None or (old.type, old.payload) != (new.type, new.payload)
    ]
    events = sum(record.type == EVENT for record in recorded)
    lines = [f"{events} events found again by search and execution, {len(differing)} of {len(recorded)} records differ"]
    if differing:
        first = differing[0]
        for name, records in (("then", recorded), ("now", again)):
            lines.append(f"  {name:<5} {records[first].payload.decode() if first < len(records) else 'nothing more'}")
    return Answer(
        data={
            "events": events,
            "records": len(recorded),
            "records_now": len(again),
            "differences": [recorded[at].sequence for at in differing if at < len(recorded)],
            "is_deep": True,
        },
        text="\n".join(lines),
        exit_code=1 if request.is_verified and differing else 0,
    )


_OF_TIME = tuple(f'{{"type":"{tag}"'.encode() for tag in ("timer", "guard_pulse", "journal_health"))
"""Events that tell of this run's time and machine, and come otherwise in every run."""


def _steps(reader: JournalReader, *, until: int | None) -> list[Record]:
    """The records of the steps that the world caused."""
    steps: list[Record] = []
    is_of_time = False
    for record in reader.records():
        if until is not None and record.sequence > until:
            break
        if record.type == EVENT:
            is_of_time = record.payload.startswith(_OF_TIME)
        if record.type in (EVENT, EFFECTS) and not is_of_time:
            steps.append(record)
    return steps


def _run_again(asked: Asked, folder: Path, say: Say) -> JournalReader:
    request, clock = asked.request, SystemClock()
    if asked.world == "case":
        assert request.world.case is not None
        if not request.world.case.exists():
            raise SetupError(
                "the case of this run is not there any more",
                where=str(request.world.case),
                hint="put it back, or leave --deep out",
            )
        case = load_case(request.world.case)
        say(f"running block {case.number} again")
        run_loop(run_case(case_run(request, asked.hunt, case, "replay", folder), clock))
    elif asked.world == "slice":
        say(f"running the slice again, seed {asked.seed}")
        run_loop(run_slice(slice_run(request, asked.hunt, "replay", folder), clock, lambda line: None))
    else:
        raise SetupError(f"the world of this run, a {asked.world} chain, cannot be had again", hint="leave --deep out")
    return JournalReader(folder)
