"""The pools as they are at the head: loaded once at a named block, then moved by each block's logs in one step.

A block that does not follow the last one (a reorg, a gap) is an error here; whoever drives the view follows the chain
with `chain.heads`, which gives rollbacks, and takes the view of the ancestor from `at`.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

from agent.chain.client import Rpc
from agent.chain.discovery import PoolRecord
from agent.chain.headers import Header
from agent.chain.logs import block_logs
from agent.chain.pools import load_pools
from agent.dex.pool import LeftOut
from agent.dex.pool_set import PoolSet
from agent.errors import ProtocolError
from agent.eth.hexes import to_data
from agent.eth.units import Address, Hash32

KEPT_BLOCKS = 66
"""Two epochs and a little: no reorg that is followed without a person goes deeper."""


class ChainView:
    """Pool sets by block hash, for the head and its recent ancestors."""

    def __init__(self, rpc: Rpc, header: Header, pools: PoolSet, left_out: Sequence[LeftOut]) -> None:
        self._rpc = rpc
        self._sets: OrderedDict[Hash32, PoolSet] = OrderedDict({header.hash: pools})
        self.header = header
        self.left_out = list(left_out)

    @classmethod
    async def load(cls, rpc: Rpc, header: Header, records: Sequence[PoolRecord], *, sender: Address) -> ChainView:
        """Read every pool at `header`'s block; a node that cannot name a state by its block is not read."""
        pools, left_out = await load_pools(rpc, records, sender=sender, block=hex(header.number))
        return cls(rpc, header, PoolSet(pools), left_out)

    @property
    def pools(self) -> PoolSet:
        return self._sets[self.header.hash]

    async def extend(self, header: Header) -> frozenset[Address]:
        """Move to a child of the head; the pools it touched."""
        if header.parent_hash != self.header.hash:
            raise ProtocolError(
                f"block {header.number} does not follow {to_data(self.header.hash)}",
                peer=self._rpc.peer,
                method="heads",
            )
        logs = await block_logs(self._rpc, header)
        pools, touched = self.pools.apply(logs)
        self._sets[header.hash] = pools
        while len(self._sets) > KEPT_BLOCKS:
            self._sets.popitem(last=False)
        self.header = header
        return touched

    def roll_back(self, header: Header) -> None:
        """Move back to an ancestor. ProtocolError where it is too old to be kept."""
        if header.hash not in self._sets:
            raise ProtocolError(
                f"block {header.number} is too deep to roll back to", peer=self._rpc.peer, method="heads"
            )
        self.header = header
        for name in list(reversed(self._sets)):
            if name == header.hash:
                return
            del self._sets[name]
