"""The kinds of values in the venue's frames, with their bounds, and what all frames are."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

Count = Annotated[int, Meta(ge=0, le=2**63 - 1)]
ExecSeq = Annotated[int, Meta(ge=1, le=2**63 - 1)]
Microseconds = Annotated[int, Meta(ge=10**15, lt=10**16)]
"""A time in Unix µs; another unit falls outside of the range (years 2001 to 2286)."""
Nanoseconds = Annotated[int, Meta(ge=10**18, le=2**63 - 1)]
Name = Annotated[str, Meta(min_length=1, max_length=64)]
MaybeName = Annotated[str, Meta(max_length=64)]
ClientId = Annotated[str, Meta(min_length=1, max_length=36)]
Retry = Annotated[int, Meta(ge=0, le=86_400_000)]
Decimal = Annotated[str, Meta(min_length=1, max_length=40)]
WireLevel = tuple[Decimal, Decimal]


class Frame(msgspec.Struct, frozen=True, tag_field="type", gc=False):
    """Base of all frames."""
