"""What to offer the builder, and the floor under which our transaction must revert.

The offer is a share of what is left after gas. In a cycle that starts in WETH the executor pays it from the profit it
measured, so a worse state pays less; in any other token the builder is paid by priority fee. Amounts are wei, or units
of the start token where the name says `_amount`; shares are basis points. Every division rounds down, but for gas
costs in a token, which round up: rounding never costs us the floor.
"""

from __future__ import annotations

import msgspec

BPS = 10_000


class Bid(msgspec.Struct, frozen=True, gc=False):
    """An offer. `payment_amount` is what the contract will pay if it measures the predicted gross."""

    payment_bps: int
    """Share of the measured gross that the contract pays to the block's fee recipient, floored."""
    payment_amount: int
    floor_amount: int
    """Least gross minus payment, in units of the start token, gas and the least net included."""
    priority_fee_wei: int
    """Per gas, above the base fee."""


def bid_in_weth(*, gross_wei: int, gas_cost_wei: int, share_bps: int, least_net_wei: int) -> Bid | None:
    """The offer for a cycle in WETH: `share_bps` of gross minus gas; None if less than `least_net_wei` would be left.

    payment_bps = floor(share * (gross - gas) / gross); the payment floors again on chain, both in our favour.
    """
    left = gross_wei - gas_cost_wei
    _check_share(share_bps)
    if left <= 0:
        return None
    payment_bps = share_bps * left // gross_wei
    payment = gross_wei * payment_bps // BPS
    floor = gas_cost_wei + least_net_wei
    if gross_wei - payment < floor:
        return None
    return Bid(payment_bps=payment_bps, payment_amount=payment, floor_amount=floor, priority_fee_wei=0)


def bid_by_priority_fee(
    *, gross_amount: int, value_wei: int, gas_used: int, gas_cost_wei: int, share_bps: int, least_net_wei: int
) -> Bid | None:
    """The offer for a cycle in another token worth `value_wei`; None if less than `least_net_wei` would be left.

    The priority fee is floored; the floor in the token is what gas, fee and least net are worth in it, rounded up.
    """
    left = value_wei - gas_cost_wei
    _check_share(share_bps)
    if left <= 0 or gas_used <= 0:
        return None
    priority_fee_wei = share_bps * left // (BPS * gas_used)
    spent = gas_cost_wei + priority_fee_wei * gas_used
    if value_wei - spent < least_net_wei:
        return None
    floor = -(-gross_amount * (spent + least_net_wei) // value_wei)
    return Bid(payment_bps=0, payment_amount=0, floor_amount=floor, priority_fee_wei=priority_fee_wei)


def _check_share(share_bps: int) -> None:
    if not 0 <= share_bps <= BPS:
        raise ValueError(f"a share is in 0..{BPS} bps, not {share_bps}")
