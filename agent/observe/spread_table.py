"""Spreads between pools for a person and for a program: the same rows, sorted by what is left after both fees.

Prices in the table are text made by integer division, rounded down to six significant digits after the point at most;
the rows for programs carry exact fractions and exact amounts as decimal strings.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from agent.chain.token_names import TokenName, short_address
from agent.dex.spreads import Depth, PoolView, Spread
from agent.eth.hexes import to_data
from agent.eth.units import Address

MAX_PAIRS = 60
_PIPS_PER_BPS = 100


def spread_rows(spreads: Sequence[Spread], names: Mapping[Address, TokenName]) -> list[dict[str, Any]]:
    """Every pair as JSON: `net_spread_pips` is after both fees at size zero; depths are exact quotes."""
    return [
        {
            "pair": _pair(spread, names),
            "token0": to_data(spread.token0),
            "token1": to_data(spread.token1),
            "mid_spread_pips": spread.mid_spread_pips,
            "net_spread_pips": spread.net_spread_pips,
            "buy_pool": to_data(spread.buy_pool),
            "sell_pool": to_data(spread.sell_pool),
            "pools": [
                {
                    "pool": to_data(pool.pool),
                    "kind": pool.kind,
                    "fee_pips": pool.fee_pips,
                    "mid_numerator": str(pool.mid_numerator),
                    "mid_denominator": str(pool.mid_denominator),
                    "mid_price": mid_price(pool, spread, names),
                    "depths": [_depth(depth) for depth in pool.depths],
                }
                for pool in spread.pools
            ],
        }
        for spread in spreads
    ]


def spread_table(spreads: Sequence[Spread], names: Mapping[Address, TokenName], *, title: str) -> str:
    """The pairs with their pools, the widest net spread first."""
    open_now = sum(spread.net_spread_pips > 0 for spread in spreads)
    lines = [f"{title}   {len(spreads)} pairs on two or more pools, {open_now} open after fees", ""]
    for spread in spreads[:MAX_PAIRS]:
        lines.append(
            f"{_pair(spread, names):18}  net {bps(spread.net_spread_pips):>9} bps   mids apart "
            f"{bps(spread.mid_spread_pips):>8} bps   buy {short_address(spread.buy_pool)}  "
            f"sell {short_address(spread.sell_pool)}"
        )
        lines += [_pool_line(pool, spread, names) for pool in spread.pools]
    if len(spreads) > MAX_PAIRS:
        lines.append(f"… and {len(spreads) - MAX_PAIRS} more pairs with --json")
    if not spreads:
        lines.append("no pair trades on two pools here")
    return "\n".join(lines)


def bps(pips: int) -> str:
    """Basis points with two decimals, exact."""
    sign = "-" if pips < 0 else "+"
    whole, part = divmod(abs(pips), _PIPS_PER_BPS)
    return f"{sign}{whole}.{part:02d}"


def mid_price(pool: PoolView, spread: Spread, names: Mapping[Address, TokenName]) -> str:
    """Whole units of token1 for one of token0 without fee, six significant digits or all before the point, rounded down."""
    numerator = pool.mid_numerator * 10 ** names[spread.token0].decimals
    denominator = pool.mid_denominator * 10 ** names[spread.token1].decimals
    places = 6
    while numerator * 10**places // denominator < 10**5 and places < 24:
        places += 1
    scaled = numerator * 10**places // denominator
    while places > 0 and scaled >= 10**7:
        scaled //= 10
        places -= 1
    if not places:
        return str(numerator // denominator)
    whole, part = divmod(scaled, 10**places)
    return f"{whole}.{part:0{places}d}"


def units(amount: int, decimals: int) -> str:
    """Whole tokens, rounded down to a hundredth of a percent at worst."""
    whole, part = divmod(amount, 10**decimals)
    if whole >= 10_000 or not decimals:
        return str(whole)
    digits = f"{part:0{decimals}d}"[:6].rstrip("0")
    return f"{whole}.{digits}" if digits else str(whole)


def _pool_line(pool: PoolView, spread: Spread, names: Mapping[Address, TokenName]) -> str:
    sold = [
        f"{units(depth.amount_in, names[depth.token_in].decimals)} {names[depth.token_in].symbol}→"
        f"{units(depth.amount_out, names[_other(spread, depth.token_in)].decimals)}"
        + ("" if depth.completeness.value == "complete" else f" ({depth.completeness.value})")
        for depth in pool.depths
        if depth.token_in == spread.token0
    ]
    fee = f"{pool.fee_pips / 10_000:g} %"
    price = mid_price(pool, spread, names)
    return f"    {short_address(pool.pool)}  {pool.kind}  {fee:>6}  {price:>16}   {'   '.join(sold)}"


def _other(spread: Spread, token: Address) -> Address:
    return spread.token1 if token == spread.token0 else spread.token0


def _pair(spread: Spread, names: Mapping[Address, TokenName]) -> str:
    return f"{names[spread.token0].symbol}/{names[spread.token1].symbol}"


def _depth(depth: Depth) -> dict[str, str]:
    return {
        "token_in": to_data(depth.token_in),
        "amount_in": str(depth.amount_in),
        "amount_out": str(depth.amount_out),
        "completeness": depth.completeness.value,
    }
