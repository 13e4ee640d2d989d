"""Planted mistakes: each wrong rounding or rule must be seen by the executed vectors.

A check of the checks: if one of these survives, the rows that killed it are gone.
"""

# Each mutant quotes a line of the source as it stands.

from __future__ import annotations

import json
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import agent.dex.v2
from tests.dex.test_v3_vectors import TOKEN0, TOKEN1, scenarios

STEP_MUTANTS = [
    # (module, right, wrong)
    ("v3_step", "return (liquidity << 96) * (high - low) // high // low", "return -(-(liquidity << 96) * (high - low) // high // low)"),
    ("v3_step", "return -(-whole // low)", "return whole // low"),
    ("v3_step", "return liquidity * (high - low) >> 96", "return -(-liquidity * (high - low) >> 96)"),
    ("v3_step", "return -(-liquidity * (high - low) >> 96)", "return liquidity * (high - low) >> 96"),
    ("v3_step", "return price + (amount << 96) // liquidity", "return price - (-(amount << 96) // liquidity)"),
    ("v3_step", "return -(-numerator * price // (numerator + product))", "return numerator * price // (numerator + product)"),
    ("v3_step", "quotient = -(-(amount << 96) // liquidity)", "quotient = (amount << 96) // liquidity"),
    ("v3_step", "return -(-numerator * price // (numerator - product))", "return numerator * price // (numerator - product)"),
    ("v3_step", "after_fee = remaining * (PIPS - fee_pips) // PIPS", "after_fee = -(-remaining * (PIPS - fee_pips) // PIPS)"),
    ("v3_step", "if after_fee >= needed:", "if after_fee > needed:"),
    ("v3_step", "if remaining >= available:", "if remaining > available + 1:"),
    ("v3_step", "fee_amount = remaining - amount_in if reached != target else", "fee_amount = 0 if False else"),
    ("v3", "liquidity += -net if zero_for_one else net", "liquidity += net if zero_for_one else -net"),
    ("v3", "elif price != start:", "elif False:"),
    ("v3_ticks", "boundary = ((word << 8) + 255) * spacing", "boundary = ((word << 8) + 256) * spacing"),
    ("v3_ticks", "word = (tick // spacing + 1) >> 8", "word = (tick // spacing) >> 8"),
]  # fmt: skip
TABLE_MUTANTS = [
    ("v3_table", "after_fee = rest * self._factor // PIPS", "after_fee = -(-rest * self._factor // PIPS)"),
    ("v3_table", "fall = product * price // total", "fall = -(-product * price // total)"),
    ("v3_table", "moved = (after_fee << 96) // liquidity\n", "moved = -(-(after_fee << 96) // liquidity)\n"),
    ("v3_table", "cost, output, price, liquidity, liquidity_x96, crossed = self.entries[bisect_right(self.costs, amount_in) - 1]", "cost, output, price, liquidity, liquidity_x96, crossed = self.entries[bisect_right(self.costs, amount_in + 1) - 1]"),
    ("v3_table", "after = liquidity - net if self.zero_for_one else liquidity + net", "after = liquidity + net if self.zero_for_one else liquidity - net"),
    ("v3_table", "self._tick = next_tick - 1 if self.zero_for_one else next_tick", "self._tick = next_tick"),
    ("v3_step", "return amount_in - (-amount_in * fee_pips // (PIPS - fee_pips)), amount_out", "return amount_in + amount_in * fee_pips // (PIPS - fee_pips), amount_out"),
]  # fmt: skip
V2_MUTANTS = [
    ("amount_out = kept * reserve_out // (reserve_in * self.fee_d + kept)", "amount_out = -(-kept * reserve_out // (reserve_in * self.fee_d + kept))"),
    ("amount_out = kept * reserve_out // (reserve_in * self.fee_d + kept)", "amount_out = kept * reserve_out // (reserve_in * self.fee_d)"),
    ("amount_in = -(-reserve_in * amount_out * self.fee_d // ((reserve_out - amount_out) * self.fee_n))", "amount_in = reserve_in * amount_out * self.fee_d // ((reserve_out - amount_out) * self.fee_n)"),
    ("amount_in = -(-reserve_in * amount_out * self.fee_d // ((reserve_out - amount_out) * self.fee_n))", "amount_in = reserve_in * amount_out * self.fee_d // ((reserve_out - amount_out) * self.fee_n) + 1"),
]  # fmt: skip
_FOLDER = Path(str(agent.dex.v2.__file__)).parent
_ORDER = ("v3_step", "v3_ticks", "v3_table", "v3")


def mutated_v3(monkeypatch: pytest.MonkeyPatch, name: str, right: str, wrong: str) -> types.ModuleType:
    """The modules of a V3 pool built anew with one of them changed; the real ones stay as they are."""
    for stem in _ORDER:
        source = (_FOLDER / f"{stem}.py").read_text()
        if stem == name:
            assert right in source, f"the mutant's text is gone from {stem}: {right}"
            source = source.replace(right, wrong)
        module = types.ModuleType(f"agent.dex.{stem}")
        module.__file__ = f"{stem} with {wrong!r}"
        # The new modules import each other, not the real ones.
        monkeypatch.setitem(sys.modules, f"agent.dex.{stem}", module)
        exec(compile(source, module.__file__, "exec"), module.__dict__)
    return sys.modules["agent.dex.v3"]


def rows(vectors: Path, module: types.ModuleType) -> Any:
    ticks = sys.modules["agent.dex.v3_ticks"]
    for scenario in scenarios(vectors):
        pool = module.V3Pool(
            address=b"\x09" * 20,
            token0=TOKEN0,
            token1=TOKEN1,
            fee_pips=scenario["fee"],
            sqrt_price_x96=int(scenario["sqrtPriceX96"]),
            tick=scenario["tick"],
            liquidity=int(scenario["liquidity"]),
            ticks=ticks.TickMap.from_nets(
                [(tick, int(net)) for tick, net in scenario["ticks"]], tick_spacing=scenario["tickSpacing"]
            ),
        )
        for swap in scenario["swaps"]:
            if swap.get("loopSteps", 99) <= 6:
                yield pool, swap


class EndlessError(Exception):
    """A mutant that never ends is seen as well."""


def cap_steps(monkeypatch: pytest.MonkeyPatch, module: types.ModuleType) -> list[int]:
    """Count the steps of each swap; the rows take six at most."""
    count = [0]

    def counted(step: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            count[0] += 1
            if count[0] > 60:
                raise EndlessError
            return step(*arguments)

        return call

    for name in ("exact_in_step", "exact_out_step"):
        monkeypatch.setattr(module, name, counted(getattr(module, name)))
    return count


def loop_is_right(vectors: Path, monkeypatch: pytest.MonkeyPatch, module: types.ModuleType) -> bool:
    count = cap_steps(monkeypatch, module)
    for pool, swap in rows(vectors, module):
        count[0] = 0
        try:
            moved = pool.swap(
                zero_for_one=swap["zeroForOne"],
                amount_specified=int(swap["amountSpecified"]),
                sqrt_price_limit_x96=int(swap["sqrtPriceLimitX96"]),
            )
        except (ValueError, ZeroDivisionError, KeyError, EndlessError):
            return False
        if moved[:5] != (
            int(swap["amount0"]),
            int(swap["amount1"]),
            int(swap["sqrtPriceX96"]),
            int(swap["liquidity"]),
            swap["tick"],
        ):
            return False
    return True


def table_is_right(vectors: Path, monkeypatch: pytest.MonkeyPatch, module: types.ModuleType) -> bool:
    table = sys.modules["agent.dex.v3_table"].StepTable
    grow = table.grow
    count = [0]

    def counted(self: Any) -> None:
        count[0] += 1
        if count[0] > 60:
            raise EndlessError
        grow(self)

    monkeypatch.setattr(table, "grow", counted)
    for pool, swap in rows(vectors, module):
        count[0] = 0
        paid, got = int(swap["amount0"]), -int(swap["amount1"])
        if not swap["zeroForOne"]:
            paid, got = -got, -paid
        amount = int(swap["amountSpecified"])
        token_in = TOKEN0 if swap["zeroForOne"] else TOKEN1
        if (paid if amount > 0 else got) != abs(amount) or swap["sqrtPriceX96"] == swap["sqrtPriceLimitX96"]:
            continue
        try:
            quote = pool.quote_exact_in(token_in, amount) if amount > 0 else pool.quote_exact_out(token_in, -amount)
        except (ValueError, ZeroDivisionError, KeyError, EndlessError):
            return False
        if quote[:2] != (paid, got) or quote.crossed != swap["initializedTicksCrossed"]:
            return False
    return True


def v2_is_right(vectors: Path, module: types.ModuleType) -> bool:
    for row in json.loads((vectors / "dex" / "v2_quotes.json").read_text())["vectors"]:
        if row["pair"] != "ok":
            continue
        pool = module.V2Pool(
            address=b"\x09" * 20,
            token0=TOKEN0,
            token1=TOKEN1,
            fee_pips=1_000_000 - row["feeNum"] * 1_000_000 // row["feeDen"],
            reserve0=int(row["reserve0"]),
            reserve1=int(row["reserve1"]),
        )
        token_in = TOKEN0 if row["zeroForOne"] else TOKEN1
        if row["kind"] == "exactIn":
            is_right = pool.quote_exact_in(token_in, int(row["amountIn"])).amount_out == int(row["amountOut"])
        else:
            is_right = pool.quote_exact_out(token_in, int(row["amountOut"])).amount_in == int(row["amountInMin"])
        if not is_right:
            return False
    return True


def test_without_a_mutant_all_rows_pass(vectors: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = mutated_v3(monkeypatch, "v3", "PIPS", "PIPS")
    assert loop_is_right(vectors, monkeypatch, module)
    module = mutated_v3(monkeypatch, "v3", "PIPS", "PIPS")
    assert table_is_right(vectors, monkeypatch, module)
    assert v2_is_right(vectors, agent.dex.v2)


@pytest.mark.parametrize(("name", "right", "wrong"), STEP_MUTANTS)
def test_a_wrong_loop_is_seen(
    vectors: Path, monkeypatch: pytest.MonkeyPatch, name: str, right: str, wrong: str
) -> None:
    assert not loop_is_right(vectors, monkeypatch, mutated_v3(monkeypatch, name, right, wrong))


@pytest.mark.parametrize(("name", "right", "wrong"), TABLE_MUTANTS)
def test_a_wrong_table_is_seen(
    vectors: Path, monkeypatch: pytest.MonkeyPatch, name: str, right: str, wrong: str
) -> None:
    assert not table_is_right(vectors, monkeypatch, mutated_v3(monkeypatch, name, right, wrong))


@pytest.mark.parametrize(("right", "wrong"), V2_MUTANTS)
def test_a_wrong_pair_is_seen(vectors: Path, right: str, wrong: str) -> None:
    source = (_FOLDER / "v2.py").read_text()
    assert right in source, f"the mutant's text is gone: {right}"
    module = types.ModuleType("mutated_v2")
    exec(compile(source.replace(right, wrong), "mutated_v2", "exec"), module.__dict__)
    assert not v2_is_right(vectors, module)
