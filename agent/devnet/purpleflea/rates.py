"""Rate limits: a bucket of tokens that fills evenly."""

from __future__ import annotations

NS = 1_000_000_000


class Bucket:
    """`per_s` tokens a second, at most `per_s` at once. Integers: a token is a second of nanoseconds."""

    def __init__(self, per_s: int, mono_ns: int) -> None:
        self.per_s = per_s
        self._filled = per_s * NS
        self._at_ns = mono_ns

    def take(self, mono_ns: int) -> bool:
        """True, and one token less, where there is one."""
        self._fill(mono_ns)
        if self._filled < NS:
            return False
        self._filled -= NS
        return True

    def left(self, mono_ns: int) -> int:
        self._fill(mono_ns)
        return self._filled // NS

    def wait_ns(self, mono_ns: int) -> int:
        """How long until there is a token."""
        self._fill(mono_ns)
        return max(0, -(-(NS - self._filled) // self.per_s))

    def _fill(self, mono_ns: int) -> None:
        self._filled = min(self.per_s * NS, self._filled + (mono_ns - self._at_ns) * self.per_s)
        self._at_ns = mono_ns


class Limits:
    """One account's two buckets."""

    def __init__(self, orders_per_s: int, cancels_per_s: int, mono_ns: int) -> None:
        self.orders = Bucket(orders_per_s, mono_ns)
        self.cancels = Bucket(cancels_per_s, mono_ns)

    def frame(self, mono_ns: int) -> dict[str, int]:
        """The `rl` object of acks: what is left now, and in how many nanoseconds there is one more order."""
        return {
            "orders_left": self.orders.left(mono_ns),
            "cancels_left": self.cancels.left(mono_ns),
            "reset_ns": self.orders.wait_ns(mono_ns),
        }
