"""A witness of the chain: what each built block did to the balances of ours, read by balanceOf and eth_getBalance.

It stands where blocks are built and asks the node itself, before and after, so that books and reports can be compared
with something that neither of them computed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import msgspec

from agent.devnet.anvil import Anvil
from agent.devnet.builder import Builder, BuiltBlock
from agent.devnet.identities import Identities, devnet_identities
from agent.devnet.mainnet import START_TOKENS
from agent.eth.hexes import from_data, from_quantity, to_data
from agent.eth.units import Address

BALANCE_OF = bytes.fromhex("70a08231")
ETHER = "ether"

Balances = dict[tuple[Address, Address | str], int]


class Seen(msgspec.Struct, frozen=True):
    """One block of ours and the balances around it."""

    block: BuiltBlock
    before: Balances
    after: Balances
    ours: Identities

    def gained(self, holder: Address, token: Address | str) -> int:
        return self.after.get((holder, token), 0) - self.before.get((holder, token), 0)

    @property
    def operators_gained_wei(self) -> int:
        return sum(self.gained(key.address, ETHER) for key in self.ours.operators)

    def fallen(self) -> list[tuple[str, str, int]]:
        """(holder, token, by) of each balance of owner, vault or executor that fell."""
        holders = (self.ours.owner.address, self.ours.vault, self.ours.executor)
        return [
            (to_data(holder), token if isinstance(token, str) else to_data(token), -self.gained(holder, token))
            for holder, token in self.before
            if holder in holders and self.gained(holder, token) < 0
        ]


@contextmanager
def watched(*, seed: int = 0) -> Iterator[list[Seen]]:
    """While inside, every block that a Builder builds is noted with the balances before and after."""
    seen: list[Seen] = []
    ours = devnet_identities(seed=seed)
    original = Builder.build

    async def build(self: Builder, *args: Any, **named: Any) -> BuiltBlock:
        before = await balances(self.anvil, ours)
        block = await original(self, *args, **named)
        seen.append(Seen(block, before, await balances(self.anvil, ours), ours))
        return block

    Builder.build = build  # type: ignore[method-assign]
    try:
        yield seen
    finally:
        Builder.build = original  # type: ignore[method-assign]


async def balances(anvil: Anvil, ours: Identities) -> Balances:
    """Ether of every key, and every start token of owner, vault and executor; a token that is not there is left out."""
    found: Balances = {}
    holders = (ours.owner.address, ours.vault, ours.executor)
    for key in (ours.owner, *ours.operators):
        found[key.address, ETHER] = from_quantity(await anvil.call("eth_getBalance", to_data(key.address), "latest"))
    for token in START_TOKENS:
        calls = [
            anvil.call(
                "eth_call",
                {
                    "from": to_data(holder),
                    "to": to_data(token.address),
                    "input": to_data(BALANCE_OF + bytes(12) + holder),
                },
                "latest",
            )
            for holder in holders
        ]
        answers = await asyncio.gather(*calls, return_exceptions=True)
        for holder, answer in zip(holders, answers, strict=True):
            if isinstance(answer, str) and len(answer) == 66:
                found[holder, token.address] = int.from_bytes(from_data(answer), "big")
    return found
