"""A row of the doctor's answer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Literal

import msgspec

Status = Literal["ok", "warn", "FAIL"]


class Row(msgspec.Struct, frozen=True):
    """One finding: about what, how it stands, and how to mend it where it does not stand well."""

    subject: str
    status: Status
    finding: str
    remedy: str = ""


Check = Callable[[], Iterator[Row]]


def ok(subject: str, finding: str) -> Row:
    return Row(subject, "ok", finding)


def warn(subject: str, finding: str, remedy: str) -> Row:
    return Row(subject, "warn", finding, remedy)


def fail(subject: str, finding: str, remedy: str) -> Row:
    return Row(subject, "FAIL", finding, remedy)
