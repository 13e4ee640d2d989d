"""Signals and event loops: work ends between two callbacks, and what it answers is not lost."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator
from types import FrameType

import pytest

from agent.session.loop import run_fast_loop, run_loop


class Ended(BaseException):
    """What the handler of SIGTERM raises."""


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    def end(number: int, frame: FrameType | None) -> None:
        raise Ended

    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, end)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


RAISED = [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, Ended)]


@pytest.mark.parametrize(("number", "raised"), RAISED)
def test_a_future_that_is_being_settled_can_still_be_set(number: int, raised: type[BaseException]) -> None:
    was_set: list[bool] = []

    async def waiting() -> None:
        answer = asyncio.get_running_loop().create_future()

        def settle() -> None:
            assert not answer.done()
            signal.raise_signal(number)
            answer.set_result(None)
            was_set.append(True)

        asyncio.get_running_loop().call_soon(settle)
        await answer
        await asyncio.sleep(10)

    with pytest.raises(raised):
        run_loop(waiting())
    assert was_set == [True]


@pytest.mark.parametrize(("number", "raised"), RAISED)
def test_the_handlers_are_put_back(number: int, raised: type[BaseException]) -> None:
    before = signal.getsignal(number)

    async def work() -> int:
        assert signal.getsignal(number) is not before
        return 7

    assert run_loop(work()) == 7
    assert signal.getsignal(number) is before
    with pytest.raises(raised):
        signal.raise_signal(number)


async def _answering() -> str:
    try:
        await asyncio.sleep(10)
    except asyncio.CancelledError:
        return "so far"
    return "all"


def _soon(number: int) -> None:
    asyncio.get_running_loop().call_soon(signal.raise_signal, number)


def test_work_that_answers_being_cancelled_is_heard_after_ctrl_c() -> None:
    async def work() -> str:
        _soon(signal.SIGINT)
        return await _answering()

    assert run_loop(work()) == "so far"


def test_sigterm_has_no_use_for_an_answer() -> None:
    async def work() -> str:
        _soon(signal.SIGTERM)
        return await _answering()

    with pytest.raises(Ended):
        run_loop(work())


def test_a_second_signal_does_not_wait_for_work_that_will_not_end() -> None:
    async def work() -> None:
        for _ in range(2):
            _soon(signal.SIGINT)
            try:
                await asyncio.sleep(10)
            except asyncio.CancelledError:
                continue

    with pytest.raises(KeyboardInterrupt):
        run_loop(work())


def test_being_cancelled_by_something_else_stays_that() -> None:
    async def work() -> None:
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        run_loop(work())


@pytest.mark.parametrize(("number", "raised"), RAISED)
def test_the_fast_loop_ends_by_signals_too(number: int, raised: type[BaseException]) -> None:
    async def work() -> None:
        _soon(number)
        await asyncio.sleep(10)

    with pytest.raises(raised):
        run_fast_loop(work())


def test_one_runner_serves_several_calls() -> None:
    async def work(value: int) -> int:
        return value

    with asyncio.Runner() as runner:
        assert [run_loop(work(value), runner) for value in (1, 2)] == [1, 2]
