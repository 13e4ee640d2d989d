"""The run report as one HTML page that opens from disk: no script, no foreign file, pictures inline."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

from agent.core.codes import EXPLANATIONS, Code
from agent.engine.result import Ending, OpportunityResult, RunResult
from agent.eth.hexes import to_data
from agent.eth.units import Address
from agent.observe.amounts import ether_ceil, ether_floor, grouped, gwei, short
from agent.observe.charts import Bar, bars, line
from agent.observe.report import totals

_MAX_BARS = 14
_FUNNEL = ("found", "priced", "simulated", "passed_risk", "sent", "landed")
_STYLE = """
:root{--ink:#1d2330;--soft:#667085;--line:#d9dee8;--good:#1c7c54;--bad:#b3372f;--plain:#3b6fb6;--paper:#fff;
--tint:#f5f7fa}
@media(prefers-color-scheme:dark){:root{--ink:#e6e9ef;--soft:#98a2b3;--line:#323a48;--paper:#14181f;
--tint:#1b212b}
}
body{font:15px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--paper);margin:2rem auto;
max-width:1080px;padding:0 1rem}
h1{font-size:1.4rem;margin:0}
h2{font-size:1.05rem;margin:2rem 0 .5rem}
.mode{background:var(--tint);padding:.1rem .5rem;border-radius:4px}
.cards{display:flex;gap:1rem;flex-wrap:wrap;margin:1rem 0}
.card{background:var(--tint);border-radius:8px;padding:.7rem 1rem;min-width:9rem}
.card b{display:block;font-size:1.25rem}
.card span,.empty,figcaption{color:var(--soft)}
.pictures{display:grid;grid-template-columns:repeat(auto-fit,minmax(440px,1fr));gap:1rem}
figure{margin:0;background:var(--tint);border-radius:8px;padding:.7rem}
svg{width:100%;height:auto;font-size:12px}
svg text{fill:var(--ink)}
svg .value{fill:var(--soft)}
rect.good{fill:var(--good)}
rect.bad{fill:var(--bad)}
rect.plain{fill:var(--plain)}
polyline{fill:none;stroke:var(--plain);stroke-width:2}
circle{fill:var(--plain)}
.axis{stroke:var(--line)}
table{border-collapse:collapse;width:100%;font-size:13px}
th,td{border-bottom:1px solid var(--line);padding:.3rem .5rem;text-align:left}
td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}
code{font-size:12px}
.scroll{overflow-x:auto}
"""


def page(result: RunResult, *, symbols: Mapping[Address, str]) -> str:
    """The whole document. Every text from outside is escaped."""
    sums = {key: int(value) for key, value in totals(result).items()}
    cards = (
        _headline(result, sums["net_wei"]),
        ("value", f"{ether_floor(sums['value_wei'])} ETH"),
        ("gas", f"{ether_ceil(sums['gas_wei'])} ETH"),
        ("bids", f"{ether_ceil(sums['bids_wei'])} ETH"),
        ("blocks", grouped(len(result.blocks))),
        ("pools", f"{result.pools_quotable} of {result.pools_known}"),
        ("mismatches", str(len(result.mismatches))),
    )
    return "".join(
        (
            "<!doctype html><html lang=en><meta charset=utf-8>",
            "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">",
            f"<title>mev-agent {escape(result.command)} {escape(result.run)}</title><style>{_STYLE}</style>",
            f"<h1>{escape(result.command)} {escape(result.run)} "
            f"<span class=mode>{escape(result.mode.upper())}</span></h1>",
            f"<p>{escape(result.world)}, chain {result.chain_id}; executor "
            f"<code>{escape(result.executor_address)}</code> ({escape(result.executor_build)})</p>",
            "<div class=cards>"
            + "".join(
                f"<div class=card><b>{escape(value)}</b><span>{escape(name)}</span></div>" for name, value in cards
            )
            + "</div>",
            "<div class=pictures>",
            _funnel(result),
            _profits(result, symbols),
            _spreads(result, symbols),
            _base_fee(result),
            "</div>",
            _opportunity_table(result, symbols),
            _drop_table(result),
            _left_out_table(result),
            "</html>",
        )
    )


def _headline(result: RunResult, net_wei: int) -> tuple[str, str]:
    """What a run earned; of a survey what can be had together, for its rows exclude each other."""
    if result.command == "run" or result.survey_net_wei is None:
        return "net after gas and bid", f"{ether_floor(net_wei)} ETH"
    return "net after gas of the best set", f"{ether_floor(result.survey_net_wei)} ETH"


def _route(one: OpportunityResult, symbols: Mapping[Address, str]) -> str:
    tokens = [*(leg.token_in for leg in one.legs), one.legs[-1].token_out]
    return " → ".join(symbols.get(token) or short(to_data(token)) for token in tokens)


def _funnel(result: RunResult) -> str:
    counts = [(step, result.funnel.get(step, 0)) for step in _FUNNEL]
    return bars([Bar(step.replace("_", " "), count, str(count)) for step, count in counts], title="Funnel")


def _profits(result: RunResult, symbols: Mapping[Address, str]) -> str:
    priced = [one for one in result.opportunities if one.value_wei is not None and one.outcome != Ending.UNKNOWN]
    best = sorted(priced, key=lambda one: (-one.net_wei, one.id))[:_MAX_BARS]
    rows = [
        Bar(f"{_route(one, symbols):.32}", one.net_wei, f"{ether_floor(one.net_wei)} {one.outcome}", _tone(one))
        for one in best
    ]
    return bars(rows, title="Net of each opportunity, ETH after gas and bid")


def _tone(one: OpportunityResult) -> str:
    if one.net_wei <= 0:
        return "bad"
    return "good" if one.outcome in (Ending.LANDED, Ending.PROFIT) else "plain"


def _spreads(result: RunResult, symbols: Mapping[Address, str]) -> str:
    rows = []
    for one in result.opportunities:
        amount_in = one.legs[0].amount_in
        if one.gross_amount > 0 and amount_in:
            spread = one.gross_amount * 1_000_000 // amount_in  # floor: ppm of the input
            rows.append(Bar(f"{_route(one, symbols):.32}", spread, f"{spread // 100}.{spread % 100:02d} bps"))
    return bars(
        sorted(rows, key=lambda bar: -bar.size)[:_MAX_BARS], title="Spread captured at the best size, bps of the input"
    )


def _base_fee(result: RunResult) -> str:
    points = [(str(block.number), block.base_fee_wei, f"{gwei(block.base_fee_wei)} gwei") for block in result.blocks]
    return line(points, title="Base fee")


def _opportunity_table(result: RunResult, symbols: Mapping[Address, str]) -> str:
    rows = []
    for one in sorted(result.opportunities, key=lambda one: (-one.net_wei, one.id)):
        moment = one.kind if one.after_index is None else f"after tx {one.after_index}"
        value = "—" if one.value_wei is None else ether_floor(one.value_wei)
        rows.append(
            f"<tr><td><code>{escape(one.id)}</code><td class=n>{one.block}<td>{escape(moment)}"
            f"<td>{escape(_route(one, symbols))}<td class=n>{value}<td class=n>{ether_ceil(one.gas_cost_wei)}"
            f"<td class=n>{ether_ceil(one.bid_wei)}<td class=n>{ether_floor(one.net_wei)}"
            f"<td>{escape(one.outcome)}<td>{escape(one.code)} {escape(one.reason)}"
        )
    head = (
        "<tr><th>id<th class=n>block<th>moment<th>route<th class=n>gross ETH<th class=n>gas"
        "<th class=n>bid<th class=n>net<th>outcome<th>why"
    )
    return f"<h2>Opportunities</h2><div class=scroll><table>{head}{''.join(rows)}</table></div>"


def _drop_table(result: RunResult) -> str:
    rows = "".join(
        f"<tr><td><code>{escape(code)}</code><td class=n>{count}<td>{escape(_meaning(code))}"
        for code, count in sorted(result.drops.items(), key=lambda item: (-item[1], item[0]))
    )
    return f"<h2>Decisions not to act</h2><table><tr><th>code<th class=n>count<th>meaning{rows}</table>"


def _meaning(code: str) -> str:
    return EXPLANATIONS[Code(code)] if code in set(Code) else ""


def _left_out_table(result: RunResult) -> str:
    rows = "".join(
        f"<tr><td><code>{to_data(pool.pool)}</code><td>{escape(pool.reason)}<td>{escape(pool.detail)}"
        for pool in result.left_out
    )
    return f"<h2>Pools left out</h2><table><tr><th>pool<th>reason<th>detail{rows}</table>"
