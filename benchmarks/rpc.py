"""Asking a node on the same machine: one `eth_call`, and thirty that do not depend on each other.

The one against web3.py's HTTPProvider; the thirty as one batch against the project's own client one by one. Run with
`python -m benchmarks.rpc`; prints JSON.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import time

import uvloop
from web3 import HTTPProvider, Web3

from agent.chain.ipc import IpcRpc
from agent.chain.rpc import HttpRpc
from agent.chain.websocket import WsRpc
from agent.eth.hexes import address_text, to_data
from benchmarks.chain_world import GET_RESERVES, PAIR, start
from benchmarks.rounds import medians_ns, ratio, row

MANY = 30
GATE_ONE = 8.0
GATE_MANY = 2.0
CALLS = {"web3": 20, "http": 100, "websocket": 100, "one_by_one": 4, "batch": 20}


def run() -> dict[str, object]:
    """Nanoseconds by each way and the two ratios with their gates."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        node = runner.run(start())
        clients: list[HttpRpc | WsRpc | IpcRpc] = []
        try:
            http = HttpRpc(node.rpc_url)
            clients.append(http)
            websocket = runner.run(WsRpc.connect(node.ws_url))
            clients.append(websocket)
            w3 = Web3(HTTPProvider(node.rpc_url))
            params = [{"to": to_data(PAIR), "data": GET_RESERVES}, "latest"]
            checked = {"to": address_text(PAIR), "data": GET_RESERVES}
            many = [("eth_call", params)] * MANY

            async def one_by_one() -> list[object]:
                return [await websocket.call("eth_call", params) for _ in range(MANY)]

            ways = {
                "web3": lambda: w3.eth.call(checked),  # type: ignore[arg-type]
                "http": lambda: runner.run(http.call("eth_call", params)),
                "websocket": lambda: runner.run(websocket.call("eth_call", params)),
                "one_by_one": lambda: runner.run(one_by_one()),
                "batch": lambda: runner.run(websocket.batch(many)),
            }
            if not to_data(bytes(ways["web3"]())) == ways["http"]() == ways["websocket"]():
                raise AssertionError("all ways must give the same answer before they are timed")
            if ways["one_by_one"]() != ways["batch"]():
                raise AssertionError("the batch must give what the single calls give")
            figures = medians_ns(ways, calls=CALLS, clock_ns=time.perf_counter_ns)
        finally:
            for client in clients:
                runner.run(client.close())
            runner.run(node.stop())
    return {
        "name": "rpc",
        "median_ns": {name: round(statistics.median(rounds)) for name, rounds in figures.items()},
        "http_against_web3": ratio(figures, "web3", "http"),
        "rows": [
            row("P12", "one eth_call: web3.py / ours", figures, "web3", "websocket", gate=GATE_ONE),
            row("P12", f"{MANY} calls: one by one / as one batch", figures, "one_by_one", "batch", gate=GATE_MANY),
        ],
    }


if __name__ == "__main__":
    print(json.dumps(run(), indent=2))
