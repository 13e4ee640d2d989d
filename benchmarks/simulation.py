"""A bundle of three transactions, with its gas and logs: simulated, against mined and taken back.

The mine cycle is snapshot, send, mine, receipts, revert over HTTP kept alive, as one writes it without a simulator; the
simulator runs over the agent's own connection, a WebSocket. Run with `python -m benchmarks.simulation`; prints JSON.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import time

import uvloop

from agent.chain.rpc import HttpRpc
from agent.chain.websocket import WsRpc
from agent.eth.receipts import receipt_from_rpc
from agent.sim.node import NodeSimulator
from agent.sim.simulator import BlockEnv
from benchmarks.chain_world import bundle, next_env, signed, start
from benchmarks.rounds import medians_ns, row

GATE = 4.0
CALLS = {"mine_cycle": 8, "simulate": 40}


async def mine_cycle(rpc: HttpRpc, raws: list[str], env: BlockEnv) -> list[tuple[int, int]]:
    """Gas and log count of each transaction, by mining them; the node is as before afterwards."""
    snapshot = await rpc.call("evm_snapshot")
    await rpc.call("evm_setNextBlockTimestamp", [env.timestamp])  # the pair's oracle costs gas once a second
    for raw in raws:
        await rpc.call("eth_sendRawTransaction", [raw])
    await rpc.call("evm_mine")
    receipts = [receipt_from_rpc(row) for row in await rpc.call("eth_getBlockReceipts", [hex(env.number)])]
    await rpc.call("evm_revert", [snapshot])
    ends = [0, *(receipt.cumulative_gas_used for receipt in receipts)]
    return [(end - begin, len(r.logs)) for r, begin, end in zip(receipts, ends, ends[1:], strict=False)]


def run() -> dict[str, object]:
    """Nanoseconds by both ways and their ratio with its gate."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        node = runner.run(start())
        rpc = HttpRpc(node.rpc_url)
        websocket = runner.run(WsRpc.connect(node.ws_url))
        try:
            calls = bundle(first_nonce=3, amount=10**21)
            raws = signed(calls)
            env = runner.run(next_env(node))
            simulator = NodeSimulator(websocket)

            async def simulate() -> list[tuple[int, int]]:
                (simulation,) = await simulator.simulate([calls], env)
                return [(result.gas_used, len(result.logs)) for result in simulation.calls]

            ways = {
                "mine_cycle": lambda: runner.run(mine_cycle(rpc, raws, env)),
                "simulate": lambda: runner.run(simulate()),
            }
            if not ways["simulate"]() == ways["mine_cycle"]() or len(ways["simulate"]()) != len(calls):
                raise AssertionError("both ways must give the same gas and logs before they are timed")
            figures = medians_ns(ways, calls=CALLS, clock_ns=time.perf_counter_ns)
        finally:
            runner.run(rpc.close())
            runner.run(websocket.close())
            runner.run(node.stop())
    return {
        "name": "simulation",
        "median_ns": {name: round(statistics.median(rounds)) for name, rounds in figures.items()},
        "rows": [
            row("P11", "a bundle of three: mined and taken back / simulated", figures, "mine_cycle", "simulate",
                gate=GATE),
        ],
    }  # fmt: skip


if __name__ == "__main__":
    print(json.dumps(run(), indent=2))
