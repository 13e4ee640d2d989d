"""The answer of a formula that has none: a value, so that nobody can quote by it."""

from __future__ import annotations

from enum import StrEnum

import msgspec


class Lack(StrEnum):
    """What is wanting."""

    SAMPLES = "too few samples"
    VARIATION = "the samples do not vary"
    REVERSION = "the samples do not return to a mean"
    LIQUIDITY = "a side of the book is empty"
    DOMAIN = "a parameter is outside the formula's domain"
    SINGULAR = "the transitions allow no answer"


class NotReady(msgspec.Struct, frozen=True, gc=False):
    """No answer, and why. It is not a number and compares with none."""

    lack: Lack
