"""Run the tests once as they are, then once more for each mutant, each in a fork of this process.

    .venv/bin/python scripts/mutation/running.py REQUEST.json

Everything is imported and collected once. The first run says which statements a test runs and what it
costs. Then, per mutant, a child puts the mutated code in place and runs those tests that run the mutated
statement, the cheapest first, until one fails. Time is the child's own CPU time, so a busy machine kills no mutant.

A mutant is `killed` when a test fails or the child dies, `timeout` when a test takes ten times as long and a second more,
and else it has `survived`. One whose statement no test runs is `uncovered`. Where its function ran at import time, it is
imported anew, and lives only if no test of all fails then.
"""

from __future__ import annotations

import gc
import json
import os
import resource
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import FrameType, SimpleNamespace
from typing import Any, TextIO

import pytest
from _pytest.runner import runtestprotocol
from hypothesis import HealthCheck, Phase, settings

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))
sys.path.insert(0, str(ROOT / "scripts"))

from mutation.covering import Coverage  # noqa: E402 # behind the path that it is found by
from mutation.swapping import Functions, NotThere, import_anew  # noqa: E402 # behind the path that it is found by

OPTIONS = ("-q", "-p", "no:cacheprovider", "-p", "no:xdist", "--assert=plain", "--tb=native")
KILLED, SURVIVED, ABSENT = 11, 12, 13
MEMORY = 3 << 30
"""A mutant that collects without end meets its limit here."""
WALL_S = 600.0

# As much as the tests ask for, the same examples every time, and no shrinking: that a test fails is all that counts.
settings.register_profile(
    "mutation",
    deadline=None,
    derandomize=True,
    database=None,
    phases=(Phase.explicit, Phase.generate),
    suppress_health_check=list(HealthCheck),
)


class SessionAlone:
    """Stands for a next test that shares nothing but the session with the one before it."""

    def __init__(self, session: pytest.Session) -> None:
        self._session = session

    def listchain(self) -> list[Any]:
        return [self._session]


class Mutating:
    """The plugin: takes the place of pytest's loop over the tests."""

    def __init__(self, request: dict[str, Any], say: TextIO) -> None:
        self.mutants: list[dict[str, Any]] = request["mutants"]
        self.paths: list[str] = request["tests"]
        self.jobs: int = request["jobs"]
        self.end_s: float = time.monotonic() + request["seconds"] if request["seconds"] else float("inf")
        self.say = say
        self.red: list[str] = []
        self.tests = 0
        self.cost_s: list[float] = []
        self.at_import: set[tuple[str, str]] = set()
        """Functions that ran while everything was imported."""
        self.on_line: dict[tuple[str, int], list[int]] = {}

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection(self) -> None:
        settings.load_profile("mutation")
        wanted = {str(ROOT / mutant["path"]): mutant["path"] for mutant in self.mutants}

        def on_call(frame: FrameType, event: str, argument: object) -> None:
            path = wanted.get(frame.f_code.co_filename)
            if path is not None:
                self.at_import.add((path, frame.f_code.co_qualname))

        sys.settrace(on_call)

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        sys.settrace(None)
        items = session.items
        begun = time.monotonic()
        functions = Functions(ROOT, {mutant["path"] for mutant in self.mutants})
        self.look(session, items, Coverage(ROOT, functions.live))
        self.tests = len(items)
        self.note(f"{len(items)} tests in {time.monotonic() - begun:.0f} s, {len(self.red)} of them red as they are\n")
        gc.collect()
        gc.freeze()
        self.drive(session, items, functions)
        return True

    def note(self, text: str) -> None:
        self.say.write(text)
        self.say.flush()

    def look(self, session: pytest.Session, items: Sequence[pytest.Item], coverage: Coverage) -> None:
        """Run every test as it is."""
        alone: Any = SessionAlone(session)
        for at, item in enumerate(items):
            begun = time.process_time()
            reports = runtestprotocol(item, log=False, nextitem=items[at + 1] if at + 1 < len(items) else alone)
            self.cost_s.append(time.process_time() - begun)
            seen = coverage.take()
            if any(report.failed for report in reports):
                self.red.append(item.nodeid)
                continue
            for path, lines in seen.items():
                for line in lines:
                    self.on_line.setdefault((path, line), []).append(at)
        coverage.remove()

    def chosen(self, mutant: dict[str, Any]) -> list[int]:
        """The tests that run a line of the mutated statement, the cheapest first."""
        first, last = mutant["lines"]
        tests = {at for line in range(first, last + 1) for at in self.on_line.get((mutant["path"], line), ())}
        return sorted(tests, key=lambda at: self.cost_s[at])

    def drive(self, session: pytest.Session, items: Sequence[pytest.Item], functions: Functions) -> None:
        running: dict[int, tuple[dict[str, Any], float]] = {}
        begun = time.monotonic()
        counts: dict[str, int] = {}
        for mutant in [*self.mutants, None]:
            while running and (mutant is None or len(running) >= self.jobs):
                self.reap(running, counts, begun)
            if mutant is None:
                break
            if time.monotonic() > self.end_s:
                mutant["outcome"] = "left out"
                continue
            tests = self.chosen(mutant)
            mutant["tests"] = len(tests)
            if not tests and (mutant["path"], mutant["function"]) not in self.at_import:
                mutant["outcome"] = "uncovered"
                continue
            child = os.fork()
            if child == 0:
                if tests:
                    self.be_mutated(session, items, functions, mutant, tests)
                self.be_imported(functions, mutant)
            running[child] = (mutant, time.monotonic())

    def reap(self, running: dict[int, tuple[dict[str, Any], float]], counts: dict[str, int], begun: float) -> None:
        """Wait for a child and write down what became of it."""
        child, status = os.waitpid(-1, os.WNOHANG)
        if child == 0:
            for one, (_, since) in running.items():
                if time.monotonic() - since > WALL_S:
                    os.kill(one, signal.SIGPROF)
            time.sleep(0.002)
            return
        mutant, since = running.pop(child)
        mutant["seconds"] = round(time.monotonic() - since, 2)
        if os.WIFSIGNALED(status):
            mutant["outcome"] = "timeout" if os.WTERMSIG(status) == signal.SIGPROF else "killed"
        else:
            code = os.WEXITSTATUS(status)
            alive = "survived" if mutant["tests"] else "uncovered"
            mutant["outcome"] = {SURVIVED: alive, ABSENT: "not there"}.get(code, "killed")
        counts[mutant["outcome"]] = counts.get(mutant["outcome"], 0) + 1
        done = sum(counts.values())
        if done % 500 == 0:
            self.note(f"{done} of {len(self.mutants)} in {time.monotonic() - begun:.0f} s: {counts}\n")

    def be_mutated(
        self,
        session: pytest.Session,
        items: Sequence[pytest.Item],
        functions: Functions,
        mutant: dict[str, Any],
        tests: Sequence[int],
    ) -> None:
        """In the child: never returns."""
        code = KILLED
        try:
            resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
            signal.signal(signal.SIGPROF, signal.SIG_DFL)
            try:
                functions.put(mutant)
            except NotThere:
                os._exit(ABSENT)
            alone: Any = SessionAlone(session)
            for at, following in zip(tests, [*tests[1:], None], strict=True):
                signal.setitimer(signal.ITIMER_PROF, 1 + 10 * self.cost_s[at])
                reports = runtestprotocol(
                    items[at], log=False, nextitem=alone if following is None else items[following]
                )
                if any(report.failed for report in reports):
                    os._exit(KILLED)
            if (mutant["path"], mutant["function"]) in self.at_import:
                self.be_imported(functions, mutant)  # what it made at import time is as it was; never returns
            code = SURVIVED
        finally:
            os._exit(code)

    def be_imported(self, functions: Functions, mutant: dict[str, Any]) -> None:
        """In the child, for what no test runs but an import may: never returns."""
        code = KILLED
        try:
            resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
            signal.setitimer(signal.ITIMER_PROF, 10 + 3 * sum(self.cost_s))
            try:
                import_anew(ROOT, mutant["path"], functions.mutated(mutant))
            except NotThere:
                os._exit(ABSENT)
            left_out = [word for test in self.red for word in ("--deselect", test)]
            plugin: Any = SimpleNamespace(pytest_collection=lambda: settings.load_profile("mutation"))
            if pytest.main([*OPTIONS, "-x", *left_out, *self.paths], plugins=[plugin]) == pytest.ExitCode.OK:
                code = SURVIVED
        finally:
            os._exit(code)


def main() -> int:
    path = Path(sys.argv[1])
    request = json.loads(path.read_text())
    say = os.fdopen(os.dup(2), "w")
    plugin = Mutating(request, say)
    os.chdir(ROOT)
    status = pytest.main([*OPTIONS, *request["tests"]], plugins=[plugin])
    answer = {"mutants": plugin.mutants, "red": plugin.red, "tests": plugin.tests}
    path.with_suffix(".answer.json").write_text(json.dumps(answer))
    return 0 if status in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED) else int(status)


if __name__ == "__main__":
    sys.exit(main())
