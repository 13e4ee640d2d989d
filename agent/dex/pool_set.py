"""All pools at one state: a persistent value, so that a rollback is keeping the old one.

Sets that differ by a few pools share everything else. `apply` moves a set by one block's logs in one step.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from agent.dex.pool import Log, Pool
from agent.eth.units import Address

Pair = tuple[Address, Address]
"""Two tokens, the lower address first."""

_COMPACT_AT = 512
"""Pools in the changed layer before it is folded into a new base: a copy of the base costs some 10 ns a pool."""


def pair_of(token_a: Address, token_b: Address) -> Pair:
    """The pair of two tokens in any order."""
    return (token_a, token_b) if token_a < token_b else (token_b, token_a)


class _Membership:
    """Which pools a set holds, by pair and by token; shared by all states of the same pools."""

    __slots__ = ("by_pair", "by_token")

    def __init__(self, pools: Iterable[Pool]) -> None:
        by_pair: dict[Pair, list[Address]] = {}
        by_token: dict[Address, list[Address]] = {}
        for pool in pools:
            by_pair.setdefault(pair_of(pool.token0, pool.token1), []).append(pool.address)
            by_token.setdefault(pool.token0, []).append(pool.address)
            by_token.setdefault(pool.token1, []).append(pool.address)
        self.by_pair = {pair: tuple(sorted(found)) for pair, found in by_pair.items()}
        self.by_token = {token: tuple(sorted(found)) for token, found in by_token.items()}


class PoolSet:
    """Pools by address, by pair and by token. Immutable; every change returns a new set."""

    __slots__ = ("_base", "_changed", "_membership")

    def __init__(self, pools: Iterable[Pool] = ()) -> None:
        self._base: Mapping[Address, Pool] = {pool.address: pool for pool in pools}
        self._changed: dict[Address, Pool] = {}
        self._membership: _Membership | None = None

    def __len__(self) -> int:
        return len(self._base)

    def __contains__(self, address: Address) -> bool:
        return address in self._base

    def __getitem__(self, address: Address) -> Pool:
        pool = self._changed.get(address)
        return pool if pool is not None else self._base[address]

    def __iter__(self) -> Iterator[Pool]:
        """Pools in the order in which they were added."""
        return (self._changed.get(address, pool) for address, pool in self._base.items())

    def get(self, address: Address) -> Pool | None:
        """The pool, or None if it is not here."""
        pool = self._changed.get(address)
        return pool if pool is not None else self._base.get(address)

    @property
    def addresses(self) -> tuple[Address, ...]:
        return tuple(self._base)

    @property
    def by_pair(self) -> Mapping[Pair, tuple[Address, ...]]:
        """Pools of each pair, ascending."""
        return self._members().by_pair

    @property
    def by_token(self) -> Mapping[Address, tuple[Address, ...]]:
        """Pools that hold each token, ascending."""
        return self._members().by_token

    def _members(self) -> _Membership:
        if self._membership is None:
            self._membership = _Membership(self._base.values())
        return self._membership

    def apply(self, logs: Iterable[Log]) -> tuple[PoolSet, frozenset[Address]]:
        """(the set after the logs in order, the pools whose state they changed); logs of strangers are passed over."""
        changed: dict[Address, Pool] = {}
        for log in logs:
            before = changed.get(log.address) or self.get(log.address)
            if before is None:
                continue
            after = before.apply(log)
            if after is not before:
                changed[log.address] = after
        if not changed:
            return self, frozenset()
        return self._with_changed(changed), frozenset(changed)

    def differences(self, other: PoolSet) -> list[Address]:
        """Addresses whose pool is another value, or in only one of the two; cheap for sets that share their base."""
        if self._base is other._base:
            mine, theirs = self._changed, other._changed
            found = [address for address, pool in mine.items() if other[address] is not pool]
            found.extend(address for address in theirs if address not in mine and self[address] is not other[address])
            return found
        found = [pool.address for pool in self if other.get(pool.address) is not pool]
        found.extend(address for address in other._base if address not in self._base)
        return found

    def with_pools(self, pools: Iterable[Pool]) -> PoolSet:
        """The set with these pools added, or put in place of those with the same address."""
        given = {pool.address: pool for pool in pools}
        if all(address in self._base for address in given):
            return self._with_changed(given)
        successor = PoolSet()
        successor._base = {**self._base, **self._changed, **given}
        return successor

    def without(self, addresses: Iterable[Address]) -> PoolSet:
        """The set without these pools."""
        gone = frozenset(addresses)
        return PoolSet(pool for pool in self if pool.address not in gone)

    def _with_changed(self, changed: dict[Address, Pool]) -> PoolSet:
        successor = PoolSet()
        merged = {**self._changed, **changed}
        if len(merged) > _COMPACT_AT:
            successor._base = {**self._base, **merged}
        else:
            successor._base = self._base
            successor._changed = merged
        # Tokens never change, so neither does the index.
        successor._membership = self._membership
        return successor
