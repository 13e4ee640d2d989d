"""Quotes: V3 by prefix table against the exact step loop, over 1, 10 and 100 ticks; V2 for scale.

Run with `python -m benchmarks.quotes`; prints JSON. Gates: 1, 8 and 70 times the loop.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable
from functools import partial

from agent.dex.tick_math import sqrt_ratio_at_tick
from agent.dex.v2 import V2Pool
from agent.dex.v3 import V3Pool
from agent.dex.v3_ticks import Tick, TickMap
from agent.eth.units import Address
from benchmarks.naive.v3_loop import quote_down, quote_up
from benchmarks.rounds import medians_ns, row

GATES = {1: 1.0, 10: 8.0, 100: 70.0}
_SPACING = 10
_TOKEN0, _TOKEN1 = Address(bytes([1]) * 20), Address(bytes([2]) * 20)
_CALLS = {1: 4000, 10: 1000, 100: 150}


def ladder_pool() -> V3Pool:
    """A 0.05 % pool around tick 200,000 whose liquidity changes at every spacing for 130 ticks either way."""
    middle = 200_000
    by_tick: dict[int, Tick] = {}
    liquidity = 0
    for index in range(130):
        amount = 10**17 * (index % 7 + 3) * (131 - index)
        for tick, net in ((middle - _SPACING * (index + 1), amount), (middle + _SPACING * (index + 2), -amount)):
            by_tick[tick] = Tick(net, abs(net))
        liquidity += amount
    price = (sqrt_ratio_at_tick(middle + 5) + sqrt_ratio_at_tick(middle + 6)) // 2
    return V3Pool(
        address=Address(bytes([3]) * 20),
        token0=_TOKEN0,
        token1=_TOKEN1,
        fee_pips=500,
        sqrt_price_x96=price,
        tick=middle + 5,
        liquidity=liquidity,
        ticks=TickMap(by_tick, tick_spacing=_SPACING, known_words=None),
    )


def stops(pool: V3Pool, *, zero_for_one: bool) -> list[tuple[int, int]]:
    """What the loop is given: the end of each step, word boundaries among them, and the liquidity change there."""
    found = []
    tick = pool.tick
    while len(found) < 125:
        stop = pool.ticks.next_stop(tick, zero_for_one=zero_for_one)
        assert stop is not None
        next_tick, is_initialised = stop
        net = pool.ticks.by_tick[next_tick].liquidity_net if is_initialised else 0
        assert net is not None
        found.append((sqrt_ratio_at_tick(next_tick), -net if zero_for_one else net))
        tick = next_tick - 1 if zero_for_one else next_tick
    return found


def run() -> dict[str, object]:
    """Nanoseconds a quote and the ratio to the loop, by ticks crossed and direction."""
    pool = ladder_pool()
    rows: list[dict[str, object]] = []
    for name, zero_for_one, loop in (("down", True, quote_down), ("up", False, quote_up)):
        token_in = _TOKEN0 if zero_for_one else _TOKEN1
        ends = stops(pool, zero_for_one=zero_for_one)
        for ticks, gate in GATES.items():
            amount = _amount_crossing(pool, token_in, ticks)
            table = partial(pool.quote_exact_in, token_in, amount)
            walk: Callable[[], object] = partial(loop, pool.sqrt_price_x96, pool.liquidity, pool.fee_pips, ends, amount)
            assert table().amount_out == walk(), "the table and the loop differ"
            assert table().crossed == ticks
            timed = medians_ns({"loop": walk, "table": table}, calls={"loop": _CALLS[ticks], "table": 4000})
            across = f"{ticks} tick{'s' * (ticks > 1)}"
            rows.append(row("P9", f"V3 quote {name} {across}: step loop / ours", timed, "loop", "table", gate=gate))
    figures: dict[str, object] = {"unit": "ns a quote", "rows": rows}
    pair = V2Pool(
        address=Address(bytes([4]) * 20),
        token0=_TOKEN0,
        token1=_TOKEN1,
        fee_pips=3000,
        reserve0=10**14,
        reserve1=10**22,
    )
    for name, call in (
        ("v2_exact_in", partial(pair.quote_exact_in, _TOKEN1, 10**18)),
        ("v2_exact_out", partial(pair.quote_exact_out, _TOKEN1, 10**9)),
    ):
        figures[f"{name}_ns"] = round(statistics.median(medians_ns({"v2": call}, calls={"v2": 4000})["v2"]))
    return figures


def _amount_crossing(pool: V3Pool, token_in: Address, ticks: int) -> int:
    """An input that crosses so many ticks and ends in the middle of the step behind."""
    table = pool.step_table(zero_for_one=token_in == pool.token0)
    while table.entries[-1].crossed <= ticks:
        table.grow()
    k = max(i for i, entry in enumerate(table.entries) if entry.crossed == ticks)
    return (table.costs[k] + table.costs[k + 1]) // 2


if __name__ == "__main__":
    print(json.dumps(run(), indent=2))
