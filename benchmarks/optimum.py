"""The best size of a two-pool constant-product cycle, and of one over ticks.

`real`: closed form and exact re-quote. `best`: with the integer correction. `finest`: with the last units too.
Limits in microseconds hold on a machine that signs in 27 us, so they are scaled by what this one takes to sign.
Run with `python -m benchmarks.optimum`; prints JSON.
"""

from __future__ import annotations

import json
import statistics
from functools import partial

from coincurve import PrivateKey

from agent.dex.v2 import V2Pool
from agent.eth.units import Address
from agent.strategies.arb.locate import Route
from agent.strategies.arb.sizing import best_size, finest_size, real_size
from benchmarks.quotes import ladder_pool
from benchmarks.rounds import limit, medians_ns

REFERENCE_SIGNATURE_NS = 27_000
LIMITS_US = {"real": 4.0, "best": 15.0}
_WETH, _USDC = Address(bytes([2]) * 20), Address(bytes([1]) * 20)


def two_pairs() -> Route:
    """WETH/USDC on two pairs of unequal depth, 1.5 % apart."""
    deep = V2Pool(
        address=Address(bytes([11]) * 20),
        token0=_USDC,
        token1=_WETH,
        fee_pips=3000,
        reserve0=48_213_557_914_223,
        reserve1=15_102_448_920_117_660_241_337,
    )
    shallow = V2Pool(
        address=Address(bytes([12]) * 20),
        token0=_USDC,
        token1=_WETH,
        fee_pips=3000,
        reserve0=9_871_220_041_776,
        reserve1=3_045_771_938_201_448_119_020,
    )
    return [(shallow, _WETH), (deep, _USDC)]


def over_ticks() -> Route:
    """A concentrated pool with a tick at every spacing against a pair, some fifteen ticks apart."""
    pool = ladder_pool()
    price_x96 = pool.sqrt_price_x96
    usdc = 10**18
    pair = V2Pool(
        address=Address(bytes([13]) * 20),
        token0=_USDC,
        token1=_WETH,
        fee_pips=3000,
        reserve0=usdc,
        reserve1=usdc * price_x96 * price_x96 * 98 // (100 << 192),
    )
    return [(pair, _WETH), (pool, _USDC)]


def run() -> dict[str, object]:
    """Microseconds a size; gates scaled to this machine's signature."""
    key, digest = PrivateKey(bytes([7]) * 32), bytes([9]) * 32
    pairs, ticks = two_pairs(), over_ticks()
    sized = best_size(pairs)
    assert sized is not None and sized.upper_bound is not None and sized.gross <= sized.upper_bound
    over = best_size(ticks)
    assert over is not None and over.upper_bound is not None and over.gross <= over.upper_bound
    timed = medians_ns(
        {
            "signature": partial(key.sign_recoverable, digest, hasher=None),
            "real": partial(real_size, pairs),
            "best": partial(best_size, pairs),
            "finest": partial(finest_size, pairs),
            "over_ticks": partial(best_size, ticks),
        },
        calls={"signature": 300, "real": 2000, "best": 500, "finest": 20, "over_ticks": 30},
    )
    medians = {name: statistics.median(figures) for name, figures in timed.items()}
    scale = medians["signature"] / REFERENCE_SIGNATURE_NS
    figures: dict[str, object] = {f"{name}_us": round(value / 1000, 2) for name, value in medians.items()}
    # As on the machine of the limit: each round by what a signature took here.
    figures["rows"] = [
        limit("optimum", what, [value / 1000 / scale for value in timed[name]], unit="us", gate=LIMITS_US[name])
        for name, what in (
            ("real", "best size of a two-pool cycle: closed form, exact re-quote"),
            ("best", "the same with integer correction"),
        )
    ]
    figures["gap_to_bound_wei"] = sized.upper_bound - sized.gross
    return figures


if __name__ == "__main__":
    print(json.dumps(run(), indent=2))
