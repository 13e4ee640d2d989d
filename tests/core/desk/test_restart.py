"""What a new process goes on with: spans that were running, and what must not outlive the old one."""

from __future__ import annotations

import msgspec
import pytest

from agent.core.effects.orders import Place
from agent.core.events.control import RunStarted, StrategyAlive
from agent.core.step import Core
from tests.core.desk.account import BID, MILLISECOND_NS, SECOND_NS, SETTINGS, SYMBOL, Played


def paused() -> Played:
    settings = msgspec.structs.replace(SETTINGS, profile=msgspec.structs.replace(SETTINGS.profile, losses=2))
    played = Played(settings).live()
    for _ in range(2):
        played.hold(1, BID)
        played.hold(-1, BID - 10)
    assert played.desk.state.breakers.mode(SYMBOL).words == "PAUSED"
    return played


def restarted(played: Played, *, now_ns: int, is_reset: bool = False) -> tuple[Played, tuple[object, ...]]:
    """A new process from what the old one wrote, whose monotonic clock shows `now_ns`; its first event's effects."""
    again = Played(played.settings, needs_guard=played.needs_guard)
    again.core = Core(trading=played.settings, needs_guard=played.needs_guard, state=played.core.state())
    again.seq, again.exec_seq, again.epoch = played.seq, played.exec_seq, played.epoch + 1
    again.now_ns = now_ns
    return again, again.step(RunStarted(run_epoch=2, is_reset=is_reset))


@pytest.mark.parametrize("now_ns", [SECOND_NS, 100_000 * SECOND_NS])
def test_a_pause_goes_on_with_what_was_left_whatever_the_new_clock_shows(now_ns: int) -> None:
    played = paused()
    played.wait(100 * SECOND_NS)
    again, _ = restarted(played, now_ns=now_ns)
    pause = again.desk.state.breakers.streak.pause
    assert pause is not None
    assert 199 * SECOND_NS < pause.left_at_ns(again.now_ns) < 201 * SECOND_NS
    assert again.desk.state.breakers.mode(SYMBOL).words == "PAUSED"


def test_what_waited_for_a_token_does_not_outlive_its_process() -> None:
    played = Played(needs_guard=False).live()
    played.book()
    for number in range(SETTINGS.profile.orders_per_s + 1):
        played.request(lots=1, price_ticks=BID - number)
        played.step(StrategyAlive("hand"))
    assert played.desk.state.rate.length == 1
    again, effects = restarted(played, now_ns=played.now_ns + 30 * MILLISECOND_NS)
    assert not [effect for effect in effects if isinstance(effect, Place)]
    assert again.desk.state.rate.length == 0
