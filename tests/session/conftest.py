"""A slice with its users in this process, and the command in a thread beside it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from agent.cli import main
from agent.devnet.builder import Ordering
from agent.devnet.slice.flow import SliceFlow
from agent.devnet.slice_run import SliceWorld


class Ran(NamedTuple):
    code: int
    stdout: str
    stderr: str

    @property
    def content(self) -> Any:
        """The `data` of the one JSON document on stdout."""
        return json.loads(self.stdout)["data"]


Command = Callable[..., Awaitable[Ran]]


@pytest.fixture
async def world() -> AsyncIterator[SliceWorld]:
    opened = await SliceWorld.open(seed=3, ordering=Ordering.PROFIT)
    try:
        yield opened
    finally:
        await opened.close()


@pytest.fixture
async def flow(world: SliceWorld) -> AsyncIterator[SliceFlow]:
    """Blocks come only by `slot`, so that no test waits for a clock."""
    async with SliceFlow(world.slice, world.builder, seed=3, slot_s=None) as entered:
        yield entered


@pytest.fixture
def mev_agent(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    """The command, in a thread, so that a world of this loop can serve it meanwhile; its folder is empty."""
    monkeypatch.chdir(tmp_path)

    async def run(*words: object) -> Ran:
        code = await asyncio.to_thread(main, [str(word) for word in words])
        captured = capsys.readouterr()
        return Ran(code, captured.out, captured.err)

    return run
