"""The chain of heads as one consistent story: blocks are added and taken back, never skipped.

Pure: headers in, steps out. Theory of operation. The chain holds the last headers by hash, from the root (the first
header it ever saw, or the oldest one still kept) to the tip. An announced header becomes the *target*. If its
parents lead to a header of the chain, the chain moves there: what lies above the common ancestor is taken back, tip
first, then the new branch is added, oldest first. If a parent is not known, the answer is its hash; whoever asked
fetches that header by hash, provides it, and the same target is tried again. Headers that were announced too early
wait in a bounded buffer until their parent arrives.

A header that cannot be its parent's child is refused: the node's fault. What no node can repair ends in Stop: a reorg
deeper than 64 blocks, below the finalized block or below the root, a gap longer than 1,024 blocks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import TypeAlias

import msgspec

from agent.chain.headers import Header
from agent.eth.units import Hash32

MAX_ROLLBACK = 64
"""Two epochs: what is older is finalized while the chain is healthy."""
MAX_GAP = 1_024
MAX_EARLY = 64
"""Headers without a known parent that are kept for later."""


class Extend(msgspec.Struct, frozen=True):
    """The block is the new tip; its parent was the tip."""

    header: Header


class Rollback(msgspec.Struct, frozen=True):
    """The block was the tip and is no part of the chain any more; its parent is the tip."""

    header: Header


class NeedParent(msgspec.Struct, frozen=True):
    """Fetch this header by hash and provide it; `number` is where it must stand."""

    hash: Hash32
    number: int


class Refuse(msgspec.Struct, frozen=True):
    """The header breaks a rule of its chain: whoever sent it is not to be believed; the chain stays as it was."""

    reason: str


class Stop(msgspec.Struct, frozen=True):
    """The chain has left what can be followed; only a fresh start helps. Nothing was changed."""

    reason: str


Step: TypeAlias = Extend | Rollback | NeedParent | Refuse | Stop


class HeadChain:
    """Headers from root to tip. All methods either change nothing or leave a chain without gaps."""

    def __init__(
        self,
        *,
        max_rollback: int = MAX_ROLLBACK,
        max_gap: int = MAX_GAP,
        broken_rule: Callable[[Header, Header], str] = lambda parent, child: "",
    ) -> None:
        """`broken_rule(parent, child)` says why a header may not follow another; empty where it may."""
        self._max_rollback = max_rollback
        self._max_gap = max_gap
        self._broken_rule = broken_rule
        self._chain: dict[Hash32, Header] = {}  # oldest first; the last one is the tip
        self._early: dict[Hash32, Header] = {}
        self._branch: dict[Hash32, Header] = {}  # ancestors provided for the target
        self._target: Header | None = None
        self._finalized_number = -1
        self.ignored = 0
        """Headers announced again, or late."""

    @property
    def tip(self) -> Header | None:
        return next(reversed(self._chain.values()), None)

    @property
    def headers(self) -> Mapping[Hash32, Header]:
        """The headers still kept, oldest first."""
        return self._chain

    def finalize(self, number: int) -> None:
        """No block up to this number will be taken back: a header that asks for it is a Stop."""
        self._finalized_number = max(self._finalized_number, number)

    def seed(self, headers: Sequence[Header]) -> None:
        """Begin with these, oldest first, each the child of the one before, so that reorgs below the first head can
        be followed. ValueError for headers that are no chain, or once the chain has begun.
        """
        if self._chain:
            raise ValueError("the chain has begun")
        for parent, child in pairwise(headers):
            if child.parent_hash != parent.hash or child.number != parent.number + 1:
                raise ValueError(f"block {child.number} is not the child of block {parent.number}")
        self._chain = {header.hash: header for header in headers}

    def accept(self, header: Header) -> tuple[Step, ...]:
        """A header was announced as head."""
        if header.hash in self._chain:
            self.ignored += 1
            return ()
        if not self._chain:
            self._chain[header.hash] = header
            return (Extend(header), *self._attach_early())
        if self._target is not None and self._target.hash != header.hash:
            self._keep_early(self._target)
        self._target = header
        return self._reach_target()

    def rewind(self, to: Hash32) -> tuple[Step, ...]:
        """The node's head is this older block of the chain, with nothing in the place of what stood above it.

        An announcement alone cannot tell this from one that is late or repeated: ask the node for its latest block.
        """
        ancestor, tip = self._chain[to], self.tip
        assert tip is not None
        if tip.number > ancestor.number and ancestor.number < self._finalized_number:
            return self._stop(f"a return to block {ancestor.number}, below the finalized {self._finalized_number}")
        self._drop_target()
        steps: list[Step] = []
        while (tip := self.tip) is not None and tip.hash != to:
            del self._chain[tip.hash]
            steps.append(Rollback(tip))
        return tuple(steps)

    def provide(self, header: Header) -> tuple[Step, ...]:
        """The header that NeedParent asked for."""
        if self._target is None:
            return ()
        self._branch[header.hash] = header
        return self._reach_target()

    def give_up(self) -> None:
        """The parent that was asked for cannot be had: forget the target. A later head will ask again."""
        if self._target is not None:
            self._keep_early(self._target)
        self._drop_target()

    def _reach_target(self) -> tuple[Step, ...]:
        assert self._target is not None
        tip = self.tip
        assert tip is not None
        path = [self._target]
        while path[-1].parent_hash not in self._chain:
            lowest = path[-1]
            parent = self._branch.get(lowest.parent_hash) or self._early.get(lowest.parent_hash)
            if reason := self._out_of_bounds(lowest, tip, len(path)):
                return self._stop(reason)
            if parent is None:
                return (NeedParent(lowest.parent_hash, lowest.number - 1),)
            path.append(parent)
        ancestor = self._chain[path[-1].parent_hash]
        for parent, child in zip([ancestor, *path[:0:-1]], path[::-1], strict=True):
            if reason := self._unfit(parent, child):
                self._drop_target()
                return (Refuse(reason),)
        depth = tip.number - ancestor.number
        if depth > self._max_rollback:
            return self._stop(f"a reorg of {depth} blocks, more than {self._max_rollback}")
        if depth and ancestor.number < self._finalized_number:
            return self._stop(f"a reorg to block {ancestor.number}, below the finalized {self._finalized_number}")
        return self._move(ancestor, path[::-1])

    def _out_of_bounds(self, lowest: Header, tip: Header, length: int) -> str:
        """Why no parent of `lowest` may be looked for: below the oldest header kept there is nothing to meet."""
        root = next(iter(self._chain.values()))
        if lowest.number - 1 <= max(root.number, tip.number - self._max_rollback):
            return f"a branch that leaves the chain more than {tip.number - lowest.number + 1} blocks below its tip"
        if length > self._max_gap:
            return f"a gap of more than {self._max_gap} blocks"
        return ""

    def _move(self, ancestor: Header, branch: list[Header]) -> tuple[Step, ...]:
        steps: list[Step] = []
        while (tip := self.tip) is not None and tip.hash != ancestor.hash:
            del self._chain[tip.hash]
            steps.append(Rollback(tip))
        for header in branch:
            self._chain[header.hash] = header
            self._early.pop(header.hash, None)
            steps.append(Extend(header))
        self._drop_target()
        steps += self._attach_early()
        while len(self._chain) > self._max_rollback + 1:
            del self._chain[next(iter(self._chain))]
        return tuple(steps)

    def _attach_early(self) -> list[Step]:
        steps: list[Step] = []
        while (tip := self.tip) is not None:
            children = [header for header in self._early.values() if header.parent_hash == tip.hash]
            if not children:
                break
            child = self._early.pop(children[-1].hash)  # the one announced last
            if not self._unfit(tip, child):
                self._chain[child.hash] = child
                steps.append(Extend(child))
        return steps

    def _unfit(self, parent: Header, child: Header) -> str:
        if child.number != parent.number + 1:
            return f"block {child.number} names a parent of number {parent.number}"
        if reason := self._broken_rule(parent, child):
            return f"block {child.number}: {reason}"
        return ""

    def _keep_early(self, header: Header) -> None:
        self._early[header.hash] = header
        while len(self._early) > MAX_EARLY:
            del self._early[next(iter(self._early))]

    def _stop(self, reason: str) -> tuple[Step, ...]:
        self._drop_target()
        return (Stop(reason),)

    def _drop_target(self) -> None:
        self._target = None
        self._branch.clear()
