"""Orders that wait for their record to survive a loss of power: what goes out late, and what does not go out any more."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from agent.core.effects.orders import CancelOrder, Place
from agent.core.events.control import TimerFired
from agent.core.events.orders import CancelRequested, PlaceRequested
from agent.core.instruments import OrderType, Side
from agent.core.orders.table import OrderState
from tests.core.desk.account import BID, SYMBOL
from tests.engine.door import Account


class Disk:
    """Syncs when it is told to."""

    def __init__(self) -> None:
        self.waiting: list[Callable[[BaseException | None], None]] = []

    def __call__(self, callback: Callable[[BaseException | None], None]) -> None:
        self.waiting.append(callback)

    async def sync(self) -> None:
        waiting, self.waiting = self.waiting, []
        for callback in waiting:
            callback(None)
        await asyncio.sleep(0)


class Ahead:
    """The machine's clocks, and more."""

    by_ns = 0

    def monotonic_ns(self) -> int:
        return time.monotonic_ns() + self.by_ns

    def wall_ns(self) -> int:
        return time.time_ns() + self.by_ns


def wanting(clock: Ahead) -> tuple[Disk, Account, str]:
    """An order that was let out and waits for its record."""
    disk = Disk()
    account = Account(when_synced=disk, clock=clock)
    seq = account.market_seq
    account.shell.take(
        PlaceRequested(
            strategy="test", symbol=SYMBOL, side=Side.BUY, order_type=OrderType.LIMIT, lots=1, price_ticks=BID,
            decided_seq=seq,
        )
    )  # fmt: skip
    assert account.core.desk is not None
    (order,) = account.core.desk.orders.all_live()
    assert order.state is OrderState.SENT
    assert not placed(account)
    return disk, account, order.client_order_id


def placed(account: Account) -> list[str]:
    return [effect.client_order_id for effect in account.venue.sent if isinstance(effect, Place)]


async def test_an_order_leaves_when_its_record_survives() -> None:
    disk, account, name = wanting(Ahead())
    await disk.sync()
    assert placed(account) == [name]


async def test_an_order_that_was_given_up_meanwhile_never_leaves() -> None:
    clock = Ahead()
    disk, account, name = wanting(clock)
    clock.by_ns = 2_000_000_000
    account.shell.take(TimerFired(f"request:{name}"))
    assert account.core.desk is not None
    order = account.core.desk.orders.get(name)
    assert order is not None
    assert order.state is OrderState.UNKNOWN
    await disk.sync()
    assert placed(account) == []
    assert [(alarm.code, alarm.subject) for alarm in account.shell.alarms][-1] == ("SYNCED_TOO_LATE", name)


async def test_a_cancel_waits_for_the_answer_to_an_order_that_waits_for_its_record() -> None:
    disk, account, name = wanting(Ahead())
    account.shell.take(CancelRequested(name))
    await disk.sync()
    assert placed(account) == [name]
    assert not any(isinstance(effect, CancelOrder) for effect in account.venue.sent)
