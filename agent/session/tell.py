"""`mev-agent tell`: leaves a command where a running agent finds it, and waits until it has."""

from __future__ import annotations

import time
from pathlib import Path

from agent.engine.command_box import DONE, FOLDER_NAME, REFUSED, Asked, leave_command
from agent.errors import OutcomeUnknown, SetupError, UsageError
from agent.ports.clock import SYSTEM_CLOCK
from agent.requests import Answer, Say
from agent.session.runs import RUNS_FOLDER

WAIT_NS = 3_000_000_000
_POLL_S = 0.05


def tell(folder: Path | None, action: str, target: str, symbol: str, reason: str, say: Say) -> Answer:
    """Raises SetupError where no run has a place for commands, OutcomeUnknown where nobody takes this one up."""
    if not reason.strip():
        raise UsageError("--reason is empty", hint="say in a few words why; it is kept in the journal")
    place = folder if folder is not None else _newest()
    try:
        path = leave_command(
            place, Asked(action=action, reason=reason, target=target, symbol=symbol), wall_ns=SYSTEM_CLOCK.wall_ns()
        )
    except OSError as error:
        raise SetupError(
            f"no run takes commands here: {error.strerror}",
            where=str(place),
            hint="name the folder with the journal of a run at an order-book venue by --run",
        ) from None
    say(f"{action} is told to {place}")
    until_ns = SYSTEM_CLOCK.monotonic_ns() + WAIT_NS
    while SYSTEM_CLOCK.monotonic_ns() < until_ns:
        if path.with_suffix(DONE).exists():
            data = {"run": str(place), "action": action, "target": target, "symbol": symbol}
            return Answer(data=data, text=f"{place}: taken up; the run says what became of it", mode="tell")
        if path.with_suffix(REFUSED).exists():
            raise UsageError("the agent refused the command; it says why", hint="see `mev-agent tell --help`")
        time.sleep(_POLL_S)
    path.unlink(missing_ok=True)
    if path.with_suffix(DONE).exists():
        return Answer(data={"run": str(place), "action": action}, text=f"{place}: taken up", mode="tell")
    raise OutcomeUnknown(
        "no agent took the command up; it was taken back",
        code="E_NOT_HEARD",
        where=str(place),
        hint="is the run still going? `mev-agent status` shows it; `mev-agent halt` stops everything in any case",
    )


def _newest() -> Path:
    """The folder whose place for commands is the newest."""
    found = [path for pattern in ("*", "accounts/*") for path in RUNS_FOLDER.glob(f"{pattern}/{FOLDER_NAME}")]
    if not found:
        raise SetupError("there is no run that takes commands", where=str(RUNS_FOLDER), hint="name its folder by --run")
    return max(found, key=lambda path: path.stat().st_mtime_ns).parent
