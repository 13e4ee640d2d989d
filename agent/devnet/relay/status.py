"""What became of each bundle, as JSON and as a page."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

from agent.devnet.builder.bundles import BundleStatus
from agent.eth.hexes import to_data

_COLUMNS = ("bundleHash", "replacementUuid", "targetBlock", "state", "reason", "detail", "blockNumber", "paymentWei")


def status_object(status: BundleStatus) -> dict[str, Any]:
    """One bundle as `devnet_bundleStatus` shows it; wei as decimal text."""
    bundle = status.bundle
    return {
        "bundleHash": to_data(bundle.hash),
        "uniqueId": str(bundle.uuid),
        "replacementUuid": bundle.replacement_id,
        "isPrivateTransaction": bundle.is_private_transaction,
        "targetBlock": bundle.last_block if bundle.is_private_transaction else bundle.block_number,
        "state": status.state,
        "reason": status.reason,
        "detail": status.detail,
        "blockNumber": status.block_number,
        "indices": list(status.indices),
        "transactions": [to_data(transaction.hash) for transaction in bundle.transactions],
        "droppedTransactions": [to_data(transaction_hash) for transaction_hash in status.dropped],
        "paymentWei": None if status.payment_wei is None else str(status.payment_wei),
    }


def status_page(statuses: Sequence[BundleStatus]) -> str:
    """Newest first, as a table that needs nothing else."""
    rows = []
    for status in reversed(statuses):
        shown = status_object(status)
        cells = "".join(f"<td>{'' if shown[name] is None else escape(str(shown[name]))}</td>" for name in _COLUMNS)
        rows.append(f"<tr>{cells}</tr>")
    head = "".join(f"<th>{name}</th>" for name in _COLUMNS)
    return (
        "<!doctype html><meta charset=utf-8><title>Bundles</title>"
        "<style>body{font:14px monospace}td,th{padding:2px 8px;text-align:left;border-bottom:1px solid #ccc}</style>"
        f"<h1>Bundles</h1><table><tr>{head}</tr>{''.join(rows)}</table>"
    )
