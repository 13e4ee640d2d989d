"""Pending transactions as web3.py and as websockets with json deliver them: the same decision, the same values out."""

from __future__ import annotations

import json

import websockets
from web3 import AsyncWeb3, WebSocketProvider

Hit = tuple[str, int, int, int, int, int, bytes]
"""Hash, value, fee cap, priority fee, gas, nonce, calldata."""


async def by_web3(url: str, watched: frozenset[str], count: int) -> list[Hit]:
    """web3.py's persistent provider and its typed subscription stream."""
    hits: list[Hit] = []
    seen = 0
    async with AsyncWeb3(WebSocketProvider(url)) as w3:
        await w3.eth.subscribe("newPendingTransactions", True)
        async for message in w3.socket.process_subscriptions():
            tx = message["result"]
            seen += 1
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
            if seen == count:
                return hits
    return hits


async def by_json(url: str, watched: frozenset[str], count: int) -> list[Hit]:
    """The websockets package and the standard library's json, converting only what is addressed to the watched."""
    hits: list[Hit] = []
    seen = 0
    async with websockets.connect(url, compression=None, max_queue=None) as socket:
        await socket.send(
            json.dumps(
                {"jsonrpc": "2.0", "id": 1, "method": "eth_subscribe", "params": ["newPendingTransactions", True]}
            )
        )
        await socket.recv()
        async for message in socket:
            tx = json.loads(message)["params"]["result"]
            seen += 1
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
            if seen == count:
                return hits
    return hits
