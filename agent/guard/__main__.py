"""`python -m agent.guard`, or this file by its path, which needs no installed package: `python -I -S __main__.py`."""

from __future__ import annotations

import sys
from pathlib import Path

if not __package__:
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from agent.guard.main import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
