"""A search of another make: two-hop cycles over V2 pairs, by hand, to see that the survey misses none.

Written from Uniswap V2's own description, with nothing of `agent.dex` in it. A swap pays
floor(in · 997 · Rout / (Rin · 1000 + in · 997)) (UniswapV2Library.getAmountOut), reserves follow from Sync events, and
only pairs of factories whose fee is 0.3 % by their published code are taken. Profit over input is concave up to
rounding, so a ternary search and a walk over the last units find its top.
"""

from __future__ import annotations

import asyncio
from typing import Any, NamedTuple

from agent.devnet.identities import fresh_address
from agent.devnet.mainnet import START_TOKENS
from agent.devnet.replay import CaseNode
from agent.eth.keccak import keccak256
from scripts.measure_ground import Checked, Ground

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


def amount_out(amount_in: int, reserve_in: int, reserve_out: int) -> int:
    """What the pair pays; rounds down, as its contract demands."""
    with_fee = amount_in * 997
    return with_fee * reserve_out // (reserve_in * 1000 + with_fee)


def best(first: tuple[int, int], second: tuple[int, int]) -> tuple[int, int]:
    """(input, profit) of the best input found through both pairs, reserves as (in, out)."""

    def profit(amount: int) -> int:
        return amount_out(amount_out(amount, *first), *second) - amount

    low, high = 1, max(4, first[0])
    while high - low > 4:
        third = (high - low) // 3  # floor: the interval shrinks all the same
        left, right = low + third, high - third
        if profit(left) < profit(right):
            low = left
        else:
            high = right
    top = max(range(max(1, low - NEAR), high + NEAR), key=profit)
    return top, profit(top)


def oracle(ground: Ground) -> Checked:
    """Each two-hop V2 cycle that pays at some moment is in the survey, with no less profit."""
    checked = Checked("oracle")
    for number in ground.paths:
        pairs, states = asyncio.run(_states(ground, number))
        report = ground.survey(number)
        left_out = {row["pool"] for row in report["pools"]["left_out"]}
        listed = {
            (one["after_index"], tuple((leg["pool"], leg["token_in"]) for leg in one["legs"])): one
            for one in report["opportunities"]
        }
        row: dict[str, Any] = {"block": number, "pairs": len(pairs), "moments": len(states)}
        row |= dict.fromkeys(("searched", "pay", "in_survey", "left_out"), 0)
        checked.rows.append(row)
        for after_index, moved, reserves in states:
            _moment(checked, row, number, pairs, after_index, moved, reserves, listed, left_out)
    checked.figures = {
        "searched": sum(row["searched"] for row in checked.rows),
        "pay": sum(row["pay"] for row in checked.rows),
    }
    return checked


def _moment(
    checked: Checked,
    row: dict[str, Any],
    number: int,
    pairs: list[Pair],
    after_index: int | None,
    moved: set[str],
    reserves: dict[str, tuple[int, int]],
    listed: dict[Any, dict[str, Any]],
    left_out: set[str],
) -> None:
    starts = {"0x" + token.address.hex() for token in START_TOKENS}
    for first in pairs:
        for second in pairs:
            if first.address == second.address or set(first.tokens) != set(second.tokens):
                continue
            if after_index is not None and not moved & {first.address, second.address}:
                continue
            for start in starts & set(first.tokens):
                other = next(token for token in first.tokens if token != start)
                row["searched"] += 1
                _, gross = best(
                    _towards(first, reserves[first.address], start), _towards(second, reserves[second.address], other)
                )
                if gross < LEAST_GROSS:
                    continue
                row["pay"] += 1
                if left_out & {first.address, second.address}:
                    row["left_out"] += 1
                    continue
                one = listed.get((after_index, ((first.address, start), (second.address, other))))
                name = f"{number} after {after_index} {first.address[:8]} {second.address[:8]} from {start[:8]}"
                if not checked.expect(one is not None, f"{name}: {gross} not in the survey") or one is None:
                    continue
                row["in_survey"] += 1
                quoted = int(one["quoted_amount"])
                checked.expect(quoted >= gross, f"{name}: {quoted} in the survey, {gross} by hand")


def _towards(pair: Pair, reserves: tuple[int, int], token_in: str) -> tuple[int, int]:
    return reserves if token_in == pair.tokens[0] else (reserves[1], reserves[0])


def _pairs_for(tokens: tuple[str, str]) -> set[bytes]:
    """Where the known factories would have made the pair of these tokens (CREATE2)."""
    salt = keccak256(bytes.fromhex(tokens[0][2:] + tokens[1][2:]))
    return {
        bytes(keccak256(b"\xff" + bytes.fromhex(factory) + salt + bytes.fromhex(code_hash))[12:])
        for factory, code_hash in THIRTY_BPS
    }


async def _states(
    ground: Ground, number: int
) -> tuple[list[Pair], list[tuple[int | None, set[str], dict[str, tuple[int, int]]]]]:
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
        states: list[tuple[int | None, set[str], dict[str, tuple[int, int]]]] = [(None, set(), dict(reserves))]
        replayed = await node.replay()
        for transaction, receipt in zip(replayed.transactions, replayed.rpc_receipts, strict=True):
            moved = set()
            for log in receipt["logs"]:
                if log["address"] in reserves and log["topics"] and log["topics"][0] == SYNC:
                    data = log["data"]
                    reserves[log["address"]] = (int(data[2:66], 16), int(data[66:130], 16))
                    moved.add(log["address"])
            if moved:
                states.append((transaction.index, moved, dict(reserves)))
        return pairs, states
    finally:
        await node.stop()
