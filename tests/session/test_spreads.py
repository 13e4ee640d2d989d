"""Spreads are sorted, exact against the pools' own quotes, and go on block by block when asked to."""

from __future__ import annotations

import asyncio
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from agent.chain.token_names import TokenName, token_names
from agent.devnet.slice.flow import SliceFlow
from agent.devnet.slice_run import SliceWorld
from agent.dex.spreads import PoolView, Spread
from agent.dex.v2 import V2Pool
from agent.eth.hexes import to_address, to_data
from agent.eth.units import Address
from agent.observe.spread_table import bps, mid_price, units
from agent.requests import SpreadsRequest, WorldRequest
from agent.session.spreads import spreads
from tests.session.conftest import Command

A, B = Address(b"\x01" * 20), Address(b"\x02" * 20)


def say(_: str) -> None:
    """Nothing listens."""


@pytest.mark.anvil
async def test_every_pair_is_there_sorted_and_its_depths_are_exact_quotes(
    world: SliceWorld, flow: SliceFlow, mev_agent: Command
) -> None:
    await flow.slot()
    ran = await mev_agent("spreads", "--rpc-url", world.front.rpc_url, "--json")
    assert ran.code == 0, ran.stderr
    pairs = ran.content["pairs"]
    by_pair: dict[tuple[bytes, bytes], int] = {}
    for pool in world.slice.pools:
        by_pair[pool.token0, pool.token1] = by_pair.get((pool.token0, pool.token1), 0) + 1
    assert len(pairs) == sum(count > 1 for count in by_pair.values())
    nets = [pair["net_spread_pips"] for pair in pairs]
    assert nets == sorted(nets, reverse=True)
    checked = 0
    for pair in pairs:
        for row in pair["pools"]:
            if row["kind"] != "v2":
                continue
            reserves = await world.anvil.call("eth_call", {"to": row["pool"], "input": "0x0902f1ac"}, "latest")
            pool = V2Pool(
                address=to_address(row["pool"]), token0=to_address(pair["token0"]), token1=to_address(pair["token1"]),
                fee_pips=row["fee_pips"], reserve0=int(reserves[2:66], 16), reserve1=int(reserves[66:130], 16),
            )  # fmt: skip
            for depth in row["depths"]:
                quote = pool.quote_exact_in(to_address(depth["token_in"]), int(depth["amount_in"]))
                assert (str(quote.amount_in), str(quote.amount_out)) == (depth["amount_in"], depth["amount_out"])
                checked += 1
    assert checked > 50
    table = (await mev_agent("spreads", "--fork-url", world.front.rpc_url)).stdout
    assert table.index(pairs[0]["pair"]) < table.index(pairs[-1]["pair"])


@pytest.mark.anvil
async def test_a_watch_on_a_chain_gives_an_answer_for_each_block(world: SliceWorld, flow: SliceFlow) -> None:
    def take(count: int) -> list[int]:
        request = SpreadsRequest(world=WorldRequest(kind="live", url=world.front.ws_url), is_watched=True)
        answers = spreads(request, say)
        found = [next(answers).data["block"] for _ in range(count)]
        answers.close()
        return found

    watching = asyncio.create_task(asyncio.to_thread(take, 3))
    while not watching.done():
        await asyncio.wait([watching], timeout=0.5)
        if not watching.done():
            await flow.slot()
    blocks = await watching
    assert blocks == sorted(set(blocks)) and len(blocks) == 3


@pytest.mark.anvil
async def test_a_watch_goes_on_when_the_node_comes_back(world: SliceWorld, flow: SliceFlow) -> None:
    lines: asyncio.Queue[str] = asyncio.Queue()
    loop = asyncio.get_running_loop()
    request = SpreadsRequest(world=WorldRequest(kind="live", url=world.front.ws_url), is_watched=True)
    answers = spreads(request, lambda line: loop.call_soon_threadsafe(lines.put_nowait, line) and None)
    # One thread throughout: the watch owns an event loop, and a loop belongs to the thread that began it.
    watching = ThreadPoolExecutor(max_workers=1)
    async with asyncio.timeout(60):
        first = await loop.run_in_executor(watching, next, answers)
        following = loop.run_in_executor(watching, next, answers)
        await flow.slot()
        second = await following
        following = loop.run_in_executor(watching, next, answers)
        port = world.front.port
        await world.front.stop()
        while "no connection" not in await lines.get():
            pass
        await world.front.start(port=port)
        await flow.slot()
        third = await following
        await loop.run_in_executor(watching, answers.close)
    watching.shutdown()
    blocks = [answer.data["block"] for answer in (first, second, third)]
    assert blocks == [blocks[0], blocks[0] + 1, blocks[0] + 2]


async def test_a_case_stands_still_and_cannot_be_watched(mev_agent: Command, tmp_path: Path) -> None:
    ran = await mev_agent("spreads", "--case", tmp_path / "block.json.gz", "--watch")
    assert ran.code == 2
    assert "stands still" in ran.stderr


def test_prices_and_amounts_are_shown_rounded_down_and_never_through_a_float() -> None:
    names = {A: TokenName("A", 18), B: TokenName("B", 6)}
    pool = PoolView(A, "v2", 3_000, 2 * 10**6, 3 * 10**18, ())
    spread = Spread(A, B, A, A, 0, 0, (pool, pool))
    assert mid_price(pool, spread, names) == "0.666666"
    tiny = PoolView(A, "v2", 3_000, 20, 3 * 10**18, ())
    assert mid_price(tiny, spread, names) == "0.00000666666"
    assert bps(-12_345) == "-123.45" and bps(7) == "+0.07"
    assert units(1_999_999, 6) == "1.999999" and units(123_456_789_012, 6) == "123456" and units(5, 0) == "5"


async def test_a_token_that_says_nonsense_goes_by_its_address() -> None:
    class Node:
        def __init__(self, symbol: bytes) -> None:
            self.symbol = symbol

        async def batch(self, calls: object) -> list[str]:
            return [to_data(self.symbol), to_data((2**200).to_bytes(32, "big"))]

    evil = b"\x1b[31m\n"
    text = (32).to_bytes(32, "big") + len(evil).to_bytes(32, "big") + evil.ljust(32, b"\0")
    name = (await token_names(Node(text), [A], sender=B))[A]
    assert name == TokenName("[31m", 0)
    nothing = (await token_names(Node(b"\xff" * 40), [A], sender=B))[A]
    assert nothing.symbol.startswith("0x0101")
    old = (await token_names(Node(b"MKR".ljust(32, b"\0")), [A], sender=B))[A]
    assert old.symbol == "MKR"
    assert json.dumps(old.symbol)
