"""The three engines agree to the last unit of gas, and each node gets the best one it offers."""

from __future__ import annotations

import msgspec
import pytest

from agent.chain.jsonrpc import RpcError
from agent.errors import SetupError
from agent.sim.node import NodeSimulator
from agent.sim.probe import probe_engine
from agent.sim.simulator import Call, Override
from agent.sim.snapshot import SnapshotSimulator
from agent.sim.trace import TraceSimulator
from tests.sim.test_node import OURS, WETH, block_calls, case_node, word


@pytest.mark.anvil
@pytest.mark.parametrize(("number", "count"), [(16146267, 40), (24628607, 30)])
async def test_tracing_and_mining_agree_with_simulating(mainnet, number, count):
    async with await case_node(mainnet, number) as node:
        rpc = node.anvil.rpc
        calls = block_calls(node)[:count]
        sequences = [calls, calls[:1], (msgspec.structs.replace(calls[0], nonce=10**6),)]
        simulated = await NodeSimulator(rpc).simulate(sequences, node.env)
        traced = await TraceSimulator(rpc).simulate(sequences, node.env)
        mined = await SnapshotSimulator(rpc).simulate([calls], node.env)
        after = await NodeSimulator(rpc).simulate([calls], node.env)
    assert simulated[0].is_known and any(result.logs for result in simulated[0].calls)
    for one, other in zip(simulated[0].calls, traced[0].calls, strict=True):
        assert (one.is_success, one.gas_used, one.logs) == (other.is_success, other.gas_used, other.logs)
        assert one.return_data == other.return_data or not one.is_success
    assert traced[1].calls[0].gas_used == simulated[1].calls[0].gas_used
    assert traced[2].refused == simulated[2].refused != ""
    for one, other in zip(simulated[0].calls, mined[0].calls, strict=True):
        assert (one.is_success, one.gas_used, one.logs) == (other.is_success, other.gas_used, other.logs)
    assert after == simulated[:1]


@pytest.mark.anvil
async def test_tracing_finds_missing_slots_like_simulating(mainnet):
    async with await case_node(mainnet, 16146267, fresh=[OURS]) as node:
        calls = tuple(
            Call(
                sender=OURS,
                to=WETH,
                data=bytes.fromhex("70a08231") + word(bytes([byte]) * 20),
                gas=60_000,
                max_fee_wei=node.env.base_fee_wei,
            )
            for byte in (0x11, 0x12)
        )
        rich = (Override(OURS, balance_wei=10**18),)
        (simulated,) = await NodeSimulator(node.anvil.rpc).simulate([calls], node.env, overrides=rich)
        (traced,) = await TraceSimulator(node.anvil.rpc).simulate([calls], node.env, overrides=rich)
        assume = frozenset(simulated.missing)
        (allowed,) = await TraceSimulator(node.anvil.rpc).simulate([calls], node.env, overrides=rich, assume=assume)
        (left_out,) = await SnapshotSimulator(node.anvil.rpc).simulate([calls], node.env, overrides=rich)
    assert len(simulated.missing) == 2
    assert traced.missing == simulated.missing
    assert [call.gas_used for call in traced.calls] == [call.gas_used for call in simulated.calls]
    assert allowed.is_known and allowed.assumed == simulated.missing
    assert left_out.refused and not left_out.calls


class Offers:
    """A node that knows only the methods it is told of."""

    def __init__(self, *methods: str, version: str = "Geth/v1") -> None:
        self._methods = methods
        self._version = version

    async def batch(self, calls):
        return [
            self._version
            if method == "web3_clientVersion"
            else ([] if method in self._methods else RpcError("the method does not exist", rpc_code=-32601))
            for method, _ in calls
        ]


async def test_each_node_gets_the_best_engine_it_offers():
    assert isinstance(await probe_engine(Offers("eth_simulateV1", "debug_traceCall")), NodeSimulator)
    assert isinstance(await probe_engine(Offers("debug_traceCall")), TraceSimulator)
    assert isinstance(await probe_engine(Offers(version="anvil/v0.2.0")), SnapshotSimulator)
    with pytest.raises(SetupError, match="neither eth_simulateV1 nor debug_traceCall"):
        await probe_engine(Offers())


@pytest.mark.anvil
async def test_anvil_gets_the_first(mainnet):
    async with await case_node(mainnet, 24628607) as node:
        assert isinstance(await probe_engine(node.anvil.rpc), NodeSimulator)
