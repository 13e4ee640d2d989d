"""The garbage collector while a run trades: what was built before is out of its sight, and what it looks at is small.

Theory of operation. A full collection looks at every container there is: after the imports and a recovered journal those
are some hundred thousand, for which it stops the loop for tens of milliseconds, and they never become garbage. So they
are collected once and then frozen. What a run makes afterwards is plain data without cycles that the collector does not
follow (`gc=False`), and goes by its reference count; cycles come from exceptions and tasks alone. Those are still
collected in the two young generations, the first of which is looked at seldom enough for an order's few containers to be
gone by then. The old one is left alone until the run ends: what survives twice is what a run keeps (its fills, orders and
books, whose number is bounded), and to look at all of it takes longer than an order may wait.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

YOUNG = 250
"""Containers made and not yet gone: they lie all over the memory, so each costs its collection some 400 ns."""
MIDDLE = 2
OLD = 1_000_000
"""Of the middle one's collections, more than a run sees."""


@contextmanager
def quiet_collector() -> Iterator[None]:
    """From here to the end of the block. The process has one collector: what it was set to is set again afterwards."""
    before = gc.get_threshold()
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG, MIDDLE, OLD)
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()
