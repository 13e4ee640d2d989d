"""The calldata of a run: every byte is accounted for, and what the contract could not do is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.eth.units import Address, Hash32
from agent.strategies.arb.opportunity import Leg
from agent.strategies.arb.plan import (
    MAINNET_WETH,
    RUN_SELECTOR,
    Plan,
    PlanError,
    decode_result,
    decode_run,
    encode_run,
    pack,
)

TOKEN = Address(b"\x11" * 20)
OTHER = Address(b"\x22" * 20)
V2_POOL = Address(b"\xa2" * 20)
V3_POOL = Address(b"\xa3" * 20)


def _leg(kind: str, token_in: Address, amount_in: int, token_out: Address, amount_out: int) -> Leg:
    pool = V2_POOL if kind == "v2" else V3_POOL
    return Leg(pool=pool, kind=kind, token_in=token_in, amount_in=amount_in, token_out=token_out, amount_out=amount_out)


def _plan(first: str, second: str, **changes: object) -> Plan:
    legs = (_leg(first, MAINNET_WETH, 0x100, TOKEN, 0x200), _leg(second, TOKEN, 0x200, MAINNET_WETH, 0x300))
    fields: dict[str, object] = {
        "start_token": MAINNET_WETH,
        "legs": legs,
        "last_block": 0x1234,
        "parent_hash": None,
        "payment_bps": 9_000,
        "floor_amount": 0x77,
    }
    return Plan(**{**fields, **changes})  # type: ignore[arg-type]


def test_two_v2_legs_are_packed_as_the_contract_documents_it() -> None:
    expected = (
        "00000060"  # selector
        "02 01 00"  # two legs, the second lends, no flags
        "2328 0000001234"  # 9,000 bps, last block
        "00000000000000000000000000000077"  # floor
        f"00 {V2_POOL.hex()} 00000000000000000000000000000200"  # token1 goes in, amount out
        f"01 {V2_POOL.hex()} 00000000000000000000000000000300"
        "00000000000000000000000000000100"  # amount in of leg 0
    )
    assert encode_run(_plan("v2", "v2")).hex() == expected.replace(" ", "")


def test_a_v3_leg_carries_what_goes_in_and_needs_no_amount_behind_the_legs() -> None:
    calldata = encode_run(_plan("v3", "v2"))
    assert calldata[30:67].hex() == f"02{V3_POOL.hex()}{0x100:032x}"
    assert len(calldata) == 4 + 26 + 2 * 37


def test_rarer_fields_follow_in_their_order() -> None:
    parent = Hash32(b"\x99" * 32)
    legs = (_leg("v2", TOKEN, 1, OTHER, 2), _leg("v2", OTHER, 2, TOKEN, 3))
    calldata = encode_run(_plan("v2", "v2", start_token=TOKEN, legs=legs, parent_hash=parent, lender=0, payment_bps=0))
    assert calldata[6] == 7
    assert calldata[4 + 26 + 2 * 37 :] == (1).to_bytes(16, "big") + TOKEN + OTHER + parent


def test_the_selector_is_that_of_the_artifact() -> None:
    assert RUN_SELECTOR.hex() == "00000060"


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"legs": ()}, "needs a leg"),
        ({"start_token": TOKEN}, "begin and end"),
        ({"payment_bps": 10_001}, "share"),
        ({"payment_bps": -1}, "share"),
        ({"floor_amount": 1 << 128}, "floor_amount"),
        ({"floor_amount": -1}, "floor_amount"),
        ({"last_block": 1 << 40}, "last_block"),
        ({"lender": 2}, "cannot lend"),
        ({"parent_hash": Hash32(b"short")}, "parent_hash"),
        ({"legs": (_leg("curve", MAINNET_WETH, 1, TOKEN, 2), _leg("v2", TOKEN, 2, MAINNET_WETH, 3))}, "curve"),
        ({"legs": (_leg("v2", MAINNET_WETH, 1, TOKEN, 2), _leg("v2", OTHER, 2, MAINNET_WETH, 3))}, "follow"),
        ({"legs": (_leg("v2", MAINNET_WETH, 1, TOKEN, 0), _leg("v2", TOKEN, 2, MAINNET_WETH, 3))}, "amount"),
        ({"legs": (_leg("v2", MAINNET_WETH, 1, TOKEN, 1 << 128), _leg("v2", TOKEN, 2, MAINNET_WETH, 3))}, "amount"),
    ],
)
def test_what_the_contract_could_not_do_is_refused(changes: dict[str, object], what: str) -> None:
    with pytest.raises(PlanError, match=what):
        encode_run(_plan("v2", "v2", **changes))


def test_a_v3_leg_behind_the_lender_is_refused() -> None:
    with pytest.raises(PlanError, match="could not be paid"):
        encode_run(_plan("v2", "v3", lender=0))


def test_a_payment_out_of_another_token_than_weth_is_refused() -> None:
    legs = (_leg("v2", TOKEN, 1, OTHER, 2), _leg("v2", OTHER, 2, TOKEN, 3))
    with pytest.raises(PlanError, match="WETH"):
        encode_run(_plan("v2", "v2", start_token=TOKEN, legs=legs, payment_bps=1))


_tokens = st.binary(min_size=20, max_size=20).map(Address)
_amounts = st.integers(1, (1 << 128) - 1)


@st.composite
def _plans(draw: st.DrawFn) -> Plan:
    count = draw(st.integers(1, 5))
    tokens = [draw(st.sampled_from([MAINNET_WETH, TOKEN])), *draw(st.lists(_tokens, min_size=count, max_size=count))]
    tokens[count] = tokens[0]
    lender = draw(st.integers(0, count - 1))
    kinds = [draw(st.sampled_from(["v2", "v3"])) if i <= lender else "v2" for i in range(count)]
    legs = tuple(
        Leg(
            pool=draw(_tokens),
            kind=kinds[i],
            token_in=tokens[i],
            amount_in=draw(_amounts),
            token_out=tokens[i + 1],
            amount_out=draw(_amounts),
        )
        for i in range(count)
    )
    return Plan(
        start_token=tokens[0],
        legs=legs,
        last_block=draw(st.integers(0, (1 << 40) - 1)),
        parent_hash=draw(st.none() | st.binary(min_size=32, max_size=32).map(Hash32)),
        payment_bps=draw(st.integers(0, 10_000)) if tokens[0] == MAINNET_WETH else 0,
        floor_amount=draw(st.integers(0, (1 << 128) - 1)),
        lender=lender,
        factory_pools=frozenset(leg.pool for leg in legs if draw(st.booleans())),
    )


@given(_plans())
def test_decoding_gives_back_all_that_was_packed(plan: Plan) -> None:
    assert decode_run(encode_run(plan)) == pack(plan)


@given(_plans(), st.data())
def test_no_other_bytes_decode_to_the_same_plan(plan: Plan, data: st.DataObject) -> None:
    calldata = bytearray(encode_run(plan))
    at = data.draw(st.integers(0, len(calldata) - 1))
    calldata[at] ^= data.draw(st.integers(1, 255))
    try:
        decoded = decode_run(bytes(calldata))
    except PlanError:
        return
    assert decoded != pack(plan)


@given(_plans())
def test_a_byte_more_or_less_is_not_a_plan(plan: Plan) -> None:
    calldata = encode_run(plan)
    for wrong in (calldata[:-1], calldata + b"\0"):
        with pytest.raises(PlanError):
            decode_run(wrong)


def test_a_result_is_two_words_and_nothing_else() -> None:
    assert decode_result((5).to_bytes(32, "big") + (3).to_bytes(32, "big")) == (5, 3)
    with pytest.raises(PlanError, match="64 bytes"):
        decode_result(b"")
