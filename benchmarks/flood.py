"""A node in a process of its own that sends a burst of pending transactions to whoever subscribes.

`python -m benchmarks.flood COUNT` prints its port. Every subscriber gets the same COUNT transactions with bodies of
1.3 kB in the mean, one in five of them addressed to the watched set, as fast as its socket takes them.
"""

from __future__ import annotations

import asyncio
import json
import random
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from picows import WSFrame, WSListener, WSMsgType, WSTransport, WSUpgradeRequest, ws_create_server

COUNT = 10_000
WATCHED = tuple(f"0x{0xABC0_0000 + number:040x}" for number in range(50))
SUBSCRIPTION = "0x9cef478923ff08bf67fde6c64013158d"


def transactions(count: int) -> list[dict[str, object]]:
    """The burst: deterministic, type 2, calldata of 4 to 772 bytes."""
    rng = random.Random(7)
    found: list[dict[str, object]] = []
    for number in range(count):
        to = rng.choice(WATCHED) if rng.random() < 0.2 else f"0x{rng.getrandbits(160):040x}"
        found.append(
            {
                "blockHash": None,
                "blockNumber": None,
                "from": f"0x{rng.getrandbits(160):040x}",
                "gas": hex(rng.randrange(21_000, 900_000)),
                "gasPrice": hex(30 * 10**9),
                "maxFeePerGas": hex(rng.randrange(10**9, 90 * 10**9)),
                "maxPriorityFeePerGas": hex(rng.randrange(1, 10**9)),
                "hash": f"0x{rng.getrandbits(256):064x}",
                "input": "0x" + rng.randbytes(4 + 32 * rng.randrange(25)).hex(),
                "nonce": hex(number % 1_000),
                "to": to,
                "transactionIndex": None,
                "value": hex(rng.randrange(10**20)),
                "type": "0x2",
                "accessList": [],
                "chainId": "0x1",
                "v": "0x1",
                "yParity": "0x1",
                "r": f"0x{rng.getrandbits(255) | 1:x}",
                "s": f"0x{rng.getrandbits(254) | 1:x}",
            }
        )
    return found


@contextmanager
def flooding(count: int = COUNT) -> Iterator[str]:
    """Runs the node; its URL."""
    command = [sys.executable, "-m", "benchmarks.flood", str(count)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield f"ws://127.0.0.1:{process.stdout.readline().strip()}"
    finally:
        process.kill()
        process.wait()


class _Node(WSListener):
    def __init__(self, frames: list[bytes]) -> None:
        super().__init__()
        self._frames = frames

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type is WSMsgType.CLOSE:
            transport.disconnect()
        if frame.msg_type not in (WSMsgType.TEXT, WSMsgType.BINARY):  # web3.py sends its requests as binary
            return
        request = json.loads(frame.get_payload_as_bytes())
        answer: dict[str, object] = {"jsonrpc": "2.0", "id": request["id"]}
        if request["method"] == "eth_chainId":
            answer["result"] = "0x1"
        elif request["method"] == "eth_subscribe":
            answer["result"] = SUBSCRIPTION
        else:
            answer["error"] = {"code": -32601, "message": "the method does not exist"}
        transport.send(WSMsgType.TEXT, json.dumps(answer).encode())
        if request["method"] == "eth_subscribe":
            for burst in self._frames:
                transport.send(WSMsgType.TEXT, burst)


async def _serve(count: int) -> None:
    frames = [
        json.dumps(
            {"jsonrpc": "2.0", "method": "eth_subscription", "params": {"subscription": SUBSCRIPTION, "result": tree}},
            separators=(",", ":"),
        ).encode()
        for tree in transactions(count)
    ]

    def listener(_: WSUpgradeRequest) -> _Node:
        return _Node(frames)

    server = await ws_create_server(listener, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1])))
