"""Calldata of the routers is read as other encoders write it, and no bytes whatever make the reader raise."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.dex.factories import FACTORIES, v2_pool_address, v3_pool_address
from agent.dex.pool import Pool
from agent.dex.pool_set import PoolSet
from agent.dex.routers.book import MAX_STEPS, MAX_SWAPS
from agent.dex.routers.plan import NotUnderstood, Payer, Plan, Pull, Send, SendShare, Unwrap, V2Swap, V3Swap, Why, Wrap
from agent.dex.routers.play import Reverts, play
from agent.dex.routers.read import ROUTERS, read_plan
from agent.dex.routers.v2_router import FUNCTIONS
from agent.dex.v2 import V2Pool
from agent.dex.v3 import V3Pool
from agent.dex.v3_ticks import TickMap
from agent.eth.units import Address
from tests.dex import router_calldata as write

A, B, C = (bytes([i]) * 20 for i in (0xA1, 0xB2, 0xC3))
USER = b"\x55" * 20
uints = st.integers(0, 2**256 - 1)
tokens = st.binary(min_size=20, max_size=20)
fees = st.integers(0, 2**24 - 1)


@st.composite
def paths(draw: st.DrawFn) -> list[bytes]:
    return draw(st.lists(tokens, min_size=2, max_size=5, unique=True))


def read(to: bytes, data: bytes, value_wei: int = 0) -> Plan | NotUnderstood:
    return read_plan(to=Address(to), data=data, value_wei=value_wei)


def understood(to: bytes, data: bytes, value_wei: int = 0) -> Plan:
    plan = read(to, data, value_wei)
    assert isinstance(plan, Plan), plan
    return plan


def why(to: bytes, data: bytes, value_wei: int = 0) -> Why:
    refusal = read(to, data, value_wei)
    assert isinstance(refusal, NotUnderstood), refusal
    return refusal.why


@given(a=uints, b=uints, path=paths(), recipient=tokens, deadline_s=uints)
@pytest.mark.parametrize("suffix", ["", write.V2_SUFFIX])
@pytest.mark.parametrize("is_exact_in", [True, False])
def test_token_swaps_of_the_v2_router(
    suffix: str, is_exact_in: bool, a: int, b: int, path: list[bytes], recipient: bytes, deadline_s: int
) -> None:
    if suffix and not is_exact_in:
        return
    name = "swapExactTokensForTokens" if is_exact_in else "swapTokensForExactTokens"
    plan = understood(write.SUSHI_ROUTER, write.v2(name + suffix, (a, b), path, recipient, deadline_s))
    (swap,) = plan.swaps
    assert isinstance(swap, V2Swap)
    assert (swap.amount, swap.limit_amount, swap.is_exact_in, swap.is_fixed) == (a, b, is_exact_in, not suffix)
    assert (swap.path, swap.recipient, plan.deadline_s) == (tuple(path), recipient, deadline_s)
    assert swap.factory.protocol == "SushiSwap" and swap.payer is Payer.SENDER


@given(amount=uints, value_wei=uints, path=paths(), recipient=tokens)
def test_ether_in_is_the_value_of_the_transaction(
    amount: int, value_wei: int, path: list[bytes], recipient: bytes
) -> None:
    path = [write.WETH, *(token for token in path if token != write.WETH)]
    data = write.v2("swapExactETHForTokens", (amount,), path, recipient, 9)
    (swap,) = understood(write.V2_ROUTER, data, value_wei).swaps
    assert (swap.amount, swap.limit_amount, swap.is_exact_in) == (value_wei, amount, True)
    data = write.v2("swapETHForExactTokens", (amount,), path, recipient, 9)
    (swap,) = understood(write.V2_ROUTER, data, value_wei).swaps
    assert (swap.amount, swap.limit_amount, swap.is_exact_in) == (amount, value_wei, False)


def test_ether_out_goes_through_the_router() -> None:
    for name in ("swapExactTokensForETH", "swapTokensForExactETH", "swapExactTokensForETH" + write.V2_SUFFIX):
        plan = understood(write.V2_ROUTER, write.v2(name, (5, 6), [A, write.WETH], USER, 9))
        assert plan.swaps[0].recipient == write.V2_ROUTER
        assert plan.steps[1] == Unwrap(Address(USER), 0)


def test_ether_functions_need_weth_and_others_take_no_ether() -> None:
    assert why(write.V2_ROUTER, write.v2("swapExactETHForTokens", (5,), [A, B], USER, 9), 7) is Why.MALFORMED
    assert why(write.V2_ROUTER, write.v2("swapExactTokensForETH", (5, 6), [A, B], USER, 9)) is Why.MALFORMED
    assert why(write.V2_ROUTER, write.v2("swapExactTokensForTokens", (5, 6), [A, B], USER, 9), 7) is Why.MALFORMED


def test_a_path_from_a_token_to_itself_is_no_path() -> None:
    for path in ([A], [A, A], [A, B, B]):
        data = write.v2("swapExactTokensForTokens", (5, 6), path, USER, 9)
        assert why(write.V2_ROUTER, data) is Why.MALFORMED


@given(amount=uints, limit=uints, path=paths(), recipient=tokens, deadline_s=uints, data=st.data())
@pytest.mark.parametrize("is_exact_in", [True, False])
def test_packed_paths_in_the_order_of_payment(
    is_exact_in: bool,
    amount: int,
    limit: int,
    path: list[bytes],
    recipient: bytes,
    deadline_s: int,
    data: st.DataObject,
) -> None:
    fees_pips = data.draw(st.lists(fees, min_size=len(path) - 1, max_size=len(path) - 1))
    name, pack = ("exactInput", write.packed) if is_exact_in else ("exactOutput", write.packed_backwards)
    encoded = write.call(name, [write.ALONG], (pack(path, fees_pips), recipient, deadline_s, amount, limit))
    plan = understood(write.SWAP_ROUTER, encoded)
    (swap,) = plan.swaps
    assert isinstance(swap, V3Swap)
    assert (swap.path, swap.fees_pips) == (tuple(path), tuple(fees_pips))
    assert (swap.amount, swap.limit_amount, swap.is_exact_in) == (amount, limit, is_exact_in)
    assert plan.deadline_s == deadline_s
    encoded = write.call(name, [write.ALONG_02], (pack(path, fees_pips), recipient, amount or 1, limit))
    (swap,) = understood(write.SWAP_ROUTER_02, encoded).swaps
    assert isinstance(swap, V3Swap)
    assert (swap.path, swap.fees_pips, swap.amount) == (tuple(path), tuple(fees_pips), amount or 1)


@given(amount=uints, limit=uints, fee_pips=fees, price=st.integers(0, 2**160 - 1), recipient=tokens)
@pytest.mark.parametrize("name", ["exactInputSingle", "exactOutputSingle"])
def test_single_swaps_with_their_price_limit(
    name: str, amount: int, limit: int, fee_pips: int, price: int, recipient: bytes
) -> None:
    one = write.call(name, [write.SINGLE], (A, B, fee_pips, recipient, 77, amount, limit, price))
    two = write.call(name, [write.SINGLE_02], (A, B, fee_pips, recipient, amount or 1, limit, price))
    for to, data, expected in ((write.SWAP_ROUTER, one, amount), (write.SWAP_ROUTER_02, two, amount or 1)):
        (swap,) = understood(to, data).swaps
        assert isinstance(swap, V3Swap)
        assert (swap.path, swap.fees_pips, swap.sqrt_price_limit_x96) == ((A, B), (fee_pips,), price)
        assert (swap.amount, swap.limit_amount) == (expected, limit)
        assert swap.is_exact_in is (name == "exactInputSingle")


def single(name: str = "exactInputSingle", *, deadline_s: int = 50, recipient: bytes = USER) -> bytes:
    return write.call(name, [write.SINGLE], (A, B, 500, recipient, deadline_s, 5, 6, 0))


def test_a_batch_is_all_its_calls_and_the_earliest_deadline() -> None:
    calls = [
        single(deadline_s=60),
        single("exactOutputSingle", deadline_s=40, recipient=bytes(20)),
        write.call("selfPermit", ["address", *["uint256"] * 2, "uint8", *["bytes32"] * 2], A, 1, 2, 27, b"r", b"s"),
        write.call("sweepToken", ["address", "uint256", "address"], B, 3, USER),
        write.call("unwrapWETH9", ["uint256", "address"], 4, USER),
        write.call("refundETH", []),
    ]  # fmt: skip
    plan = understood(write.SWAP_ROUTER, write.call("multicall", ["bytes[]"], calls), 7)
    assert plan.deadline_s == 40 and plan.value_wei == 7
    assert [type(step) for step in plan.steps] == [V3Swap, V3Swap, Send, Unwrap]
    assert plan.swaps[1].recipient == write.SWAP_ROUTER  # the zero address stands for it
    assert plan.steps[2:] == (Send(Address(B), Address(USER), None, 3), Unwrap(Address(USER), 4))


def test_amounts_of_zero_are_what_the_second_router_holds() -> None:
    inner = [
        write.call("wrapETH", ["uint256"], 7),
        write.call("pull", ["address", "uint256"], A, 8),
        write.call("exactInputSingle", [write.SINGLE_02], (A, B, 500, write.ROUTER, 0, 6, 0)),
        write.call(
            "swapExactTokensForTokens", ["uint256", "uint256", "address[]", "address"], 0, 6, [B, C], write.SENDER
        ),
        write.call("unwrapWETH9", ["uint256"], 9),
        write.call("sweepToken", ["address", "uint256"], C, 10),
    ]
    plan = understood(write.SWAP_ROUTER_02, write.call("multicall", ["uint256", "bytes[]"], 99, inner), 7)
    assert plan.deadline_s == 99
    first, second = plan.swaps
    assert (first.amount, first.payer, first.recipient) == (None, Payer.ROUTER, write.SWAP_ROUTER_02)
    assert (second.amount, second.payer, second.recipient) == (None, Payer.ROUTER, write.SENDER)
    assert plan.steps[:2] == (
        Wrap(Address(write.SWAP_ROUTER_02), 7),
        Pull(Address(A), Address(write.SWAP_ROUTER_02), 8),
    )
    assert plan.steps[4:] == (Unwrap(Address(write.SENDER), 9), Send(Address(C), Address(write.SENDER), None, 10))


def test_a_batch_that_names_its_parent_block_is_not_read() -> None:
    data = write.call("multicall", ["bytes32", "bytes[]"], b"\1" * 32, [single()])
    assert why(write.SWAP_ROUTER_02, data) is Why.FUNCTION


@given(amount=st.integers(1, 2**255 - 1), limit=uints, path=paths(), is_user=st.booleans(), deadline_s=uints)
def test_swaps_of_the_universal_router(
    amount: int, limit: int, path: list[bytes], is_user: bool, deadline_s: int
) -> None:
    fees_pips = [500] * (len(path) - 1)
    shared = {"recipient": write.SENDER, "amount": amount, "limit": limit, "is_user": is_user}
    data = write.execute(
        [
            (0x00, write.u_swap_v3(path=write.packed(path, fees_pips), **shared)),
            (0x01, write.u_swap_v3(path=write.packed_backwards(path, fees_pips), **shared)),
            (0x88, write.u_swap_v2(path=path, **shared)),  # with the flag that it may revert
            (0x09, write.u_swap_v2(path=path, **shared)),
        ],
        deadline_s,
    )
    plan = understood(write.UNIVERSAL_ROUTER, data)
    assert plan.deadline_s == deadline_s
    assert [(type(swap), swap.is_exact_in) for swap in plan.swaps] == [
        (V3Swap, True), (V3Swap, False), (V2Swap, True), (V2Swap, False)
    ]  # fmt: skip
    for swap in plan.swaps:
        assert (swap.path, swap.amount, swap.limit_amount) == (tuple(path), amount, limit)
        assert swap.payer is (Payer.SENDER if is_user else Payer.ROUTER)
        assert not isinstance(swap, V2Swap) or not swap.is_fixed


def test_the_commands_around_the_swaps() -> None:
    data = write.execute(
        [
            (0x0A, b"\7" * 100),  # a permit moves nothing
            (0x0B, write.u_ether(write.ROUTER, write.ALL_HELD)),
            (0x02, write.u_token(A, write.ROUTER, 3)),
            (0x04, write.u_token(A, USER, 4)),
            (0x05, write.u_token(bytes(20), USER, 5)),
            (0x06, write.u_token(B, USER, 25)),
            (0x0C, write.u_ether(write.SENDER, 6)),
        ]
    )
    plan = understood(write.UNIVERSAL_ROUTER, data, 8)
    router = Address(write.UNIVERSAL_ROUTER)
    assert plan.deadline_s is None
    assert plan.steps == (
        Wrap(router, None),
        Pull(Address(A), router, 3),
        Send(Address(A), Address(USER), None, 4),
        Send(Address(bytes(20)), Address(USER), 5),
        SendShare(Address(B), Address(USER), 25),
        Unwrap(Address(write.SENDER), 6),
    )


def test_a_v2_input_of_nothing_says_that_the_pair_was_paid() -> None:
    body = write.u_swap_v2(recipient=USER, amount=0, limit=1, path=[A, B], is_user=False)
    (swap,) = understood(write.UNIVERSAL_ROUTER, write.execute([(0x08, body)])).swaps
    assert swap.payer is Payer.NOBODY


@pytest.mark.parametrize("command", [0x07, 0x0D, 0x0E, 0x0F, 0x10, 0x11, 0x21, 0x3F])
def test_one_command_that_is_not_read_and_nothing_is(command: int) -> None:
    body = write.u_swap_v2(recipient=USER, amount=5, limit=1, path=[A, B], is_user=True)
    assert why(write.UNIVERSAL_ROUTER, write.execute([(0x08, body), (command, b"")])) is Why.COMMAND


def test_who_calls_no_router_is_told_so() -> None:
    data = write.v2("swapExactTokensForTokens", (5, 6), [A, B], USER, 9)
    assert why(A, data) is Why.NO_ROUTER
    assert read_plan(to=None, data=data, value_wei=0) == NotUnderstood(Why.NO_ROUTER)


def test_functions_that_are_not_read_are_named() -> None:
    for router in ROUTERS:
        refusal = read(router, bytes.fromhex("deadbeef"))
        assert refusal == NotUnderstood(Why.FUNCTION, "deadbeef")
        assert why(router, b"") is Why.FUNCTION
    assert len(FUNCTIONS) == 9


def batch(call: bytes, count: int) -> bytes:
    return write.call("multicall", ["bytes[]"], [call] * count)


def test_a_stranger_cannot_make_a_plan_without_end() -> None:
    sweep = write.call("sweepToken", ["address", "uint256", "address"], A, 0, USER)
    for call, most in ((sweep, MAX_STEPS), (single(), MAX_SWAPS)):
        assert len(understood(write.SWAP_ROUTER, batch(call, most)).steps) == most
        assert why(write.SWAP_ROUTER, batch(call, most + 1)) is Why.MALFORMED
    long = [bytes([i]) * 20 for i in range(1, 200)]
    assert why(write.V2_ROUTER, write.v2("swapExactTokensForTokens", (5, 6), long, USER, 9)) is Why.MALFORMED


def every_pool() -> PoolSet:
    """A pair and a pool of 0.05 % for each two of the tokens used here."""
    pools: list[Pool] = []
    for a, b in combinations(sorted(map(Address, (A, B, C, write.WETH))), 2):
        for factory in FACTORIES[:2]:
            address = v2_pool_address(factory, a, b)
            pools.append(V2Pool(address=address, token0=a, token1=b, fee_pips=3000, reserve0=10**20, reserve1=10**18))
        pools.append(
            V3Pool(
                address=v3_pool_address(FACTORIES[4], a, b, 500),
                token0=a,
                token1=b,
                fee_pips=500,
                sqrt_price_x96=1 << 96,
                tick=0,
                liquidity=10**18,
                ticks=TickMap.from_nets([(-600, 10**18), (600, -(10**18))], tick_spacing=10),
            )
        )
    return PoolSet(pools)


POOLS = every_pool()
SEEDS: list[tuple[bytes, bytes]] = [
    (write.V2_ROUTER, write.v2("swapExactTokensForTokens", (5, 6), [A, B], USER, 9)),
    (write.V2_ROUTER, write.v2("swapExactETHForTokens", (5,), [write.WETH, B], USER, 9)),
    (write.SWAP_ROUTER, single()),
    (write.SWAP_ROUTER, write.call("multicall", ["bytes[]"], [single(), single()])),
    (write.SWAP_ROUTER, write.call("exactOutput", [write.ALONG], (write.packed([A, B, C], [500, 500]), USER, 9, 5, 6))),
    (write.SWAP_ROUTER_02, write.call("multicall", ["uint256", "bytes[]"], 9, [single()])),
    (
        write.UNIVERSAL_ROUTER,
        write.execute([(0x08, write.u_swap_v2(recipient=USER, amount=5, limit=1, path=[A, B], is_user=True))], 9),
    ),
]


@settings(max_examples=600)
@given(data=st.data())
def test_no_bytes_make_the_reader_raise(data: st.DataObject) -> None:
    to, valid = data.draw(st.sampled_from(SEEDS))
    kind = data.draw(st.sampled_from(["noise", "cut", "words"]))
    mutated: Any = bytearray(valid)
    if kind == "noise":
        mutated = valid[:4] + data.draw(st.binary(max_size=400))
    elif kind == "cut":
        mutated = valid[: data.draw(st.integers(0, len(valid)))]
    else:
        for _ in range(data.draw(st.integers(1, 4))):
            at = 4 + 32 * data.draw(st.integers(0, (len(valid) - 36) // 32))
            number = data.draw(st.sampled_from([0, 1, 31, 32, 64, 2**64, 2**255, 2**256 - 32, 2**256 - 1]))
            mutated[at : at + 32] = number.to_bytes(32, "big")
    result = read(to, bytes(mutated), data.draw(st.sampled_from([0, 1, 2**256 - 1])))
    assert isinstance(result, Plan | NotUnderstood)
    assert isinstance(result, NotUnderstood) or isinstance(play(result, POOLS), dict | Reverts | NotUnderstood)
