"""A market that the venue named, and nobody heard it: traded all the same, a moment later."""

from __future__ import annotations

from pathlib import Path

from tests.engine.test_venue_run import run, world


async def test_a_symbol_trades_although_its_first_instrument_frames_were_lost(tmp_path: Path) -> None:
    lost = {"knob": "F4", "kind": "instrument", "when": {"count": 3}}
    result, books = await run(world(tmp_path, 8, faults=(lost,)))
    assert sorted(result.instruments) == ["BTC-USDC", "ETH-USDC"]
    assert books.differences == () and books.fills > 0
    assert {fill.symbol for fill in result.fills} or result.counts["Place"] > 0
