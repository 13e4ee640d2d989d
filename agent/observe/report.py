"""The run report as JSON: schema mev-agent/report/1.

Wei and token amounts are decimal strings with the unit in the key: JSON numbers lose wei above 2**53.
"""

from __future__ import annotations

from typing import Any

from agent.engine.result import (
    BlockResult,
    Ending,
    OpportunityResult,
    RunResult,
    TransactionResult,
)
from agent.eth.hexes import to_data
from agent.sim.simulator import Slot

SCHEMA = "mev-agent/report/1"


def report(result: RunResult) -> dict[str, Any]:
    """The whole envelope, ready to be encoded."""
    return {
        "schema": SCHEMA,
        "ok": True,
        "mode": result.mode,
        "data": {
            "run": result.run,
            "command": result.command,
            "world": result.world,
            "chain_id": result.chain_id,
            "executor": {
                "address": result.executor_address,
                "build": result.executor_build,
                "code_hash": result.executor_code_hash,
            },
            "blocks": [_block(block) for block in result.blocks],
            "pools": {
                "known": result.pools_known,
                "quotable": result.pools_quotable,
                "left_out": [
                    {"pool": to_data(pool.pool), "reason": pool.reason, "detail": pool.detail}
                    for pool in result.left_out
                ],
            },
            "left_out_transactions": list(result.left_out_transactions),
            "opportunities": [_opportunity(opportunity) for opportunity in result.opportunities],
            "transactions": [_transaction(transaction) for transaction in result.transactions],
            "mismatches": [
                {
                    "opportunity": mismatch.opportunity,
                    "quoted": str(mismatch.quoted),
                    "executed": str(mismatch.executed),
                }
                for mismatch in result.mismatches
            ],
            "funnel": dict(result.funnel),
            "drops": {str(code): count for code, count in sorted(result.drops.items())},
            "totals": totals(result),
            "forecasts": dict(result.forecasts),
            "books": [
                {"account": row.account, "token": row.token, "booked": str(row.booked), "chain": str(row.chain)}
                for row in result.books
            ],
            "survey_net_wei": _text(result.survey_net_wei),
            "latency_ns": {
                stage: {"p50": figures.p50, "p99": figures.p99, "max": figures.max, "n": figures.n}
                for stage, figures in result.latency_ns.items()
            },
        },
        "warnings": list(result.warnings),
        "errors": [],
    }


def totals(result: RunResult) -> dict[str, str]:
    """What landed, summed: value, gas and bids; net is value minus both.

    A survey sums each row that pays, though rows that share a pool exclude each other: `survey_net_wei` does not.
    """
    ended = [
        one for one in result.opportunities if one.outcome in (Ending.LANDED, Ending.PROFIT) and not one.is_rotation
    ]
    return {
        "value_wei": str(sum(one.value_wei or 0 for one in ended)),
        "gas_wei": str(sum(one.gas_cost_wei for one in ended)),
        "bids_wei": str(sum(one.bid_wei for one in ended)),
        "net_wei": str(sum(one.net_wei for one in ended)),
    }


def _text(value: int | None) -> str | None:
    return None if value is None else str(value)


def _block(block: BlockResult) -> dict[str, Any]:
    return {
        "number": block.number,
        "hash": block.hash,
        "base_fee_wei": str(block.base_fee_wei),
        "transactions": block.transactions,
        "pools_touched": block.pools_touched,
        "evicted": list(block.evicted),
        "newly_reverted": list(block.newly_reverted),
    }


def slot_pair(slot: Slot) -> list[str | None]:
    """[address, slot], the form that `--assume` reads; slot null stands for the account itself."""
    return [to_data(slot.address), None if slot.slot is None else hex(slot.slot)]


def _opportunity(one: OpportunityResult) -> dict[str, Any]:
    return {
        "id": one.id,
        "block": one.block,
        "kind": one.kind,
        "after_tx": one.after_transaction,
        "after_index": one.after_index,
        "token": to_data(one.legs[0].token_in),
        "legs": [
            {
                "pool": to_data(leg.pool),
                "kind": leg.kind,
                "token_in": to_data(leg.token_in),
                "amount_in": str(leg.amount_in),
                "token_out": to_data(leg.token_out),
                "amount_out": str(leg.amount_out),
            }
            for leg in one.legs
        ],
        "before_amount": str(one.before_amount),
        "quoted_amount": str(one.quoted_amount),
        "gross_amount": str(one.gross_amount),
        "value_wei": _text(one.value_wei),
        "gas_used": one.gas_used,
        "gas_cost_wei": str(one.gas_cost_wei),
        "bid_wei": str(one.bid_wei),
        "net_wei": str(one.net_wei),
        "upper_bound_amount": _text(one.upper_bound_amount),
        "outcome": one.outcome.value,
        "code": str(one.code),
        "reason": one.reason,
        "missing": [slot_pair(slot) for slot in one.missing],
        "assumed": [slot_pair(slot) for slot in one.assumed],
        "rival": None
        if one.rival is None
        else {"transaction": one.rival.transaction, "index": one.rival.index, "paid_wei": str(one.rival.paid_wei)},
        "bundle_hash": one.bundle_hash,
        "transaction_hash": one.transaction_hash,
        "repeat": one.repeat,
        "calldata": one.calldata,
        "behind": list(one.behind),
        "rotation": one.is_rotation,
    }


def _transaction(mined: TransactionResult) -> dict[str, Any]:
    return {
        "hash": mined.hash,
        "block": mined.block,
        "index": mined.index,
        "status": mined.status,
        "gas_used": mined.gas_used,
        "fee_wei": str(mined.fee_wei),
        "coinbase_payment_wei": str(mined.coinbase_payment_wei),
        "profit_wei": str(mined.profit_wei),
        "opportunity": mined.opportunity,
    }
