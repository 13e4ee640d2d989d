"""Signals as a producer that is in order makes them."""

from __future__ import annotations

from typing import Any

from agent.core.events import Stamp
from agent.core.events.market import SignalIn
from agent.core.instruments import Side
from agent.core.signals.admission import ProducerBudget
from agent.core.signals.store import SignalBook
from tests.core.risk.views import INSTRUMENT

S = 1_000_000_000
NOW = Stamp(500, 1_000 * S, 1_700_000_000 * S)
BUDGET = ProducerBudget(signals_per_s=10_000, notional_atoms_per_day=10**12)


def at(after_ns: int) -> Stamp:
    """So long after `NOW`, by both clocks."""
    return Stamp(NOW.seq + 1, NOW.monotonic_ns + after_ns, NOW.wall_ns + after_ns)


def a_signal(number: int = 1, **changes: Any) -> SignalIn:
    given: dict[str, Any] = {
        "signal_id": f"{number:032x}",
        "producer": "model",
        "symbol": "BTC-USDC",
        "side": Side.BUY,
        "lots": 10,
        "limit_ticks": 10_500,
        "urgency": 9,
        "valid_from_ns": NOW.wall_ns - S,
        "expires_ns": NOW.wall_ns + 60 * S,
        "max_slippage_ppm": 100_000,
        "input_seq": 400,
        "is_authentic": True,
    }
    if changes.get("side") is Side.SELL:
        given["limit_ticks"] = 9_500
    return SignalIn(**(given | changes))


def admitted(book: SignalBook, signal: SignalIn) -> None:
    """Let it in, which must work."""
    refusal = book.admit(signal, NOW, instrument=INSTRUMENT, input_ns=NOW.monotonic_ns, reference_ticks=10_000)
    assert refusal is None
