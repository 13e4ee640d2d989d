"""The caps beside the key of bundles: each at its limit and one beyond, and what is counted for how long."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.venues.onchain.last_guard import DAY_NS, HOUR_NS, Cap, LastCaps, LastCounts, LastGuard, Outgoing, judge

CAPS = LastCaps(
    max_value_wei=0,
    max_gas_price_wei=100,
    max_bid_wei=1_000,
    max_transactions_per_hour=3,
    max_gas_wei_per_day=2_000,
)
PLAIN = Outgoing(id="a", value_wei=0, gas=10, max_fee_wei=50, max_priority_fee_wei=0, payment_wei=0)


def asked(**changes: int) -> Outgoing:
    return msgspec.structs.replace(PLAIN, **changes)


@pytest.mark.parametrize(
    ("least", "most", "cap"),
    [
        ({"value_wei": 0}, {"value_wei": 1}, Cap.VALUE),
        ({"max_fee_wei": 100}, {"max_fee_wei": 101}, Cap.GAS_PRICE),
        ({"payment_wei": 1_000}, {"payment_wei": 1_001}, Cap.BID),
        ({"max_priority_fee_wei": 100}, {"max_priority_fee_wei": 101}, Cap.BID),
        ({"gas": 40}, {"gas": 41}, Cap.GAS),
    ],
)
def test_each_cap_lets_its_limit_through_and_no_more(least: dict[str, int], most: dict[str, int], cap: Cap) -> None:
    assert judge(asked(**least), CAPS, LastCounts()) is None
    refused = judge(asked(**most), CAPS, LastCounts())
    assert refused is not None and refused.cap is cap
    assert refused.asked > refused.allowed


def test_the_defaults_send_no_value_and_let_an_ordinary_bundle_through() -> None:
    ordinary = asked(gas=300_000, max_fee_wei=80 * 10**9, payment_wei=10**16)
    assert LastGuard(LastCaps()).admit(ordinary, 0) is None
    refused = LastGuard(LastCaps()).admit(msgspec.structs.replace(ordinary, value_wei=1), 0)
    assert refused is not None and refused.cap is Cap.VALUE


def test_the_hour_is_the_last_one_at_every_moment() -> None:
    guard = LastGuard(CAPS)
    for now_ns in (0, HOUR_NS - 2, HOUR_NS - 1):
        assert guard.admit(asked(gas=0), now_ns) is None
    refused = guard.admit(asked(gas=0), HOUR_NS - 1)
    assert refused is not None and refused.cap is Cap.TRANSACTIONS
    assert guard.admit(asked(gas=0), HOUR_NS) is None, "the first is an hour behind"
    assert guard.admit(asked(gas=0), HOUR_NS) is not None, "the two before it are not"


def test_gas_is_charged_at_its_worst_until_the_bundle_has_ended_and_then_as_paid() -> None:
    guard = LastGuard(CAPS)
    assert guard.admit(asked(gas=20), 0) is None  # 1 000 at worst
    assert guard.admit(msgspec.structs.replace(PLAIN, id="b", gas=21), 0) is not None
    guard.ended("a", 300, 0)
    assert guard.admit(msgspec.structs.replace(PLAIN, id="b", gas=34), 0) is None
    guard.ended("b", 0, 0)
    assert guard.counts.paid_wei == 300


def test_the_day_is_the_last_one_at_every_moment() -> None:
    guard = LastGuard(CAPS)
    guard.ended("a", 2_000, 5)
    assert guard.admit(asked(), DAY_NS + 4) is not None
    assert guard.admit(asked(), DAY_NS + 5) is None


def test_what_is_refused_is_counted_by_its_cap_and_by_nothing_else() -> None:
    guard = LastGuard(CAPS)
    for _ in range(5):
        guard.admit(asked(value_wei=1), 0)
    guard.admit(asked(max_fee_wei=101), 0)
    assert guard.counts.refused == {Cap.VALUE: 5, Cap.GAS_PRICE: 1}
    assert not guard.counts.signed_ns and not guard.counts.at_stake_wei


STEPS = st.lists(
    st.tuples(st.integers(0, HOUR_NS // 2), st.integers(0, 60), st.one_of(st.none(), st.integers(0, 1_500))),
    max_size=40,
)


@given(STEPS)
def test_no_hour_and_no_day_ever_holds_more_than_its_cap(steps: list[tuple[int, int, int | None]]) -> None:
    """Whatever comes: a transaction that is signed, and perhaps ends at once with what it may have cost at most."""
    guard, now_ns = LastGuard(CAPS), 0
    signed: list[int] = []
    paid: list[tuple[int, int]] = []
    for number, (wait_ns, gas, cost_wei) in enumerate(steps):
        now_ns += wait_ns
        out = msgspec.structs.replace(PLAIN, id=str(number), gas=gas)
        if guard.admit(out, now_ns) is not None:
            continue
        signed.append(now_ns)
        if cost_wei is not None:
            spent_wei = min(cost_wei, out.worst_gas_wei)
            guard.ended(out.id, spent_wei, now_ns)
            paid.append((now_ns, spent_wei))
        assert sum(now_ns - at < HOUR_NS for at in signed) <= CAPS.max_transactions_per_hour
        assert sum(wei for at, wei in paid if now_ns - at < DAY_NS) <= CAPS.max_gas_wei_per_day
