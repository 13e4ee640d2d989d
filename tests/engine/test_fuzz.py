"""Whatever comes by the door for signals: a signal within its bounds, or a refusal in words of ours. Never an exception."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from agent.core.events.market import SignalIn
from agent.engine.signal_wire import LINE_BYTES_MAX
from tests.engine.door import Sender, connected, opened, wish
from tests.engine.test_signal_wire import GOOD, known, line

WORDS = {"", "not JSON", "JSON of another shape, or out of bounds", f"longer than {LINE_BYTES_MAX} bytes"}


@given(st.one_of(st.binary(max_size=200), st.text(max_size=100).map(str.encode)))
def test_no_bytes_do_anything_but_say_what_they_are_not(raw: bytes) -> None:
    assert known(raw, None).problem in WORDS - {""}


@given(
    st.sampled_from(sorted(GOOD)),
    st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=40), st.lists, max_leaves=4),
)
def test_any_value_in_any_field_is_a_signal_within_bounds_or_a_word_of_ours(field: str, value: Any) -> None:
    found = known(line(**{field: value}), None)
    assert found.problem in WORDS
    if not found.problem:
        assert 1 <= found.urgency <= 10 and 0 <= found.lots < 2**62 and 0 <= found.max_slippage_ppm < 10**6
        assert msgspec.json.decode(msgspec.json.encode(found), type=SignalIn) == found


async def test_any_bytes_from_any_number_of_senders_are_answered_and_replay(tmp_path: Path) -> None:
    """Good lines with bytes changed, cut and joined, among random ones."""
    chance = random.Random(7)
    async with opened(tmp_path) as account:
        senders: list[Sender] = [await connected(tmp_path) for _ in range(4)]
        answered = 0
        for number in range(400):
            line = bytearray(msgspec.json.encode(wish(account, number, lots=chance.randrange(1, 20))))
            match number % 5:
                case 0:
                    line[chance.randrange(len(line))] = chance.randrange(1, 256)
                case 1:
                    del line[chance.randrange(len(line)) :]
                case 2:
                    line = bytearray(chance.randbytes(chance.randrange(1, 300)))
                case 3:
                    line += line[chance.randrange(len(line)) :]
                case _:
                    pass
            # An empty line is none, and a line break in the middle makes two.
            whole = bytes(line).replace(b"\n", b"").strip() or b"x"
            answer = await senders[number % 4].raw(whole + b"\n")
            assert isinstance(answer["ok"], bool) and (answer["ok"] or answer["code"])
            answered += 1
        assert answered == 400 and account.shell.stepper.broken is None
        assert account.replayed()
