"""Every formula gives what the vectors say: reals to 12 digits, counts and ratios exactly."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise
from typing import Any

import pytest

from agent.core.instruments import Side
from agent.strategies.formulas.avellaneda_stoikov import avellaneda_stoikov
from agent.strategies.formulas.ewma_z import EwmaZ
from agent.strategies.formulas.glft import glft
from agent.strategies.formulas.micro_price import micro_price
from agent.strategies.formulas.order_flow import OrderFlow, flow
from agent.strategies.formulas.ornstein_uhlenbeck import mean_reversion, regress
from agent.strategies.formulas.readiness import Lack, NotReady
from agent.strategies.formulas.two_books import two_books
from agent.strategies.formulas.vpin import BulkVpin, SignedVpin
from agent.strategies.formulas.weighted_mid import weighted_mid
from tests.strategies.formulas.conftest import Rows

Read = Callable[[str], Rows]


def close(expected: str) -> Any:
    return pytest.approx(float(expected), rel=1e-12, abs=1e-15)


def test_avellaneda_stoikov(rows: Read) -> None:
    for inp, out in rows("avellaneda_stoikov"):
        given = {name: float(value) for name, value in inp.items()}
        quotes = avellaneda_stoikov(given.pop("mid"), given.pop("q"), **given)
        for name, expected in out.items():
            assert getattr(quotes, name) == close(expected), name


def test_glft(rows: Read) -> None:
    for inp, out in rows("glft_asymptotic"):
        given = {{"A": "rate", "Delta": "size"}.get(name, name): float(value) for name, value in inp.items()}
        quotes = glft(given.pop("mid"), given.pop("q"), **given)
        for name, expected in out.items():
            assert getattr(quotes, name) == close(expected), name


def test_ornstein_uhlenbeck(rows: Read) -> None:
    for inp, out in rows("ou_ar1_ols"):
        series = [Fraction(sample) for sample in inp["series"]]
        fit = regress(series)
        assert not isinstance(fit, NotReady)
        assert (fit.n, fit.a, fit.b, fit.var_eps) == (
            out["n"],
            *(Fraction(out[name]) for name in ("a", "b", "var_eps")),
        )
        process = mean_reversion(series, float(inp["dt"]))
        if not out["valid"]:
            assert process == NotReady(Lack.REVERSION)
            continue
        for name in ("theta", "kappa", "half_life", "sigma_eq", "sigma", "z_last"):
            assert getattr(process, name) == close(out[name]), name


def test_ewma_z(rows: Read) -> None:
    for inp, out in rows("ewma_z"):
        state = EwmaZ(float(inp["alpha"]), inp["warmup"])
        for sample, expected in zip(inp["series"], out["z"], strict=True):
            score = state.update(Fraction(sample))
            assert isinstance(score, NotReady) if expected is None else score == close(expected)
        assert state.mean == close(out["mean"])
        assert state.variance == close(out["var"])


def test_order_flow(rows: Read) -> None:
    for inp, out in rows("ofi"):
        touches = [tuple(quote) for quote in inp["quotes_bidpx_bidqty_askpx_askqty"]]
        assert [flow(before, now) for before, now in pairwise(touches)] == out["e"]
        state = OrderFlow(window=len(touches) - 1)
        sums = [state.update(touch) for touch in touches]
        assert sums == [NotReady(Lack.SAMPLES)] * (len(touches) - 1) + [out["ofi"]]


def test_vpin_by_the_side_that_took(rows: Read) -> None:
    for inp, out in rows("vpin_signed"):
        state = SignedVpin(inp["bucket_volume"], inp["n"])
        for side, lots in inp["trades_side_qty"]:
            state.add(Side.BUY if side == "B" else Side.SELL, lots)
        assert [list(bucket) for bucket in state.buckets] == out["buckets"]
        assert [state.bought_lots, state.sold_lots] == out["partial"]
        assert state.value() == Fraction(out["vpin"])


def test_vpin_by_the_move_of_the_price(rows: Read) -> None:
    for inp, out in rows("vpin_bvc"):
        state = BulkVpin(float(inp["bucket_volume"]), inp["n"], float(inp["sigma_dp"]))
        for move, volume in inp["bars_dp_vol"]:
            state.add(float(move), float(volume))
        assert len(state.buckets) == len(out["buckets"])
        for bucket, expected in zip(state.buckets, out["buckets"], strict=True):
            assert bucket == (close(expected[0]), close(expected[1]))
        assert state.value() == close(out["vpin"])


def test_weighted_mid(rows: Read) -> None:
    for inp, out in rows("weighted_mid"):
        found = weighted_mid(Fraction(inp["bid"]), inp["bid_qty"], Fraction(inp["ask"]), inp["ask_qty"])
        assert not isinstance(found, NotReady)
        assert (found.imbalance, found.price) == (Fraction(out["imbalance"]), Fraction(out["weighted_mid"]))


def test_micro_price(rows: Read) -> None:
    for inp, out in rows("micro_price_stoikov"):
        q, r, k, t = ([[Fraction(entry) for entry in row] for row in inp[name]] for name in "QRKT")
        found = micro_price(q, r, [row[0] for row in k], t, out["iterations"])
        assert not isinstance(found, NotReady)
        assert list(found.first_move) == [Fraction(entry) for entry in out["G1"]]
        assert [list(row) for row in found.landing] == [[Fraction(entry) for entry in row] for row in out["B"]]
        assert [float(entry) for entry in found.adjustment] == [close(entry) for entry in out["G_after"]]


def test_two_books(rows: Read) -> None:
    for inp, out in rows("arb_two_books"):
        found = two_books(
            [tuple(level) for level in inp["asks_A"]],
            [tuple(level) for level in inp["bids_B"]],
            buy_fee_ppm=inp["fee_A_ppm"],
            sell_fee_ppm=inp["fee_B_ppm"],
            min_edge_ppm=inp["min_edge_ppm"],
            max_lots=inp["max_lots"],
            tick_value_atoms=inp["tick_value"],
        )
        assert {
            "lots": found.lots,
            "fills": [list(fill) for fill in found.fills],
            "buy_limit": found.buy_limit_ticks,
            "sell_limit": found.sell_limit_ticks,
            "cost": found.cost_atoms,
            "proceeds": found.proceeds_atoms,
            "fee_buy": found.fee_buy_atoms,
            "fee_sell": found.fee_sell_atoms,
            "profit": found.profit_atoms,
        } == out
