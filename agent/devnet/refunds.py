"""The one known way in which anvil 1.7 miscounts gas on a fork, recognised and set right.

EIP-7702 refunds PER_EMPTY_ACCOUNT_COST − PER_AUTH_BASE_COST = 12,500 gas for an authorization whose authority already
exists. Anvil grants it on forks to authorities that do not exist. Status and logs are right, and adding the gas back
to the right transactions reproduces the header's receipts root, which proves that nothing else differs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product

import msgspec

from agent.devnet.case import Case, CaseTransaction
from agent.eth.receipts import Receipt, receipts_root
from agent.eth.transactions import TransactionError, authorization_signer, decode_transaction

UNDUE_REFUND_GAS = 12_500
_SET_CODE_TYPE = 4
_TRIES_MAX = 256


def add_undue_refunds(case: Case, receipts: tuple[Receipt, ...]) -> tuple[tuple[int, int], ...] | None:
    """(index, gas) to add to transactions so that the receipts root is the header's; None if nothing does.

    Each transaction with n absent authorities gets back 0 to n refunds: the cap of a fifth of its gas may have
    swallowed some. `receipts` are those of the whole block.
    """
    if len(receipts) != len(case.transactions) or not receipts:
        return None
    short_by_gas = case.header.gas_used - receipts[-1].cumulative_gas_used
    if short_by_gas <= 0 or short_by_gas % UNDUE_REFUND_GAS:
        return None
    suspects = [(tx.index, n) for tx in case.transactions if (n := absent_authorities(case, tx))]
    tries = 0
    for counts in _counts([n for _, n in suspects], short_by_gas // UNDUE_REFUND_GAS):
        if (tries := tries + 1) > _TRIES_MAX:
            return None
        added = tuple((index, n * UNDUE_REFUND_GAS) for (index, _), n in zip(suspects, counts, strict=True) if n)
        if receipts_root(_with_gas_added(receipts, dict(added))) == case.header.receipts_root:
            return added
    return None


def absent_authorities(case: Case, transaction: CaseTransaction) -> int:
    """How many of a transaction's authorizations are signed by accounts that do not exist at the parent."""
    if transaction.type != _SET_CODE_TYPE:
        return 0
    count = 0
    for entry in decode_transaction(transaction.raw).authorizations:
        try:
            account = case.accounts.get(authorization_signer(entry))
        except TransactionError:
            continue  # an authorization without a valid signature is skipped, and gets no refund
        count += account is not None and account.is_absent
    return count


def _counts(limits: Sequence[int], total: int) -> Iterator[tuple[int, ...]]:
    """Every way to give `total` refunds to the suspects, no more than its limit to each."""
    if sum(limits) >= total:
        yield from (counts for counts in product(*(range(n + 1) for n in limits)) if sum(counts) == total)


def _with_gas_added(receipts: tuple[Receipt, ...], added: dict[int, int]) -> Iterator[Receipt]:
    sum_gas = 0
    for index, receipt in enumerate(receipts):
        sum_gas += added.get(index, 0)
        yield msgspec.structs.replace(receipt, cumulative_gas_used=receipt.cumulative_gas_used + sum_gas)
