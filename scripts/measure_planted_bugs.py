"""Measure how soon the simulated worlds find each planted bug, and write docs/reference/planted-bugs.md.

    .venv/bin/python scripts/measure_planted_bugs.py [--seeds 200] [--stop-at 2]

Minutes. The figures are functions of the code: the same commit gives the same page.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from agent.devnet.virtual.campaign import Detection, find_bug
from agent.devnet.virtual.oracles import LAWS
from agent.devnet.virtual.planted import BUGS
from agent.devnet.virtual.program import AgentProgram

PAGE = Path(__file__).resolve().parents[1] / "docs" / "reference" / "planted-bugs.md"
HEAD = """<!-- Made by scripts/measure_planted_bugs.py; change the code instead. -->
# Planted bugs

A simulation that finds nothing proves little until it is shown what it finds. Each of these bugs is put into the running
program in the place of a few lines of it, and worlds are run from seed 0 on until {stop_at} of them have broken a law, or
{seeds} have been run. One by hand: `mev-agent simulate --seeds {seeds} --planted NAME`.
[How it works](../explanation/simulation.md).

| bug | what it does | first found by seed | found | in worlds | laws broken |
|---|---|---|---|---|---|
"""


def row(detection: Detection) -> str:
    first = "not found" if detection.first is None else str(detection.first)
    laws = ", ".join(detection.oracles)
    bug = BUGS[detection.name]
    return f"| `{bug.name}` | {bug.what} | {first} | {detection.found} | {detection.worlds} | {laws} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--seeds", type=int, default=200)
    parser.add_argument("--stop-at", type=int, default=2)
    asked = parser.parse_args()
    rows = []
    for name in BUGS:
        rows.append(row(find_bug(name, range(asked.seeds), AgentProgram(), stop_at=asked.stop_at)))
        print(rows[-1], flush=True)
    laws = "\n".join(f"- **{name}**: {law}." for name, law in LAWS.items())
    PAGE.write_text(HEAD.format(**vars(asked)) + "\n".join(rows) + f"\n\n## The laws\n\n{laws}\n")


if __name__ == "__main__":
    main()
