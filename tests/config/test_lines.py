"""The line of a key, with every decoy that TOML allows around it."""

from __future__ import annotations

import tomllib

import pytest

from agent.config.lines import line_of, value_at

TEXT = '''\
# cap in a comment: cap = 1
title = "cap = 2"
story = """
cap = 3
"""
[risk]
cap = 4
"quoted cap" = 5
inline = { cap = 6, other = 7 }
dotted.cap = 8
cap_other = 9
[[pool]]
name = "a"
cap = 10
[[pool]]
name = "b"
cap = 11
fees = [
  1,
  2,
]
[risk.deep]
cap = 12
'''


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("title",), 2),
        (("story",), 3),
        (("risk", "cap"), 7),
        (("risk", "quoted cap"), 8),
        (("risk", "inline", "cap"), 9),
        (("risk", "inline", "other"), 9),
        (("risk", "dotted", "cap"), 10),
        (("risk", "cap_other"), 11),
        (("pool", 0, "name"), 13),
        (("pool", 0, "cap"), 14),
        (("pool", 1, "name"), 16),
        (("pool", 1, "cap"), 17),
        (("pool", 1, "fees", 1), 18),
        (("risk", "deep", "cap"), 23),
        (("risk", "deep"), 22),
    ],
)
def test_a_key_is_found_at_its_own_line(path: tuple[str | int, ...], line: int) -> None:
    assert line_of(TEXT, path) == line


def test_a_missing_key_is_placed_at_the_table_it_is_missing_from() -> None:
    assert line_of(TEXT, ("risk", "deep", "absent")) == 22


def test_a_path_that_is_not_there_at_all_has_no_line() -> None:
    assert line_of(TEXT, ("absent", "key")) is None


def test_the_text_of_the_test_says_what_the_paths_say() -> None:
    assert value_at(tomllib.loads(TEXT), ("pool", 1, "cap")) == 11
