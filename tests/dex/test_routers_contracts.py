"""The routers' own contracts decide: random calls of every function, each alone on the planted slice, to the last unit.

Router02, Sushi's and SwapRouter come with the slice. SwapRouter02, UniversalRouter and Permit2 are put there with the
code that archived blocks carry; their addresses in it are mainnet's, and so are the slice's.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import pytest

from agent.chain.pools import load_pools
from agent.devnet.case import load_case
from agent.devnet.slice import SlicePool, pool_records, token_code
from agent.devnet.slice.storage import WETH9_ALLOWANCE_SLOT, WETH9_BALANCE_SLOT, allowance_slot, mapping_slot
from agent.dex.pool import Pool
from agent.dex.pool_set import PoolSet
from agent.dex.routers.plan import NotUnderstood, Plan
from agent.dex.routers.play import Reverts, play, same_state
from agent.dex.routers.read import read_plan
from agent.dex.v2 import V2Pool, router_amount_in
from agent.dex.v3 import V3Pool
from agent.engine.reverts import revert_text
from agent.eth.hexes import from_quantity, to_data, to_quantity
from agent.eth.units import UINT256_MAX, Address
from agent.sim.node import NodeSimulator
from agent.sim.simulator import BlockEnv, Call, Override, Simulation
from tests.devnet.slice.conftest import Planted, planted
from tests.dex import router_calldata as write

__all__ = ["planted"]
pytestmark = pytest.mark.anvil

SOMEBODY = Address(b"\x5b" * 20)
FAR_S = 2**40
GAS = 2_000_000


# UniversalRouter's selectors: V2TooMuchRequested 8ab0bc16, V2TooLittleReceived 849eaf98, V3TooMuchRequested 739dbe52,
# V3TooLittleReceived 39d35496, V3InvalidAmountOut d4e0248e, InsufficientToken 675cae38.
REASONS = {
    "asks for more than allowed": {
        "'Too much requested'", "'UniswapV2Router: EXCESSIVE_INPUT_AMOUNT'", "selector 0x8ab0bc16", "selector 0x739dbe52"
    },
    "gives less than asked for": {
        "'Too little received'", "'UniswapV2Router: INSUFFICIENT_OUTPUT_AMOUNT'", "selector 0x39d35496",
        "selector 0x849eaf98",
    },
    "nothing comes out": {
        "'UniswapV2: INSUFFICIENT_OUTPUT_AMOUNT'", "'UniswapV2Library: INSUFFICIENT_INPUT_AMOUNT'"
    },
    "more than the pair holds": {"'ds-math-sub-underflow'", "reverted without a word"},
    "the pool holds less": {"reverted without a word", "selector 0xd4e0248e", "selector 0x739dbe52"},
    "AS: the amount is zero": {"'AS'"},
    "less than asked for": {"selector 0x675cae38"},
    "SPL: the price limit is on the wrong side": {"'SPL'"},
}  # fmt: skip
"""What the contracts say, by what the forecast said."""


class Stage(NamedTuple):
    """The slice, its pools as read from the node, and a block to trade in."""

    planted: Planted
    pools: PoolSet
    env: BlockEnv

    @property
    def user(self) -> Address:
        return self.planted.world.users[0].address

    async def run(self, calls: Sequence[tuple[Call, ...]]) -> list[Simulation]:
        rich = Override(self.user, balance_wei=10**26)
        return await NodeSimulator(self.planted.anvil.rpc).simulate(list(calls), self.env, overrides=(rich,))

    def call(self, to: bytes, data: bytes, value_wei: int = 0) -> Call:
        return Call(sender=self.user, to=Address(to), data=data, gas=GAS, value_wei=value_wei, max_fee_wei=10**12)

    def forecast(self, call: Call) -> dict[Address, Pool] | Reverts | NotUnderstood:
        plan = read_plan(to=call.to, data=call.data, value_wei=call.value_wei)
        assert isinstance(plan, Plan), plan
        return play(plan, self.pools)


@pytest.fixture
async def stage(planted: Planted) -> AsyncIterator[Stage]:
    rpc = planted.anvil.rpc
    pools, left_out = await load_pools(rpc, pool_records(planted.world), sender=planted.world.users[0].address)
    assert not left_out
    head = await planted.anvil.call("eth_getBlockByNumber", "latest", False)
    env = BlockEnv(
        number=from_quantity(head["number"]) + 1,
        timestamp=from_quantity(head["timestamp"]) + 12,
        base_fee_wei=from_quantity(head["baseFeePerGas"]),
        fee_recipient=SOMEBODY,
        gas_limit=from_quantity(head["gasLimit"]),
        prev_randao=1,
    )
    found = Stage(planted, PoolSet(pools), env)
    for token in planted.world.tokens:
        base = WETH9_BALANCE_SLOT if token.address == write.WETH else token_code.BALANCE_SLOT
        place = to_quantity(mapping_slot(found.user, base))
        await planted.anvil.call("anvil_setStorageAt", to_data(token.address), place, f"0x{2**200:064x}")
    yield found


class Draw:
    """Random routes through the slice's pools, and amounts from dust to a tenth of a pool."""

    def __init__(self, stage: Stage, seed: int) -> None:
        self.chance = random.Random(seed)
        self._stage = stage
        self._world = stage.planted.world

    def route(
        self, protocol: str, *, first: bytes | None = None, last: bytes | None = None
    ) -> tuple[list[Address], list[int]]:
        """(tokens, fees) of one to three hops, no pool twice."""
        while True:
            found = self._walk(protocol, first)
            if found is not None and (last is None or found[0][-1] == last):
                return found

    def _walk(self, protocol: str, first: bytes | None) -> tuple[list[Address], list[int]] | None:
        pools = [pool for pool in self._world.pools if pool.protocol == protocol]
        start = [pool for pool in pools if first is None or first in (pool.token0, pool.token1)]
        pool: SlicePool = self.chance.choice(start)
        token = Address(first) if first is not None else self.chance.choice((pool.token0, pool.token1))
        path, fees_pips, used = [token], [], set()
        for _ in range(self.chance.choice((1, 1, 2, 2, 3))):
            fees_pips.append(pool.fee_pips)
            used.add(pool.address)
            token = pool.token1 if token == pool.token0 else pool.token0
            path.append(token)
            onward = [p for p in pools if token in (p.token0, p.token1) and p.address not in used]
            if not onward:
                break
            pool = self.chance.choice(onward)
        return path, fees_pips[: len(path) - 1]

    def amount(self, token: Address) -> int:
        usd = self.chance.choice((1, 50, 3_000, 200_000, 1_500_000))
        return self.chance.choice((1, 2, 1_000, *[self._world.token(token).amount_of_usd(usd)] * 8))

    def limit(self, *, is_exact_in: bool) -> int:
        """Mostly none; sometimes one that cannot be held."""
        loose, tight = (0, 10**30) if is_exact_in else (UINT256_MAX, 1)
        return tight if self.chance.random() < 0.1 else loose


def v2_calls(stage: Stage, draw: Draw) -> Call:
    """One of Router02's nine functions, of either router."""
    router, protocol = draw.chance.choice(((write.V2_ROUTER, "uniswap-v2"), (write.SUSHI_ROUTER, "sushi")))
    name = draw.chance.choice(
        (
            "swapExactTokensForTokens", "swapTokensForExactTokens", "swapExactETHForTokens", "swapTokensForExactETH",
            "swapExactTokensForETH", "swapETHForExactTokens",
            *(f"swapExact{way}{write.V2_SUFFIX}" for way in ("TokensForTokens", "ETHForTokens", "TokensForETH")),
        )
    )  # fmt: skip
    is_exact_in, takes_ether = name.startswith("swapExact"), "ETHFor" in name
    gives_ether = "ForETH" in name or "ForExactETH" in name
    path, _ = draw.route(protocol, first=write.WETH if takes_ether else None, last=write.WETH if gives_ether else None)
    named = draw.amount(path[0] if is_exact_in else path[-1])
    limit = draw.limit(is_exact_in=is_exact_in)
    deadline_s = stage.env.timestamp
    if not takes_ether:
        return stage.call(router, write.v2(name, (named, limit), path, SOMEBODY, deadline_s))
    value_wei, asked = (named, limit) if is_exact_in else (min(limit, 10**23), named)
    return stage.call(router, write.v2(name, (asked,), path, SOMEBODY, deadline_s), value_wei)


def v3_calls(stage: Stage, draw: Draw) -> Call:
    """SwapRouter's four, alone or in a batch."""
    is_exact_in = draw.chance.random() < 0.5
    path, fees_pips = draw.route("uniswap-v3")
    amount, limit = draw.amount(path[0] if is_exact_in else path[-1]), draw.limit(is_exact_in=is_exact_in)
    if len(path) == 2:
        price = near_price(stage, draw, path, fees_pips[0])
        name = "exactInputSingle" if is_exact_in else "exactOutputSingle"
        fields = (path[0], path[1], fees_pips[0], SOMEBODY, FAR_S, amount, limit, price)
        data = write.call(name, [write.SINGLE], fields)
    else:
        name, pack = ("exactInput", write.packed) if is_exact_in else ("exactOutput", write.packed_backwards)
        data = write.call(name, [write.ALONG], (pack(path, fees_pips), SOMEBODY, FAR_S, amount, limit))
    if draw.chance.random() < 0.3:
        sweep = write.call("sweepToken", ["address", "uint256", "address"], path[-1], 0, SOMEBODY)
        data = write.call("multicall", ["bytes[]"], [data, sweep])
    return stage.call(write.SWAP_ROUTER, data)


def near_price(stage: Stage, draw: Draw, path: Sequence[Address], fee_pips: int) -> int:
    """A price limit a little away from where the pool stands, half of the time; now and then on the wrong side."""
    if draw.chance.random() < 0.5:
        return 0
    pool = next(
        pool
        for pool in stage.pools
        if isinstance(pool, V3Pool) and {pool.token0, pool.token1} == set(path) and pool.fee_pips == fee_pips
    )
    down = (path[0] == pool.token0) is not (draw.chance.random() < 0.1)
    step = pool.sqrt_price_x96 // draw.chance.choice((50, 1_000, 100_000))
    return pool.sqrt_price_x96 - step if down else pool.sqrt_price_x96 + step


def router_02_calls(stage: Stage, draw: Draw) -> Call:
    """SwapRouter02: V2 then V3 of what that gave, V2 alone, or V3 alone, with a deadline on the batch."""
    way = draw.chance.choice(("v2", "v3", "v2 then v3"))
    path, _ = draw.route("uniswap-v2")
    is_exact_in = way == "v2 then v3" or draw.chance.random() < 0.5
    amount, limit = draw.amount(path[0] if is_exact_in else path[-1]), draw.limit(is_exact_in=is_exact_in)
    v2 = "swapExactTokensForTokens" if is_exact_in else "swapTokensForExactTokens"
    v2_types = ["uint256", "uint256", "address[]", "address"]
    if way == "v2":
        calls = [write.call(v2, v2_types, amount, limit, path, write.SENDER)]
    elif way == "v3":
        path, fees_pips = draw.route("uniswap-v3")
        amount = draw.amount(path[0] if is_exact_in else path[-1])
        name, pack = ("exactInput", write.packed) if is_exact_in else ("exactOutput", write.packed_backwards)
        calls = [write.call(name, [write.ALONG_02], (pack(path, fees_pips), write.SENDER, amount, limit))]
    else:
        path, _ = draw.route("uniswap-v2", last=write.WETH)
        onward, fees_pips = draw.route("uniswap-v3", first=write.WETH)
        amount = draw.amount(path[0])
        along = (write.packed(onward, fees_pips), SOMEBODY, 0, limit)
        calls = [
            write.call(v2, v2_types, amount, 0, path, write.ROUTER),
            write.call("exactInput", [write.ALONG_02], along),
        ]
    data = write.call("multicall", ["uint256", "bytes[]"], stage.env.timestamp, calls)
    return stage.call(write.SWAP_ROUTER_02, data)


def universal_calls(stage: Stage, draw: Draw) -> Call:
    """UniversalRouter: ether wrapped and split over V2 and V3, a share paid, the rest swept; or the user's tokens."""
    way = draw.chance.choice(("split", "chain", "v2", "v3", "paid before"))
    is_exact_in = draw.chance.random() < 0.5
    limit = draw.limit(is_exact_in=is_exact_in)
    if way in ("v2", "v3"):
        path, fees_pips = draw.route(f"uniswap-{way}")
        amount = draw.amount(path[0] if is_exact_in else path[-1])
        common = {"recipient": write.SENDER, "amount": amount, "limit": limit, "is_user": True}
        if way == "v2":
            steps = [(0x08 if is_exact_in else 0x09, write.u_swap_v2(path=path, **common))]
        else:
            pack = write.packed if is_exact_in else write.packed_backwards
            steps = [(0x00 if is_exact_in else 0x01, write.u_swap_v3(path=pack(path, fees_pips), **common))]
        return stage.call(write.UNIVERSAL_ROUTER, write.execute(steps, FAR_S))
    value_wei = draw.amount(Address(write.WETH)) + 1
    pairs, _ = draw.route("uniswap-v2", first=write.WETH)
    along, fees_pips = draw.route("uniswap-v3", first=write.WETH)
    wrap = (0x0B, write.u_ether(write.ROUTER, draw.chance.choice((write.ALL_HELD, value_wei))))
    if way == "split":
        half = value_wei // 2
        v2 = write.u_swap_v2(recipient=write.ROUTER, amount=half, limit=0, path=pairs, is_user=False)
        packed = write.packed(along, fees_pips)
        v3 = write.u_swap_v3(recipient=SOMEBODY, amount=write.ALL_HELD, limit=limit, path=packed, is_user=False)
        steps = [
            wrap,
            (0x08, v2),
            (0x00, v3),
            (0x06, write.u_token(pairs[-1], SOMEBODY, 25)),
            (0x04, write.u_token(pairs[-1], write.SENDER, draw.limit(is_exact_in=True))),
        ]
    elif way == "chain":
        back, back_fees = draw.route("uniswap-v3", first=pairs[-1]) if v3_holds(stage, pairs[-1]) else (None, None)
        v2 = write.u_swap_v2(recipient=write.ROUTER, amount=write.ALL_HELD, limit=0, path=pairs, is_user=False)
        steps = [wrap, (0x08, v2)]
        if back is not None and back_fees is not None:
            packed = write.packed(back, back_fees)
            v3 = write.u_swap_v3(recipient=SOMEBODY, amount=write.ALL_HELD, limit=limit, path=packed, is_user=False)
            steps.append((0x00, v3))
    else:
        pair = pair_of(stage, pairs[0], pairs[1])
        v2 = write.u_swap_v2(recipient=write.SENDER, amount=0, limit=limit, path=pairs[:2], is_user=False)
        steps = [wrap, (0x05, write.u_token(write.WETH, pair, write.ALL_HELD)), (0x08, v2)]
    return stage.call(write.UNIVERSAL_ROUTER, write.execute(steps), value_wei)


def v3_holds(stage: Stage, token: bytes) -> bool:
    return any(isinstance(pool, V3Pool) and token in (pool.token0, pool.token1) for pool in stage.pools)


def pair_of(stage: Stage, token_a: Address, token_b: Address) -> Address:
    return next(
        pool.address
        for pool in stage.planted.world.pools
        if pool.protocol == "uniswap-v2" and {pool.token0, pool.token1} == {token_a, token_b}
    )


def compared(stage: Stage, calls: Sequence[Call], simulations: Sequence[Simulation]) -> Counter[str]:
    """Forecast and execution of each call; raises where they differ, counts what they agree on."""
    counts: Counter[str] = Counter()
    for call, simulation in zip(calls, simulations, strict=True):
        assert simulation.is_known, simulation
        result = simulation.calls[-1]
        forecast = stage.forecast(call)
        if isinstance(forecast, NotUnderstood):
            counts[f"not understood: {forecast.why}"] += 1
            continue
        if isinstance(forecast, Reverts):
            assert not result.is_success, (forecast, call)
            counts["revert"] += 1
            said = revert_text(result.return_data)
            assert said.removeprefix("reverted with ") in REASONS[forecast.detail], (forecast, said)
            continue
        assert result.is_success, (revert_text(result.return_data), call)
        executed, touched = stage.pools.apply(result.logs)
        assert touched == frozenset(forecast)
        for address in touched:
            assert same_state(executed[address], forecast[address]), (executed[address], forecast[address])
        counts["moved"] += 1
    return counts


@pytest.mark.parametrize("seed", [1, 2])
async def test_the_slices_routers_leave_the_pools_as_foretold(stage: Stage, seed: int) -> None:
    draw = Draw(stage, seed)
    calls = [make(stage, draw) for _ in range(90) for make in (v2_calls, v3_calls)]
    counts = compared(stage, calls, await stage.run([(call,) for call in calls]))
    assert counts["moved"] > 90 and counts["revert"] > 10, counts
    assert sum(counts.values()) - counts["moved"] - counts["revert"] <= 10, counts


@pytest.fixture
async def allow(stage: Stage, mainnet: Path) -> list[Call]:
    """Plants the routers that archived blocks carry; the calls by which the user lets UniversalRouter have tokens."""
    anvil, world = stage.planted.anvil, stage.planted.world
    case = load_case(mainnet / "public" / "19933597.json.gz")
    for address in (write.SWAP_ROUTER_02, write.UNIVERSAL_ROUTER, write.PERMIT2):
        code = case.code_of(Address(address))
        assert code
        await anvil.call("anvil_setCode", to_data(address), to_data(code))
        for slot, value in case.accounts[Address(address)].storage.items():  # locks stand open at 1, not at 0
            await anvil.call("anvil_setStorageAt", to_data(address), to_quantity(slot), f"0x{value:064x}")
    for token in world.tokens:
        slot = WETH9_ALLOWANCE_SLOT if token.address == write.WETH else token_code.ALLOWANCE_SLOT
        for spender in (write.SWAP_ROUTER_02, write.PERMIT2):
            place = to_quantity(allowance_slot(stage.user, Address(spender), slot))
            await anvil.call("anvil_setStorageAt", to_data(token.address), place, f"0x{UINT256_MAX:064x}")
    return [
        stage.call(
            write.PERMIT2,
            write.call(
                "approve",
                ["address", "address", "uint160", "uint48"],
                token.address,
                write.UNIVERSAL_ROUTER,
                2**160 - 1,
                FAR_S,
            ),
        )
        for token in world.tokens
    ]


async def test_the_routers_with_code_from_archived_blocks_do_too(stage: Stage, allow: list[Call]) -> None:
    draw = Draw(stage, 5)
    calls = [make(stage, draw) for _ in range(70) for make in (router_02_calls, universal_calls, universal_calls)]
    counts = compared(stage, calls, await stage.run([(*allow, call) for call in calls]))
    assert counts["moved"] > 100 and counts["revert"] > 15, counts
    assert sum(counts.values()) - counts["moved"] - counts["revert"] <= 10, counts


async def test_a_limit_is_held_to_the_last_unit(stage: Stage) -> None:
    draw = Draw(stage, 11)
    calls = []
    for _ in range(12):
        path, _ = draw.route("uniswap-v2")
        amount = stage.planted.world.token(path[0]).amount_of_usd(1_000)
        out = amount
        for token_in, token_out in pairwise(path):
            out = stage.pools[pair_of(stage, token_in, token_out)].quote_exact_in(token_in, out).amount_out
        for least in (out, out + 1):
            data = write.v2("swapExactTokensForTokens", (amount, least), path, SOMEBODY, stage.env.timestamp)
            calls.append(stage.call(write.V2_ROUTER, data))
    simulations = await stage.run([(call,) for call in calls])
    assert compared(stage, calls, simulations) == {"moved": 12, "revert": 12}


async def test_so_is_the_limit_of_an_exact_output(stage: Stage) -> None:
    draw = Draw(stage, 12)
    calls = []
    for kind in ("v2", "v3") * 6:
        path, fees_pips = draw.route(f"uniswap-{kind}")
        amount = stage.planted.world.token(path[-1]).amount_of_usd(1_000)
        for paid_less in (0, 1):
            greatest = exact_input_of(stage, kind, path, fees_pips, amount) - paid_less
            if kind == "v2":
                data = write.v2("swapTokensForExactTokens", (amount, greatest), path, SOMEBODY, FAR_S)
                calls.append(stage.call(write.V2_ROUTER, data))
            else:
                fields = (write.packed_backwards(path, fees_pips), SOMEBODY, FAR_S, amount, greatest)
                calls.append(stage.call(write.SWAP_ROUTER, write.call("exactOutput", [write.ALONG], fields)))
    simulations = await stage.run([(call,) for call in calls])
    assert compared(stage, calls, simulations) == {"moved": 12, "revert": 12}


def exact_input_of(stage: Stage, kind: str, path: list[Address], fees_pips: list[int], amount: int) -> int:
    """What the router asks for, from the pools' own quotes: its V2 library adds one where nothing was rounded."""
    for token_in, token_out, fee_pips in reversed(list(zip(path, path[1:], fees_pips, strict=False))):
        pool = next(
            stage.pools[one.address]
            for one in stage.planted.world.pools
            if one.protocol == f"uniswap-{kind}"
            and one.fee_pips == fee_pips
            and {one.token0, one.token1} == {token_in, token_out}
        )
        if isinstance(pool, V2Pool):
            reserve_in, reserve_out = pool.reserves(token_in)
            amount = router_amount_in(amount, reserve_in, reserve_out, pool.fee_n, pool.fee_d)
        else:
            amount = pool.quote_exact_out(token_in, amount).amount_in
    return amount


async def test_a_second_swap_begins_where_the_first_ended(stage: Stage) -> None:
    draw = Draw(stage, 13)
    calls = []
    for _ in range(10):
        path, fees_pips = draw.route("uniswap-v3")
        there = (path[0], path[1], fees_pips[0], SOMEBODY, FAR_S, draw.amount(path[0]), 0, 0)
        back = (path[1], path[0], fees_pips[0], SOMEBODY, FAR_S, draw.amount(path[1]), 0, 0)
        inner = [write.call("exactInputSingle", [write.SINGLE], fields) for fields in (there, there, back)]
        calls.append(stage.call(write.SWAP_ROUTER, write.call("multicall", ["bytes[]"], inner)))
    counts = compared(stage, calls, await stage.run([(call,) for call in calls]))
    assert counts["moved"] >= 5, counts


async def test_what_is_left_after_a_share_is_known_to_the_unit(stage: Stage, allow: list[Call]) -> None:
    draw = Draw(stage, 14)
    calls = []
    for share_bps in (1, 25, 9_999):
        path, _ = draw.route("uniswap-v2", first=write.WETH)
        out = value_wei = 10**18 + share_bps
        for token_in, token_out in pairwise(path):
            out = stage.pools[pair_of(stage, token_in, token_out)].quote_exact_in(token_in, out).amount_out
        left = out - out * share_bps // 10_000
        swap = write.u_swap_v2(recipient=write.ROUTER, amount=value_wei, limit=out, path=path, is_user=False)
        for least in (left, left + 1):
            steps = [
                (0x0B, write.u_ether(write.ROUTER, value_wei)),
                (0x08, swap),
                (0x06, write.u_token(path[-1], SOMEBODY, share_bps)),
                (0x04, write.u_token(path[-1], write.SENDER, least)),
            ]
            calls.append(stage.call(write.UNIVERSAL_ROUTER, write.execute(steps), value_wei))
    simulations = await stage.run([(*allow, call) for call in calls])
    assert compared(stage, calls, simulations) == {"moved": 3, "revert": 3}
