"""What the venue says about the account, in the figures that the watch decides by."""

from __future__ import annotations

from typing import NamedTuple


class Truth(NamedTuple):
    """One round of reads. None is a figure that could not be read, never a zero; amounts in quote atoms."""

    exec_seq: int
    open_order_ids: tuple[str, ...]
    is_complete: bool
    """Whether the venue said that this list of orders is whole."""
    exposure: int | None = None
    day_loss: int | None = None
    busiest_second: int = 0
    """Most orders that the venue accepted in one second of its clock, since the read before."""
