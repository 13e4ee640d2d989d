"""The halting transactions that were signed ahead: a file of raw bytes, without any key."""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

from agent.guard.chain_client import ChainHead

SCHEMA = "mev-agent/halts/1"


class Halts(NamedTuple):
    """`tiers` from the cheapest to the dearest; in each, one transaction for every nonce from `first_nonce` on."""

    chain_id: int
    guardian: str
    executor: str
    first_nonce: int
    max_fee_wei: int
    """Of the cheapest tier."""
    tiers: tuple[tuple[str, ...], ...]


def load(path: Path) -> Halts:
    """Raises ValueError where the file is none of ours, OSError where it cannot be read."""
    content = json.loads(path.read_bytes())
    try:
        if content["schema"] != SCHEMA:
            raise ValueError("not a file of halting transactions")
        tiers = tuple(tuple(str(raw) for raw in tier) for tier in content["tiers"])
        for tier in tiers:
            for raw in tier:
                bytes.fromhex(raw.removeprefix("0x"))
        return Halts(
            chain_id=int(content["chain_id"]),
            guardian=str(content["guardian"]).lower(),
            executor=str(content["executor"]).lower(),
            first_nonce=int(content["first_nonce"]),
            max_fee_wei=int(content["max_fee_wei"]),
            tiers=tiers,
        )
    except (KeyError, TypeError) as error:
        raise ValueError(f"a file of halting transactions lacks {error}") from None


def why_stale(halts: Halts, head: ChainHead) -> str:
    """Why these would not stop the executor now; empty where they would."""
    if halts.chain_id != head.chain_id:
        return f"they are for chain {halts.chain_id}, the node is on {head.chain_id}"
    nonces = len(halts.tiers[0]) if halts.tiers else 0
    if not halts.first_nonce <= head.guardian_nonce < halts.first_nonce + nonces:
        return f"they begin at nonce {halts.first_nonce}, the guardian is at {head.guardian_nonce}"
    if halts.max_fee_wei < 2 * head.base_fee_wei:
        return "the base fee has come within half of what they pay"
    return ""
