"""Buying on one book what another pays more for: exact size, limits and profit, in integers.

Levels are taken pair by pair from the top while each pair alone still earns `min_edge_ppm` of its cost after both
fees. A fee is rounded up for each pair, a rebate down: a venue may count it so, and never less.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

PPM = 1_000_000

Level = tuple[int, int]
"""Price in ticks, quantity in lots."""


class TwoBookTrade(msgspec.Struct, frozen=True, gc=False):
    """What to trade on both books; limits are None where nothing pays. Money in quote atoms."""

    lots: int
    fills: tuple[tuple[int, int, int], ...]
    """Lots, price paid, price received, pair by pair."""
    buy_limit_ticks: int | None
    sell_limit_ticks: int | None
    cost_atoms: int
    proceeds_atoms: int
    fee_buy_atoms: int
    fee_sell_atoms: int

    @property
    def profit_atoms(self) -> int:
        """After fees."""
        return self.proceeds_atoms - self.cost_atoms - self.fee_buy_atoms - self.fee_sell_atoms


def two_books(
    asks: Sequence[Level],
    bids: Sequence[Level],
    *,
    buy_fee_ppm: int,
    sell_fee_ppm: int,
    min_edge_ppm: int,
    max_lots: int,
    tick_value_atoms: int,
) -> TwoBookTrade:
    """The most that buying from `asks` and selling to `bids` of another book pays; both have their best level first.

    Both books are in the same ticks and lots. A fee is negative where the venue pays a rebate.
    """
    fills: list[tuple[int, int, int]] = []
    cost = proceeds = fee_buy = fee_sell = 0
    i = j = taken_ask = taken_bid = lots = 0
    while i < len(asks) and j < len(bids) and lots < max_lots:
        (ask, ask_lots), (bid, bid_lots) = asks[i], bids[j]
        if bid * (PPM - sell_fee_ppm) - ask * (PPM + buy_fee_ppm) < min_edge_ppm * ask:
            break
        size = min(ask_lots - taken_ask, bid_lots - taken_bid, max_lots - lots)
        if size > 0:
            fills.append((size, ask, bid))
            paid, received = size * ask * tick_value_atoms, size * bid * tick_value_atoms
            cost, proceeds, lots = cost + paid, proceeds + received, lots + size
            fee_buy += -(-paid * buy_fee_ppm // PPM)
            fee_sell += -(-received * sell_fee_ppm // PPM)
        taken_ask, taken_bid = taken_ask + size, taken_bid + size
        if taken_ask >= ask_lots:
            i, taken_ask = i + 1, 0
        if taken_bid >= bid_lots:
            j, taken_bid = j + 1, 0
    buy_limit, sell_limit = (fills[-1][1], fills[-1][2]) if fills else (None, None)
    return TwoBookTrade(lots, tuple(fills), buy_limit, sell_limit, cost, proceeds, fee_buy, fee_sell)
