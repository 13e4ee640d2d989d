"""The long run against the real contracts: `python scripts/random_swaps.py --count 20000 [--seed N]`.

Prints what was drawn and every mismatch; exit 1 if there is one.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.dex.contract_match import match_v2, match_v3
from tests.dex.contract_oracle import Oracle


async def compare(count: int, seed: int) -> int:
    oracle = await Oracle.start()
    try:
        wrong = 0
        for name, match in (("v3", match_v3), ("v2", match_v2)):
            started = time.monotonic()
            tally = await match(oracle, count=count, seed=seed)
            wrong += len(tally.mismatches)
            sys.stdout.write(
                f"{name}: {tally.swaps} swaps in {time.monotonic() - started:.1f} s, {tally.exact_out} exact out, "
                f"{tally.crossing} crossing, {tally.partial} partial, {tally.reverts} reverts, "
                f"{len(tally.mismatches)} mismatches\n"
            )
            for mismatch in tally.mismatches[:20]:
                sys.stdout.write(f"  {mismatch}\n")
        return 1 if wrong else 0
    finally:
        await oracle.stop()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    sys.exit(asyncio.run(compare(arguments.count, arguments.seed)))
