"""Nonce burns that were signed ahead: an empty transaction of each operator to itself, which makes a pending bundle void.

A bundle that waits at a relay carries the operator's next nonce. Once anything else has used that nonce it can never land.
The operator's key signs for many nonces ahead, in tiers of fees of which the dearer replace the cheaper; the guard holds
no key and sends what fits the nonce that a node reads.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

SCHEMA = "mev-agent/burns/1"
FEW = 4
"""So few nonces before the end of what was signed the guard says that they run out."""


class OperatorBurns(NamedTuple):
    """`tiers` from the cheapest to the dearest; in each, one transaction for every nonce from `first_nonce` on."""

    address: str
    first_nonce: int
    tiers: tuple[tuple[str, ...], ...]

    def transaction(self, nonce: int, attempt: int) -> str | None:
        """What burns this nonce, dearer with each attempt; None where none was signed for it."""
        tier = self.tiers[min(attempt, len(self.tiers)) - 1]
        at = nonce - self.first_nonce
        return tier[at] if 0 <= at < len(tier) else None


class Burns(NamedTuple):
    chain_id: int
    max_fee_wei: int
    """Of the cheapest tier."""
    operators: tuple[OperatorBurns, ...]


def load(path: Path) -> Burns:
    """Raises ValueError where the file is none of ours, OSError where it cannot be read."""
    content = json.loads(path.read_bytes())
    try:
        if content["schema"] != SCHEMA:
            raise ValueError("not a file of nonce burns")
        operators = tuple(
            OperatorBurns(
                address=str(row["address"]).lower(),
                first_nonce=int(row["first_nonce"]),
                tiers=tuple(tuple(str(raw) for raw in tier) for tier in row["tiers"]),
            )
            for row in content["operators"]
        )
        for operator in operators:
            if not operator.tiers or len({len(tier) for tier in operator.tiers}) != 1:
                raise ValueError("tiers of nonce burns are not of one length")
            for tier in operator.tiers:
                for raw in tier:
                    bytes.fromhex(raw.removeprefix("0x"))
        return Burns(int(content["chain_id"]), int(content["max_fee_wei"]), operators)
    except (KeyError, TypeError) as error:
        raise ValueError(f"a file of nonce burns lacks {error}") from None


def why_stale(burns: Burns, *, chain_id: int, base_fee_wei: int, nonces: Mapping[str, int]) -> str:
    """Why these would burn nothing now; empty where they would. `nonces` are the chain's next ones."""
    if burns.chain_id != chain_id:
        return f"they are for chain {burns.chain_id}, the node is on {chain_id}"
    if burns.max_fee_wei < 2 * base_fee_wei:
        return "the base fee has come within half of what they pay"
    for operator in burns.operators:
        nonce, end = nonces[operator.address], operator.first_nonce + len(operator.tiers[0])
        if not operator.first_nonce <= nonce <= end - FEW:
            return f"they are for nonces {operator.first_nonce} to {end - 1}, operator {operator.address} is at {nonce}"
    return ""
