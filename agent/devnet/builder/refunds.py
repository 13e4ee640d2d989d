"""What a builder pays back to searchers: arithmetic only, wei throughout.

Sources: flashbots/rbuilder (payout gas taken from the refund), Titan's documentation (taken before the
percentage), flashbots/mev-share-node (several recipients), BuilderNet's refund rule ("flat tax").
Every division floors, in the builder's favour.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

PLAIN_TRANSFER_GAS = 21_000


class Refund(msgspec.Struct, frozen=True, gc=False):
    """What the recipient gets, what the payout's gas costs, and what is left to the builder."""

    refund_wei: int
    payout_cost_wei: int
    builder_keeps_wei: int


def refund_after_percentage(
    *, profit_wei: int, percent: int, base_fee_wei: int, payout_gas: int = PLAIN_TRANSFER_GAS
) -> Refund | None:
    """BuilderNet's order: the share, floored, less the payout's gas. None when the gas costs more than the share."""
    share_wei = profit_wei * percent // 100
    cost_wei = payout_gas * base_fee_wei
    if cost_wei > share_wei:
        return None
    return Refund(share_wei - cost_wei, cost_wei, profit_wei - share_wei)


def refund_before_percentage(
    *, profit_wei: int, percent: int, base_fee_wei: int, payout_gas: int = PLAIN_TRANSFER_GAS
) -> int | None:
    """Titan's order: the payout's gas comes off first, then the share, floored. None when the gas is not covered."""
    rest_wei = profit_wei - payout_gas * base_fee_wei
    return rest_wei * percent // 100 if rest_wei >= 0 else None


class CombinedRefunds:
    """One end-of-block payout per recipient; only the first bundle of a recipient bears its gas."""

    def __init__(self, base_fee_wei: int) -> None:
        self._base_fee_wei = base_fee_wei
        self.payout_wei_by_recipient: dict[bytes, int] = {}

    def add(self, recipient: bytes, *, profit_wei: int, percent: int) -> Refund | None:
        """Take a bundle's refund into the payout; None (and nothing changed) when it cannot bear the gas."""
        gas = 0 if recipient in self.payout_wei_by_recipient else PLAIN_TRANSFER_GAS
        refund = refund_after_percentage(
            profit_wei=profit_wei, percent=percent, base_fee_wei=self._base_fee_wei, payout_gas=gas
        )
        if refund is not None:
            owed_wei = self.payout_wei_by_recipient.get(recipient, 0)
            self.payout_wei_by_recipient[recipient] = owed_wei + refund.refund_wei
        return refund


def mev_share_payments(
    *, backrun_profit_wei: int, refund_percent: int, recipient_percents: Sequence[int], base_fee_wei: int,
    payout_gas: int,
) -> list[tuple[int, int | None]]:  # fmt: skip
    """(value, value after gas) for each recipient; None after gas where the gas is not covered."""
    refundable_wei = backrun_profit_wei * refund_percent // 100
    payments: list[tuple[int, int | None]] = []
    for percent in recipient_percents:
        value_wei = refundable_wei * percent // 100
        after_gas_wei = value_wei - payout_gas * base_fee_wei
        payments.append((value_wei, after_gas_wei if after_gas_wei >= 0 else None))
    return payments


def flat_tax(
    *, value_wei: int, paid_to_proposer_wei: int, contributions: Mapping[str, tuple[int, int]]
) -> dict[str, tuple[int, int]]:
    """(marginal value, refund) of each identity, from its (payment, value of the best block without it).

    The joint constraint over sets of identities is not applied: valid where it does not bind.
    """
    marginals = {
        name: max(0, min(payment_wei, value_wei - without_wei))
        for name, (payment_wei, without_wei) in contributions.items()
    }
    total = sum(marginals.values())
    pot_wei = min(max(0, value_wei - paid_to_proposer_wei), total)
    return {name: (mu, mu * pot_wei // total if total else 0) for name, mu in marginals.items()}
