"""Whatever a producer sends, well formed or not: an answer, never an exception, and no more kept than is allowed."""

from __future__ import annotations

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from agent.core.codes import EXPLANATIONS
from agent.core.events.market import SignalIn
from agent.core.instruments import Side
from agent.core.signals.store import MAX_LIVE, MAX_PER_SIDE, SignalBook, Situation
from tests.core.risk.views import INSTRUMENT
from tests.core.signals.making import BUDGET, NOW, S, a_signal, at

numbers = st.one_of(st.integers(-5, 20), st.integers(-(2**70), 2**70))
times = st.one_of(st.integers(NOW.wall_ns - S, NOW.wall_ns + 700 * S), numbers)
fields = {
    "signal_id": st.text(max_size=40),
    "producer": st.sampled_from(["", "stranger"]),
    "symbol": st.sampled_from(["ETH-USDC", ""]),
    "side": st.sampled_from(Side),
    "lots": numbers,
    "limit_ticks": st.one_of(st.integers(9_990, 10_010), numbers),
    "urgency": st.integers(-1, 12),
    "valid_from_ns": times,
    "expires_ns": times,
    "max_slippage_ppm": st.one_of(st.integers(0, 10_000), numbers),
    "position_target_lots": numbers,
    "input_seq": numbers,
    "is_authentic": st.just(False),
}
# One in order, with none, one or several fields that may be of any value.
signals = st.builds(
    lambda number, changes: a_signal(number, **changes),
    st.integers(0, 40),
    st.lists(st.sampled_from(sorted(fields)), max_size=3, unique=True).flatmap(
        lambda names: st.fixed_dictionaries({name: fields[name] for name in names})
    ),
)


@given(st.lists(st.tuples(signals, st.integers(0, S), st.none() | st.integers(0, 10 * S)), max_size=30))
def test_any_signals_in_any_order(arrivals: list[tuple[SignalIn, int, int | None]]) -> None:
    book, now_ns, taken = SignalBook({"model": BUDGET}), 0, set()
    for signal, wait_ns, input_age_ns in arrivals:
        now_ns += wait_ns
        now = at(now_ns)
        book.expire(now)
        input_ns = None if input_age_ns is None else now.monotonic_ns - input_age_ns
        before = len(book)
        refusal = book.admit(signal, now, instrument=INSTRUMENT, input_ns=input_ns, reference_ticks=10_000)
        if refusal is not None:
            assert refusal[0] in EXPLANATIONS
            assert len(book) == before
        else:
            assert signal.is_authentic and signal.signal_id not in taken
            taken.add(signal.signal_id)
        for intent in book.evaluate(signal.symbol, now, Situation(INSTRUMENT, 9_999, 10_001, 0, 0, 0, 5_000)):
            assert intent.place.lots >= INSTRUMENT.min_lots
            assert intent.place.price_ticks >= 1
    assert len(book) <= MAX_LIVE
    for lists in book.state.symbols.values():
        assert max(len(lists.buys), len(lists.sells)) <= MAX_PER_SIDE
    msgspec.json.encode(book.state)
