"""What every measurement stands on: the cases, the oracle's answers, reports made once, and the result of a check.

Reports come from the same functions that the command line calls; a check that wants the command itself uses `command`.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any

import msgspec
import orjson

from agent.config import load_settings
from agent.devnet.case import Case, load_case
from agent.requests import RunRequest, SurveyRequest, WorldRequest
from agent.session.run import run
from agent.session.survey import survey

ROOT = Path(__file__).resolve().parents[1]
REPORT_TIMEOUT_S = 600

Row = dict[str, Any]
Report = dict[str, Any]


class Checked(msgspec.Struct):
    """How one check ended: a table, and a sentence for each thing that does not hold."""

    name: str
    rows: list[Row] = msgspec.field(default_factory=list)
    failures: list[str] = msgspec.field(default_factory=list)
    figures: Row = msgspec.field(default_factory=dict)
    """What a reader wants of the whole table."""

    def expect(self, holds: bool, failure: str) -> bool:
        """Note the failure where it does not hold; the same truth back."""
        if not holds:
            self.failures.append(failure)
        return holds


def data_root() -> Path:
    """`MEV_AGENT_TEST_DATA`, else `../shared` beside the checkout."""
    return Path(os.environ.get("MEV_AGENT_TEST_DATA", ROOT.parent / "shared"))


def quiet(_: str) -> None:
    """Progress that nobody reads."""


class Ground:
    """The cases to measure on. Reports and cases are made once and kept."""

    def __init__(self, blocks: tuple[int, ...] = (), *, say: Callable[[str], None] = quiet) -> None:
        self.folder = data_root() / "mainnet"
        found = sorted(self.folder.glob("public/*.json.gz"), key=lambda path: int(path.name.split(".")[0]))
        self.paths = {int(path.name.split(".")[0]): path for path in found}
        if blocks:
            self.paths = {number: self.paths[number] for number in blocks}
        self.say = say
        self._cases: dict[int, Case] = {}
        self._surveys: dict[tuple[int, bool], Report] = {}
        self._commanded: dict[tuple[str, ...], Report] = {}
        self._scratch = tempfile.TemporaryDirectory(prefix="mev-agent-measure-")
        self.scratch = Path(self._scratch.name)
        self.settings = load_settings([], overrides=[]).settings

    def close(self) -> None:
        self._scratch.cleanup()

    @cached_property
    def oracle(self) -> dict[str, Any]:
        """heads, backruns and phantoms by block number."""
        blocks: dict[str, Any] = orjson.loads((self.folder / "vectors" / "opportunities.json").read_bytes())["blocks"]
        return blocks

    @cached_property
    def rivals(self) -> dict[str, Any]:
        """Arbitrages that searchers really made, by block number."""
        path = self.folder / "vectors" / "real_arbitrages.json"
        blocks: dict[str, Any] = orjson.loads(path.read_bytes())["blocks"]
        return blocks

    @property
    def oracle_path(self) -> Path:
        """The file to give to --assume."""
        return self.folder / "vectors" / "opportunities.json"

    def case(self, number: int) -> Case:
        if number not in self._cases:
            self._cases[number] = load_case(self.paths[number])
        return self._cases[number]

    def survey(self, number: int, *, assumes: bool = False) -> Report:
        """The survey's `data`; with `assumes`, the oracle's overrides are allowed as zero."""
        key = number, assumes
        if key not in self._surveys:
            self.say(f"survey {number}{' with assumed slots' if assumes else ''}")
            assume = self.oracle_path if assumes else None
            self._surveys[key] = survey(SurveyRequest(case=self.paths[number], assume=assume), quiet).data
        return self._surveys[key]

    def run(
        self,
        number: int | None,
        *,
        only: tuple[str, ...] = (),
        leave_out: tuple[bytes, ...] = (),
        assumes: bool = False,
        seed: int = 0,
    ) -> Report:
        """A run's `data`; without a number on the slice."""
        world = WorldRequest(kind="slice") if number is None else WorldRequest(kind="case", case=self.paths[number])
        self.say(f"run {number or 'slice'} {' '.join(only)}{' '.join('without 0x' + h.hex()[:8] for h in leave_out)}")
        request = RunRequest(
            world=world,
            only=only,
            leave_out=leave_out,
            assume=self.oracle_path if assumes else None,
            seed=seed,
            out=Path(tempfile.mkdtemp(dir=self.scratch)),
        )
        data: Report = run(request, self.settings, quiet).data
        return data

    def command(self, *arguments: str) -> Report:
        """The same through the real command: the report that it writes, as `data`."""
        if arguments not in self._commanded:
            target = self.scratch / f"{len(self._commanded)}.json"
            completed = mev_agent(*arguments, "--report", str(target), cwd=self.scratch)
            if completed.returncode:
                raise RuntimeError(f"mev-agent {' '.join(arguments)} ended {completed.returncode}: {completed.stderr}")
            self._commanded[arguments] = orjson.loads(target.read_bytes())["data"]
        return self._commanded[arguments]


def mev_agent(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """The installed command, to its end."""
    binary = Path(sys.executable).with_name("mev-agent")
    return subprocess.run(
        [str(binary), *arguments], cwd=cwd, capture_output=True, text=True, timeout=REPORT_TIMEOUT_S, check=False
    )


def steps(legs: list[dict[str, Any]]) -> tuple[tuple[str, str], ...]:
    """A cycle as (pool, token in): what makes it the same one in two lists."""
    return tuple((leg["pool"], leg["token_in"]) for leg in legs)


def moment(entry: dict[str, Any]) -> int | None:
    """After which transaction, in the oracle's entry or in a report's."""
    value = entry.get("after_tx") if "best_input" in entry else entry.get("after_index")
    return None if value is None else int(value)


def find(report: Report, entry: dict[str, Any]) -> dict[str, Any] | None:
    """The report's opportunity that is the oracle's entry: same cycle from the same token at the same moment."""
    for one in report["opportunities"]:
        if moment(one) == moment(entry) and steps(one["legs"]) == steps(entry["legs"]):
            found: dict[str, Any] = one
            return found
    return None


def entries(oracle: dict[str, Any], number: int) -> list[dict[str, Any]]:
    """Heads and backruns of a block."""
    block = oracle.get(str(number), {})
    return [*block.get("heads", ()), *block.get("backruns", ())]


def name_of(number: int, entry: dict[str, Any]) -> str:
    """Block, moment and first pool of an entry."""
    at = "head" if moment(entry) is None else f"after {moment(entry)}"
    return f"{number} {at} {entry['legs'][0]['pool'][:8]}"
