"""A planted slice on an anvil of its own, and the few reads the tests make of it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, NamedTuple

import pytest

from agent.devnet.anvil import Anvil
from agent.devnet.slice import ANVIL_FLAGS, CHAIN_ID, GAS_LIMIT, HARDFORK, Slice, Traffic, build_slice
from agent.eth.hexes import address_text, from_data, from_quantity, to_data, to_quantity
from agent.eth.keccak import keccak256
from agent.eth.keys import SignedTransaction
from agent.eth.units import Address

SEED = 7


class Planted(NamedTuple):
    anvil: Anvil
    world: Slice

    async def view(self, target: Address, signature: str, *arguments: int | bytes) -> bytes:
        """Return data of a call with static arguments."""
        payload = keccak256(signature.encode())[:4] + b"".join(
            item.to_bytes(32, "big") if isinstance(item, int) else item.rjust(32, b"\0") for item in arguments
        )
        return await self.call(target, payload)

    async def call(self, target: Address, payload: bytes) -> bytes:
        answer = await self.anvil.call("eth_call", {"to": address_text(target), "data": to_data(payload)}, "latest")
        return from_data(answer)

    async def mine_slot(self, traffic: Traffic) -> tuple[list[SignedTransaction], list[dict[str, Any]]]:
        """One slot of traffic in one block: what was sent, and the block's receipts."""
        head = await self.anvil.call("eth_getBlockByNumber", "latest", False)
        pending = await self.anvil.call("eth_getBlockByNumber", "pending", False)
        timestamp_s = from_quantity(head["timestamp"]) + 12
        sent = traffic.next_slot(base_fee_wei=from_quantity(pending["baseFeePerGas"]), timestamp_s=timestamp_s)
        for transaction in sent:
            await self.anvil.call("eth_sendRawTransaction", to_data(transaction.raw))
        await self.anvil.call("evm_mine", to_quantity(timestamp_s))
        receipts = await self.anvil.call("eth_getBlockReceipts", "latest")
        traffic.settle(receipts)
        return sent, receipts


@pytest.fixture
async def planted() -> AsyncIterator[Planted]:
    async with await Anvil.start(
        hardfork=HARDFORK, gas_limit=GAS_LIMIT, chain_id=CHAIN_ID, extra_flags=ANVIL_FLAGS
    ) as anvil:
        yield Planted(anvil, await build_slice(anvil, SEED))
