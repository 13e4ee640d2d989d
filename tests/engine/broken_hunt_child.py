"""The command line in a process made to break on a chain: `python -m tests.engine.broken_hunt_child WHERE ARGUMENT...`.

From the first bundle that was sent on, `WHERE` fails; every bundle is told on stdout with what had failed before it.
"""

from __future__ import annotations

import sys
from typing import Any

from agent.cli import main
from agent.core.events.chain import BundleEnded
from agent.core.events.control import TimerFired
from agent.core.step import Core
from agent.engine.hunter import Hunter
from agent.journal.writer import JournalWriter
from agent.venues.onchain.relay import RelayClient


class Planted(RuntimeError):
    pass


def breaks(where: str) -> None:
    step, effects, search, submit = Core.step, JournalWriter.effects, Hunter._search, RelayClient.submit
    has_sent = has_failed = False

    def fail(here: str) -> None:
        nonlocal has_failed
        if has_sent and here == where:
            has_failed = True
            raise Planted

    def stepped(self: Core, event: Any, stamp: Any) -> Any:
        if type(event) is TimerFired:
            fail("beat")
        if type(event) is BundleEnded:
            fail("ending")
        return step(self, event, stamp)

    def wrote(self: JournalWriter, *args: Any, **more: Any) -> None:
        fail("journal")
        effects(self, *args, **more)

    def searched(self: Hunter, *args: Any, **more: Any) -> Any:
        fail("search")
        return search(self, *args, **more)

    async def submitted(self: RelayClient, prepared: Any) -> Any:
        nonlocal has_sent
        has_sent = True
        print("SENT AFTER THE FAILURE" if has_failed else "SENT", flush=True)
        return await submit(self, prepared)

    Core.step = stepped  # type: ignore[method-assign] # this process is made for it
    JournalWriter.effects = wrote  # type: ignore[method-assign] # as above
    Hunter._search = searched  # type: ignore[method-assign] # as above
    RelayClient.submit = submitted  # type: ignore[method-assign] # as above


if __name__ == "__main__":
    breaks(sys.argv[1])
    sys.exit(main(sys.argv[2:]))
