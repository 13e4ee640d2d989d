"""The last look before a bundle is signed: caps of its own, counted by itself, knowing nothing of the core.

Theory of operation. The same order is checked in three places that share no code and no state: by the core, which knows
everything; here, where only the transaction itself is looked at; and by the contract, which pays nothing unless it has
earned it. What the core should never have let through is refused here with the cap that it exceeds. An hour and a day
are the last ones at every moment, not those of a calendar, so that no boundary lets twice as much through. Gas is
charged at its worst from the signature on, and as it was paid once the bundle has ended.
"""

from __future__ import annotations

from collections import Counter, deque
from enum import StrEnum

import msgspec

HOUR_NS = 3_600 * 1_000_000_000
DAY_NS = 24 * HOUR_NS


class Cap(StrEnum):
    """Which cap a transaction exceeds."""

    VALUE = "value"
    GAS_PRICE = "gas_price"
    BID = "bid"
    TRANSACTIONS = "transactions"
    GAS = "gas"


class LastCaps(msgspec.Struct, frozen=True, kw_only=True):
    """What no transaction exceeds, whatever anybody else believes. Wider than the core's limits, for whom they stand in."""

    max_value_wei: int = 0
    """Sent along with it; an executor needs none."""
    max_gas_price_wei: int = 1_000 * 10**9
    """Fee cap per unit of gas, priority fee included."""
    max_bid_wei: int = 10 * 10**18
    """For the builder: payment or priority fee, whichever is more."""
    max_transactions_per_hour: int = 1_200
    """Signed, landed or not: four in each slot."""
    max_gas_wei_per_day: int = 2 * 10**18
    """Paid, and what is signed and not ended at its worst."""


class Outgoing(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A transaction that would be signed."""

    id: str
    """Of the bundle that it stands in."""
    value_wei: int
    gas: int
    max_fee_wei: int
    max_priority_fee_wei: int
    payment_wei: int
    """What it pays the builder by itself, as executed."""

    @property
    def worst_gas_wei(self) -> int:
        return self.gas * self.max_fee_wei

    @property
    def bid_wei(self) -> int:
        return max(self.payment_wei, self.gas * self.max_priority_fee_wei)


class Refused(msgspec.Struct, frozen=True):
    """Not signed, for this cap; `asked` is above `allowed`."""

    cap: Cap
    asked: int
    allowed: int

    def __str__(self) -> str:
        return f"{self.cap}: {self.asked} of at most {self.allowed}"


class LastCounts(msgspec.Struct):
    """What was signed and paid."""

    signed_ns: deque[int] = msgspec.field(default_factory=deque)
    """Monotonic times of the last hour's signatures, oldest first."""
    at_stake_wei: dict[str, int] = {}
    """Worst gas of what was signed and has not ended, by bundle."""
    paid: deque[tuple[int, int]] = msgspec.field(default_factory=deque)
    """When it ended and the gas that it cost in wei, of the last day."""
    paid_wei: int = 0
    """The sum of those."""
    refused: Counter[Cap] = msgspec.field(default_factory=Counter)

    def forget(self, now_ns: int) -> None:
        """Let go of what is an hour, or a day, behind."""
        while self.signed_ns and now_ns - self.signed_ns[0] >= HOUR_NS:
            self.signed_ns.popleft()
        while self.paid and now_ns - self.paid[0][0] >= DAY_NS:
            self.paid_wei -= self.paid.popleft()[1]


def judge(out: Outgoing, caps: LastCaps, counts: LastCounts) -> Refused | None:
    """The first cap that the transaction exceeds, or None. `counts` are as of now."""
    gas_wei = counts.paid_wei + sum(counts.at_stake_wei.values()) + out.worst_gas_wei
    for cap, asked, allowed in (
        (Cap.VALUE, out.value_wei, caps.max_value_wei),
        (Cap.GAS_PRICE, out.max_fee_wei, caps.max_gas_price_wei),
        (Cap.BID, out.bid_wei, caps.max_bid_wei),
        (Cap.TRANSACTIONS, len(counts.signed_ns) + 1, caps.max_transactions_per_hour),
        (Cap.GAS, gas_wei, caps.max_gas_wei_per_day),
    ):
        if asked > allowed:
            return Refused(cap, asked, allowed)
    return None


class LastGuard:
    """Stands beside the key: `admit` before each signature, `ended` when the bundle can land no more."""

    def __init__(self, caps: LastCaps, counts: LastCounts | None = None) -> None:
        self.caps = caps
        self.counts = LastCounts() if counts is None else counts

    def admit(self, out: Outgoing, now_ns: int) -> Refused | None:
        """None: it may be signed, and counts as signed. `now_ns` is the monotonic clock's."""
        counts = self.counts
        counts.forget(now_ns)
        refused = judge(out, self.caps, counts)
        if refused is not None:
            counts.refused[refused.cap] += 1
            return refused
        counts.signed_ns.append(now_ns)
        counts.at_stake_wei[out.id] = counts.at_stake_wei.get(out.id, 0) + out.worst_gas_wei
        return None

    def ended(self, id_: str, paid_wei: int, now_ns: int) -> None:
        """The bundle has ended and this much gas was paid for it."""
        self.counts.at_stake_wei.pop(id_, None)
        if paid_wei:
            self.counts.paid.append((now_ns, paid_wei))
            self.counts.paid_wei += paid_wei
