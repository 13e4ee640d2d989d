"""The guard of a run on a chain: started with it, told where the core stands, heard by the core.

A hunt computes for long stretches (a search, a block), in which the loop stands still and no beat leaves. A live agent
that did so would be stopped, and rightly; a devnet's guard is more patient, since its blocks wait for the agent.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from agent.core.events.control import GuardGone, GuardPulse, RunStarted, TimerFired
from agent.engine.guarded import GuardPlan, guarded
from agent.engine.hunter import Hunter
from agent.journal.code import code_hash
from agent.journal.writer import JournalWriter
from agent.ports.clock import Clock
from agent.ports.processes import Figures, Guard

BEAT_S = 0.05
PATIENT_MS = 10_000
"""For worlds whose blocks wait for the agent, on machines that may be busy with other things."""
GIVE_UP_S = 2
"""Such a world ends with its run: there is nothing left to look for."""


class ChainGuard:
    """Ears for the guard, and the beat of one hunter."""

    def __init__(self, journal: JournalWriter, clock: Clock) -> None:
        self.guard: Guard | None = None
        self._journal = journal
        self._clock = clock
        self._hunter: Hunter | None = None
        self._beating: asyncio.TimerHandle | None = None
        self._withdrawing: asyncio.Task[None] | None = None

    def watch(self, hunter: Hunter) -> None:
        """Begin to beat for this hunter, with the run's first event."""
        assert self.guard is not None, "the guard comes first"
        self._hunter = hunter
        hunter.take(RunStarted(run_epoch=self._journal.run_epoch, is_reset=self.guard.must_reduce))
        hunter.take(GuardPulse(self.guard.is_armed))
        self._beat()

    def stop(self) -> None:
        """No beat after this; the guard is told good-bye next."""
        self._hunter = None
        if self._beating is not None:
            self._beating.cancel()

    def on_pulse(self, is_armed: bool) -> None:
        if self._hunter is not None:
            self._hunter.take(GuardPulse(is_armed))

    def on_gone(self, reason: str) -> None:
        if self._hunter is not None:
            self._withdrawing = asyncio.create_task(self._hunter.halt_by(GuardGone(reason)))

    def _beat(self) -> None:
        hunter, guard = self._hunter, self.guard
        if hunter is None or guard is None:
            return
        self._beating = asyncio.get_running_loop().call_later(BEAT_S, self._beat)
        stamp = hunter.take(TimerFired("beat"))
        health = self._journal.health(self._clock.monotonic_ns())
        if health is not None:
            hunter.take(health)
        guard.store_progress(stamp.seq, self._journal.crc)
        guard.beat(
            Figures(
                event_seq=stamp.seq,
                event_crc=self._journal.crc,
                digest=self._journal.digest,
                mode="halted" if hunter.is_halted else "normal",
                exposure_atoms=hunter.exposure_wei,
            )
        )


@asynccontextmanager
async def chain_guard(
    folder: Path, *, run: str, journal: JournalWriter, clock: Clock, beat_deadline_ms: int = PATIENT_MS
) -> AsyncIterator[ChainGuard]:
    """A guard that watches the run in `folder`. Raises Halted while the latch is set, SetupError where none comes up."""
    ears = ChainGuard(journal, clock)
    plan = GuardPlan(folder=folder / "guard", beat_deadline_ms=beat_deadline_ms, give_up_s=GIVE_UP_S)
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
        finally:
            ears.stop()
