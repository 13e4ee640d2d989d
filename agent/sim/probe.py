"""Which simulation a node offers: asked once, the best one taken."""

from __future__ import annotations

from agent.chain.jsonrpc import RpcError
from agent.errors import SetupError
from agent.sim.node import BatchRpc, NodeSimulator
from agent.sim.simulator import Simulator
from agent.sim.snapshot import SnapshotSimulator
from agent.sim.trace import TraceSimulator

_NOT_OFFERED = frozenset({-32601, -32004})
"""Method not found; method not supported (EIP-1474)."""


async def probe_engine(rpc: BatchRpc) -> Simulator:
    """`eth_simulateV1` where there is one, else `debug_traceCall`, else a development node's snapshots.

    SetupError where the node offers none. Snapshots are tried last as they need the node for oneself.
    """
    nobody = "0x" + "00" * 20
    simulate, trace, version = await rpc.batch(
        [
            ("eth_simulateV1", [{"blockStateCalls": [{"calls": []}], "validation": True}, "latest"]),
            ("debug_traceCall", [{"from": nobody, "to": nobody}, "latest", {"tracer": "callTracer"}]),
            ("web3_clientVersion", []),
        ]
    )
    if _is_offered(simulate):
        return NodeSimulator(rpc)
    if _is_offered(trace):
        return TraceSimulator(rpc)
    if isinstance(version, str) and version.lower().startswith(("anvil", "hardhat")):
        return SnapshotSimulator(rpc)
    raise SetupError(
        "this node can simulate nothing: it offers neither eth_simulateV1 nor debug_traceCall",
        hint="use a node with eth_simulateV1 (geth from 1.14.9, reth, anvil), or let anvil fork it with --fork-url",
    )


def _is_offered(answer: object) -> bool:
    """Any other error means that the method exists and did not like the question."""
    return not (isinstance(answer, RpcError) and answer.rpc_code in _NOT_OFFERED)
