"""The article's client in a process of its own, with nothing else in it, as its user runs it: `... article_client PORT`.

How fast it is depends on the allocator: asyncio takes a buffer of a quarter MiB for each read, and by where these come
to lie a message costs 40 or 62 microseconds, for as long as the process lives. Alone in its process, with the C library as
it comes, it is the latter; the former has been seen in a process that had loaded much else, and with other settings of
the allocator.
"""

from __future__ import annotations

import asyncio
import gc
import sys

from benchmarks.naive.article import OrderSignal, trade

SIGNAL = OrderSignal("BTC-USDC", "buy", 0.01, 60_010.0, 5, 1 << 60)


async def main(port: int) -> None:
    """Answer until the server has measured enough and is gone; nothing is collected meanwhile, as on the other side."""
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        await trade(f"ws://127.0.0.1:{port}/", 1 << 30, SIGNAL)
    except Exception:  # noqa: BLE001 # whatever its library raises when the peer is gone
        return


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
