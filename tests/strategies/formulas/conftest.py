"""The vectors of the formulas, computed to 60 digits by a program of its own."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Rows = list[tuple[dict[str, Any], dict[str, Any]]]


@pytest.fixture(scope="session")
def rows(vectors: Path) -> Callable[[str], Rows]:
    formulas = json.loads((vectors / "core" / "formulas.json").read_text())["formulas"]
    return lambda name: [(row["inp"], row["out"]) for row in formulas[name]]
