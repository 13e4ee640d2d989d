"""The loop on virtual time: what asyncio promises holds, nothing waits, and what no seed governs is refused."""

from __future__ import annotations

import asyncio
import random
import socket
import time
from collections.abc import Coroutine
from typing import Any

import pytest

from agent.devnet.virtual.clock import Timeline
from agent.devnet.virtual.loop import Deadlock, LiveLock, OutsideWorld, VirtualLoop

NS = 1_000_000_000


def run(main: Coroutine[Any, Any, Any], **options: Any) -> tuple[Any, int]:
    timeline = Timeline()
    result = VirtualLoop(timeline, **options).run(main)
    return result, timeline.now_ns


def test_an_hour_passes_at_once() -> None:
    started = time.monotonic()
    _, now_ns = run(asyncio.sleep(3_600))
    assert now_ns == 3_600 * NS
    assert time.monotonic() - started < 5


def test_timers_ring_in_the_order_of_their_instants() -> None:
    async def main() -> list[int]:
        rung: list[int] = []
        loop = asyncio.get_running_loop()
        for delay in (3, 1, 2):
            loop.call_later(delay, rung.append, delay)
        await asyncio.sleep(4)
        return rung

    assert run(main())[0] == [1, 2, 3]


def test_a_time_out_ends_a_wait_at_its_instant() -> None:
    async def main() -> float:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(7):
                await asyncio.Event().wait()
        return asyncio.get_running_loop().time()

    assert run(main())[0] == 7


def test_a_cancelled_task_runs_its_last_block() -> None:
    async def main() -> list[str]:
        said: list[str] = []

        async def work() -> None:
            try:
                await asyncio.sleep(100)
            finally:
                said.append("mended")

        task = asyncio.create_task(work())
        await asyncio.sleep(1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return said

    assert run(main()) == (["mended"], NS)


def test_what_is_left_running_is_cancelled_in_the_order_of_its_making() -> None:
    ended: list[int] = []

    async def work(number: int) -> None:
        try:
            await asyncio.sleep(1_000)
        finally:
            ended.append(number)

    async def main() -> list[asyncio.Task[None]]:
        tasks = [asyncio.create_task(work(number)) for number in range(20)]
        await asyncio.sleep(1)
        return tasks

    run(main())
    assert ended == list(range(20))


def test_ten_thousand_cancelled_timers_leave_the_heap() -> None:
    async def main() -> int:
        loop = asyncio.get_running_loop()
        for _ in range(10_000):
            loop.call_later(500, print).cancel()
            await asyncio.sleep(0)
        return len(loop._scheduled)

    assert run(main())[0] < 1_000


def test_a_wake_up_that_cannot_come_is_a_deadlock() -> None:
    with pytest.raises(Deadlock):
        run(asyncio.Event().wait())


def test_a_loop_that_spins_is_a_live_lock() -> None:
    async def main() -> None:
        while True:
            await asyncio.sleep(0)

    with pytest.raises(LiveLock):
        run(main(), budget=10_000)


def test_threads_are_refused() -> None:
    with pytest.raises(OutsideWorld):
        run(asyncio.to_thread(int))


def test_sockets_are_refused() -> None:
    async def main() -> None:
        with socket.socket() as own:
            own.setblocking(False)
            await asyncio.get_running_loop().sock_connect(own, ("127.0.0.1", 9))

    with pytest.raises((OutsideWorld, NotImplementedError)):
        run(main())


def test_a_failure_that_nobody_takes_is_raised_at_the_end() -> None:
    async def main() -> None:
        asyncio.get_running_loop().call_soon(lambda: 1 // 0)
        await asyncio.sleep(1)

    with pytest.raises(ZeroDivisionError):
        run(main())


async def interleaving() -> list[int]:
    seen: list[int] = []

    async def work(number: int) -> None:
        for _ in range(3):
            seen.append(number)
            await asyncio.sleep(0)

    await asyncio.gather(*(work(number) for number in range(6)))
    return seen


def test_without_a_shuffle_the_order_is_asyncio_s_own() -> None:
    assert run(interleaving())[0] == asyncio.run(interleaving())


def test_a_shuffle_gives_each_seed_its_order_and_always_the_same() -> None:
    orders = {seed: run(interleaving(), shuffle=random.Random(seed))[0] for seed in range(8)}
    assert len({tuple(order) for order in orders.values()}) > 4
    for seed, order in orders.items():
        assert run(interleaving(), shuffle=random.Random(seed))[0] == order
