"""From a new head to the last candidate of an archived block: how long each stage took, over all moments of the block.

Runs `mev-agent run --case` and reads `latency_ns` of its report. Run with `python -m benchmarks.head_to_candidate`;
prints JSON. Without the cases, which lie where `MEV_AGENT_TEST_DATA` points, nothing is measured, which the result says.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
COMMAND = Path(sys.executable).with_name("mev-agent")
BLOCKS = (24_628_607, 19_426_586)
RUN_SECONDS_MAX = 80


def cases() -> list[Path]:
    """The archived blocks that are here."""
    folder = Path(os.environ.get("MEV_AGENT_TEST_DATA", ROOT.parent / "shared")) / "mainnet" / "public"
    return [path for block in BLOCKS if (path := folder / f"{block}.json.gz").exists()]


def stages(case: Path) -> dict[str, dict[str, int]]:
    """Nanoseconds by stage: median, 99th percentile, longest, and how many there were."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        subprocess.run(
            [COMMAND, "run", "--case", case, "--pace", "fast", "--out", f"{folder}/run", "--report", report],
            cwd=folder,
            check=True,
            stdout=subprocess.DEVNULL,
            timeout=RUN_SECONDS_MAX,
        )
        document = json.loads(report.read_text())
    found: dict[str, dict[str, int]] = document["data"]["latency_ns"]
    if not document["ok"] or document["data"]["mismatches"] or not found:
        raise AssertionError("a run that claims what execution does not give is not worth timing")
    return found


def run() -> dict[str, object]:
    """Stages by block; no gate, for a block's work is what its traffic makes it."""
    here = cases()
    if not here:
        return {"rows": [], "skipped": "no cases here; set MEV_AGENT_TEST_DATA"}
    return {"rows": [], "latency_ns": {path.name.partition(".")[0]: stages(path) for path in here}}


if __name__ == "__main__":
    print(json.dumps(run(), indent=2))
