"""Which signals are let in, each rule at its limit and in its order."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from agent.core.codes import Code
from agent.core.events import Stamp
from agent.core.events.market import SignalIn
from agent.core.instruments import Instrument, Side
from agent.core.signals.admission import MAX_SEEN, Admission, AdmissionState, ProducerBudget
from tests.core.risk.views import INSTRUMENT
from tests.core.signals.making import BUDGET, NOW, S, a_signal, at

DAY_NS = 86_400 * S
TEN_MINUTES_NS = 600 * S


def verdict(
    admission: Admission,
    signal: SignalIn,
    now: Stamp = NOW,
    *,
    instrument: Instrument | None = INSTRUMENT,
    input_age_ns: int | None = 0,
    reference_ticks: int | None = 10_000,
) -> Code | None:
    """Judge, and let in what passes."""
    input_ns = None if input_age_ns is None else now.monotonic_ns - input_age_ns
    refusal = admission.judge(signal, now, instrument=instrument, input_ns=input_ns, reference_ticks=reference_ticks)
    if refusal is not None:
        return refusal[0]
    assert instrument is not None
    admission.enter(signal, now, instrument=instrument, reference_ticks=reference_ticks)
    return None


def an_admission(budget: ProducerBudget = BUDGET) -> Admission:
    return Admission({"model": budget})


BREAKS: list[tuple[Code, dict[str, Any], dict[str, Any]]] = [
    (Code.SIGNAL_NOT_AUTHENTIC, {"is_authentic": False}, {}),
    (Code.SIGNAL_NOT_AUTHENTIC, {"producer": "stranger"}, {}),
    (Code.BAD_FIELD, {"urgency": 0}, {}),
    (Code.UNKNOWN_INSTRUMENT, {}, {"instrument": None}),
    (Code.QTY_RANGE, {"lots": 1}, {}),
    (Code.EXPIRED, {"expires_ns": NOW.wall_ns}, {}),
    (Code.SIGNAL_TOO_LONG, {"expires_ns": NOW.wall_ns + TEN_MINUTES_NS + 1}, {}),
    (Code.SIGNAL_INPUT_OLD, {}, {"input_age_ns": None}),
]


@pytest.mark.parametrize(("index", "expected"), [(i, row[0]) for i, row in enumerate(BREAKS)])
def test_the_first_rule_that_fails_is_the_reason(index: int, expected: Code) -> None:
    _, fields, circumstances = BREAKS[index]
    assert verdict(an_admission(), a_signal(**fields), **circumstances) is expected
    for _, more, later in BREAKS[index + 1 :]:
        assert verdict(an_admission(), a_signal(**(more | fields)), **(later | circumstances)) is expected


@pytest.mark.parametrize(
    ("field", "good", "bad"),
    [
        ("signal_id", ["0123456789abcdef" * 2], ["", "0" * 31, "0" * 33, "A" * 32, "0x" + "0" * 30]),
        ("lots", [2, 1_000], [0, -1]),
        ("limit_ticks", [1], [0, -1]),
        ("urgency", [1, 10], [0, 11]),
        ("max_slippage_ppm", [0, 999_999], [-1, 1_000_000]),
        ("valid_from_ns", [NOW.wall_ns + 60 * S - 1], [NOW.wall_ns + 60 * S]),
    ],
)
def test_a_field_of_its_kind(field: str, good: list[Any], bad: list[Any]) -> None:
    assert [verdict(an_admission(), a_signal(**{field: value})) for value in good] == [None] * len(good)
    assert [verdict(an_admission(), a_signal(**{field: value})) for value in bad] == [Code.BAD_FIELD] * len(bad)


@pytest.mark.parametrize(
    ("left_ns", "expected"),
    [(0, Code.EXPIRED), (1, None), (TEN_MINUTES_NS, None), (TEN_MINUTES_NS + 1, Code.SIGNAL_TOO_LONG)],
)
def test_how_long_it_lives(left_ns: int, expected: Code | None) -> None:
    assert verdict(an_admission(), a_signal(expires_ns=NOW.wall_ns + left_ns)) is expected


@pytest.mark.parametrize(("age_ns", "expected"), [(5 * S - 1, None), (5 * S, None), (5 * S + 1, Code.SIGNAL_INPUT_OLD)])
def test_how_old_its_input_is(age_ns: int, expected: Code | None) -> None:
    assert verdict(an_admission(), a_signal(), input_age_ns=age_ns) is expected


@pytest.mark.parametrize(("lots", "expected"), [(1, Code.QTY_RANGE), (2, None), (1_000, None), (1_001, Code.QTY_RANGE)])
def test_what_the_venue_takes(lots: int, expected: Code | None) -> None:
    assert verdict(an_admission(), a_signal(lots=lots)) is expected


class TestReplays:
    def test_a_second_one_is_ignored_and_counted(self) -> None:
        admission = an_admission()
        assert verdict(admission, a_signal(1)) is None
        assert verdict(admission, a_signal(1, lots=5, urgency=1)) is Code.SIGNAL_REPLAYED
        assert admission.state.replayed == 1

    def test_after_a_start_too(self) -> None:
        admission = an_admission()
        verdict(admission, a_signal(1))
        state = msgspec.json.decode(msgspec.json.encode(admission.state), type=AdmissionState)
        restored = Admission({"model": BUDGET}, state)
        restored.begin(Stamp(1, 5, NOW.wall_ns + S))
        later = Stamp(2, 5 + 2 * S, NOW.wall_ns + 3 * S)
        assert verdict(restored, a_signal(1), later) is Code.SIGNAL_REPLAYED
        assert verdict(restored, a_signal(2), later) is None

    def test_for_a_day(self) -> None:
        admission = an_admission()
        verdict(admission, a_signal(1))
        for after_ns, expected in ((DAY_NS, Code.SIGNAL_REPLAYED), (DAY_NS + 1, None)):
            now = at(after_ns)
            assert verdict(admission, a_signal(1, expires_ns=now.wall_ns + S), now) is expected

    def test_what_may_still_be_alive_is_never_forgotten(self) -> None:
        admission = an_admission()
        admission.state.seen = {f"{number:032x}": NOW.wall_ns for number in range(MAX_SEEN)}
        for after_ns, expected in ((TEN_MINUTES_NS, Code.SIGNALS_FULL), (TEN_MINUTES_NS + 1, None)):
            now = at(after_ns)
            assert verdict(admission, a_signal(99_999, expires_ns=now.wall_ns + S), now) is expected
        assert len(admission.state.seen) <= MAX_SEEN


class TestBudget:
    def test_a_seconds_signals_may_come_at_once_then_one_by_one(self) -> None:
        admission = an_admission(ProducerBudget(signals_per_s=4, notional_atoms_per_day=10**9))
        assert [verdict(admission, a_signal(number)) for number in range(5)] == [None] * 4 + [Code.SIGNAL_BUDGET]
        assert verdict(admission, a_signal(10), at(S // 4 - 1)) is Code.SIGNAL_BUDGET
        assert verdict(admission, a_signal(10), at(S // 4)) is None
        assert verdict(admission, a_signal(11), at(S // 4)) is Code.SIGNAL_BUDGET

    def test_nobody_uses_up_anothers(self) -> None:
        admission = an_admission(ProducerBudget(signals_per_s=1, notional_atoms_per_day=10**9))
        for number in range(10):
            assert verdict(admission, a_signal(number, is_authentic=False)) is Code.SIGNAL_NOT_AUTHENTIC
            assert verdict(admission, a_signal(number, lots=0)) is Code.BAD_FIELD
        assert verdict(admission, a_signal(1)) is None

    def test_a_days_value(self) -> None:
        """A buy of 10 lots is worth 105,000 at its limit; the day of the wall clock begins it anew."""
        admission = an_admission(ProducerBudget(signals_per_s=100, notional_atoms_per_day=210_000))
        assert [verdict(admission, a_signal(number)) for number in range(3)] == [None, None, Code.SIGNAL_BUDGET]
        midnight = (NOW.wall_ns // DAY_NS + 1) * DAY_NS
        for wall_ns, expected in ((midnight - 1, Code.SIGNAL_BUDGET), (midnight, None)):
            now = Stamp(9, NOW.monotonic_ns + 9 * S, wall_ns)
            assert verdict(admission, a_signal(7, expires_ns=wall_ns + S), now) is expected

    def test_a_sale_is_valued_by_the_market(self) -> None:
        """Its limit is a floor: a sale from one tick on is no small one."""
        sale = a_signal(1, side=Side.SELL, limit_ticks=1)
        for budget, expected in ((99_999, Code.SIGNAL_BUDGET), (100_000, None)):
            admission = an_admission(ProducerBudget(signals_per_s=1, notional_atoms_per_day=budget))
            assert verdict(admission, sale) is expected
        assert verdict(an_admission(), sale, reference_ticks=None) is Code.STALE_DATA
        assert verdict(an_admission(), a_signal(1), reference_ticks=None) is None

    def test_a_buy_is_valued_by_its_limit(self) -> None:
        buy = a_signal(1, limit_ticks=10_000)
        admission = an_admission(ProducerBudget(signals_per_s=1, notional_atoms_per_day=100_000))
        assert verdict(admission, buy, reference_ticks=20_000) is None

    def test_a_start_gives_no_tokens(self) -> None:
        admission = an_admission(ProducerBudget(signals_per_s=1, notional_atoms_per_day=10**9))
        verdict(admission, a_signal(1))
        admission.begin(Stamp(1, 5, NOW.wall_ns))
        for after_ns, expected in ((S - 1, Code.SIGNAL_BUDGET), (S, None)):
            assert verdict(admission, a_signal(2), Stamp(2, 5 + after_ns, NOW.wall_ns)) is expected
