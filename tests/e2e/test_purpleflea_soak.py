"""`scripts/soak_orders.py`, shortened: under random faults our books, the journal and the venue's agree to the atom."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.mark.slow
def test_two_thousand_orders_under_random_faults_leave_no_difference() -> None:
    soaked = subprocess.run(
        [sys.executable, str(REPOSITORY / "scripts" / "soak_orders.py"), "--orders", "2000", "--seed", "7", "--faults"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert soaked.returncode == 0, soaked.stdout + soaked.stderr[-2_000:]
    report = json.loads(soaked.stdout)
    assert report["orders"] >= 2_000 and report["fills"] > 0
    assert report["differences"] == []
    assert sum(report["faults"].values()) > 100
