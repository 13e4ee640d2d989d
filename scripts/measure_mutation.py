"""Break agent/core/ in one place at a time and see that its tests notice.

    python scripts/measure_mutation.py                        every mutant (`make mutants`: half an hour and more)
    python scripts/measure_mutation.py agent/core/market.py   of these files
    python scripts/measure_mutation.py --sample 25 --seed 1   25 mutants of each file, for an estimate
    python scripts/measure_mutation.py --changed origin/main  of the files changed since then, sampled, about a minute
    python scripts/measure_mutation.py --again                only those that were alive in the last report

The mutants are mutmut's (scripts/mutation/generate.py says which, and which not), in an environment of its own that
`make setup-mutants` makes. scripts/mutation/running.py runs the tests against each. The checkout is never touched.
The report goes to standard output and, as JSON, to build/mutation/report.json; tests/core/survivors.toml holds the
survivors that no test can kill, each with its reason. The exit code is 1 below 90 %; a sample fails only where it shows,
with 99.9 % certainty, that the whole is below.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "scripts"))

from mutation.report import ALIVE, Reasons, lines, score, upper_bound  # noqa: E402 # behind the path that it is found by

CORE = "agent/core"
TESTS = ("tests/core",)
BUILD = ROOT / "build" / "mutation"
PYTHON = ROOT / ".venv" / "bin" / "python"
GENERATOR = ROOT / ".venv-mutants" / "bin" / "python"
GATE = 0.90
CHANGED_SECONDS = 40
"""For the mutants of changed files; the tests run once before."""


def core_files() -> list[str]:
    return sorted(str(path.relative_to(ROOT)) for path in (ROOT / CORE).rglob("*.py"))


def changed_files(commit: str) -> list[str]:
    """The files of the core that differ from a commit and are still there; untracked ones too."""
    differ = ["diff", "--name-only", commit, "--", CORE]
    new = ["ls-files", "--others", "--exclude-standard", CORE]
    listed = {path for command in (differ, new) for path in git(*command).split()}
    return [path for path in core_files() if path in listed]


def git(*words: str, check: bool = True) -> str:
    return subprocess.run(["git", *words], cwd=ROOT, check=check, capture_output=True, text=True).stdout


def generate(paths: list[str]) -> list[dict[str, Any]]:
    if not GENERATOR.exists():
        raise SystemExit("mutmut is not there\n  what to do: make setup-mutants")
    command = [str(GENERATOR), str(ROOT / "scripts" / "mutation" / "generate.py"), *paths]
    found: list[dict[str, Any]] = json.loads(
        subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE).stdout
    )
    return found


def run(mutants: list[dict[str, Any]], jobs: int, seconds: float) -> dict[str, Any]:
    request = BUILD / f"request-{os.getpid()}.json"  # another measurement may run beside this one
    answer = request.with_suffix(".answer.json")
    request.write_text(json.dumps({"mutants": mutants, "jobs": jobs, "seconds": seconds, "tests": TESTS}))
    command = [str(PYTHON), str(ROOT / "scripts" / "mutation" / "running.py"), str(request)]
    try:
        done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        if done.returncode != 0:
            raise SystemExit(f"the tests could not be run:\n{done.stdout}")
        told: dict[str, Any] = json.loads(answer.read_text())
        return told
    finally:
        request.unlink()
        answer.unlink(missing_ok=True)


def were_alive(mutants: list[dict[str, Any]], report: Path) -> list[dict[str, Any]]:
    """Those of the mutants that the last report has among the living."""
    alive = {(m["path"], m["function"], m["before"], m["after"]) for m in json.loads(report.read_text())["alive"]}
    return [m for m in mutants if (m["path"], m["function"], m["before"], m["after"]) in alive]


def sampled(mutants: list[dict[str, Any]], count: int, seed: int) -> list[dict[str, Any]]:
    """So many of each file, the same ones for the same seed."""
    chosen = []
    for path in sorted({mutant["path"] for mutant in mutants}):
        here = [mutant for mutant in mutants if mutant["path"] == path]
        chosen += random.Random(f"{seed} {path}").sample(here, min(count, len(here)))
    return chosen


def weighted(mutants: list[dict[str, Any]], whole: Counter[str]) -> float:
    """The score of the whole, each file's share of the sample taken for that of all its mutants."""
    expected, judged = 0.0, 0
    for path, count in whole.items():
        killed, of = score(Counter(mutant["outcome"] for mutant in mutants if mutant["path"] == path))
        if of:
            expected += count * killed / of
            judged += count
    return expected / max(1, judged)


def write_report(path: Path, mutants: list[dict[str, Any]], answer: dict[str, Any], reasons: Reasons) -> None:
    fields = ("path", "line", "function", "outcome", "before", "after")
    alive = [
        {field: mutant[field] for field in fields} | {"reason": reasons.of(mutant)}
        for mutant in mutants
        if mutant["outcome"] in ALIVE
    ]
    files = {
        name: Counter(mutant["outcome"] for mutant in mutants if mutant["path"] == name)
        for name in sorted({mutant["path"] for mutant in mutants})
    }
    killed, of = score(Counter(mutant["outcome"] for mutant in mutants))
    whole = {"killed": killed, "of": of, "tests": answer["tests"], "red": answer["red"], "files": files, "alive": alive}
    path.write_text(json.dumps(whole, indent=1))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("paths", nargs="*", help="files of agent/core; all of them if none is named")
    parser.add_argument(
        "--changed", metavar="COMMIT", nargs="?", const="HEAD~1", help="only files that differ from it, within a minute"
    )
    parser.add_argument("--sample", type=int, default=0, metavar="N", help="so many mutants of each file")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--again", action="store_true", help="only mutants that were alive in the last report")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--quiet", action="store_true", help="the scores alone")
    asked = parser.parse_args()

    if asked.changed and not git("rev-parse", "--verify", "--quiet", f"{asked.changed}^{{commit}}", check=False):
        print(f"mutation: this clone has no {asked.changed} to compare with")
        return 0
    paths = asked.paths or (changed_files(asked.changed) if asked.changed else core_files())
    if not paths:
        print("mutation: no file of the core has changed")
        return 0
    BUILD.mkdir(parents=True, exist_ok=True)
    begun = time.monotonic()
    mutants = generate(paths)
    if asked.again:
        mutants = were_alive(mutants, BUILD / "report.json")
    whole = Counter(mutant["path"] for mutant in mutants)
    if asked.sample:
        mutants = sampled(mutants, asked.sample, asked.seed)
    if asked.changed:
        random.Random(asked.seed).shuffle(mutants)
    answer = run(mutants, asked.jobs, CHANGED_SECONDS if asked.changed else 0)
    mutants = sorted(answer["mutants"], key=lambda mutant: (mutant["path"], mutant["start"]))
    reasons = Reasons()
    is_part = bool(asked.again or asked.sample or asked.changed)
    write_report(BUILD / "report.json", mutants, answer, reasons)
    for line in lines(mutants, reasons, is_short=asked.quiet):
        print(line)
    for test in answer["red"]:
        print(f"fails without any mutant, left out: {test}")
    if not is_part:
        for entry in reasons.unused(set(paths)):
            print(f"not needed in tests/core/survivors.toml: {entry}")
    if asked.sample:
        print(f"{weighted(mutants, whole):.1%} of all {whole.total()}, as the sample of each file goes")
    killed, of = score(Counter(mutant["outcome"] for mutant in mutants))
    print(f"{killed} of {of} mutants killed by {answer['tests']} tests in {time.monotonic() - begun:.0f} s")
    return 0 if (upper_bound(killed, of) if is_part else killed / max(1, of)) >= GATE else 1


if __name__ == "__main__":
    sys.exit(main())
