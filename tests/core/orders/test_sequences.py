"""Every scripted life cycle, played through the real classes, entry by entry."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from agent.core.instruments import Side
from tests.conftest import data_root
from tests.core.orders.frames import SYMBOL
from tests.core.orders.scripted import Player

SCRIPTS = data_root() / "vectors" / "core" / "order_sequences.json"
COUNTED = {"Ignore": 0, "Drop": 1, "Impossible": 2}
"""Effects that are counters of an outcome: ignored, stale, impossible."""
TIMEOUT_MS = 1_000


@cache
def scripts(path: Path) -> dict[str, list[dict[str, Any]]]:
    if not path.is_file():
        return {}
    return {script["name"]: script["entries"] for script in json.loads(path.read_text())["sequences"]}


def expected_effects(said: list[list[Any]]) -> list[list[Any]]:
    """Counters apart, and each request timer with its wait: the longer of the time-out and the venue's own word."""
    effects = []
    for effect in said:
        if effect[0] == "Arm":
            retry_ms = effect[3] if len(effect) > 3 else 0
            effects.append([*effect[:3], max(TIMEOUT_MS, retry_ms)])
        elif effect[0] not in COUNTED:
            effects.append(effect)
    return effects


@pytest.mark.skipif(not SCRIPTS.is_file(), reason=f"no test data at {SCRIPTS}; set MEV_AGENT_TEST_DATA")
def test_the_scripts_are_all_there() -> None:
    assert len(scripts(SCRIPTS)) == 135


@pytest.mark.parametrize("name", scripts(SCRIPTS))
def test_a_scripted_life_goes_as_written(name: str) -> None:
    player = Player()
    for index, entry in enumerate(scripts(SCRIPTS)[name]):
        expected = entry["expect"]
        got = player.play(index, entry["in"])
        where = f"entry {index}: {entry['in']}"

        assert got["effects"] == expected_effects(expected["effects"]), where
        counts = [0, 0, 0]
        for effect in expected["effects"]:
            if effect[0] in COUNTED:
                counts[COUNTED[effect[0]]] += 1
        assert list(got["counts"]) == counts, where
        assert player.position == expected["position"], where
        assert player.is_halted == expected.get("halted", False), where

        reserved = {Side.BUY: 0, Side.SELL: 0}
        for short, wanted in expected["orders"].items():
            order = player.orders.get(player.ids[short])
            assert order is not None, where
            assert (order.state, order.cum_lots, order.reserved_lots) == (
                wanted["state"],
                wanted["cum"],
                wanted["reserved"],
            ), where
            assert order.is_cancel_requested == wanted.get("cancel_requested", False), where
            reserved[order.side] += wanted["reserved"]
        for side, lots in reserved.items():
            assert player.orders.reserved_lots(SYMBOL, side) == lots, where
