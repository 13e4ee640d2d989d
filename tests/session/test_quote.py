"""A quote stands beside an execution that shares nothing with it, and every way to disagree is told."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec
import pytest

from agent.chain.connect import header_at
from agent.chain.rpc import HttpRpc
from agent.devnet.case import load_case
from agent.devnet.case_world import CaseWorld
from agent.devnet.slice import pool_records
from agent.devnet.slice_run import SliceWorld
from agent.dex.pool import Pool
from agent.engine.chain_hunt import next_env
from agent.engine.chain_view import ChainView
from agent.errors import SetupError, UsageError
from agent.eth.hexes import to_address
from agent.eth.units import Address
from agent.session.quote import quote_in
from agent.sim.node import NodeSimulator
from agent.sim.swap_probe import Holder, SwapOutcome, SwapProbe, SwapQuestion

pytestmark = pytest.mark.anvil
USDC_WETH_V3 = "0x88e6a0c2ddd26feeb64f039a2c41296fcb3f5640"
USDC_WETH_SUSHI = "0x397ff1542f962076d0bfe58ea045ffa2d347aca0"
USDC = "0xa0b86991c6218b36c1d19d4a2e9eb0ce3606eb48"


async def test_every_pool_of_the_slice_executes_as_quoted_both_ways_and_at_three_sizes(world: SliceWorld) -> None:
    rpc = HttpRpc(world.front.rpc_url)
    try:
        header = await header_at(rpc, None)
        view = await ChainView.load(rpc, header, pool_records(world.slice), sender=world.identities.probe)
        probe = SwapProbe(
            NodeSimulator(rpc), next_env(header), probe=world.identities.probe, payer=world.identities.owner.address
        )
        rich = world.slice.users[0].address
        for pool in list(view.pools)[::3]:
            for token_in in (pool.token0, pool.token1):
                for usd in (1, 5_000):
                    await _agrees(probe, pool, token_in, world.slice.token(token_in).amount_of_usd(usd), rich)
    finally:
        await rpc.close()


async def _agrees(probe: SwapProbe, pool: Pool, token_in: bytes, amount: int, holder: bytes) -> None:
    quoted = pool.quote_exact_in(token_in, amount)  # type: ignore[arg-type]
    for told, expected in (
        (quoted.amount_out, quoted),
        (quoted.amount_out + 3, quoted),
        (quoted.amount_out // 2, quoted),
    ):
        question = SwapQuestion(
            pool=pool.address, kind=pool.kind, token_in=token_in,  # type: ignore[arg-type]
            token_out=pool.token1 if token_in == pool.token0 else pool.token0,
            amount_in=amount, quoted_out=told, holders=(Holder(holder, amount),),  # type: ignore[arg-type]
        )  # fmt: skip
        outcome = await probe.swap(question)
        assert (outcome.error, outcome.amount_in, outcome.amount_out) == ("", expected.amount_in, expected.amount_out)
        if pool.kind != "v2":
            return  # only a V2 pair has to be told an output, so only there a wrong one could mislead


async def test_a_holder_without_the_tokens_is_an_error_and_no_figure(world: SliceWorld) -> None:
    rpc = HttpRpc(world.front.rpc_url)
    try:
        header = await header_at(rpc, None)
        ours = world.identities
        probe = SwapProbe(NodeSimulator(rpc), next_env(header), probe=ours.probe, payer=ours.owner.address)
        pool = world.slice.pools[0]
        question = SwapQuestion(
            pool=pool.address, kind=pool.kind, token_in=pool.token0, token_out=pool.token1, amount_in=10**6,
            quoted_out=1, holders=(Holder(ours.guardian.address, 10**6),),
        )  # fmt: skip
        outcome = await probe.swap(question)
        assert outcome.error.startswith("a transfer reverts")
        assert (outcome.amount_in, outcome.amount_out) == (0, 0)
    finally:
        await rpc.close()


@pytest.fixture
def case(mainnet: Path) -> Path:
    path = mainnet / "public" / "13217637.json.gz"
    if not path.exists():
        pytest.skip(f"no case at {path}")
    return path


@pytest.mark.slow
async def test_on_an_archived_block_all_three_answers_are_given_and_what_cannot_be_asked_is_told(
    case: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    v3, sushi, usdc = to_address(USDC_WETH_V3), to_address(USDC_WETH_SUSHI), to_address(USDC)
    stranger = Address(b"\x12" * 20)
    world = await CaseWorld.open(load_case(case))
    try:
        await world.node.position(None)
        for pool in (v3, sushi):
            equal = await quote_in(world, pool=pool, token_in=usdc, amount_in=10**9)
            assert (equal.exit_code, equal.data["verdict"]) == (0, "equal")
            assert equal.data["executed"]["amount_out"] == equal.data["quoted"]["amount_out"]
        far = await quote_in(world, pool=v3, token_in=usdc, amount_in=10**14)
        assert (far.exit_code, far.data["verdict"], far.data["executed"]) == (7, "unknown", None)
        assert {address for address, _ in far.data["missing"]} == {USDC_WETH_V3}
        with pytest.raises(SetupError, match="no pool that we can quote"):
            await quote_in(world, pool=stranger, token_in=usdc, amount_in=1)
        with pytest.raises(UsageError, match="not a token of the pool"):
            await quote_in(world, pool=v3, token_in=stranger, amount_in=1)
        with pytest.raises(SetupError, match="nobody on this state holds so much"):
            await quote_in(world, pool=sushi, token_in=usdc, amount_in=10**20)
        monkeypatch.setattr(SwapProbe, "swap", _one_less(SwapProbe.swap))
        differs = await quote_in(world, pool=v3, token_in=usdc, amount_in=10**9)
        assert (differs.exit_code, differs.data["verdict"]) == (1, "differs")
        assert "DIFFER" in differs.text
    finally:
        await world.close()


def _one_less(honest: Callable[[SwapProbe, SwapQuestion], Awaitable[SwapOutcome]]) -> object:
    async def swap(self: SwapProbe, question: SwapQuestion) -> SwapOutcome:
        outcome = await honest(self, question)
        return msgspec.structs.replace(outcome, amount_out=outcome.amount_out - 1)

    return swap
