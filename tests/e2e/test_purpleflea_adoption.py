"""Money that nobody announced: a person adopts it by the command line, and it can be read everywhere afterwards."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

from agent.core.effects.control import PositionAdopted
from agent.devnet.purpleflea import PurpleFleaVenue
from agent.engine.account_page import FILE_NAME
from agent.journal.reader import JournalReader
from agent.journal.records import EFFECTS
from agent.journal.schema import decode_effects
from tests.e2e.test_purpleflea_operator import Desk, ended, until

GIFT_ATOMS = 5_000_000


async def test_an_unexplained_balance_is_adopted_and_listed_in_status_report_and_journal(tmp_path: Path) -> None:
    async with PurpleFleaVenue(seed=4) as venue:
        desk = Desk(venue, venue.create_account(), tmp_path)
        agent = desk.start("--set", "purpleflea.strategy=none", "--report", str(tmp_path / "report.json"))

        def page() -> dict[str, Any]:
            path = desk.out / FILE_NAME
            found: dict[str, Any] = json.loads(path.read_bytes()) if path.exists() else {}
            return found

        async def told() -> int:
            return (await desk.says("tell", "adopt_position", "--run", str(desk.out), "--reason", "a gift")).returncode

        try:
            await until(lambda: page().get("session") == "live", desk.words)
            assert await told() == 0
            await until(lambda: "NOTHING_TO_ADOPT" in desk.words(), desk.words)
            ledger = venue.floor.engine.ledger
            ledger.deposit(ledger.accounts[desk.keys.agent_id], "USDC", GIFT_ATOMS)
            assert await told() == 0
            await until(lambda: len(page().get("adopted", ())) == 1, desk.words)
            status = await desk.says("status", "--folder", str(desk.out / "guard"), "--json")
            rows = json.loads(status.stdout)["data"]["accounts"]
            (row,) = [row for row in rows if row["folder"] == str(desk.out)]
            assert row["is_running"] and row["mode"] == "ACTIVE" and not row["difference"]
            assert [(one["name"], one["amount"]) for one in row["adopted"]] == [("USDC", str(GIFT_ATOMS))]
        finally:
            agent.send_signal(signal.SIGINT)
            code = await ended(agent)
        assert code == 0, desk.words()
        report = json.loads((tmp_path / "report.json").read_text())["data"]
        assert [(one["name"], one["amount_atoms"]) for one in report["adopted"]] == [("USDC", str(GIFT_ATOMS))]
        assert report["totals"]["realised_USDC"] == "0.000000"
        effects = [
            effect
            for record in JournalReader(desk.out).records()
            if record.type == EFFECTS
            for effect in decode_effects(record)
            if isinstance(effect, PositionAdopted)
        ]
        assert [(one.currency, one.cash_atoms, one.reason) for one in effects] == [("USDC", GIFT_ATOMS, "a gift")]
        replayed = await desk.says("replay", str(desk.out), "--verify")
        assert replayed.returncode == 0, replayed.stdout + replayed.stderr
