"""Which of the pools found may be quoted: fees proved, tokens that deliver what is sent.

A pool from a known factory has a proved fee. Any other V2 pool is probed; any other V3 pool keeps the fee of its getter
and is proved or refused by the first execution through it. A pool with a token that taxes transfers is left out.
"""

from __future__ import annotations

from collections.abc import Set

import msgspec

from agent.chain.discovery import PoolRecord
from agent.dex.pool import LeftOut
from agent.eth.hexes import address_text
from agent.eth.units import Address
from agent.sim.pool_probe import FeeProof, Prober, TokenVerdict


class Proving(msgspec.Struct, frozen=True):
    """What may be quoted, with its fees; what is left out; and which fees rest on state that is not known."""

    records: list[PoolRecord]
    left_out: list[LeftOut]
    warnings: list[str]


async def prove_pools(prober: Prober, records: list[PoolRecord], *, trusted: Set[Address]) -> Proving:
    """Prove each record's fee and tokens by execution. Tokens in `trusted` are not probed."""
    holdings = [
        (token, record.address)
        for record in records
        for token in (record.token0, record.token1)
        if token not in trusted
    ]
    taxed = {verdict.pool: verdict for verdict in await prober.tokens(holdings) if verdict.is_plain is False}
    proved: list[PoolRecord] = []
    left_out: list[LeftOut] = []
    warnings: list[str] = []
    for record in records:
        if (verdict := taxed.get(record.address)) is not None:
            left_out.append(LeftOut(record.address, "taxed_token", _taxed(verdict)))
        elif record.is_proved or record.kind != "v2":
            proved.append(record)
        else:
            proof = await prober.v2_fee(record.address, record.token0, record.token1)
            if proof.fee_pips is None:
                left_out.append(LeftOut(record.address, "unproved_fee", proof.detail))
            else:
                proved.append(msgspec.structs.replace(record, fee_pips=proof.fee_pips, is_proved=True))
                if proof.assumed:
                    warnings.append(_rests_on_zeros(record.address, proof))
    return Proving(proved, left_out, warnings)


def _rests_on_zeros(pool: Address, proof: FeeProof) -> str:
    slots = f"{len(proof.assumed)} unknown slot{'s' * (len(proof.assumed) > 1)} taken as zero"
    return f"pool {address_text(pool)}: the proof of its fee, {proof.fee_pips} pips, rests on {slots}"


def _taxed(verdict: TokenVerdict) -> str:
    """What was seen, and on what it rests: an exemption from the tax may lie in a slot that the state lacks."""
    seen = f"0x{verdict.token.hex()}: {verdict.detail}"
    return seen if not verdict.missing else f"{seen}, {len(verdict.missing)} unknown slots taken as zero"
