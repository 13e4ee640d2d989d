"""Compile the executor in both builds and write the artifact that the agent loads.

    python scripts/build_contracts.py            compile and write agent/venues/onchain/executor_artifact.json
    python scripts/build_contracts.py --check    compile, compare with the committed artifact, exit 1 if it differs

Needs the npm packages of package.json (forge, solc) and Node. The output is a function of the sources and
foundry.toml: no metadata, no paths, no time.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from agent.eth.keccak import keccak256  # noqa: E402
from agent.venues.onchain.executor import ARTIFACT_PATH  # noqa: E402

PROFILES = {"cancun": "default", "london": "london"}
OUT = {"cancun": "contracts/out", "london": "contracts/out-london"}


def forge() -> str:
    """The forge of the npm package, else one on PATH."""
    bundled = sorted(ROOT.glob("node_modules/@foundry-rs/forge-*/bin/forge"))
    found = str(bundled[0]) if bundled else shutil.which("forge")
    if found is None:
        raise SystemExit("forge not found; run `make setup`")
    return found


def environment(profile: str) -> dict[str, str]:
    """The caller's environment with the profile, and a Node on PATH for the compiler wrapper."""
    path = os.environ.get("PATH", "")
    return {**os.environ, "FOUNDRY_PROFILE": profile, "PATH": f"{path}{os.pathsep}{Path(sys.executable).parent}"}


def compile_build(build: str) -> dict[str, Any]:
    """One build as the artifact holds it."""
    done = subprocess.run(
        [forge(), "build", "--skip", "test", "--skip", "script"],
        cwd=ROOT,
        env=environment(PROFILES[build]),
        capture_output=True,
        text=True,
    )
    if done.returncode != 0:
        raise SystemExit(f"the {build} build does not compile:\n{done.stdout}{done.stderr}")
    compiled = json.loads((ROOT / OUT[build] / "Executor.sol" / "Executor.json").read_text())
    runtime = compiled["deployedBytecode"]
    references = [span for spans in runtime["immutableReferences"].values() for span in spans]
    if any(span["length"] != 32 for span in references) or len(runtime["immutableReferences"]) != 1:
        raise SystemExit("WETH must be the only immutable: the Python side patches it alone")
    return {
        "creation_code": compiled["bytecode"]["object"],
        "runtime_code": runtime["object"],
        "runtime_code_hash": "0x" + keccak256(bytes.fromhex(runtime["object"][2:])).hex(),
        "weth_offsets": sorted(span["start"] for span in references),
        "compiler": settings(build),
    }


def settings(build: str) -> dict[str, Any]:
    """Compiler and settings as forge resolves them, without paths."""
    config = json.loads(
        subprocess.run(
            [forge(), "config", "--json"], cwd=ROOT, env=environment(PROFILES[build]), capture_output=True, check=True
        ).stdout
    )
    node = subprocess.run(
        [str(ROOT / "contracts/bin/solc"), "--version"],
        env=environment(PROFILES[build]),
        capture_output=True,
        check=True,
        text=True,
    )
    version = re.search(r"Version: (\S+)", node.stdout)
    assert version is not None
    return {
        "solc": version[1].removesuffix(".Linux.g++"),
        "evm_version": config["evm_version"],
        "optimizer_runs": config["optimizer_runs"],
        "via_ir": config["via_ir"],
        "bytecode_hash": config["bytecode_hash"],
        "cbor_metadata": config["cbor_metadata"],
        "lock": "transient" if build == "cancun" else "storage",
    }


def artifact() -> str:
    """The whole artifact as text."""
    builds = {build: compile_build(build) for build in PROFILES}
    abi = json.loads((ROOT / OUT["cancun"] / "Executor.sol" / "Executor.json").read_text())["abi"]
    return json.dumps({"schema": "mev-agent/executor/1", "abi": abi, "builds": builds}, indent=1) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="compare instead of writing")
    check = parser.parse_args().check
    text = artifact()
    if check:
        if not ARTIFACT_PATH.is_file() or ARTIFACT_PATH.read_text() != text:
            sys.stderr.write("the committed artifact differs from the sources; run scripts/build_contracts.py\n")
            return 1
        return 0
    unfinished = ARTIFACT_PATH.with_suffix(".tmp")
    unfinished.write_text(text)
    unfinished.replace(ARTIFACT_PATH)
    return 0


if __name__ == "__main__":
    sys.exit(main())
