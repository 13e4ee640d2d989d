"""What a run on an order-book venue came to: JSON for programs, a table for a person.

Amounts of money are decimal texts in the account's currency, with the unit in the key; atoms stand beside them where a
program computes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from agent.core.accounts.accounts import Adopted
from agent.core.instruments import FOREIGN_DIGITS, Instrument, Step
from agent.engine.venue_result import VenueResult

SCHEMA = "mev-agent/venue-report/1"
_LISTED_FILLS = 10_000
_SHOWN_FILLS = 8


def venue_report(
    result: VenueResult,
    *,
    world: str,
    mode: str,
    currency: str,
    digits: int,
    stages: Mapping[str, Any],
    differences: Sequence[str] | None,
) -> dict[str, Any]:
    """The whole document. `differences` are those between our books and the venue's; None where they were not compared."""

    def money(atoms: int | None) -> str | None:
        return None if atoms is None else decimal_text(atoms, digits)

    start, end = result.nav_start_atoms, result.nav_atoms
    return {
        "schema": SCHEMA,
        "ok": True,
        "mode": mode,
        "data": {
            "run": result.run,
            "world": world,
            "venue": "purpleflea",
            "currency": currency,
            "seconds": round(result.seconds, 3),
            "sessions": result.connections,
            "session": result.session,
            "run_epoch": result.run_epoch,
            "records": result.records,
            "halted": {"is_halted": result.is_halted, "reason": result.halt_reason},
            "breakers": result.breakers,
            "mode_changes": [msgspec.to_builtins(change) for change in result.modes],
            "fills": [_fill(fill, result.instruments) for fill in result.fills[-_LISTED_FILLS:]],
            "fills_total": result.fills_total,
            "orders": {name: count for name, count in sorted(result.counts.items()) if name in _REQUESTS},
            "refusals": {name: count for name, count in sorted(result.counts.items()) if name.startswith("R_")},
            "alarms": {
                name.removeprefix(_ALARM): count
                for name, count in sorted(result.counts.items())
                if name.startswith(_ALARM)
            },
            "open_orders": result.open_orders,
            "positions_lots": result.positions,
            "adopted": [_adopted(one, result.instruments) for one in result.adopted],
            "totals": {
                f"nav_start_{currency}": money(start),
                f"nav_end_{currency}": money(end),
                f"profit_{currency}": money(None if start is None or end is None else end - start),
                f"realised_{currency}": money(result.realised_atoms),
                f"fees_{currency}": money(result.fees_atoms),
                f"funding_{currency}": money(result.funding_atoms),
                "profit_atoms": None if start is None or end is None else str(end - start),
            },
            "books": {
                "compared": differences is not None,
                "agree": differences is not None and not differences,
                "differences": list(differences or ()),
            },
            "latency_ns": {
                name: {key: stage[f"{key}_ns"] for key in ("p50", "p99", "p999", "max")} | {"n": stage["n"]}
                for name, stage in stages.items()
                if stage["n"]
            },
        },
    }


_ALARM = "alarm "
_REQUESTS = frozenset(("Place", "Amend", "CancelOrder", "CancelAll"))


def venue_table(document: Mapping[str, Any]) -> str:
    """The same for a person, the outcome last."""
    data = document["data"]
    currency, totals = data["currency"], data["totals"]
    lines = [f"{'time':<14} {'symbol':<10} {'side':<4} {'quantity':>10} {'price':>12} {'':<6} {'fee':>12}"]
    for fill in data["fills"][-_SHOWN_FILLS:]:
        lines.append(
            f"{fill['exchange_ns'] / 1e9 % 86_400:<14.3f} {fill['symbol']:<10} {fill['side']:<4} {fill['quantity']:>10} "
            f"{fill['price']:>12} {fill['liquidity']:<6} {fill['fee']:>12}"
        )
    if data["fills_total"] > _SHOWN_FILLS:
        lines.append(f"… {data['fills_total']} fills in all")
    if not data["fills"]:
        lines = ["nothing was filled"]
    lines.append("")
    for name, stage in data["latency_ns"].items():
        lines.append(
            f"{name:<14} p50 {stage['p50'] / 1e3:>9.1f} µs   p99 {stage['p99'] / 1e3:>9.1f} µs   "
            f"max {stage['max'] / 1e3:>9.1f} µs   n {stage['n']}"
        )
    refusals = "  ".join(f"{code} {count}" for code, count in data["refusals"].items()) or "none"
    breakers = "  ".join(f"{name} {text}" for name, text in data["breakers"].items()) or "all quiet"
    books = data["books"]
    agreement = "not compared" if not books["compared"] else "agree with the venue's" if books["agree"] else "DIFFER"
    lines += [
        "",
        f"sessions {data['sessions']}   orders {data['orders'].get('Place', 0)}   fills {data['fills_total']}   "
        f"left open {data['open_orders']}",
        f"refused  {refusals}",
        f"breakers {breakers}",
        f"books    {agreement}" + "".join(f"\n         {line}" for line in books["differences"]),
        f"profit   {totals[f'profit_{currency}'] or 'unknown'} {currency}   "
        f"of it realised {totals[f'realised_{currency}']}, fees {totals[f'fees_{currency}']}",
    ]
    lines += [
        f"adopted  {one['name']} {one['quantity']} at {one['price']}"
        if "quantity" in one
        else f"adopted  {one['name']} {one['amount_atoms']} atoms"
        for one in data["adopted"]
    ]
    if data["halted"]["is_halted"]:
        lines.append(f"HALTED   {data['halted']['reason'] or 'by a breaker'}")
    return "\n".join(lines)


def _adopted(adopted: Adopted, instruments: Mapping[str, Instrument]) -> dict[str, Any]:
    """What a person took over from the venue: a quantity of a symbol, or an amount of a currency."""
    instrument = instruments.get(adopted.name)
    row: dict[str, Any] = {"name": adopted.name, "wall_ns": adopted.wall_ns}
    if instrument is not None and adopted.price_ticks:
        return row | {
            "quantity": steps_text(adopted.amount, instrument.lot),
            "price": steps_text(adopted.price_ticks, instrument.tick),
        }
    return row | {"amount_atoms": str(adopted.amount)}


def _fee(fee: int, currency: str, instrument: Instrument, instruments: Mapping[str, Instrument]) -> str:
    """A fee as a decimal text of its currency, whose units are those that the books count it in."""
    for one in (instrument, *instruments.values()):
        if currency == one.quote:
            return decimal_text(fee, one.quote_digits)
        if currency == one.base:
            return steps_text(fee, one.lot)
    return decimal_text(fee, FOREIGN_DIGITS)


def _fill(fill: Any, instruments: Mapping[str, Instrument]) -> dict[str, Any]:
    instrument = instruments[fill.symbol]
    fee = _fee(fill.fee, fill.fee_currency, instrument, instruments)
    return {
        "exec_seq": fill.exec_seq,
        "trade_id": fill.trade_id,
        "client_order_id": fill.client_order_id,
        "symbol": fill.symbol,
        "side": fill.side.value,
        "quantity": steps_text(fill.lots, instrument.lot),
        "price": steps_text(fill.price_ticks, instrument.tick),
        "liquidity": "maker" if fill.is_maker else "taker",
        "fee": fee,
        "fee_currency": fill.fee_currency,
        "exchange_ns": fill.exchange_ns,
    }


def decimal_text(units: int, digits: int) -> str:
    """An integer of 10^-digits as a decimal text."""
    sign, size = ("-", -units) if units < 0 else ("", units)
    if not digits:
        return f"{sign}{size}"
    whole, part = divmod(size, 10**digits)
    return f"{sign}{whole}.{part:0{digits}d}"


def steps_text(steps: int, step: Step) -> str:
    """A number of steps of a grid as a decimal text."""
    return decimal_text(steps * step.units, step.digits)
