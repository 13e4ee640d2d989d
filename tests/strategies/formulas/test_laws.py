"""What the formulas hold for any input, and when they have no answer."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise, product
from math import inf, nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.instruments import Side
from agent.strategies.formulas.avellaneda_stoikov import avellaneda_stoikov
from agent.strategies.formulas.ewma_z import EwmaZ
from agent.strategies.formulas.glft import glft
from agent.strategies.formulas.micro_price import micro_price
from agent.strategies.formulas.order_flow import OrderFlow, Touch, flow
from agent.strategies.formulas.ornstein_uhlenbeck import mean_reversion, regress
from agent.strategies.formulas.readiness import Lack, NotReady
from agent.strategies.formulas.two_books import PPM, two_books
from agent.strategies.formulas.volatility import Volatility
from agent.strategies.formulas.vpin import BulkVpin, SignedVpin
from agent.strategies.formulas.weighted_mid import weighted_mid

S = 1_000_000_000
positive = st.floats(1e-6, 1e3)


class TestQuotes:
    @given(mid=st.floats(1, 1e6), q=st.floats(-50, 50), gamma=positive, sigma=positive, k=positive, tau=positive)
    def test_inventory_mirrors(self, mid: float, q: float, gamma: float, sigma: float, k: float, tau: float) -> None:
        """What is held long shifts the quotes as what is held short does, the other way; the spread stays."""
        held = avellaneda_stoikov(mid, q, gamma=gamma, sigma=sigma, k=k, tau=tau)
        short = avellaneda_stoikov(mid, -q, gamma=gamma, sigma=sigma, k=k, tau=tau)
        assert not isinstance(held, NotReady) and not isinstance(short, NotReady)
        assert (held.delta_bid, held.delta_ask) == (short.delta_ask, short.delta_bid)
        assert held.spread == short.spread > 0
        assert held.delta_bid + held.delta_ask == pytest.approx(held.spread, abs=1e-9 * abs(held.delta_bid))

    @given(q=st.floats(-50, 50), gamma=positive, sigma=positive, rate=positive, k=st.floats(1e-2, 1e2))
    def test_the_limit_of_no_risk_of_fills(self, q: float, gamma: float, sigma: float, rate: float, k: float) -> None:
        """An aversion of nothing and one next to nothing give the same quotes."""
        none = glft(100, q, gamma=gamma, xi=0, sigma=sigma, rate=rate, k=k, size=1)
        little = glft(100, q, gamma=gamma, xi=1e-12, sigma=sigma, rate=rate, k=k, size=1)
        assert not isinstance(none, NotReady) and not isinstance(little, NotReady)
        assert little.half_spread == pytest.approx(none.half_spread, rel=1e-8)
        assert little.skew_per_unit == pytest.approx(none.skew_per_unit, rel=1e-8)

    @pytest.mark.parametrize("name", ["gamma", "k", "sigma", "tau"])
    @pytest.mark.parametrize("value", [-1.0, nan, inf])
    def test_outside_its_domain_a_horizon_has_no_answer(self, name: str, value: float) -> None:
        given = {"gamma": 0.1, "sigma": 2.0, "k": 1.5, "tau": 1.0} | {name: value}
        if (name, value) != ("k", inf):
            assert avellaneda_stoikov(100, 1, **given) == NotReady(Lack.DOMAIN)

    @pytest.mark.parametrize("name", ["gamma", "sigma", "rate", "k", "size"])
    @pytest.mark.parametrize("value", [-1.0, nan])
    def test_outside_its_domain_no_horizon_has_no_answer(self, name: str, value: float) -> None:
        given = {"gamma": 0.1, "xi": 0.1, "sigma": 2.0, "rate": 1.0, "k": 1.5, "size": 1.0} | {name: value}
        assert glft(100, 1, **given) == NotReady(Lack.DOMAIN)
        if name != "sigma":
            assert glft(100, 1, **(given | {name: 0.0})) == NotReady(Lack.DOMAIN)

    def test_nothing_infinite_is_quoted(self) -> None:
        assert avellaneda_stoikov(inf, 0, gamma=1, sigma=1, k=1, tau=1) == NotReady(Lack.DOMAIN)
        assert avellaneda_stoikov(1, 1e300, gamma=1, sigma=1e10, k=1, tau=1) == NotReady(Lack.DOMAIN)
        assert glft(1, 1e300, gamma=1e10, xi=0, sigma=1e10, rate=1, k=1, size=1) == NotReady(Lack.DOMAIN)


class TestReversion:
    @given(
        st.lists(st.integers(-1000, 1000), min_size=4, max_size=30), st.integers(-(10**6), 10**6), st.integers(1, 50)
    )
    def test_the_fit_moves_with_the_samples(self, series: list[int], shift: int, scale: int) -> None:
        """Exactly: another origin or unit of price changes neither the slope nor how unusual the last sample is."""
        fit, moved = regress(series), regress([scale * sample + shift for sample in series])
        if isinstance(fit, NotReady):
            assert moved == fit
            return
        assert not isinstance(moved, NotReady)
        assert (moved.b, moved.var_eps) == (fit.b, fit.var_eps * scale * scale)
        assert moved.a == scale * fit.a + shift * (1 - fit.b)

    @pytest.mark.parametrize(
        ("series", "lack"),
        [
            ([1, 2, 1], Lack.SAMPLES),
            ([5, 5, 5, 5, 5], Lack.VARIATION),
            ([1, 2, 3, 4, 6], Lack.REVERSION),
            ([1, -1, 1, -1, 1], Lack.REVERSION),
            ([16, 8, 4, 2, 1], Lack.VARIATION),
        ],
    )
    def test_when_there_is_no_process(self, series: list[int], lack: Lack) -> None:
        assert mean_reversion(series, 1.0) == NotReady(lack)

    def test_a_step_of_no_time(self) -> None:
        assert mean_reversion([0, 3, 1, 2, 1, 0, 2, 1], 0.0) in (NotReady(Lack.DOMAIN), NotReady(Lack.REVERSION))
        series = [Fraction(x) for x in ("100", "100.5", "100.2", "99.9", "100.1", "100.4", "100.3", "99.8", "99.7")]
        assert mean_reversion(series, 0.0) == NotReady(Lack.DOMAIN)


class TestScore:
    def test_what_does_not_vary_has_no_score(self) -> None:
        score = EwmaZ(0.1, 2)
        assert [score.update(5) for _ in range(4)] == [NotReady(Lack.SAMPLES)] * 2 + [NotReady(Lack.VARIATION)] * 2

    @given(st.lists(st.integers(-(10**6), 10**6), min_size=1, max_size=40), st.integers(-(10**12), 10**12))
    def test_the_origin_does_not_matter(self, series: list[int], shift: int) -> None:
        """To the last bit, however large the prices are."""
        here, there = EwmaZ(0.2, 3), EwmaZ(0.2, 3)
        for sample in series:
            assert here.update(sample) == there.update(sample + shift)


class TestOrderFlow:
    touches = st.tuples(st.integers(1, 9), st.integers(1, 99), st.integers(10, 19), st.integers(1, 99))

    @given(touches, touches)
    def test_bid_and_ask_mirror(self, before: Touch, now: Touch) -> None:
        def mirrored(touch: Touch) -> Touch:
            bid, bid_lots, ask, ask_lots = touch
            return -ask, ask_lots, -bid, bid_lots

        assert flow(mirrored(before), mirrored(now)) == -flow(before, now)

    @given(st.lists(touches, min_size=1, max_size=20), st.integers(1, 6))
    def test_the_window_is_the_sum_of_its_last_changes(self, touches: list[Touch], window: int) -> None:
        state = OrderFlow(window)
        flows = [flow(before, now) for before, now in pairwise(touches)]
        for index, touch in enumerate(touches):
            found = state.update(touch)
            if index < window:
                assert found == NotReady(Lack.SAMPLES)
            else:
                assert found == sum(flows[index - window : index])

    def test_a_side_that_is_empty(self) -> None:
        state = OrderFlow(1)
        assert state.update((9, 0, 10, 5)) == NotReady(Lack.LIQUIDITY)
        assert state.update((9, 5, 10, 0)) == NotReady(Lack.LIQUIDITY)
        assert state.last is None


trades = st.lists(st.tuples(st.sampled_from(Side), st.integers(1, 500)), max_size=15)


class TestVpin:
    @given(trades, st.integers(1, 60), st.integers(1, 5))
    def test_a_trade_is_the_sum_of_its_lots(self, trades: list[tuple[Side, int]], bucket: int, n: int) -> None:
        """One lot at a time ends in the same buckets, however many of them one trade fills."""
        whole, split = SignedVpin(bucket, n), SignedVpin(bucket, n)
        for side, lots in trades:
            whole.add(side, lots)
            for _ in range(lots):
                split.add(side, 1)
        assert whole == split

    @given(trades, st.integers(1, 60), st.integers(1, 5))
    def test_it_lies_within_nothing_and_one(self, trades: list[tuple[Side, int]], bucket: int, n: int) -> None:
        state = SignedVpin(bucket, n)
        for side, lots in trades:
            state.add(side, lots)
        found = state.value()
        if sum(lots for _, lots in trades) < bucket * n:
            assert found == NotReady(Lack.SAMPLES)
        else:
            assert not isinstance(found, NotReady) and 0 <= found <= 1

    def test_a_trade_of_any_size_costs_no_more_than_its_buckets(self) -> None:
        state = SignedVpin(1, 3)
        state.add(Side.SELL, 10**18)
        assert state.buckets == [(0, 1)] * 3
        bulk = BulkVpin(1.0, 3, 1.0)
        bulk.add(100.0, 1e15)
        assert bulk.value() == 1.0

    def test_bars_without_a_scale_or_a_volume_count_nothing(self) -> None:
        assert BulkVpin(10, 1, 0.0).value() == NotReady(Lack.VARIATION)
        state = BulkVpin(10, 1, 1.0)
        state.add(1.0, 0.0)
        assert state.value() == NotReady(Lack.SAMPLES)
        assert (state.bought, state.filled) == (0.0, 0.0)


class TestMiddles:
    @given(st.integers(1, 10**6), st.integers(0, 10**4), st.integers(0, 10**6), st.integers(0, 10**6))
    def test_the_weighted_one_lies_within_the_touch(self, bid: int, spread: int, bids: int, asks: int) -> None:
        found = weighted_mid(bid, bids, bid + spread, asks)
        if bids + asks == 0:
            assert found == NotReady(Lack.LIQUIDITY)
        else:
            assert not isinstance(found, NotReady) and bid <= found.price <= bid + spread

    def test_a_state_that_is_never_left_has_no_micro_price(self) -> None:
        one, nothing = Fraction(1), Fraction(0)
        assert micro_price([[one]], [[nothing]], [one], [[nothing]]) == NotReady(Lack.SINGULAR)


levels = st.lists(st.tuples(st.integers(1, 40), st.integers(1, 4)), max_size=4, unique_by=lambda level: level[0])


class TestTwoBooks:
    @given(levels, levels, st.integers(-100_000, 200_000), st.integers(0, 200_000), st.integers(0, 12))
    def test_pair_by_pair_is_the_most_that_pays(
        self, asks: list[tuple[int, int]], bids: list[tuple[int, int]], fee: int, edge: int, cap: int
    ) -> None:
        """Against every size lot by lot: each lot taken earns its edge, and the next one would not."""
        asks, bids = sorted(asks), sorted(bids, reverse=True)
        found = two_books(
            asks, bids, buy_fee_ppm=fee, sell_fee_ppm=fee, min_edge_ppm=edge, max_lots=cap, tick_value_atoms=1
        )
        paid = [price for price, lots in asks for _ in range(lots)]
        received = [price for price, lots in bids for _ in range(lots)]
        pays = [bid * (PPM - fee) - ask * (PPM + fee) >= edge * ask for ask, bid in zip(paid, received, strict=False)]
        expected = min(cap, pays.index(False) if False in pays else len(pays))
        assert found.lots == expected == sum(lots for lots, _, _ in found.fills)
        assert found.cost_atoms == sum(paid[:expected])
        assert found.proceeds_atoms == sum(received[:expected])
        assert found.buy_limit_ticks == (paid[expected - 1] if expected else None)
        assert found.sell_limit_ticks == (received[expected - 1] if expected else None)

    def test_fees_are_rounded_against_us(self) -> None:
        for fee, sign in product((1, -1), (1, -1)):
            found = two_books(
                [(10, 1)],
                [(20, 1)],
                buy_fee_ppm=fee * 1_000,
                sell_fee_ppm=sign * 1_000,
                min_edge_ppm=0,
                max_lots=1,
                tick_value_atoms=1,
            )
            assert found.fee_buy_atoms == (1 if fee > 0 else 0)
            assert found.fee_sell_atoms == (1 if sign > 0 else 0)


class TestVolatility:
    def test_a_tick_a_second_is_one(self) -> None:
        state = Volatility(0.1, 3, S)
        found = [state.update(price, second * S) for second, price in enumerate((5, 6, 5, 6, 5))]
        assert found == [NotReady(Lack.SAMPLES)] * 3 + [1.0, 1.0]

    def test_time_between_counts(self) -> None:
        """Four ticks in four seconds are two per √s."""
        state = Volatility(0.1, 1, S)
        state.update(10, 0)
        assert state.update(14, 4 * S) == 2.0

    def test_moves_that_are_too_close_count_as_one(self) -> None:
        state = Volatility(0.1, 1, S)
        state.update(10, 0)
        assert state.update(50, S - 1) == NotReady(Lack.SAMPLES)
        assert state.update(12, S) == 2.0

    def test_what_was_not_seen_is_no_move(self) -> None:
        state = Volatility(0.1, 1, S)
        state.update(10, 0)
        state.update(11, S)
        state.restart()
        assert state.update(1_000, 2 * S) == 1.0
        assert state.update(1_001, 3 * S) == 1.0
