"""The garbage collector while a run trades: what was built before is out of its sight, and what it looks at is small.

Theory of operation. A full collection looks at every container there is: after the imports and a recovered journal those
are some hundred thousand, for which it stops the loop for tens of milliseconds, and they never become garbage. So they
are collected once and then frozen. What a run makes afterwards is plain data without cycles that the collector does not
follow (`gc=False`), and goes by its reference count; cycles come from exceptions and tasks alone. Those are still
collected, in generations as ever, but the young one is looked at seldom enough for an order's few containers to be gone
by then.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

YOUNG = 1_000
"""Containers made and not yet gone: a collection of so many takes a hundred microseconds."""
MIDDLE, OLD = 5, 10


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
