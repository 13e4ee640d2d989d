"""A search of another make: cycles of two and three V2 pairs, by hand, to see that the survey misses none.

Written from Uniswap V2's own description, with nothing of `agent.dex` in it. A swap pays
floor(in · 997 · Rout / (Rin · 1000 + in · 997)) (UniswapV2Library.getAmountOut), reserves follow from Sync events, and
only pairs of factories whose fee is 0.3 % by their published code are taken. Profit over input is concave up to
rounding, so a ternary search and a walk over the last units find its top.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any, NamedTuple

from agent.devnet.builder import Ordering
from agent.devnet.identities import fresh_address
from agent.devnet.mainnet import START_TOKENS
from agent.devnet.replay import CaseNode
from agent.devnet.slice_run import SliceWorld
from agent.eth.keccak import keccak256
from scripts.measure_ground import Checked, Ground, Report, steps

SYNC = "0x1c411e9a96e071241c2f21f7726b17ae89e3cab4c78be50e062b03a9fffbbad1"
TOKEN0, TOKEN1, GET_RESERVES = "0x0dfe1681", "0xd21220a7", "0x0902f1ac"
THIRTY_BPS = (
    ("5c69bee701ef814a2b6a3edd4b1652cb9cc5aa6f", "96e8ac4277198ff8b6f785478aa9a39f403cb768dd02cbee326c3e7da348845f"),
    ("c0aee478e3658e2610c5f7a4a2e1777ce9e4f2ac", "e18a34eb0e04b04f7a0ac29a6e80748dca96319b42c54d679cb821dca90c6303"),
    ("115934131916c8b277dd010ee02de363c09d037c", "65d1a3b1e46c6e4f1be1ad5f99ef14dc488ae0549dc97db9b30afe2241ce1c7a"),
)
"""Factory and init code hash of Uniswap V2, SushiSwap and ShibaSwap (their routers' `pairFor`): 0.3 % by their code."""
LEAST_GROSS = 1_000
"""Units of the start token: crumbs below it are not compared."""
NEAR = 64


class Pair(NamedTuple):
    address: str
    tokens: tuple[str, str]


class State(NamedTuple):
    """All reserves right after a transaction (None: at the parent), and the pairs that it moved."""

    after_index: int | None
    hash: str | None
    moved: set[str]
    reserves: dict[str, tuple[int, int]]


def amount_out(amount_in: int, reserve_in: int, reserve_out: int) -> int:
    """What the pair pays; rounds down, as its contract demands."""
    with_fee = amount_in * 997
    return with_fee * reserve_out // (reserve_in * 1000 + with_fee)


def best(route: list[tuple[int, int]]) -> tuple[int, int]:
    """(input, profit) of the best input found through the pairs, reserves as (in, out)."""

    def profit(amount: int) -> int:
        out = amount
        for reserve_in, reserve_out in route:
            out = amount_out(out, reserve_in, reserve_out)
        return out - amount

    low, high = 1, max(4, route[0][0])
    while high - low > 4:
        third = (high - low) // 3  # floor: the interval shrinks all the same
        left, right = low + third, high - third
        if profit(left) < profit(right):
            low = left
        else:
            high = right
    top = max(range(max(1, low - NEAR), high + NEAR), key=profit)
    return top, profit(top)


def cycles(pairs: list[Pair], starts: set[str]) -> Iterator[list[tuple[Pair, str]]]:
    """Every chain of two or three pairs that begins and ends in a start token, no pair twice, as (pair, token in)."""

    def longer(chain: list[tuple[Pair, str]], token: str, start: str) -> Iterator[list[tuple[Pair, str]]]:
        for pair in pairs:
            if token not in pair.tokens or any(pair.address == used.address for used, _ in chain):
                continue
            other = pair.tokens[1] if token == pair.tokens[0] else pair.tokens[0]
            extended = [*chain, (pair, token)]
            if other == start:
                if len(extended) > 1:
                    yield extended
            elif len(extended) < 3:
                yield from longer(extended, other, start)

    for start in sorted(starts):
        yield from longer([], start, start)


def oracle(ground: Ground) -> Checked:
    """Each such cycle that pays at some moment is in the survey, with no less profit; on the slice, in the run."""
    checked = Checked("oracle")
    for number in ground.paths:
        pairs, states = asyncio.run(_states(ground, number))
        _compare(checked, str(number), pairs, states, ground.survey(number))
    pairs, states = asyncio.run(_slice_state())
    report = ground.run(None)
    first = report["blocks"][0]["number"]
    report["opportunities"] = [one for one in report["opportunities"] if one["block"] == first]
    _compare(checked, "slice", pairs, states, report)
    keys = ("searched", "pay", "listed", "left_out")
    checked.figures = {key: sum(row[key] for row in checked.rows) for key in keys}
    return checked


def _compare(checked: Checked, where: str, pairs: list[Pair], states: list[State], report: Report) -> None:
    left_out = {row["pool"] for row in report["pools"]["left_out"]}
    listed = {(one["after_index"], one["after_tx"], steps(one["legs"])): one for one in report["opportunities"]}
    canonical = {frozenset(key[2]): one for key, one in listed.items() if key[1] is None}
    routes = list(cycles(pairs, {"0x" + token.address.hex() for token in START_TOKENS}))
    row: dict[str, Any] = {"world": where, "pairs": len(pairs), "moments": len(states)}
    row |= dict.fromkeys(("searched", "pay", "listed", "left_out"), 0)
    checked.rows.append(row)
    for after_index, hash_, moved, reserves in states:
        for route in routes:
            addresses = {pair.address for pair, _ in route}
            if after_index is not None and not moved & addresses:
                continue
            row["searched"] += 1
            _, gross = best([_towards(pair, reserves[pair.address], token) for pair, token in route])
            if gross < LEAST_GROSS:
                continue
            row["pay"] += 1
            if left_out & addresses:
                row["left_out"] += 1
                continue
            chain = tuple((pair.address, token) for pair, token in route)
            one = listed.get((after_index, hash_, chain))
            name = (
                f"{where} after {after_index}: {' '.join(address[:8] for address, _ in chain)} from {chain[0][1][:8]}"
            )
            if one is None and where == "slice" and frozenset(chain) in canonical:
                row["listed"] += 1  # a run begins each cycle in one token only
                continue
            if not checked.expect(one is not None, f"{name}: {gross} not listed") or one is None:
                continue
            row["listed"] += 1
            quoted = int(one["quoted_amount"])
            # A run sizes in microseconds and may leave a few units; a survey may not.
            least = (
                gross - gross // 10_000 if where == "slice" else gross
            )  # floor: never laxer than a hundredth percent
            checked.expect(quoted >= least, f"{name}: {quoted} listed, {gross} by hand")


def _towards(pair: Pair, reserves: tuple[int, int], token_in: str) -> tuple[int, int]:
    return reserves if token_in == pair.tokens[0] else (reserves[1], reserves[0])


def _pairs_for(tokens: tuple[str, str]) -> set[bytes]:
    """Where the known factories would have made the pair of these tokens (CREATE2)."""
    salt = keccak256(bytes.fromhex(tokens[0][2:] + tokens[1][2:]))
    return {
        bytes(keccak256(b"\xff" + bytes.fromhex(factory) + salt + bytes.fromhex(code_hash))[12:])
        for factory, code_hash in THIRTY_BPS
    }


async def _slice_state() -> tuple[list[Pair], list[State]]:
    """The pairs of the slice as they stand before its first block."""
    world = await SliceWorld.open(seed=0, ordering=Ordering.PROFIT)
    try:
        pairs, reserves = [], {}
        for pool in world.slice.pools:
            tokens = ("0x" + pool.token0.hex(), "0x" + pool.token1.hex())
            if pool.kind != "v2" or bytes(pool.address) not in _pairs_for(tokens):
                continue
            at = "0x" + pool.address.hex()
            call = {"to": at, "input": GET_RESERVES}
            held: str = await world.anvil.call("eth_call", call, "latest")
            pairs.append(Pair(at, tokens))
            reserves[at] = (int(held[2:66], 16), int(held[66:130], 16))
        return pairs, [State(None, None, set(), reserves)]
    finally:
        await world.close()


async def _states(ground: Ground, number: int) -> tuple[list[Pair], list[State]]:
    """The pairs of 0.3 %, and their reserves at the parent and after each transaction that moved one."""
    case = ground.case(number)
    probe = fresh_address("measure")
    node = await CaseNode.start(case, fresh=[probe], holders=[])
    try:
        await node.plant(probe, balance_wei=10**18)
        sender = "0x" + probe.hex()

        async def view(to: str, data: str) -> str | None:
            call = {"from": sender, "to": to, "input": data}
            (answer,) = await node.anvil.rpc.batch([("eth_call", (call, "latest"))])
            return answer if isinstance(answer, str) and len(answer) >= 66 else None

        pairs, reserves = [], {}
        for address in case.accounts:
            at = "0x" + address.hex()
            if not case.code_of(address) or (token0 := await view(at, TOKEN0)) is None:
                continue
            token1, held = await view(at, TOKEN1), await view(at, GET_RESERVES)
            if token1 is None or held is None:
                continue
            tokens = ("0x" + token0[26:66], "0x" + token1[26:66])
            if address not in _pairs_for(tokens):
                continue
            pairs.append(Pair(at, tokens))
            reserves[at] = (int(held[2:66], 16), int(held[66:130], 16))
        states = [State(None, None, set(), dict(reserves))]
        replayed = await node.replay()
        for transaction, receipt in zip(replayed.transactions, replayed.rpc_receipts, strict=True):
            moved = set()
            for log in receipt["logs"]:
                if log["address"] in reserves and log["topics"] and log["topics"][0] == SYNC:
                    data = log["data"]
                    reserves[log["address"]] = (int(data[2:66], 16), int(data[66:130], 16))
                    moved.add(log["address"])
            if moved:
                states.append(State(transaction.index, "0x" + transaction.hash.hex(), moved, dict(reserves)))
        return pairs, states
    finally:
        await node.stop()
