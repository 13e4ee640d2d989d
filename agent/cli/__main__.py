"""`python -m agent.cli`: the command where no script is installed."""

from __future__ import annotations

import sys

from agent.cli import main

sys.exit(main())
