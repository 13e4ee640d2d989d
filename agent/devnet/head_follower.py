"""Tells listeners how anvil's chain moved: each new block in order, and what a reorganisation replaced.

It compares by hash, so a block that was replaced at the same height is seen; heads of the new branch are announced
from the first block after the common ancestor on, logs of the old branch as removed, newest first.
"""

from __future__ import annotations

from collections import deque
from typing import Any

import msgspec

from agent.devnet.anvil import Anvil
from agent.devnet.subscriptions import Kind, Subscriptions

REMEMBERED_BLOCKS = 256

_NOT_IN_HEADER = ("transactions", "uncles", "size", "withdrawals", "totalDifficulty")


class _Known(msgspec.Struct, frozen=True):
    number: int
    hash: str
    logs: tuple[dict[str, Any], ...]


class HeadFollower:
    """Announces anvil's blocks to `subscriptions` each time `follow` is called."""

    def __init__(self, anvil: Anvil, subscriptions: Subscriptions) -> None:
        self._anvil = anvil
        self._subscriptions = subscriptions
        self._known: deque[_Known] = deque(maxlen=REMEMBERED_BLOCKS)

    async def begin(self) -> None:
        """Take the present head as already known."""
        block = await self._anvil.call("eth_getBlockByNumber", "latest", False)
        self._known.append(_Known(int(block["number"], 16), block["hash"], ()))

    async def follow(self) -> None:
        """Announce whatever has changed since the last call."""
        branch = [await self._anvil.call("eth_getBlockByNumber", "latest", False)]
        if branch[0]["hash"] == self._known[-1].hash:
            return
        by_hash = {known.hash: known for known in self._known}
        oldest = self._known[0].number
        while branch[-1]["parentHash"] not in by_hash and int(branch[-1]["number"], 16) - 1 > oldest:
            branch.append(await self._anvil.call("eth_getBlockByHash", branch[-1]["parentHash"], False))
        ancestor = by_hash.get(branch[-1]["parentHash"])
        while self._known and (ancestor is None or self._known[-1] is not ancestor):
            removed = self._known.pop()
            self._subscriptions.publish_logs(reversed(removed.logs), is_removed=True)
        for block in reversed(branch):
            await self._announce(block)

    async def _announce(self, block: dict[str, Any]) -> None:
        logs: tuple[dict[str, Any], ...] = ()
        if self._subscriptions.hears(Kind.LOGS) and block["transactions"]:
            logs = tuple(await self._anvil.call("eth_getLogs", {"blockHash": block["hash"]}))
        self._known.append(_Known(int(block["number"], 16), block["hash"], logs))
        self._subscriptions.publish_head({key: value for key, value in block.items() if key not in _NOT_IN_HEADER})
        self._subscriptions.publish_logs(logs, is_removed=False)
