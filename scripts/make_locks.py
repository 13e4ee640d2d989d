"""Resolve the locks anew: `make lock`. Every entry carries hashes, and no lock names an index or an address.

The dependency groups of pyproject.toml are the source; each lock serves one environment.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LOCKS = ROOT / "scripts" / "locks"
COMPILE = [
    str(ROOT / ".venv" / "bin" / "uv"), "pip", "compile", "--quiet", "--upgrade", "--universal",
    "--python-version", "3.11", "--generate-hashes", "--no-emit-index-url", "--no-header", "--no-annotate",
]  # fmt: skip
TARGETS: dict[Path, list[str]] = {
    ROOT / "requirements.lock": ["pyproject.toml", "--group", "dev"],
    LOCKS / "node.lock": ["--group", "node"],
    LOCKS / "bench.lock": ["--group", "bench", "--constraints", "requirements.lock"],
    LOCKS / "contracts.lock": ["--group", "contracts"],
    LOCKS / "engines.lock": ["--group", "engines"],
    LOCKS / "mutants.lock": ["--group", "mutants"],
    LOCKS / "flashbots.lock": ["--group", "flashbots", "--overrides", str(LOCKS / "flashbots.override")],
}


def main() -> int:
    for lock, source in TARGETS.items():
        subprocess.run([*COMPILE, *source, "-o", str(lock)], cwd=ROOT, check=True)
        print(lock.relative_to(ROOT))
    # uv comes first, by pip, in the version that the main lock has.
    pin = next(line for line in (ROOT / "requirements.lock").read_text().splitlines() if line.startswith("uv=="))
    uv = subprocess.run([*COMPILE, "-"], cwd=ROOT, check=True, input=pin.split()[0], text=True, capture_output=True)
    (LOCKS / "uv.lock").write_text(uv.stdout)
    print("scripts/locks/uv.lock")
    return 0


if __name__ == "__main__":
    sys.exit(main())
