"""The slice's users on their own: after each block they see what it held, and send the next slot's transactions.

A block comes every `slot_s` seconds, or whenever somebody has one built (`evm_mine` at the front); either way the
next users come behind it. `slot_s` None leaves the blocks to others altogether.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import Self

from agent.devnet.builder import Builder, BuiltBlock
from agent.devnet.slice.traffic import Traffic
from agent.devnet.slice.world import Slice
from agent.eth.units import SLOT_S


class SliceFlow:
    """Use as an async context manager; inside, the world goes on."""

    def __init__(self, world: Slice, builder: Builder, *, seed: int, slot_s: float | None = SLOT_S) -> None:
        self.blocks = 0
        """Blocks that have come since the start."""
        self._builder = builder
        self._traffic = Traffic(world, seed)
        self._slot_s = slot_s
        self._arrived: asyncio.Queue[BuiltBlock] = asyncio.Queue()
        self._turned = asyncio.Condition()
        self._task: asyncio.Task[None] | None = None
        self.has_ended = False
        """The world broke, or was left."""
        builder.on_block(self._arrived.put_nowait)

    async def __aenter__(self) -> Self:
        await self._send()
        self._task = asyncio.create_task(self._run())
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def slot(self) -> BuiltBlock:
        """Build a block now, and return once the users behind it have sent theirs."""
        wanted = self.blocks + 1
        built = await self._builder.build()
        async with self._turned:
            await self._turned.wait_for(lambda: self.blocks >= wanted or self.has_ended)
        return built

    async def wait(self) -> None:
        """Return never, unless the world breaks: then raise what broke it."""
        assert self._task is not None, "the flow was entered"
        await asyncio.shield(self._task)

    async def _run(self) -> None:
        try:
            await self._follow()
        finally:
            self.has_ended = True
            async with self._turned:
                self._turned.notify_all()

    async def _follow(self) -> None:
        while True:
            try:
                async with asyncio.timeout(self._slot_s):
                    built = [await self._arrived.get()]
            except TimeoutError:
                await self._builder.build()
                continue
            while not self._arrived.empty():
                built.append(self._arrived.get_nowait())
            for block in built:
                self._traffic.settle(block.receipts)
            await self._send()
            async with self._turned:
                self.blocks += len(built)
                self._turned.notify_all()

    async def _send(self) -> None:
        env = await self._builder.upcoming()
        for signed in self._traffic.next_slot(base_fee_wei=env.base_fee_wei, timestamp_s=env.timestamp):
            self._builder.mempool.add(signed.raw)
