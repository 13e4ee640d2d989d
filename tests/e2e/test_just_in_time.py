"""Liquidity that is there for one trade and gone with the next transaction: what rests on it is claimed while it stands.

The block is made on the slice and captured like any other: a provider doubles a pool, a whale trades through it, the
provider takes everything back. Right behind the whale the deep pool is off by a lot; one transaction later the same
price stands in a pool half as deep, and whoever still reckons with the deep one is wrong.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, NamedTuple

import pytest

from agent.devnet.anvil import Anvil
from agent.devnet.builder import Ordering
from agent.devnet.capture import capture
from agent.devnet.case import Case, load_case
from agent.devnet.case_world import CaseWorld
from agent.devnet.checks import verify_case
from agent.devnet.mainnet import START_TOKENS, WETH
from agent.devnet.slice.swaps import v2_swap_tokens
from agent.devnet.slice.world import CONTRACTS, Slice, SlicePool
from agent.devnet.slice_run import SliceWorld
from agent.devnet.survey import survey
from agent.eth.hexes import from_quantity, to_data
from agent.eth.keccak import keccak256
from agent.eth.keys import Signer, sign_dynamic_fee
from agent.eth.units import UINT256_MAX, Address
from agent.observe.report import report
from scripts.measure_claims import mine_alone

pytestmark = [pytest.mark.anvil]

USDC = START_TOKENS[1].address
GWEI = 10**9
PROVIDER, WHALE, OTHER = 0, 1, 2
TRADE, BURN = 2, 3
"""Positions in the block; before them the provider approves and mints."""


def words(*values: int | bytes) -> bytes:
    return b"".join(v.rjust(32, b"\0") if isinstance(v, bytes) else v.to_bytes(32, "big") for v in values)


def call(signature: str, *values: int | bytes) -> bytes:
    return bytes(keccak256(signature.encode())[:4]) + words(*values)


class Sender(NamedTuple):
    """A user of the slice who signs whatever is wanted, in order."""

    signer: Signer
    anvil: Anvil
    base_fee_wei: int

    async def send(self, nonce: int, to: Address, data: bytes) -> None:
        signed = sign_dynamic_fee(
            self.signer, chain_id=1, nonce=nonce, max_priority_fee_wei=GWEI, max_fee_wei=GWEI + 2 * self.base_fee_wei,
            gas=400_000, to=to, value_wei=0, data=data,
        )  # fmt: skip
        await self.anvil.call("eth_sendRawTransaction", to_data(signed.raw))


def pair(world: Slice, protocol: str) -> SlicePool:
    """The WETH/USDC pair of that protocol."""
    found = [p for p in world.pools if p.kind == "v2" and {p.token0, p.token1} == {WETH, USDC}]
    return next(pool for pool in found if protocol.lower() in pool.protocol.lower())


async def make_block(world: SliceWorld) -> int:
    """Mine the block on the slice; its number."""
    anvil = world.anvil
    await anvil.call("evm_mine")  # what was planted after the slice's head belongs to no state root before this
    head = await anvil.call("eth_getBlockByNumber", "latest", False)
    senders = [
        Sender(Signer(u.private_key), anvil, from_quantity(head["baseFeePerGas"])) for u in world.slice.users[:3]
    ]
    deep, other = pair(world.slice, "uniswap"), pair(world.slice, "sushi")
    usdc, weth = (deep.virtual0, deep.virtual1) if deep.token0 == USDC else (deep.virtual1, deep.virtual0)
    provider = senders[PROVIDER].signer.address
    supply = from_quantity(await anvil.call("eth_call", {"to": to_data(deep.address), "data": "0x18160ddd"}, "latest"))
    added = min(usdc, 4_000_000 * 10**6)
    added_weth = added * weth // usdc  # floor: the router's own `quote`
    liquidity = min(added * supply // usdc, added_weth * supply // weth)  # floor: UniswapV2Pair.mint
    deadline = from_quantity(head["timestamp"]) + 600
    add = call(
        "addLiquidity(address,address,uint256,uint256,uint256,uint256,address,uint256)",
        USDC, WETH, added, UINT256_MAX >> 144, 0, 0, provider, deadline,
    )  # fmt: skip
    remove = call(
        "removeLiquidity(address,address,uint256,uint256,uint256,address,uint256)",
        USDC, WETH, liquidity, 0, 0, provider, deadline,
    )  # fmt: skip
    router = CONTRACTS.v2_router
    await senders[PROVIDER].send(0, deep.address, call("approve(address,uint256)", router, UINT256_MAX))
    await senders[PROVIDER].send(1, router, add)
    await senders[WHALE].send(0, router, _swap(usdc // 12, [USDC, WETH], senders[WHALE].signer.address, deadline))
    await senders[PROVIDER].send(2, router, remove)
    # Trades either way through the other pair, so that a capture knows all of it.
    for nonce, path in enumerate(([USDC, WETH], [WETH, USDC])):
        amount = 10**8 if path[0] == USDC else 10**16
        at = senders[OTHER].signer.address
        await senders[OTHER].send(nonce, CONTRACTS.sushi_router, _swap(amount, path, at, deadline))
    await anvil.call("evm_mine")
    assert other.address != deep.address
    block = await anvil.call("eth_getBlockByNumber", "latest", False)
    receipts = await anvil.call("eth_getBlockReceipts", "latest")
    assert [from_quantity(receipt["status"]) for receipt in receipts] == [1] * 6
    return from_quantity(block["number"])


def _swap(amount: int, path: Sequence[Address], recipient: Address, deadline: int) -> bytes:
    return v2_swap_tokens(amount_in=amount, minimum_out=0, path=path, recipient=recipient, deadline_s=deadline)


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Case:
    """The block as a captured case."""
    out = tmp_path_factory.mktemp("capture") / "block.json.gz"

    async def make() -> None:
        world = await SliceWorld.open(seed=0, ordering=Ordering.PROFIT)
        try:
            await capture(await make_block(world), world.anvil.rpc_url, out)
        finally:
            await world.close()

    asyncio.run(make())
    return load_case(out)


@pytest.fixture(scope="module")
def data(case: Case) -> dict[str, Any]:
    surveyed: dict[str, Any] = report(asyncio.run(survey(case, run="just in time")))["data"]
    return surveyed


def between(data: dict[str, Any], after_index: int) -> dict[str, Any]:
    """The one cycle over both pairs that begins in WETH, right after a transaction."""
    found = [one for one in data["opportunities"] if one["after_index"] == after_index and len(one["legs"]) == 2]
    one: dict[str, Any]
    (one,) = [one for one in found if one["token"] == to_data(WETH)]
    return one


def test_the_deep_pool_pays_while_it_is_deep(data: dict[str, Any]) -> None:
    traded, burnt = between(data, TRADE), between(data, BURN)
    assert int(traded["gross_amount"]) > int(burnt["gross_amount"]) > 0
    assert traded["quoted_amount"] == traded["gross_amount"]


def test_after_it_is_gone_nothing_rests_on_it(data: dict[str, Any]) -> None:
    assert data["mismatches"] == []
    for one in data["opportunities"]:
        assert one["outcome"] in ("profit", "loss", "unknown"), one
        assert one["outcome"] == "unknown" or one["quoted_amount"] == one["gross_amount"]


def test_every_claim_is_what_mining_gives(case: Case, data: dict[str, Any]) -> None:
    async def mined() -> dict[str, int]:
        world = await CaseWorld.open(case)
        try:
            return {one["id"]: (await mine_alone(world, one))[1] for one in data["opportunities"]}
        finally:
            await world.close()

    claimed = {one["id"]: int(one["gross_amount"]) for one in data["opportunities"] if one["outcome"] != "unknown"}
    gained = asyncio.run(mined())
    assert claimed and {id_: gained[id_] for id_ in claimed} == claimed


def test_the_block_is_a_case_like_any_other(case: Case) -> None:
    verify_case(case)
    assert len(case.transactions) == 6
