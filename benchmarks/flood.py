"""A node in a process of its own that sends a burst of pending transactions to whoever subscribes.

`python -m benchmarks.flood COUNT` prints its port. When `Burst.start` says so, every subscriber gets the same COUNT
transactions with bodies of 1.3 kB in the mean, one in five of them addressed to the watched set, written as one piece:
a burst that waits in the socket, as after a new head, so that nobody is timed while waiting for the next frame.
"""

from __future__ import annotations

import asyncio
import json
import logging
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from picows import WSFrame, WSListener, WSMsgType, WSTransport, WSUpgradeRequest, ws_create_server
from websockets.sync.client import connect

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


class Burst:
    """One drain: a client calls `start` when its subscription stands, and `stop` when it has the last transaction."""

    def __init__(self, url: str, count: int) -> None:
        self.url = url
        self.count = count
        self.cpu_ns = 0
        """Processor time of this process from start to stop."""
        self._go = connect(url, compression=None)

    def start(self) -> None:
        self.cpu_ns = -time.process_time_ns()
        self._go.send('{"id":0,"method":"go"}')

    def stop(self) -> None:
        self.cpu_ns += time.process_time_ns()
        self._go.close()


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
    def __init__(self, burst: bytes, subscribers: set[WSTransport]) -> None:
        super().__init__()
        self._burst = burst
        self._subscribers = subscribers

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        self._subscribers.discard(transport)

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type is WSMsgType.CLOSE:
            transport.disconnect()
        if frame.msg_type not in (WSMsgType.TEXT, WSMsgType.BINARY):  # web3.py sends its requests as binary
            return
        request = json.loads(frame.get_payload_as_bytes())
        if request["method"] == "go":
            for subscriber in self._subscribers:
                subscriber.underlying_transport.write(self._burst)
            return
        answer: dict[str, object] = {"jsonrpc": "2.0", "id": request["id"]}
        if request["method"] == "eth_chainId":
            answer["result"] = "0x1"
        elif request["method"] == "eth_subscribe":
            answer["result"] = SUBSCRIPTION
        else:
            answer["error"] = {"code": -32601, "message": "the method does not exist"}
        transport.send(WSMsgType.TEXT, json.dumps(answer).encode())
        if request["method"] == "eth_subscribe":
            self._subscribers.add(transport)


def _frame(transaction: dict[str, object]) -> bytes:
    """One whole text frame of RFC 6455, 5.2, as a server sends it: not masked."""
    params = {"subscription": SUBSCRIPTION, "result": transaction}
    payload = json.dumps(
        {"jsonrpc": "2.0", "method": "eth_subscription", "params": params}, separators=(",", ":")
    ).encode()
    assert 125 < len(payload) < 1 << 16
    return b"\x81\x7e" + len(payload).to_bytes(2, "big") + payload


async def _serve(count: int) -> None:
    burst = b"".join(map(_frame, transactions(count)))

    subscribers: set[WSTransport] = set()

    def listener(_: WSUpgradeRequest) -> _Node:
        return _Node(burst, subscribers)

    server = await ws_create_server(listener, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    logging.disable()  # picows reports each full write buffer
    asyncio.run(_serve(int(sys.argv[1])))
