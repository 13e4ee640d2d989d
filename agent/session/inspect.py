"""`mev-agent inspect`: everything a report knows of one opportunity, transaction, bundle or block.

A run's report is read from its folder. A case without a run is surveyed first: its opportunities are then those of the
undisturbed block, and its transactions the block's own, with what each moved.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from agent.core.codes import EXPLANATIONS, Code
from agent.devnet.case import Case, load_case
from agent.devnet.case_world import CaseWorld
from agent.devnet.survey import survey
from agent.errors import UsageError
from agent.eth.hexes import from_quantity, to_data
from agent.observe.amounts import ether_ceil, ether_floor
from agent.observe.report import report
from agent.ports.clock import SystemClock
from agent.requests import Answer, InspectRequest, Say
from agent.session.files import new_run_id
from agent.session.loop import run_loop
from agent.session.runs import read_report, run_folder

HASH_LETTERS = 66
MIN_ID_LETTERS = 4
Row = dict[str, Any]


def inspect(request: InspectRequest, say: Say) -> Answer:
    """What happened. Exit code 1 where the report says nothing of it."""
    subject = request.subject.strip().lower()
    _check(subject)
    if request.case is not None:
        case = load_case(request.case)
        say(f"block {case.number}: surveying it")
        content, transactions = run_loop(examine(case, request.case))
        place = str(request.case)
    else:
        folder = run_folder(request.run)
        content, transactions = read_report(folder), {}
        place = str(folder)
    found = find(content, transactions, subject)
    if found is None:
        return Answer(data=None, text=f"nothing is known of {subject} in {place}", exit_code=1, mode=_mode(content))
    kind, row = found
    text = "\n".join([f"{kind} in {place}", *_LINES[kind](row)])
    return Answer(data={"kind": kind, "place": place, kind: row}, text=text, mode=_mode(content))


def _mode(content: Row) -> str:
    return "shadow" if content.get("world") == "live" else "devnet"


def _check(subject: str) -> None:
    is_hash = subject.startswith("0x") and len(subject) == HASH_LETTERS
    digits = subject.removeprefix("0x") if is_hash else subject
    if not digits or any(letter not in "0123456789abcdef" for letter in digits):
        raise UsageError(
            f"{subject[:80]!r} is no id, hash or block number",
            hint="give an opportunity's id (12 hex digits), 0x and 64 hex digits, or a block's number",
        )
    if not is_hash and len(subject) < MIN_ID_LETTERS and not subject.isdigit():
        raise UsageError(f"{subject!r} is too short for an id", hint=f"give at least {MIN_ID_LETTERS} of its digits")


async def examine(case: Case, path: Path) -> tuple[Row, dict[str, Row]]:
    """The survey's report, and the block's own transactions by hash with the pools that each moved."""
    clock = SystemClock()
    result = await survey(
        case, run=new_run_id(clock.wall_ns()), repeat=f"mev-agent run --case {path} --only {{id}}", clock=clock
    )
    world = await CaseWorld.open(case)
    try:
        moments = {moment.after_index: moment for moment in world.moments()}
        assert world.replay is not None
        rows = {}
        for transaction, receipt in zip(world.replay.transactions, world.replay.rpc_receipts, strict=True):
            moment = moments.get(transaction.index)
            rows[to_data(transaction.hash)] = {
                "hash": to_data(transaction.hash),
                "block": case.number,
                "index": transaction.index,
                "sender": to_data(transaction.sender),
                "to": None if transaction.to is None else to_data(transaction.to),
                "status": from_quantity(receipt["status"]),
                "gas_used": from_quantity(receipt["gasUsed"]),
                "fee_wei": str(from_quantity(receipt["gasUsed"]) * from_quantity(receipt["effectiveGasPrice"])),
                "pools_moved": [] if moment is None else sorted(to_data(pool) for pool in moment.touched),
            }
    finally:
        await world.close()
    content: Row = report(result)["data"]
    return content, rows


def find(content: Row, transactions: Mapping[str, Row], subject: str) -> tuple[str, Row] | None:
    """(kind, row) of what `subject` names: a block number, a hash, or the beginning of an opportunity's id."""
    opportunities: list[Row] = content["opportunities"]
    if subject.isdigit():
        for block in content["blocks"]:
            if block["number"] == int(subject):
                return "block", _block(block, opportunities, content["transactions"])
    if subject.startswith("0x"):
        return _find_hash(content, transactions, subject)
    named = [one for one in opportunities if one["id"].startswith(subject)]
    if len(named) > 1:
        ids = ", ".join(one["id"] for one in named[:5])
        raise UsageError(f"{len(named)} opportunities begin with {subject}: {ids}…", hint="give more of its digits")
    return ("opportunity", named[0]) if named else None


def _find_hash(content: Row, transactions: Mapping[str, Row], subject: str) -> tuple[str, Row] | None:
    opportunities: list[Row] = content["opportunities"]
    for block in content["blocks"]:
        if block["hash"] == subject:
            return "block", _block(block, opportunities, content["transactions"])
    bundled = [one for one in opportunities if one["bundle_hash"] == subject]
    if bundled:
        return "bundle", {"hash": subject, "opportunities": bundled}
    behind = [one["id"] for one in opportunities if one["after_tx"] == subject]
    for mined in content["transactions"]:
        if mined["hash"] == subject:
            return "transaction", {**mined, "is_ours": True, "opportunities_behind": behind}
    if subject in transactions:
        return "transaction", {**transactions[subject], "is_ours": False, "opportunities_behind": behind}
    ours = [one for one in opportunities if one["transaction_hash"] == subject]
    if ours:
        return "opportunity", ours[0]
    if behind:
        return "transaction", {"hash": subject, "is_ours": False, "opportunities_behind": behind}
    if subject in content["left_out_transactions"]:
        return "transaction", {"hash": subject, "is_ours": False, "is_left_out": True, "opportunities_behind": []}
    return None


def _block(block: Row, opportunities: Sequence[Row], ours: Sequence[Row]) -> Row:
    number = block["number"]
    there = [one for one in opportunities if one["block"] == number]
    outcomes: dict[str, int] = {}
    for one in there:
        outcomes[one["outcome"]] = outcomes.get(one["outcome"], 0) + 1
    return {
        **block,
        "outcomes": outcomes,
        "opportunities": [one["id"] for one in there],
        "our_transactions": [mined for mined in ours if mined["block"] == number],
    }


def _opportunity_lines(one: Row) -> list[str]:
    moment = "at the head" if one["kind"] == "head" else f"right behind {one['after_tx']}"
    index = "" if one["after_index"] is None else f" (index {one['after_index']})"
    code = one["code"]
    meaning = EXPLANATIONS[Code(code)] if code in set(Code) else ""
    lines = [
        f"  {one['id']}   {one['kind']} for block {one['block']}, {moment}{index}",
        *(
            f"    {leg['kind']} {leg['pool']}   {leg['amount_in']} of {leg['token_in']} → {leg['amount_out']} of "
            f"{leg['token_out']}"
            for leg in one["legs"]
        ),
        f"  gross     {one['gross_amount']} of {one['token']}; the same cycle paid {one['before_amount']} just before",
        f"  value     {'unknown' if one['value_wei'] is None else ether_floor(int(one['value_wei'])) + ' ETH'}   "
        f"gas {one['gas_used']} = {ether_ceil(int(one['gas_cost_wei']))} ETH   "
        f"bid {ether_ceil(int(one['bid_wei']))} ETH   net {ether_floor(int(one['net_wei']))} ETH",
        f"  outcome   {one['outcome']}" + (f"   {code}: {meaning}" if code else ""),
    ]
    if one["reason"]:
        lines.append(f"  reason    {one['reason']}")
    lines += [f"  missing   {address} {slot or 'the account'}" for address, slot in one["missing"]]
    lines += [f"  assumed   {address} {slot} as zero" for address, slot in one["assumed"]]
    if one["rival"]:
        rival = one["rival"]
        lines.append(f"  rival     {rival['transaction']} at index {rival['index']} paid {rival['paid_wei']} wei")
    if one["bundle_hash"]:
        lines.append(f"  bundle    {one['bundle_hash']}   transaction {one['transaction_hash']}")
    lines.append(f"  repeat    {one['repeat']}")
    lines.append(f"  calldata  {one['calldata'] or 'none: it was dropped before it was executed'}")
    return lines


def _transaction_lines(row: Row) -> list[str]:
    lines = [f"  {row['hash']}   {'ours' if row['is_ours'] else 'not ours'}"]
    if row.get("is_left_out"):
        lines.append("  left out of the block's traffic, as was asked")
    if "index" in row:
        status = "success" if row["status"] == 1 else "reverted"
        lines.append(
            f"  block {row['block']}, index {row['index']}   {status}, {row['gas_used']} gas, fee {row['fee_wei']} wei"
        )
    if row["is_ours"]:
        lines.append(
            f"  opportunity {row['opportunity']}   paid {row['coinbase_payment_wei']} wei, profit {row['profit_wei']} wei"
        )
    lines += [f"  moved     {pool}" for pool in row.get("pools_moved", ())]
    behind = row["opportunities_behind"]
    lines.append(f"  behind it {', '.join(behind) if behind else 'no opportunity'}")
    return lines


def _bundle_lines(row: Row) -> list[str]:
    return [f"  {row['hash']}", *(line for one in row["opportunities"] for line in _opportunity_lines(one))]


def _block_lines(row: Row) -> list[str]:
    return [
        f"  {row['number']}  {row['hash']}",
        f"  {row['transactions']} transactions, base fee {row['base_fee_wei']} wei, {row['pools_touched']} pools moved",
        f"  evicted {len(row['evicted'])}, newly reverting {len(row['newly_reverted'])}",
        "  opportunities "
        + (", ".join(f"{count} {name}" for name, count in sorted(row["outcomes"].items())) or "none"),
        *(
            f"  ours      {mined['hash']} at index {mined['index']}, profit {mined['profit_wei']} wei"
            for mined in row["our_transactions"]
        ),
    ]


_LINES = {
    "opportunity": _opportunity_lines,
    "transaction": _transaction_lines,
    "bundle": _bundle_lines,
    "block": _block_lines,
}
