"""Say whether the archived blocks are there and hold together; exit 1 if they are not.

The tests that need them skip where they are missing, which is right on a stranger's machine and wrong in CI: so
this fails instead. The folder is `$MEV_AGENT_TEST_DATA/mainnet/public`, else `../shared/mainnet/public`.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from agent.devnet.case import load_case
from agent.devnet.checks import verify_case
from agent.errors import AgentError

ROOT = Path(__file__).resolve().parents[1]


def main() -> int:
    folder = Path(os.environ.get("MEV_AGENT_TEST_DATA", ROOT.parent / "shared")) / "mainnet" / "public"
    files = sorted(path for path in folder.glob("*.json*") if path.is_file())
    if not files:
        print(
            f"error: no cases in {folder}\n  what to do: set MEV_AGENT_TEST_DATA to the folder of test data",
            file=sys.stderr,
        )
        return 1
    failures = 0
    for path in files:
        try:
            case = load_case(path)
            verify_case(case, path=path)
        except AgentError as error:
            failures += 1
            print(f"FAIL  {path.name}  {error.message}")
        else:
            print(f"ok    {path.name}  {len(case.transactions)} transactions")
    print(f"{len(files) - failures} passed, {failures} failed")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
