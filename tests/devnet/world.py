"""A small world for builder and relay tests: plain anvil, funded keys, signed transfers and a payer contract."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from agent.devnet.anvil import Anvil
from agent.devnet.builder import Builder, Ordering
from agent.devnet.mempool import Mempool
from agent.devnet.pending import PendingTransaction, decode_pending
from agent.eth.hexes import to_data, to_quantity
from agent.eth.keys import Signer, sign_dynamic_fee
from agent.eth.units import Address
from agent.sim.simulator import BlockEnv

GWEI = 10**9
BUILDER = Address(b"\xb0" * 20)
SINK = Address(b"\x5e" * 20)
PAYER = Address(b"\x9a" * 20)
"""Sends its call value to the block's fee recipient: `CALL(gas, COINBASE, CALLVALUE)`."""
PAYER_CODE = bytes.fromhex("6000600060006000344161fffff100")
REVERTER = Address(b"\x9b" * 20)
REVERTER_CODE = bytes.fromhex("60006000fd")
TAKES_BACK = Address(b"\x9e" * 20)
"""Pays like PAYER, then reverts: nothing was paid."""
TAKES_BACK_CODE = bytes.fromhex("6000600060006000344161fffff160006000fd")
ONCE = Address(b"\x9c" * 20)
"""Succeeds for the first caller, reverts ever after: an opportunity that can be taken once.

SLOAD(0) != 0 -> revert; else SSTORE(0, 1) and pay the call value to COINBASE.
"""
ONCE_CODE = bytes.fromhex("600054601a5760016000556000600060006000344161fffff1005b60006000fd")
CONTRACTS = {PAYER: PAYER_CODE, REVERTER: REVERTER_CODE, ONCE: ONCE_CODE, TAKES_BACK: TAKES_BACK_CODE}

KEYS = [Signer(bytes([i]) * 32) for i in range(1, 9)]


def sign(
    key: Signer,
    nonce: int,
    *,
    to: Address | None = SINK,
    tip: int = GWEI,
    cap: int = 100 * GWEI,
    gas: int = 21_000,
    value: int = 1,
    data: bytes = b"",
) -> PendingTransaction:
    """A signed type-2 transaction for chain 1."""
    signed = sign_dynamic_fee(
        key,
        chain_id=1,
        nonce=nonce,
        max_priority_fee_wei=tip,
        max_fee_wei=cap,
        gas=gas,
        to=to,
        value_wei=value,
        data=data,
    )
    return decode_pending(signed.raw)


class World:
    """One anvil with builder and mempool."""

    def __init__(self, anvil: Anvil, ordering: Ordering) -> None:
        self.anvil = anvil
        self.mempool = Mempool()
        self.builder = Builder(anvil, self.mempool, ordering=ordering)

    async def env(self, *, gas_limit: int = 30_000_000) -> BlockEnv:
        """The next block, at 1 gwei, with a fee recipient of ours."""
        head = await self.anvil.call("eth_getBlockByNumber", "latest", False)
        return BlockEnv(
            number=int(head["number"], 16) + 1,
            timestamp=int(head["timestamp"], 16) + 12,
            base_fee_wei=GWEI,
            fee_recipient=BUILDER,
            gas_limit=gas_limit,
            prev_randao=1,
        )

    async def balance(self, address: Address) -> int:
        return int(await self.anvil.call("eth_getBalance", to_data(address), "latest"), 16)


@asynccontextmanager
async def running_world(ordering: Ordering) -> AsyncIterator[World]:
    async with await Anvil.start(hardfork="osaka", gas_limit=30_000_000, chain_id=1) as anvil:
        for key in KEYS:
            await anvil.call("anvil_setBalance", to_data(key.address), to_quantity(10**20))
        for address, code in (
            (PAYER, PAYER_CODE),
            (REVERTER, REVERTER_CODE),
            (ONCE, ONCE_CODE),
            (TAKES_BACK, TAKES_BACK_CODE),
        ):
            await anvil.call("anvil_setCode", to_data(address), to_data(code))
        yield World(anvil, ordering)
