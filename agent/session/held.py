"""What an account's journal says is held: read, never mended, so that whoever asks changes nothing."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import msgspec

from agent.errors import AgentError
from agent.journal.machine import CoreMachine, make_core
from agent.journal.reader import JournalReader
from agent.journal.replay import Replay
from agent.journal.segments import FOLDER_NAME
from agent.journal.snapshots import newest_snapshots
from agent.ports.disk import SYSTEM_DISK
from agent.session.runs import RUNS_FOLDER


class Held(msgspec.Struct, frozen=True):
    """Signed quantities by symbol as of an execution; `problem` says why the journal cannot be believed."""

    quantities: dict[str, Decimal]
    exec_seq: int
    problem: str = ""


def held(folder: Path) -> Held:
    """The books that the journal of this folder comes to."""
    try:
        reader = JournalReader(folder)
        snapshots = newest_snapshots(folder / FOLDER_NAME, SYSTEM_DISK)
        replay = Replay(reader, make_core, start=snapshots[0] if snapshots else None)
        for difference in replay.differences():
            return Held({}, 0, f"it does not replay: record {difference.sequence} differs")
    except AgentError as error:
        return Held({}, 0, error.message)
    machine = replay.machine
    if not isinstance(machine, CoreMachine) or machine.core.desk is None:
        return Held({}, 0, "it is no journal of an account")
    desk = machine.core.desk
    quantities: dict[str, Decimal] = {}
    for market in desk.state.markets.by_symbol.values():
        instrument = market.instrument
        if instrument is not None:
            lots = desk.state.accounts.lots(market.symbol)
            quantities[market.symbol] = Decimal(lots * instrument.lot.units).scaleb(-instrument.lot.digits)
    return Held(quantities, desk.orders.state.cursor)


def journal_beside(guard_folder: Path) -> Path | None:
    """The folder whose journal a guard watched over: around its own, or the newest of an account."""
    beside = guard_folder.resolve().parent
    if (beside / FOLDER_NAME).is_dir():
        return beside
    found = [path.parent for path in RUNS_FOLDER.glob(f"accounts/*/{FOLDER_NAME}")]
    return max(found, key=lambda path: path.stat().st_mtime_ns) if found else None
