"""The slice waits for its own traffic to be announced, and not for ever."""

from __future__ import annotations

import asyncio
from typing import cast

import pytest

from agent.chain.mempool import MempoolFeed
from agent.devnet import slice_run
from agent.errors import SetupError


class SilentFeed:
    """A mempool that tells nothing more."""

    async def read(self) -> list[object]:
        await asyncio.Event().wait()
        return []


async def test_traffic_that_is_never_announced_ends_the_run_with_a_message(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slice_run, "ARRIVAL_TIMEOUT_S", 0.01)
    with pytest.raises(SetupError, match="told of 0 of 1 transactions"):
        await slice_run._arrivals(cast(MempoolFeed, SilentFeed()), {"0xaa"})
