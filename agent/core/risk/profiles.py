"""The three risk profiles, and every other limit that goes with one. Ratios in parts per million of a value."""

from __future__ import annotations

from typing import Literal

import msgspec

PPM = 1_000_000
SECOND_NS = 1_000_000_000


class Profile(msgspec.Struct, frozen=True, kw_only=True):
    """A set of limits. The first six are the breakers'; the rest is derived or the same in every profile.

    Spans are exact parts of a second.
    """

    name: str
    day_loss_ppm: int
    """Of the day's start value; at it, trading halts."""
    position_ppm: int
    """Of the reference NAV, per symbol, worst case."""
    orders_per_s: int
    losses: int
    """Losing episodes in a row that pause trading."""
    slippage_ppm: int
    """Of the arrival mid, as a moving average over taker orders."""
    drawdown_ppm: int
    """Of the highest unit value: at 1x sizes are halved, at 1.5x quartered, at 2x trading halts."""
    gap_ppm: int = 50_000
    """How far a crypto pair may jump before anything can be done: prices the worst case for the day's loss budget."""
    max_gross_ppm: int
    max_net_ppm: int
    order_notional_ppm: int
    day_notional_ppm: int
    day_orders: int = 100_000
    collar_ppm: int = 5_000
    """Distance of an order's price from mid and from the last trade."""
    max_input_age_ns: int = 5 * SECOND_NS
    max_book_age_ns: int = SECOND_NS // 2
    max_decision_age_ns: int = SECOND_NS // 4
    duplicate_window_ns: int = SECOND_NS // 10
    duplicate_max: int = 3
    repeat_max: int = 20
    """Entries of one strategy on one side without a heartbeat of it."""
    queue_ttl_ns: int = SECOND_NS // 4
    requeue_ticks: int = 2

    def __post_init__(self) -> None:
        for field in self.__struct_fields__:
            value = getattr(self, field)
            if isinstance(value, int) and value < 0:
                raise ValueError(f"{field} of profile {self.name} is negative")
        if self.orders_per_s < 1 or self.losses < 1:
            raise ValueError(f"profile {self.name} must allow one order a second and one loss")
        if not 0 < 2 * self.drawdown_ppm < PPM:
            raise ValueError(f"drawdown_ppm of profile {self.name} must be positive, and its double below one")


def _profile(
    name: Literal["conservative", "standard", "aggressive"],
    day_loss_ppm: int,
    position_ppm: int,
    orders_per_s: int,
    losses: int,
    slippage_ppm: int,
    drawdown_ppm: int,
) -> Profile:
    """One of the three; an order may be a fifth of the position limit, rounded down, and a day 20 NAVs."""
    return Profile(
        name=name,
        day_loss_ppm=day_loss_ppm,
        position_ppm=position_ppm,
        orders_per_s=orders_per_s,
        losses=losses,
        slippage_ppm=slippage_ppm,
        drawdown_ppm=drawdown_ppm,
        max_gross_ppm=3 * position_ppm,
        max_net_ppm=position_ppm,
        order_notional_ppm=position_ppm // 5,
        day_notional_ppm=20 * PPM,
    )


CONSERVATIVE = _profile("conservative", 10_000, 50_000, 10, 3, 1_000, 50_000)
STANDARD = _profile("standard", 30_000, 150_000, 50, 7, 3_000, 100_000)
AGGRESSIVE = _profile("aggressive", 50_000, 300_000, 200, 15, 5_000, 200_000)
PROFILES: dict[str, Profile] = {profile.name: profile for profile in (CONSERVATIVE, STANDARD, AGGRESSIVE)}

_TIGHTER_WHEN_GREATER = frozenset({"gap_ppm"})


def tighter(one: Profile, other: Profile) -> Profile:
    """The stricter of two in every limit, under the name of the second: what counts until a loosening may begin."""
    changes: dict[str, int] = {}
    for field in Profile.__struct_fields__:
        if field != "name":
            pair = getattr(one, field), getattr(other, field)
            changes[field] = max(pair) if field in _TIGHTER_WHEN_GREATER else min(pair)
    return msgspec.structs.replace(other, **changes)
