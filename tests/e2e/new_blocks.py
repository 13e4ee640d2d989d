"""The traps of `test_new_blocks`: each a function that plants what stands before the block and plans what happens in it.

Every trap has a token of its own and two pools of it against a start token, so that none meets another.
"""

from __future__ import annotations

from agent.devnet.mainnet import START_TOKENS, WETH
from agent.devnet.slice.figures import UNISWAP_V2
from agent.dex.tick_math import sqrt_ratio_at_tick
from agent.eth.abi import encode_call
from agent.eth.hexes import to_data
from agent.eth.units import WEI_PER_ETHER, Address
from tests.e2e.laboratory import (
    LAB,
    MUCH,
    Laboratory,
    Leg,
    burn,
    floor_tick,
    mint,
    price,
    send,
    swap2,
    swap3,
    swap_to,
)  # fmt: skip

SAYS_NOTHING, SAYS_FALSE, CALLS_BACK, TAXES_CONTRACTS = 1, 2, 3, 4
USDC, WBTC = START_TOKENS[1].address, START_TOKENS[4].address
ONE = WEI_PER_ETHER
X, W = 10**6 * ONE, 100 * ONE
"""What a pool of a trap holds, or trades as if it held."""
L = 10**22
P = price(X, W)
DEAR_W = W * 101 // 100


async def _v3_against_v2(lab: Laboratory, name: str, fee: int, spacing: int, *, reach: int = 6000) -> tuple[Leg, Leg]:
    token = await lab.token(name)
    three = await lab.v3_pool(token, WETH, fee)
    around = floor_tick(P, spacing)
    await lab.start_v3(three, P, around - reach, around + reach, L)
    two = await lab.uniswap_pair(token, X, WETH, DEAR_W)
    lab.trap(name, token, three, two)
    return three, two


async def just_in_time(lab: Laboratory, name: str, fee: int, spacing: int, low: int, high: int, amount: int) -> None:
    """Mint at a distance of ticks from the price, trade into it, burn, trade again."""
    three, _ = await _v3_against_v2(lab, name, fee, spacing)
    at = floor_tick(P, spacing)
    lab.plan(name, LAB, mint(three, at + low, at + high, 20 * L))
    lab.plan(name, LAB, swap3(three, WETH, amount))
    lab.plan(name, LAB, burn(three, at + low, at + high, 20 * L))
    lab.plan(name, LAB, swap3(three, WETH, amount // 50))


async def beside_a_word(lab: Laboratory, name: str) -> None:
    """A pool that the block leaves alone, whose best trade crosses into the next bitmap word."""
    _, two = await _v3_against_v2(lab, name, 100, 1)
    lab.plan(name, LAB, swap2(two, lab.traps[name].token, 3 * 10**4 * ONE, 30))


async def exactly_on_a_tick(lab: Laboratory, name: str, *, up: bool) -> None:
    """A trade that ends on an initialised tick, and a small one back."""
    three, _ = await _v3_against_v2(lab, name, 10_000, 200)
    at = floor_tick(P, 200)
    low, high = (at + 400, at + 800) if up else (at - 800, at - 400)
    lab.plan(name, LAB, mint(three, low, high, 3 * L))
    edge = sqrt_ratio_at_tick(at + 400 if up else at - 400)
    token = lab.traps[name].token
    lab.plan(name, LAB, swap_to(three, WETH if up else token, MUCH // 10**5, edge))
    lab.plan(name, LAB, swap3(three, token if up else WETH, ONE if up else 10**14))
    lab.plan(name, LAB, swap_to(three, WETH if up else token, MUCH // 10**5, edge))


async def born_in_the_block(lab: Laboratory, name: str) -> None:
    """The pool gets its price and its liquidity inside the block."""
    token = await lab.token(name)
    three = await lab.v3_pool(token, WETH, 3000)
    two = await lab.uniswap_pair(token, X, WETH, W * 110 // 100)
    around = floor_tick(P, 60)
    lab.plan(name, three.pool, encode_call("initialize(uint160)", P))
    lab.plan(name, LAB, mint(three, around - 6000, around + 6000, L))
    lab.plan(name, LAB, swap2(two, WETH, ONE, 30))
    lab.trap(name, token, three, two)


async def pair_born_in_the_block(lab: Laboratory, name: str) -> None:
    """A pair that holds nothing at the parent."""
    token = await lab.token(name)
    one = await lab.uniswap_pair(token, 0, WETH, 0)
    two = await lab.pair(name, token, X, WETH, W * 103 // 100, fees_bps=(30, 30))
    lab.trap(name, token, one, two)
    lab.plan(name, LAB, swap2(two, WETH, ONE, 30))
    lab.plan(name, LAB, send(token, one.pool, X))
    lab.plan(name, LAB, send(WETH, one.pool, W))
    lab.plan(name, one.pool, encode_call("mint(address)", LAB))
    lab.plan(name, LAB, swap2(one, WETH, ONE, 30))


async def emptied_and_filled(lab: Laboratory, name: str) -> None:
    """A pool with a price and no liquidity at all at the parent."""
    token = await lab.token(name)
    three = await lab.v3_pool(token, WETH, 500)
    around = floor_tick(P, 10)
    await lab.start_v3(three, P, around - 600, around + 600, L)
    await lab._do(LAB, burn(three, around - 600, around + 600, L))
    two = await lab.uniswap_pair(token, X, WETH, W * 110 // 100)
    lab.trap(name, token, three, two)
    lab.plan(name, LAB, mint(three, around - 600, around + 600, L))
    lab.plan(name, LAB, swap2(two, WETH, ONE, 30))


async def lying_fee(lab: Laboratory, name: str) -> None:
    """Uniswap's bytecode at an address of nobody's, whose getter tells a smaller fee than it takes."""
    three, _ = await _v3_against_v2(lab, name, 10_000, 200)
    address = to_data(three.pool)
    code: str = await lab.anvil.call("eth_getCode", address, "latest")
    told, lied = f"{10_000:064x}", f"{500:064x}"
    places = [at for at in range(len(code)) if code.startswith(told, at)]
    for at in places:
        changed = code[:at] + lied + code[at + 64 :]
        await lab.anvil.call("anvil_setCode", address, changed)
        says = await lab.anvil.call("eth_call", {"to": address, "data": "0xddca3f43"}, "latest")
        if int(says, 16) == 500:
            break
    else:
        raise AssertionError("no getter")
    lab.plan(name, LAB, swap3(three, WETH, 5 * ONE))
    lab.plan(name, LAB, swap3(three, WETH, 5 * ONE))


async def odd_pairs(lab: Laboratory, name: str, cheap: tuple[int, int], dear: tuple[int, int]) -> None:
    """Two pairs of nobody's factory with these fees for token0 and token1, and a trade in each."""
    token = await lab.token(name)
    one = await lab.pair(f"{name} cheap", token, X, WETH, W, fees_bps=cheap)
    two = await lab.pair(f"{name} dear", token, X, WETH, W * 103 // 100, fees_bps=dear)
    lab.trap(name, token, one, two)
    lab.plan(name, LAB, swap2(two, WETH, ONE, dear[1]))
    lab.plan(name, LAB, swap2(one, token, 10**4 * ONE, cheap[0]))


async def donated(lab: Laboratory, name: str) -> None:
    """Gifts to a pair: skimmed once, taken into the reserves once, and one that is left lying there."""
    token = await lab.token(name)
    one = await lab.uniswap_pair(token, X, WETH, W)
    two = await lab.pair(name, token, X, WETH, DEAR_W, fees_bps=(30, 30))
    lab.trap(name, token, one, two)
    lab.plan(name, LAB, send(WETH, one.pool, 2 * ONE))
    lab.plan(name, one.pool, encode_call("skim(address)", LAB))
    lab.plan(name, LAB, send(WETH, one.pool, 7 * ONE))
    lab.plan(name, one.pool, encode_call("sync()"))
    lab.plan(name, LAB, swap2(two, WETH, ONE, 30))
    lab.plan(name, LAB, send(WETH, one.pool, ONE))
    lab.plan(name, LAB, swap2(two, token, 10**4 * ONE, 30))


async def odd_token(lab: Laboratory, name: str, *, decimals: int = 18, mode: int = 0, start: Address = WETH) -> None:
    """Two pairs of Uniswap's code and of nobody's with an odd token, and a trade in each direction."""
    token = await lab.token(name, decimals=decimals, mode=mode)
    much = 10 ** (6 + decimals) if decimals < 27 else 10**31
    held = {WETH: W, USDC: 200_000 * 10**6, WBTC: 3 * 10**8}[start]
    one = await lab.uniswap_pair(token, much, start, held)
    two = await lab.pair(name, token, much, start, held * 103 // 100, fees_bps=(30, 30), is_strict=mode == 0)
    lab.trap(name, token, one, two, start=start)
    lab.plan(name, LAB, swap2(two, start, held // 100, 30))
    if mode == TAXES_CONTRACTS:
        lab.plan(name, LAB, swap2(one, start, held // 200, 30))
    else:
        lab.plan(name, LAB, swap2(one, token, much // 50, 30))


async def paused(lab: Laboratory, name: str) -> None:
    """A token that stops in the middle of the block, and goes on."""
    token = await lab.token(name)
    one = await lab.uniswap_pair(token, X, WETH, W)
    two = await lab.pair(name, token, X, WETH, W * 103 // 100, fees_bps=(30, 30))
    lab.trap(name, token, one, two)
    lab.plan(name, LAB, swap2(two, WETH, ONE, 30))
    lab.plan(name, token, encode_call("pause(bool)", True))
    lab.plan(name, LAB, send(WETH, one.pool, ONE))
    lab.plan(name, one.pool, encode_call("sync()"))
    lab.plan(name, token, encode_call("pause(bool)", False))
    lab.plan(name, LAB, swap2(two, WETH, ONE, 30))


async def rebased(lab: Laboratory, name: str) -> None:
    """Balances grow by a hundredth between two transactions; one pair takes it in, the other does not."""
    token = await lab.token(name)
    one = await lab.uniswap_pair(token, X, WETH, W)
    two = await lab.pair(name, token, X, WETH, W * 103 // 100, fees_bps=(30, 30))
    lab.trap(name, token, one, two)
    lab.plan(name, LAB, swap2(two, WETH, ONE, 30))
    lab.plan(name, token, encode_call("rebase(uint256)", ONE * 101 // 100))
    lab.plan(name, one.pool, encode_call("sync()"))
    lab.plan(name, LAB, swap2(one, WETH, ONE, 30))


async def targets_in_a_row(lab: Laboratory, name: str) -> None:
    """Two trades that both open the same gap wider; what stood open before is small."""
    token = await lab.token(name)
    one = await lab.uniswap_pair(token, X, WETH, W)
    two = await lab.pair(name, token, X, WETH, W * 1002 // 1000, fees_bps=(30, 30))
    lab.trap(name, token, one, two)
    lab.plan(name, LAB, swap2(two, WETH, 2 * ONE, 30))
    lab.plan(name, LAB, swap2(two, WETH, 3 * ONE, 30))


async def taken_head(lab: Laboratory, name: str) -> None:
    """What is open at the parent is taken by the block itself."""
    token = await lab.token(name)
    one = await lab.uniswap_pair(token, X, WETH, W)
    two = await lab.pair(name, token, X, WETH, W * 105 // 100, fees_bps=(30, 30))
    lab.trap(name, token, one, two)
    legs = [(one.pool, False, WETH, 30), (two.pool, False, token, 30)]
    lab.plan(name, LAB, encode_call("cycle((address,bool,address,uint256)[],uint256)", legs, ONE))


async def hidden(lab: Laboratory, name: str) -> None:
    """A trade opens a gap and the next closes it; without the first, the second opens one the other way."""
    token = await lab.token(name)
    one = await lab.uniswap_pair(token, X, WETH, W)
    two = await lab.pair(name, token, X, WETH, W, fees_bps=(30, 30))
    lab.trap(name, token, one, two)
    lab.plan(name, LAB, swap2(two, token, 3 * 10**4 * ONE, 30))
    lab.plan(name, LAB, swap2(two, WETH, 3 * ONE, 30))


async def says_no(lab: Laboratory, name: str) -> None:
    """A token that moves and answers false: one pair takes it, Uniswap's does not."""
    token = await lab.token(name, mode=SAYS_FALSE)
    one = await lab.uniswap_pair(token, X, WETH, W)
    two = await lab.pair(name, token, X, WETH, W * 103 // 100, fees_bps=(30, 30), is_strict=False)
    lab.trap(name, token, one, two)
    lab.plan(name, LAB, swap2(two, WETH, ONE, 30))
    lab.plan(name, LAB, swap2(two, WETH, ONE, 30))


async def ether_price(lab: Laboratory, name: str) -> None:
    """A pool of USDC and WETH moves, so that the case knows one."""
    pool = next(p for p in lab.slice.pools if p.protocol == UNISWAP_V2 and {p.token0, p.token1} == {WETH, USDC})
    lab.plan(name, LAB, swap2(Leg(pool.address, False, 30, 30), USDC, 10**6, 30))


async def plant_all(lab: Laboratory) -> None:
    """Every trap, in an order that mixes nothing."""
    await taken_head(lab, "taken head")
    await just_in_time(lab, "jit in range", 3000, 60, -120, 120, 20 * ONE)
    await just_in_time(lab, "jit out of range", 500, 10, 200, 400, 10 * ONE)
    await just_in_time(lab, "jit in an empty word", 100, 1, 600, 640, 20 * ONE)
    await just_in_time(lab, "jit in wide spacing", 10_000, 200, 200, 600, 20 * ONE)
    await beside_a_word(lab, "beside a word")
    await exactly_on_a_tick(lab, "on a tick, up", up=True)
    await exactly_on_a_tick(lab, "on a tick, down", up=False)
    await born_in_the_block(lab, "initialised in the block")
    await pair_born_in_the_block(lab, "pair filled in the block")
    await emptied_and_filled(lab, "filled in the block")
    await lying_fee(lab, "lying fee")
    await odd_pairs(lab, "quarter fee", (25, 25), (25, 25))
    await odd_pairs(lab, "lopsided", (30, 30), (10, 80))
    await odd_pairs(lab, "both lopsided", (60, 5), (5, 60))
    await donated(lab, "donated")
    for decimals in (2, 6, 27):
        await odd_token(lab, f"{decimals} decimals", decimals=decimals)
    await odd_token(lab, "says nothing", mode=SAYS_NOTHING)
    await says_no(lab, "says false")
    await odd_token(lab, "calls back", mode=CALLS_BACK)
    await odd_token(lab, "taxes contracts", mode=TAXES_CONTRACTS)
    await odd_token(lab, "usdc", start=USDC)
    await odd_token(lab, "wbtc", start=WBTC)
    await paused(lab, "paused")
    await rebased(lab, "rebased")
    await targets_in_a_row(lab, "twice")
    await hidden(lab, "hidden")
    await ether_price(lab, "ether price")
