"""Build the executor twice and run the Solidity tests against both builds.

    python scripts/test_contracts.py            unit, fuzz, invariants, hostile doubles, gas snapshot
    python scripts/test_contracts.py --deep     the same with many more draws (minutes)
    python scripts/test_contracts.py --proofs   the halmos proofs and slither, from .venv-contracts

Gas is compared with the committed contracts/snapshots; `--update-gas` writes them anew.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "scripts"))

from build_contracts import environment, forge  # noqa: E402

BUILDS = {"default": "suite", "london": "suite-london"}
ARTIFACTS = {
    "default": "contracts/out/Executor.sol/Executor.json",
    "london": "contracts/out-london/Executor.sol/Executor.json",
}
LOCATION = re.compile(r" \(contracts/\S*\)|\s*:?\s*$")
"""Where slither found it: line numbers move, findings do not."""
DEEP = {"FOUNDRY_FUZZ_RUNS": "20000", "FOUNDRY_INVARIANT_RUNS": "256", "FOUNDRY_INVARIANT_DEPTH": "256"}


def run(command: list[str], **variables: str) -> int:
    """Exit code of a command with these variables added."""
    return subprocess.run(command, cwd=ROOT, env={**environment("default"), **variables}).returncode


def suite(*, is_deep: bool, check_gas: bool) -> int:
    """Both builds through the whole suite, and the committed artifact is what they are; 0 if all passed."""
    for build, tests in BUILDS.items():
        if code := run([forge(), "build"], FOUNDRY_PROFILE=build):
            return code
        variables = {"FOUNDRY_PROFILE": tests, "EXECUTOR_ARTIFACT": ARTIFACTS[build], **(DEEP if is_deep else {})}
        if check_gas:
            variables["FORGE_SNAPSHOT_CHECK"] = "true"
        if code := run([forge(), "test"], **variables):
            return code
    return run([sys.executable, "scripts/build_contracts.py", "--check"])


def proofs() -> int:
    """Halmos on the cancun build, with its bounds printed, then slither against its baseline."""
    tools = ROOT / ".venv-contracts" / "bin"
    if not (tools / "halmos").is_file():
        sys.stderr.write("no .venv-contracts; run `make setup-contracts`\n")
        return 4
    path = os.pathsep.join((str(tools), str(Path(forge()).parent), environment("default")["PATH"]))
    if code := run([forge(), "build"], FOUNDRY_PROFILE="default"):
        return code
    sys.stdout.write((ROOT / "contracts" / "halmos.toml").read_text())
    sys.stdout.flush()
    if code := run([str(tools / "halmos"), "--config", "contracts/halmos.toml"], FOUNDRY_PROFILE="proofs", PATH=path):
        return code
    return audit(tools, path)


def audit(tools: Path, path: str) -> int:
    """Slither on the sources; fails on any finding that the committed baseline does not hold."""
    command = [str(tools / "slither"), ".", "--config-file", "contracts/slither.json", "--json", "-"]
    variables = {**environment("audit"), "PATH": path}
    done = subprocess.run(command, cwd=ROOT, env=variables, capture_output=True, text=True)
    try:
        found = json.loads(done.stdout)["results"].get("detectors", [])
    except (ValueError, KeyError):
        sys.stderr.write(f"slither gave no result:\n{done.stderr}")
        return 4
    names = {f"{f['check']}: {LOCATION.sub('', f['description'].splitlines()[0])}" for f in found}
    accepted = json.loads((ROOT / "contracts" / "slither-baseline.json").read_text())
    fresh = sorted(names - set(accepted))
    gone = sorted(set(accepted) - names)
    for name in fresh:
        sys.stderr.write(f"new finding: {name}\n")
    for name in gone:
        sys.stderr.write(f"the baseline holds what is no longer found: {name}\n")
    return 1 if fresh or gone else 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--deep", action="store_true", help="many more draws")
    parser.add_argument("--proofs", action="store_true", help="halmos and slither instead of the suite")
    parser.add_argument("--update-gas", action="store_true", help="write the gas snapshots instead of comparing")
    chosen = parser.parse_args()
    if chosen.proofs:
        return proofs()
    return suite(is_deep=chosen.deep, check_gas=not chosen.update_gas)


if __name__ == "__main__":
    sys.exit(main())
