"""The run report as text that a stranger understands: plain lines, no colour of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from agent.core.codes import EXPLANATIONS, Code
from agent.engine.result import Ending, OpportunityResult, RunResult
from agent.eth.hexes import to_data
from agent.eth.units import Address
from agent.observe.amounts import ether_ceil, ether_floor, grouped, gwei, short
from agent.observe.report import totals

MAX_ROWS = 20
_FIRST = (Ending.LANDED, Ending.REVERTED, "missed", Ending.EXPIRED, Ending.PROFIT)
"""What became of them, in the order of interest; everything else follows."""
_FUNNEL = ("found", "priced", "simulated", "passed_risk", "sent", "landed")


def table(result: RunResult, *, symbols: Mapping[Address, str]) -> str:
    """Everything worth a look after a run: blocks, opportunities, funnel, drops, totals."""
    name = _namer(symbols)
    lines = [_headline(result), ""]
    lines += [
        f"block {grouped(block.number)}  {short(block.hash)}  base fee {gwei(block.base_fee_wei)} gwei  "
        f"{grouped(block.transactions)} txs, {block.pools_touched} pools moved"
        + (f", {len(block.evicted)} evicted" if block.evicted else "")
        + (f", {len(block.newly_reverted)} newly reverting" if block.newly_reverted else "")
        for block in result.blocks[-12:]
    ]
    lines.append(
        f"pools {result.pools_quotable} quotable of {result.pools_known} known, {len(result.left_out)} left out"
    )
    lines += ["", *_opportunities(result, name), ""]
    lines.append("funnel    " + " → ".join(f"{step} {result.funnel.get(step, 0)}" for step in _FUNNEL))
    lines += _drops(result)
    lines += [_mismatches(result), _totals(result)]
    if result.survey_net_wei is not None:
        lines.append(f"survey    the undisturbed block held {ether_floor(result.survey_net_wei)} ETH after gas")
    lines += [f"warning   {warning}" for warning in result.warnings]
    return "\n".join(lines)


def _headline(result: RunResult) -> str:
    executor = f"executor {short(result.executor_address)} ({result.executor_build})"
    return (
        f"{result.command} {result.run}   {result.mode.upper()}   {result.world}, chain {result.chain_id}   {executor}"
    )


def _namer(symbols: Mapping[Address, str]) -> Callable[[Address], str]:
    return lambda token: symbols.get(token) or short(to_data(token))


def _route(one: OpportunityResult, name: Callable[[Address], str]) -> str:
    return "→".join([*(name(leg.token_in) for leg in one.legs), name(one.legs[-1].token_out)])


def _opportunities(result: RunResult, name: Callable[[Address], str]) -> list[str]:
    if not result.opportunities:
        return ["no opportunity was there: a normal end"]
    header = (
        f"{'id':12}  {'moment':17}  {'route':30}  {'gross ETH':>12}  {'gas ETH':>11}  {'bid ETH':>11}  "
        f"{'net ETH':>12}  outcome"
    )
    rank = {outcome: position for position, outcome in enumerate(_FIRST)}
    ordered = sorted(result.opportunities, key=lambda one: (rank.get(one.outcome, len(_FIRST)), -one.net_wei, one.id))
    rows = [header]
    for one in ordered[:MAX_ROWS]:
        moment = "head" if one.after_index is None and one.after_transaction is None else _moment(one)
        value = "—" if one.value_wei is None else ether_floor(one.value_wei)
        ending = one.outcome + (f" {one.code}" if one.code else "")
        rows.append(
            f"{one.id:12}  {moment:17}  {_route(one, name):30.30}  {value:>12}  {ether_ceil(one.gas_cost_wei):>11}  "
            f"{ether_ceil(one.bid_wei):>11}  {ether_floor(one.net_wei):>12}  {ending}"
        )
    if len(ordered) > MAX_ROWS:
        rows.append(f"… and {len(ordered) - MAX_ROWS} more in the report file")
    return rows


def _moment(one: OpportunityResult) -> str:
    return (
        f"after tx {one.after_index}" if one.after_index is not None else f"after {short(one.after_transaction or '')}"
    )


def _drops(result: RunResult) -> list[str]:
    rows = []
    for code, count in sorted(result.drops.items(), key=lambda item: (-item[1], item[0])):
        meaning = EXPLANATIONS[Code(code)] if code in set(Code) else ""
        rows.append(f"drop      {count:>4} {code:18} {meaning}")
    return rows


def _mismatches(result: RunResult) -> str:
    executed = sum(one.outcome not in (Ending.OPEN, Ending.UNKNOWN) for one in result.opportunities)
    if not result.mismatches:
        return f"exactness {executed} executed, every one equal to its quote to the wei or refused with its reason"
    return (
        f"exactness {len(result.mismatches)} of {executed} executed differ from their quote: a defect, see mismatches"
    )


def _totals(result: RunResult) -> str:
    sums = {key: int(value) for key, value in totals(result).items()}
    name = "net" if result.command == "run" else "all rows"  # of a survey, where rows that share a pool exclude others
    return (
        f"{name:8}  {ether_floor(sums['net_wei'])} ETH   value {ether_floor(sums['value_wei'])}   "
        f"gas {ether_ceil(sums['gas_wei'])}   bids {ether_ceil(sums['bids_wei'])}"
    )
