"""Nodes for the tests of agent.chain: scripted ones over HTTP, and a bare anvil."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from aiohttp import web

from agent.chain.heads import HeadEvent, HeadFeed
from agent.devnet.anvil import Anvil

CHAIN_ID = 31_337

Serve = Callable[[Callable[[web.Request], Awaitable[web.StreamResponse]]], Awaitable[str]]


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    """Starts an HTTP server with the given handler and returns its URL."""
    runners: list[web.AppRunner] = []

    async def start(handler: Callable[[web.Request], Awaitable[web.StreamResponse]]) -> str:
        application = web.Application()
        application.router.add_post("/{tail:.*}", handler)
        runner = web.AppRunner(application)
        await runner.setup()
        runners.append(runner)
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        host, port = runner.addresses[0][:2]
        return f"http://{host}:{port}/"

    yield start
    for runner in runners:
        await runner.cleanup()


@pytest.fixture
async def chain_node() -> AsyncIterator[Anvil]:
    """A bare anvil that mines only when told to."""
    async with await Anvil.start(hardfork="osaka", gas_limit=30_000_000, chain_id=CHAIN_ID) as node:
        yield node


async def read_until(feed: HeadFeed, wanted: bytes | None, *, within_s: float = 30.0) -> list[HeadEvent]:
    """Events of a feed up to the block with the wanted hash being its tip."""
    events: list[HeadEvent] = []
    async with asyncio.timeout(within_s):
        while True:
            events.append(await feed.events.get())
            tip = feed.chain.tip
            if feed.events.empty() and tip is not None and tip.hash == wanted:
                return events
