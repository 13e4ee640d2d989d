"""What a person does after a crash: the guard has stopped all and taken the key; a reset, a new key, a start, a resume."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from agent.core.events.orders import Fill
from agent.devnet.purpleflea import AccountKeys, PurpleFleaVenue
from agent.devnet.purpleflea.venue import AGENT_SCOPES
from agent.guard import latch
from agent.guard.folder import VERIFIED, read_object
from agent.journal.reader import JournalReader
from agent.journal.records import EVENT, RUN
from agent.journal.schema import decode_event

REPOSITORY = Path(__file__).resolve().parents[2]
HALTED = 6


class Desk:
    """A person's desk: files with keys, one folder for the journal, and the command line."""

    def __init__(self, venue: PurpleFleaVenue, keys: AccountKeys, folder: Path) -> None:
        self.venue, self.keys, self.folder = venue, keys, folder
        self.out = folder / "run"
        self.config = folder / "account.toml"
        self.log = folder / "agent.log"
        self.take_key(keys.trade.key_id, keys.trade.secret)

    def take_key(self, key_id: str, secret: str) -> None:
        """Put the agent's key, and the guard's, where the configuration names them."""
        for name, content in (("agent.key", secret), ("guard.key", self.keys.guard.secret)):
            (self.folder / name).write_text(content)
            (self.folder / name).chmod(0o600)
        self.config.write_text(
            f'schema = 1\nmode = "devnet"\nvenue = "purpleflea"\n[purpleflea]\nws_url = "{self.venue.ws_url}"\n'
            f'rest_url = "{self.venue.http_url}"\napi_key = "file:{self.folder / "agent.key"}"\n'
            f'guard_key = "file:{self.folder / "guard.key"}"\nkey_id = "{key_id}"\nsymbols = ["BTC-USDC"]\n'
            "[guard]\nheartbeat_ms = 2000\n"
        )
        self.config.chmod(0o600)

    def start(self, *more: str) -> subprocess.Popen[bytes]:
        with self.log.open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "agent.cli", "run", "--config", str(self.config), "--out", str(self.out), *more],
                cwd=REPOSITORY,
                stdout=log,
                stderr=log,
            )

    async def says(self, *words: str) -> subprocess.CompletedProcess[str]:
        """One command, while the venue goes on."""
        return await asyncio.to_thread(
            subprocess.run, [sys.executable, "-m", "agent.cli", *words], cwd=REPOSITORY, capture_output=True, text=True
        )

    def words(self) -> str:
        return self.log.read_text(errors="replace")[-2_000:]

    def accepted(self) -> int:
        executions = self.venue.floor.engine.executions[self.keys.agent_id]
        return sum(row["type"] == "order_ack" for row in executions.since(1))

    def open_orders(self) -> int:
        return len(self.venue.floor.engine.open_orders[self.keys.agent_id])

    def fills(self) -> set[tuple[str, str, int]]:
        """Trade, side and lots of all that any run was told."""
        events = [decode_event(record) for record in JournalReader(self.out).records() if record.type == EVENT]
        return {(fill.trade_id, str(fill.side), fill.lots) for fill in events if isinstance(fill, Fill)}

    def fills_of_venue(self) -> set[tuple[str, str, int]]:
        own = self.keys.agent_id
        return {
            (trade.trade_id, str(order.place.side), trade.lots)
            for trade in self.venue.floor.engine.trades
            for order in (trade.taker, trade.maker)
            if order.account == own
        }

    def runs(self) -> int:
        """How many began."""
        return sum(record.type == RUN for record in JournalReader(self.out).records())

    def is_connected(self) -> bool:
        """A session of the agent's stands."""
        return any(session.is_trader for session in self.venue.floor.sessions_of(self.keys.agent_id))

    def key_is_deleted(self, key_id: str) -> bool:
        return self.venue.floor.keys.keys[key_id].is_deleted


async def until(is_true: Callable[[], bool], words: Callable[[], str], within_s: float = 60.0) -> None:
    try:
        async with asyncio.timeout(within_s):
            while not is_true():
                await asyncio.sleep(0.02)
    except TimeoutError:
        pytest.fail(words())


async def ended(process: subprocess.Popen[bytes]) -> int:
    return await asyncio.to_thread(process.wait, 60)


@pytest.mark.slow
async def test_after_a_crash_a_reset_a_new_key_and_a_resume_go_on_with_the_same_books(tmp_path: Path) -> None:
    async with PurpleFleaVenue(seed=4) as venue:
        desk = Desk(venue, venue.create_account(), tmp_path)
        agent = desk.start()
        try:
            await until(lambda: desk.accepted() >= 4 and desk.open_orders() > 0, desk.words)
            agent.send_signal(signal.SIGKILL)
            await ended(agent)

            guard = desk.out / "guard"
            await until(lambda: read_object(guard / VERIFIED) is not None, desk.words)
            assert desk.open_orders() == 0 and desk.key_is_deleted(desk.keys.trade.key_id)
            accepted = desk.accepted()

            assert await ended(desk.start()) == HALTED, desk.words()

            word = str((latch.read(guard) or {})["evidence"])[:8]
            reset = ("guard", "reset", "--folder", str(guard), "--reason", "it was killed", "--yes-i-am-a-person", word)
            early = await desk.says(*reset)
            assert early.returncode == 5 and "new key is not named" in early.stderr, early.stderr
            same = await desk.says(*reset, "--new-key", f"file:{tmp_path / 'agent.key'}")
            assert same.returncode == 5 and "the new key is the old one" in same.stderr, same.stderr
            member = venue.floor.members[desk.keys.agent_id]
            key, secret = venue.exchange.create_key(member, "agent", AGENT_SCOPES)
            desk.take_key(key.key_id, secret)
            named = (*reset, "--new-key", f"file:{tmp_path / 'agent.key'}")
            other = await desk.says(*named, "--run", str(tmp_path))
            assert other.returncode == 5 and "journal" in other.stderr, other.stderr
            again = await desk.says(*named)
            assert again.returncode == 0, again.stderr

            agent = desk.start("--seconds", "12")
            await until(lambda: desk.is_connected(), desk.words)
            told = await desk.says("tell", "resume", "--run", str(desk.out), "--reason", "the books agree")
            assert told.returncode == 0, told.stderr + desk.words()
            await until(lambda: desk.accepted() > accepted + 2, desk.words)
            assert await ended(agent) == 0, desk.words()
        finally:
            if agent.poll() is None:
                agent.kill()

        assert desk.open_orders() == 0
        assert desk.fills() == desk.fills_of_venue() != set()
        assert desk.runs() == 3, "the refused start is one of them: its guard said no, its journal says that it was"
        for words in (("journal", "verify", str(desk.out)), ("replay", str(desk.out), "--verify")):
            found = await desk.says(*words)
            assert found.returncode == 0, found.stdout + found.stderr
