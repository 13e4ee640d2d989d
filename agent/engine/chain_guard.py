"""The guard of a run on a chain: started with it, told where the core stands, heard by the core.

A hunt computes for long stretches (a search, a block), in which the loop stands still and no beat leaves. A live agent
that did so would be stopped, and rightly; a devnet's guard is more patient, since its blocks wait for the agent.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from agent.core.events.control import GuardGone, GuardPulse, RunStarted, TimerFired
from agent.engine.crash import abandon
from agent.engine.guarded import GuardPlan, guarded
from agent.engine.hunter import Hunter
from agent.errors import AgentError
from agent.journal.code import code_hash
from agent.journal.writer import JournalWriter
from agent.ports.clock import Clock
from agent.ports.processes import Figures, Guard

BEAT_S = 0.05
GUARD_FOLDER = "guard"
"""Of a run: the guard's own."""
PATIENT_MS = 10_000
"""For worlds whose blocks wait for the agent, on machines that may be busy with other things."""
GIVE_UP_S = 2
"""Such a world ends with its run: there is nothing left to look for."""


class ChainGuard:
    """Ears for the guard, and the beat of one hunter, whose failure ends the task that made this."""

    def __init__(self, journal: JournalWriter, clock: Clock) -> None:
        self.guard: Guard | None = None
        self._journal = journal
        self._clock = clock
        self._hunter: Hunter | None = None
        self._beating: asyncio.TimerHandle | None = None
        self._run = asyncio.current_task()
        self._has_cancelled = False

    def watch(self, hunter: Hunter) -> None:
        """Begin to beat for this hunter, with the run's first event."""
        assert self.guard is not None, "the guard comes first"
        self._hunter = hunter
        hunter.on_broken = self._on_broken
        hunter.take(RunStarted(run_epoch=self._journal.run_epoch, is_reset=self.guard.must_reduce))
        hunter.take(GuardPulse(self.guard.is_armed))
        self._beat()

    def on_pulse(self, is_armed: bool) -> None:
        if self._hunter is not None:
            self._hunter.tell(GuardPulse(is_armed))

    def on_gone(self, reason: str) -> None:
        if self._hunter is not None:
            self._hunter.tell(GuardGone(reason))

    def end(self, error: BaseException | None) -> BaseException | None:
        """No beat after this. What broke the run, given what its task ended with.

        A mishap outside that has a name of its own breaks nothing. Any other exception of the hunt is a defect: what it
        believes is suspect, as the core's state would be.
        """
        self._stop()
        if self._hunter is None:
            return None
        if isinstance(error, Exception) and not isinstance(error, AgentError):
            self._hunter.stepper.fail(error)
        if self._has_cancelled and self._run is not None:
            self._run.uncancel()
        return self._hunter.stepper.broken

    def _stop(self) -> None:
        if self._beating is not None:
            self._beating.cancel()
            self._beating = None

    def _on_broken(self) -> None:
        self._stop()
        if self._run is not None and asyncio.current_task() is not self._run:
            self._has_cancelled = True
            self._run.cancel()

    def _beat(self) -> None:
        hunter, guard = self._hunter, self.guard
        if hunter is None or guard is None:
            return
        self._beating = asyncio.get_running_loop().call_later(BEAT_S, self._beat)
        stamp = hunter.tell(TimerFired("beat"))
        health = self._journal.health(self._clock.monotonic_ns())
        if health is not None:
            hunter.tell(health)
        if stamp is None or hunter.stepper.broken is not None:
            return
        desk = hunter.bundles
        breakers = desk.state.breakers
        guard.store_progress(stamp.seq, self._journal.crc)
        guard.beat(
            Figures(
                event_seq=stamp.seq,
                event_crc=self._journal.crc,
                digest=self._journal.digest,
                mode="halted" if hunter.is_halted or breakers.is_halted else "normal",
                nav_atoms=breakers.day_loss.nav_atoms or 0,
                day_loss_atoms=breakers.loss_today_atoms,
                exposure_atoms=desk.exposure_wei,
            )
        )


@asynccontextmanager
async def chain_guard(
    folder: Path,
    *,
    run: str,
    journal: JournalWriter,
    clock: Clock,
    beat_deadline_ms: int = PATIENT_MS,
    say: Callable[[str], None] = lambda line: None,
) -> AsyncIterator[ChainGuard]:
    """A guard that watches the run in `folder`.

    Raises Halted while the latch is set, SetupError where none comes up, and whatever broke the core or the hunt: then
    no good-bye was said, so the guard latches and stops what is left, this process where it stays.
    """
    ears = ChainGuard(journal, clock)
    plan = GuardPlan(folder=folder / GUARD_FOLDER, beat_deadline_ms=beat_deadline_ms, give_up_s=GIVE_UP_S)
    build = hashlib.blake2b(code_hash(), digest_size=16).digest()
    async with guarded(
        plan,
        run=run,
        run_epoch=journal.run_epoch,
        build=build,
        listener=ears,
        event_seq=journal.sequence,
        digest=journal.digest,
        clock=clock,
    ) as guard:
        ears.guard = guard
        try:
            yield ears
        except BaseException as error:
            broken = ears.end(error)
            if broken is None:
                raise
        else:
            broken = ears.end(None)
        if broken is not None:
            abandon(guard, broken, folder=folder, run=run, sequence=journal.sequence, wall_ns=clock.wall_ns(), say=say)
            raise broken
