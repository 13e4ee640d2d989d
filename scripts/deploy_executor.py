"""Deploy the executor contract: the same as `mev-agent deploy`, with its options; JSON with --json.

python scripts/deploy_executor.py --rpc-url URL                what it would do
python scripts/deploy_executor.py --rpc-url URL --broadcast    do it
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from agent.cli import main

if __name__ == "__main__":
    sys.argv[1:1] = ["deploy"]
    sys.exit(main())
