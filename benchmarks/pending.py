"""A burst of full pending transactions, from the socket to typed values: CPU time of the client.

Against web3.py's persistent provider and against websockets with json. The node that sends is another process, and
only the client's own processor time counts, from the first byte of the burst to the last value, so the two cores they
may share do not matter. Run with
`python -m benchmarks.pending`; prints JSON.
"""

from __future__ import annotations

import asyncio
import gc
import json
import statistics
from collections.abc import Callable, Coroutine
from typing import Any

import uvloop

from agent.chain.mempool import MempoolFeed, Watching
from agent.chain.pending import PendingTransaction
from agent.chain.websocket import WsRpc
from benchmarks.flood import COUNT, WATCHED, Burst, flooding
from benchmarks.naive.pending import Hit, by_json, by_web3
from benchmarks.rounds import row

ROUNDS = 7
GATE_WEB3 = 40.0
GATE_JSON = 3.0


async def by_feed(burst: Burst, watched: frozenset[str]) -> list[Hit]:
    """The agent's own feed: a reader that takes what has come and converts what is addressed to the watched."""
    feed = MempoolFeed(lambda: WsRpc.connect(burst.url), chain_id=1)
    task = asyncio.ensure_future(feed.run())
    hits: list[Hit] = []
    seen = 0
    try:
        while not any(isinstance(event, Watching) for event in await feed.read()):
            pass
        burst.start()
        while seen < burst.count:
            for event in await feed.read():
                if type(event) is not PendingTransaction:
                    continue
                seen += 1
                if event.to in watched:
                    terms = event.terms()
                    fees = terms.max_fee_wei, terms.max_priority_fee_wei
                    hits.append((event.hash, terms.value_wei, *fees, terms.gas, terms.nonce, terms.calldata))
        burst.stop()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    if feed.lost or feed.malformed:
        raise AssertionError(f"{feed.lost} lost, {feed.malformed} malformed")
    return hits


def run(*, count: int = COUNT, rounds: int = ROUNDS) -> dict[str, object]:
    """CPU nanoseconds for one transaction by each client, and the two ratios with their gates."""
    watched = frozenset(WATCHED)
    clients: dict[str, tuple[Callable[..., Coroutine[Any, Any, list[Hit]]], Callable[..., Any]]] = {
        "web3": (by_web3, asyncio.run),
        "json": (by_json, asyncio.run),
        "ours": (by_feed, uvloop.run),
    }
    figures: dict[str, list[float]] = {name: [] for name in clients}
    with flooding(count) as url:
        found = {name: run_loop(client(Burst(url, count), watched)) for name, (client, run_loop) in clients.items()}
        if not found["ours"] or not found["ours"] == found["web3"] == found["json"]:
            raise AssertionError("all sides must find the same values before they are timed")
        names = list(clients)
        for turn in range(rounds):
            for name in names[turn % 3 :] + names[: turn % 3]:
                client, run_loop = clients[name]
                gc.collect()
                gc.freeze()
                gc.disable()
                burst = Burst(url, count)
                run_loop(client(burst, watched))
                figures[name].append(burst.cpu_ns / count)
                gc.enable()
                gc.unfreeze()
    return {
        "name": "pending",
        "count": count,
        "hits": len(found["ours"]),
        "median_cpu_ns": {name: round(statistics.median(values)) for name, values in figures.items()},
        "rows": [
            row("P7", "a pending transaction of a burst: web3.py / ours", figures, "web3", "ours", gate=GATE_WEB3),
            row("P8", "the same: websockets and json / ours", figures, "json", "ours", gate=GATE_JSON),
        ],
    }


if __name__ == "__main__":
    print(json.dumps(run(), indent=2))
