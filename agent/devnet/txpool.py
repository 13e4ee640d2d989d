"""geth's `txpool_*` answers about the devnet's mempool.

*pending* are transactions whose nonces follow on the sender's mined ones without a gap, *queued* the others.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from agent.devnet.mempool import Mempool
from agent.devnet.pending import PendingTransaction
from agent.eth.hexes import address_text, from_data, to_quantity
from agent.eth.units import Address

MinedNonces = Callable[[list[Address]], Awaitable[Mapping[Address, int]]]


class Txpool:
    """Answers `txpool_content`, `_contentFrom`, `_status` and `_inspect`."""

    def __init__(self, mempool: Mempool, mined_nonces: MinedNonces) -> None:
        self._mempool = mempool
        self._mined_nonces = mined_nonces

    async def answer(self, method: str, params: list[Any]) -> Any:
        pending, queued = await self._split()
        match method:
            case "txpool_status":
                return {"pending": _count(pending), "queued": _count(queued)}
            case "txpool_content":
                return {"pending": _shown(pending, _whole), "queued": _shown(queued, _whole)}
            case "txpool_inspect":
                return {"pending": _shown(pending, _summary), "queued": _shown(queued, _summary)}
        sender = address_text(Address(from_data(params[0])))
        return {
            "pending": _shown(pending, _whole).get(sender, {}),
            "queued": _shown(queued, _whole).get(sender, {}),
        }

    async def _split(self) -> tuple[list[PendingTransaction], list[PendingTransaction]]:
        held = sorted(self._mempool, key=lambda transaction: (transaction.sender, transaction.nonce))
        nonces = dict(await self._mined_nonces(sorted({transaction.sender for transaction in held})))
        pending, queued = [], []
        for transaction in held:
            if transaction.nonce == nonces[transaction.sender]:
                nonces[transaction.sender] += 1
                pending.append(transaction)
            else:
                queued.append(transaction)
        return pending, queued


def _count(transactions: list[PendingTransaction]) -> str:
    return to_quantity(len(transactions))


def _shown(
    transactions: list[PendingTransaction], form: Callable[[PendingTransaction], Any]
) -> dict[str, dict[str, Any]]:
    by_sender: dict[str, dict[str, Any]] = {}
    for transaction in transactions:
        by_sender.setdefault(address_text(transaction.sender), {})[str(transaction.nonce)] = form(transaction)
    return by_sender


def _whole(transaction: PendingTransaction) -> Any:
    return transaction.rpc


def _summary(transaction: PendingTransaction) -> str:
    to = "contract creation" if transaction.to is None else address_text(transaction.to)
    return f"{to}: {transaction.value_wei} wei + {transaction.gas_limit} gas × {transaction.max_fee_wei} wei"
