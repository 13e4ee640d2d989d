"""A program outside wishes, a running agent decides: real processes, the command line between them, and the replay."""

from __future__ import annotations

import json
import signal
import subprocess
from pathlib import Path
from typing import Any

from agent.core.events.market import SignalIn
from agent.devnet.purpleflea import PurpleFleaVenue
from agent.engine.signal_door import SOCKET_NAME
from agent.journal.reader import JournalReader
from agent.journal.records import EVENT
from agent.journal.schema import decode_event
from tests.e2e.test_purpleflea_operator import Desk, ended, until

PRODUCERS = """
[[purpleflea.producers]]
name = "hand"
notional_atoms_per_day = 1000000000000
[[purpleflea.producers]]
name = "model"
key = "file:{key}"
notional_atoms_per_day = 1000000000000
"""


def words(desk: Desk, *more: str, side: str = "buy", quantity: str = "0.001", price: str = "90000") -> tuple[str, ...]:
    limit = "--max-price" if side == "buy" else "--min-price"
    fixed = ("signal", "--symbol", "BTC-USDC", "--side", side, "--quantity", quantity, limit, price)
    return (*fixed, "--run", str(desk.out), "--json", *more)


def document(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(done.stdout)
    return found


async def test_signals_from_the_command_line_trade_are_refused_by_code_and_replay(tmp_path: Path) -> None:
    async with PurpleFleaVenue(seed=4) as venue:
        desk = Desk(venue, venue.create_account(), tmp_path)
        (tmp_path / "model.key").write_text("a key of a model")
        desk.config.write_text(desk.config.read_text() + PRODUCERS.format(key=tmp_path / "model.key"))
        agent = desk.start("--set", "purpleflea.strategy=none")
        try:
            await until(lambda: (desk.out / SOCKET_NAME).exists() and desk.is_connected(), desk.words)

            async def let_in(*more: str, **given: str) -> dict[str, Any]:
                """Again until the first book is there."""
                for _ in range(40):
                    done = await desk.says(*words(desk, *more, **given))
                    if done.returncode == 0:
                        return document(done)
                raise AssertionError(done.stdout + done.stderr + desk.words())

            bought = await let_in("--urgency", "10", "--id", "ab" * 16)
            assert bought["schema"] == "mev-agent/signal/1" and bought["data"]["answer"]["ok"]
            await until(lambda: len(desk.fills_of_venue()) > 0, desk.words)

            again = await desk.says(*words(desk, "--id", "ab" * 16))
            assert again.returncode == 5 and document(again)["errors"][0]["code"] == "R_SIGNAL_REPLAYED"
            unsigned = await desk.says(*words(desk, "--producer", "model"))
            assert unsigned.returncode == 5 and document(unsigned)["errors"][0]["code"] == "R_SIGNAL_NOT_AUTHENTIC"
            await let_in(
                "--producer", "model", "--key", f"file:{tmp_path / 'model.key'}", side="sell", price="10000.05"
            )

            for more, code in ((("--expires", "11m"), 5), (("--expires", "soon"), 2), (("--key", "a key"), 2)):
                done = await desk.says(*words(desk, *more))
                assert done.returncode == code, done.stdout + done.stderr
            assert (await desk.says(*words(desk, quantity="0.00001"))).returncode == 2, "no multiple of the lot"
            nobody = await desk.says("signal", *words(desk)[1:-3], "--run", str(tmp_path))
            assert nobody.returncode == 4
        finally:
            agent.send_signal(signal.SIGTERM)
            await ended(agent)
        events = [decode_event(record) for record in JournalReader(desk.out).records() if record.type == EVENT]
        signals = [event for event in events if isinstance(event, SignalIn)]
        assert len(signals) >= 4 and not (desk.out / SOCKET_NAME).exists()
        assert desk.fills() == desk.fills_of_venue()
        replayed = await desk.says("replay", str(desk.out), "--verify")
        assert replayed.returncode == 0, replayed.stdout + replayed.stderr
