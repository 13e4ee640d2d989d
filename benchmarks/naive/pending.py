"""Pending transactions as web3.py and as websockets with json deliver them: the same decision, the same values out.

Each transaction once: nodes repeat them, and the agent's feed leaves repetitions out, too.
"""

from __future__ import annotations

import json

import websockets
from web3 import AsyncWeb3, WebSocketProvider

from benchmarks.flood import Burst

Hit = tuple[str, int, int, int, int, int, bytes]
"""Hash, value, fee cap, priority fee, gas, nonce, calldata."""


async def by_web3(burst: Burst, watched: frozenset[str]) -> list[Hit]:
    """web3.py's persistent provider and its typed subscription stream."""
    hits: list[Hit] = []
    seen: set[object] = set()
    async with AsyncWeb3(WebSocketProvider(burst.url)) as w3:
        await w3.eth.subscribe("newPendingTransactions", True)
        burst.start()
        async for message in w3.socket.process_subscriptions():
            tx = message["result"]
            if tx["hash"] in seen:
                continue
            seen.add(tx["hash"])
            if tx["to"].lower() in watched:
                hits.append(
                    (
                        tx["hash"].to_0x_hex(),
                        tx["value"],
                        tx["maxFeePerGas"],
                        tx["maxPriorityFeePerGas"],
                        tx["gas"],
                        tx["nonce"],
                        bytes(tx["input"]),
                    )
                )
            if len(seen) == burst.count:
                burst.stop()
                return hits
    return hits


async def by_json(burst: Burst, watched: frozenset[str]) -> list[Hit]:
    """The websockets package and the standard library's json, converting only what is addressed to the watched."""
    hits: list[Hit] = []
    seen: set[object] = set()
    async with websockets.connect(burst.url, compression=None, max_queue=None) as socket:
        await socket.send(
            json.dumps(
                {"jsonrpc": "2.0", "id": 1, "method": "eth_subscribe", "params": ["newPendingTransactions", True]}
            )
        )
        await socket.recv()
        burst.start()
        async for message in socket:
            tx = json.loads(message)["params"]["result"]
            if tx["hash"] in seen:
                continue
            seen.add(tx["hash"])
            if tx["to"] in watched:
                hits.append(
                    (
                        tx["hash"],
                        int(tx["value"], 16),
                        int(tx["maxFeePerGas"], 16),
                        int(tx["maxPriorityFeePerGas"], 16),
                        int(tx["gas"], 16),
                        int(tx["nonce"], 16),
                        bytes.fromhex(tx["input"][2:]),
                    )
                )
            if len(seen) == burst.count:
                burst.stop()
                return hits
    return hits
