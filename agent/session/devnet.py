"""`mev-agent devnet`: a world or a venue that other programs use, until somebody stops it.

Everything printed is public by construction: the keys are functions of a name and a seed, and open nothing elsewhere.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

from agent.devnet.builder import Builder, Ordering
from agent.devnet.case import load_case
from agent.devnet.case_world import CaseWorld
from agent.devnet.fork_world import ForkWorld
from agent.devnet.front import Front
from agent.devnet.identities import Identities, throwaway_secret
from agent.devnet.mempool import Mempool
from agent.devnet.purpleflea import PurpleFleaVenue, load_faults
from agent.devnet.relay import Relay
from agent.devnet.slice.flow import SliceFlow
from agent.devnet.slice_run import SliceWorld
from agent.engine.executor import Executor
from agent.errors import SetupError
from agent.eth.hexes import address_text, to_data
from agent.eth.units import SLOT_S
from agent.requests import Answer, DevnetRequest, Say, SimulatedVenueRequest
from agent.session.loop import run_loop

WATCH_S = 1.0
"""How often it is checked that anvil still lives."""


class Standing(NamedTuple):
    """A world that serves. `is_alive` turns false when its anvil has ended."""

    kind: str
    chain_id: int
    head: int
    front: Front
    relay: Relay
    identities: Identities
    executor: Executor
    pools: int
    note: str
    is_alive: Callable[[], bool]


def up(request: DevnetRequest, say: Say, show: Callable[[Answer], int]) -> int:
    """Start the world, show where it is, and keep it; ends only by a signal or by a fault of the world."""
    return run_loop(_up(request, say, show))


async def _up(request: DevnetRequest, say: Say, show: Callable[[Answer], int]) -> int:
    say(f"starting the {request.world.kind}…")
    async with standing(request) as world:
        show(_answer(world, request.seed))
        say("Ctrl-C ends it")
        while world.is_alive():
            await asyncio.sleep(WATCH_S)
        raise SetupError("the devnet's anvil has ended", code="E_ANVIL_DIED", hint="free memory, then start it again")


@asynccontextmanager
async def standing(request: DevnetRequest) -> AsyncIterator[Standing]:
    """The world asked for, serving inside the context and gone after it."""
    opened = {"case": _case, "slice": _slice, "fork": _fork}[request.world.kind]
    async with opened(request) as world:
        yield world


@asynccontextmanager
async def _slice(request: DevnetRequest) -> AsyncIterator[Standing]:
    world = await SliceWorld.open(
        seed=request.seed, ordering=Ordering.PROFIT, front_port=request.port, relay_port=request.relay_port
    )
    try:
        slot_s = SLOT_S if request.pace == "real" else None
        async with SliceFlow(world.slice, world.builder, seed=request.seed, slot_s=slot_s) as flow:
            env = await world.builder.upcoming()
            yield Standing(
                "slice",
                world.slice.chain_id,
                env.number - 1,
                world.front,
                world.relay,
                world.identities,
                world.executor,
                len(world.slice.pools),
                _pace_note(request) + ", with the traffic of seeded users",
                lambda: world.anvil.is_running and not flow.has_ended,
            )
    finally:
        await world.close()


@asynccontextmanager
async def _fork(request: DevnetRequest) -> AsyncIterator[Standing]:
    world = await ForkWorld.open(
        request.world.url,
        block=request.world.block,
        seed=request.seed,
        front_port=request.port,
        relay_port=request.relay_port,
    )
    building = asyncio.create_task(_build_for_ever(world.builder)) if request.pace == "real" else None
    try:
        yield Standing(
            "fork",
            world.chain_id,
            world.header.number,
            world.front,
            world.relay,
            world.identities,
            world.executor,
            len(world.records),
            _pace_note(request),
            lambda: world.anvil.is_running and (building is None or not building.done()),
        )
    finally:
        if building is not None:
            building.cancel()
            await asyncio.wait([building])
        await world.close()


@asynccontextmanager
async def _case(request: DevnetRequest) -> AsyncIterator[Standing]:
    assert request.world.case is not None
    case = load_case(request.world.case)
    world = await CaseWorld.open(case, seed=request.seed)
    try:
        await world.node.position(None)
        mempool = Mempool()
        for transaction in world.node.transactions:
            mempool.add(transaction.raw, sender=transaction.sender)
        builder = Builder(world.node.anvil, mempool, ordering=Ordering.ARCHIVED)
        builder.next_env = world.node.env
        front = Front(world.node.anvil, mempool, chain_id=case.chain_id, lock=builder.lock, mine=builder.build)
        builder.on_block(front.announce_soon)
        relay = Relay(builder)
        try:
            await front.start(port=request.port)
            await relay.start(port=request.relay_port)
            yield Standing(
                "case",
                case.chain_id,
                case.parent.number,
                front,
                relay,
                world.identities,
                world.executor,
                len(world.pools),
                f"block {case.number} is built in its archived order by evm_mine; "
                f"its {len(world.node.transactions)} transactions wait in the mempool",
                lambda: world.node.anvil.is_running,
            )
        finally:
            await relay.stop()
            await front.stop()
    finally:
        await world.close()


async def _build_for_ever(builder: Builder) -> None:
    while True:
        await asyncio.sleep(SLOT_S)
        await builder.build()


def _pace_note(request: DevnetRequest) -> str:
    if request.pace == "real":
        return f"a block every {SLOT_S} s, or by evm_mine"
    return "a block by evm_mine alone"


def _answer(world: Standing, seed: int) -> Answer:
    ours = world.identities
    keys: list[dict[str, Any]] = [
        {
            "name": name,
            "address": address_text(signer.address),
            "private_key": to_data(throwaway_secret(name, seed=seed)),
        }
        for name, signer in (
            ("owner", ours.owner),
            ("guardian", ours.guardian),
            ("relay", ours.relay),
            *((f"operator {index}", signer) for index, signer in enumerate(ours.operators)),
        )
    ]
    found: dict[str, Any] = {
        "world": world.kind,
        "chain_id": world.chain_id,
        "head": world.head,
        "rpc_url": world.front.rpc_url,
        "ws_url": world.front.ws_url,
        "relay_url": world.relay.url,
        "bundles_url": f"{world.relay.url}/bundles",
        "executor": {
            "address": address_text(world.executor.address),
            "build": world.executor.build,
            "code_hash": to_data(world.executor.code_hash),
        },
        "vault": address_text(ours.vault),
        "pools": world.pools,
        "keys": keys,
        "note": world.note,
    }
    return Answer(data=found, text="\n".join(_lines(found)))


def _lines(found: dict[str, Any]) -> Sequence[str]:
    executor = found["executor"]
    return [
        f"DEVNET  {found['world']}, chain {found['chain_id']}, head {found['head']}, {found['pools']} pools",
        f"  rpc       {found['rpc_url']}   {found['ws_url']}",
        f"  relay     {found['relay_url']}   (what became of bundles: {found['bundles_url']})",
        f"  executor  {executor['address']} ({executor['build']})   vault {found['vault']}",
        f"  blocks    {found['note']}",
        "  keys      throw-away, public by construction: never send anything of worth to them",
        *(f"    {key['name']:<11} {key['address']}  {key['private_key']}" for key in found["keys"]),
    ]


def purpleflea(request: SimulatedVenueRequest, say: Say, show: Callable[[Answer], int]) -> int:
    """Start the simulated venue, show where it is and one account's keys, and keep it; ends only by a signal.

    Raises SetupError where the port is taken, ConfigError where the file of faults is wrong.
    """
    return run_loop(_purpleflea(request, say, show))


async def _purpleflea(request: SimulatedVenueRequest, say: Say, show: Callable[[Answer], int]) -> int:
    faults = load_faults(request.faults) if request.faults is not None else ()
    async with PurpleFleaVenue(port=request.port, seed=request.seed, faults=faults) as venue:
        show(_venue_answer(venue, request.seed, len(faults)))
        say("Ctrl-C ends it")
        await asyncio.Event().wait()
    return 0


def _venue_answer(venue: PurpleFleaVenue, seed: int, faults: int) -> Answer:
    account = venue.create_account()
    keys = [
        {"name": name, "id": pair.key_id, "secret": pair.secret}
        for name, pair in (("owner", account.owner), ("agent", account.trade), ("guard", account.guard))
    ]
    found: dict[str, Any] = {
        "ws_url": venue.ws_url,
        "http_url": venue.http_url,
        "books_url": f"{venue.http_url}/books",
        "admin_token": venue.admin_token,
        "symbols": [market.symbol for market in venue.terms.markets],
        "agent_id": account.agent_id,
        "keys": keys,
        "seed": seed,
        "faults": faults,
    }
    lines = [
        f"DEVNET  simulated Purple Flea venue, {', '.join(found['symbols'])}, seed {seed}, {faults} faults",
        f"  socket    {venue.ws_url}",
        f"  rest      {venue.http_url}",
        f"  books     {found['books_url']}   (header X-Admin-Token: {venue.admin_token})",
        f"  account   {account.agent_id} with {venue.terms.funds} {venue.terms.markets[0].instrument.quote}",
        "  keys      public by construction: they open nothing elsewhere",
        *(f"    {key['name']:<6} {key['id']}  {key['secret']}" for key in keys),
    ]
    return Answer(data=found, text="\n".join(lines))
