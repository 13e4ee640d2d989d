"""`mev-agent spreads`: what the same pair costs on different pools, at a moment or block by block.

A fork's pools are read from its node at the block, which needs no fork; a case shows the parent's state.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence

from agent.chain.client import Rpc
from agent.chain.connect import chain_id_of, header_at, open_node
from agent.chain.discovery import BatchRpc
from agent.chain.head_chain import Extend, Rollback, Stop
from agent.chain.headers import Header
from agent.chain.heads import FeedDown, HeadFeed
from agent.chain.known_pools import MAINNET, existing_pools, known_pools
from agent.chain.token_names import TokenName, token_names
from agent.devnet.builder import Ordering
from agent.devnet.case import load_case
from agent.devnet.case_world import CaseWorld
from agent.devnet.mainnet import WETH
from agent.devnet.slice import pool_records
from agent.devnet.slice.flow import SliceFlow
from agent.devnet.slice_run import SliceWorld
from agent.dex.pool import Completeness
from agent.dex.pool_set import PoolSet, pair_of
from agent.dex.spreads import spreads as spreads_of
from agent.engine.chain_view import ChainView
from agent.errors import OutcomeUnknown, ProtocolError, SetupError, UsageError
from agent.eth.hexes import to_quantity
from agent.eth.keccak import keccak256
from agent.eth.units import SLOT_S, WEI_PER_ETHER, Address
from agent.observe.spread_table import spread_rows, spread_table
from agent.requests import Answer, Say, SpreadsRequest, WorldRequest
from agent.session.loop import run_loop

SIZES_WEI = (WEI_PER_ETHER // 10, WEI_PER_ETHER, 10 * WEI_PER_ETHER)
"""Depths are quoted for a tenth, one and ten ether, and for as much of any other token."""
ASKER = Address(keccak256(b"mev-agent spreads")[12:])
"""Sender of read-only calls: no key to it is known and nothing is held there."""


def spreads(request: SpreadsRequest, say: Say) -> Iterator[Answer]:
    """One answer, or with `is_watched` one for each block until it is stopped."""
    if request.is_watched and request.world.kind in ("case", "fork"):
        raise UsageError(
            f"--watch needs a world that goes on, a {request.world.kind} stands still", hint="leave --watch out"
        )
    opened = {"case": _case, "slice": _slice, "fork": _chain, "live": _chain}[request.world.kind]
    source = opened(request, say)
    with asyncio.Runner() as runner:

        async def following() -> Answer | None:
            return await anext(source, None)

        try:
            while (answer := run_loop(following(), runner)) is not None:
                yield answer
        finally:
            with contextlib.suppress(RuntimeError):  # interrupted in the middle: it has closed itself
                runner.run(source.aclose())


async def _case(request: SpreadsRequest, say: Say) -> AsyncGenerator[Answer]:
    assert request.world.case is not None
    case = load_case(request.world.case)
    say(f"block {case.number}: asking {len(case.accounts)} accounts which of them are pools")
    world = await CaseWorld.open(case)
    try:
        await world.node.position(None)
        names = await _names(world.node.anvil.rpc, world.pools, sender=world.identities.probe)
        yield _answer(world.pools, names, world="case", block=case.parent.number, mode="devnet")
    finally:
        await world.close()


async def _slice(request: SpreadsRequest, say: Say) -> AsyncGenerator[Answer]:
    world = await SliceWorld.open(seed=0, ordering=Ordering.PROFIT)
    try:
        rpc = await open_node(world.front.rpc_url)
        try:
            probe = world.identities.probe
            view = await ChainView.load(rpc, await header_at(rpc, None), pool_records(world.slice), sender=probe)
            names = await _names(rpc, view.pools, sender=probe)
            yield _answer(view.pools, names, world="slice", block=view.header.number, mode="devnet")
            if not request.is_watched:
                return
            say(f"a block every {SLOT_S} s; Ctrl-C ends it")
            async with SliceFlow(world.slice, world.builder, seed=0, slot_s=None) as flow:
                while True:
                    await asyncio.sleep(SLOT_S)
                    await flow.slot()
                    await view.extend(await header_at(rpc, None))
                    yield _answer(view.pools, names, world="slice", block=view.header.number, mode="devnet")
        finally:
            await rpc.close()
    finally:
        await world.close()


async def _chain(request: SpreadsRequest, say: Say) -> AsyncGenerator[Answer]:
    world = request.world
    rpc = await open_node(world.url)
    try:
        chain_id = await chain_id_of(rpc)
        if chain_id != MAINNET:
            raise SetupError(
                f"no pools are listed for chain {chain_id}", code="E_WRONG_CHAIN", hint="name a node of mainnet"
            )
        header = await header_at(rpc, world.block)
        records = await existing_pools(rpc, known_pools(), block=to_quantity(header.number))
        say(f"block {header.number}: {len(records)} known pools are there")
        view = await ChainView.load(rpc, header, records, sender=ASKER)
        names = await _names(rpc, view.pools, sender=ASKER, block=to_quantity(header.number))
        mode = "shadow" if world.kind == "live" else "devnet"
        yield _answer(view.pools, names, world=world.kind, block=header.number, mode=mode)
        if request.is_watched:
            async for moved in _moving(view, world, chain_id, say):
                yield _answer(moved.pools, names, world=world.kind, block=moved.header.number, mode=mode)
    finally:
        await rpc.close()


async def _moving(view: ChainView, world: WorldRequest, chain_id: int, say: Say) -> AsyncGenerator[ChainView]:
    """The view at each further head; reads it afresh where a head cannot be reached from the last one."""
    feed = HeadFeed(lambda: open_node(world.url), chain_id=chain_id)
    running = asyncio.create_task(feed.run())
    opened: list[Rpc] = []
    headers: dict[bytes, Header] = {view.header.hash: view.header}
    try:
        while True:
            event = await _next(feed, running)
            if isinstance(event, Stop):
                raise SetupError(f"the chain cannot be followed: {event.reason}", hint="start again")
            if isinstance(event, FeedDown):
                say(f"no connection: {event.reason}")
            if not isinstance(event, Extend | Rollback) or event.header.hash == view.header.hash:
                continue
            headers[event.header.hash] = event.header
            try:
                if isinstance(event, Rollback):
                    if (parent := headers.get(event.header.parent_hash)) is not None:
                        view.roll_back(parent)
                    continue
                await view.extend(event.header)
            except (ProtocolError, OutcomeUnknown) as error:
                say(f"block {event.header.number} is read afresh: {error.message}")
                try:
                    view = await _read_afresh(opened, world, chain_id, event.header)
                except (ProtocolError, OutcomeUnknown, SetupError) as again:
                    say(f"block {event.header.number} is left out: {again.message}")
                    continue
            yield view
    finally:
        running.cancel()
        await asyncio.wait([running])
        for connection in opened:
            await connection.close()


async def _read_afresh(opened: list[Rpc], world: WorldRequest, chain_id: int, header: Header) -> ChainView:
    """The pools at this head over a new connection, as the old one may be what failed; it is added to `opened`."""
    rpc = await open_node(world.url, chain_id=chain_id)
    while opened:
        await opened.pop().close()
    opened.append(rpc)
    there = await existing_pools(rpc, known_pools(), block=to_quantity(header.number))
    return await ChainView.load(rpc, header, there, sender=ASKER)


async def _next(feed: HeadFeed, running: asyncio.Task[None]) -> object:
    getting = asyncio.create_task(feed.events.get())
    await asyncio.wait([getting, running], return_when=asyncio.FIRST_COMPLETED)
    if getting.done():
        return getting.result()
    getting.cancel()
    running.result()
    raise ProtocolError("the node can no longer be followed", hint="start again")


async def _names(
    rpc: BatchRpc, pools: PoolSet, *, sender: Address, block: str = "latest"
) -> Mapping[Address, TokenName]:
    tokens = sorted({token for pool in pools for token in (pool.token0, pool.token1)})
    return await token_names(rpc, tokens, sender=sender, block=block)


def sizes_of(pools: PoolSet, names: Mapping[Address, TokenName]) -> dict[Address, Sequence[int]]:
    """Input amounts by token, worth the same everywhere: what the best pool gives for that much ether."""
    sizes: dict[Address, Sequence[int]] = {WETH: SIZES_WEI}
    for token in {token for pool in pools for token in (pool.token0, pool.token1)} - {WETH}:
        same_worth: list[int] = []
        for size_wei in SIZES_WEI:
            quotes = [
                pools[address].quote_exact_in(WETH, size_wei) for address in pools.by_pair.get(pair_of(token, WETH), ())
            ]
            most = max((q.amount_out for q in quotes if q.completeness is Completeness.COMPLETE), default=0)
            if most:
                same_worth.append(most)
        # Without a price in ether the size is one whole token, which is at least something a person knows.
        sizes[token] = tuple(same_worth) or (10 ** names[token].decimals,)
    return sizes


def _answer(pools: PoolSet, names: Mapping[Address, TokenName], *, world: str, block: int, mode: str) -> Answer:
    found = spreads_of(pools, sizes=sizes_of(pools, names))
    return Answer(
        data={"world": world, "block": block, "pools": len(pools), "pairs": spread_rows(found, names)},
        text=spread_table(found, names, title=f"{world}  block {block}"),
        mode=mode,
    )
