"""A venue in the test's process, an agent in another, and what must be true of both whenever the agent was killed."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import msgspec
import psutil

from agent.core.effects.orders import Place
from agent.core.events.orders import Fill
from agent.devnet.purpleflea import AccountKeys, PurpleFleaVenue
from agent.journal.reader import JournalReader
from agent.journal.records import EFFECTS, EVENT, Record
from agent.journal.schema import decode_effects, decode_event
from agent.journal.segments import SUFFIX
from tests.e2e.purpleflea_child import REPORT_BYTES, Ended, Plan

REPOSITORY = Path(__file__).resolve().parents[2]
BEGINS_WITHIN_S = 60.0
ENDS_WITHIN_S = 60.0
"""Long, since a machine may be busy: nothing here is about speed."""


class Child:
    """One process of the agent, and what it reported."""

    def __init__(self, plan: Plan, folder: Path) -> None:
        self.plan = plan
        self.reported: list[tuple[int, int]] = []
        reads, writes = os.pipe()
        path = folder / f"{plan.run}.plan.json"
        path.write_bytes(msgspec.json.encode(msgspec.structs.replace(plan, report_fd=writes)))
        self._errors = folder / f"{plan.run}.stderr"
        with self._errors.open("wb") as errors:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tests.e2e.purpleflea_child", str(path)],
                cwd=REPOSITORY,
                pass_fds=(writes,),
                stderr=errors,
            )
        os.close(writes)
        self._reader = threading.Thread(target=self._read, args=(reads,), daemon=True)
        self._reader.start()

    def _read(self, descriptor: int) -> None:
        rest = b""
        with os.fdopen(descriptor, "rb", buffering=0) as pipe:
            while data := pipe.read(1 << 16):
                rest += data
                whole = len(rest) - len(rest) % REPORT_BYTES
                for at in range(0, whole, REPORT_BYTES):
                    self.reported.append(
                        (int.from_bytes(rest[at : at + 8], "little"), int.from_bytes(rest[at + 8 : at + 12], "little"))
                    )
                rest = rest[whole:]

    def kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(signal.SIGKILL)

    async def has_begun(self, within_s: float = BEGINS_WITHIN_S) -> None:
        """It has recovered what was there and records by itself."""
        async with asyncio.timeout(within_s):
            while not self.reported and self.process.poll() is None:
                await asyncio.sleep(0.005)

    async def ended(self, within_s: float = ENDS_WITHIN_S) -> int:
        """The exit code; negative for a signal. Everything it reported is here by then."""
        async with asyncio.timeout(within_s):
            while self.process.poll() is None:
                await asyncio.sleep(0.005)
        self._reader.join(5)
        return int(self.process.returncode)

    def words(self) -> str:
        return self._errors.read_text(errors="replace")[-2_000:]

    def result(self) -> Ended:
        return msgspec.json.decode(Path(self.plan.result).read_bytes(), type=Ended)


class Stage:
    """One account at one venue, through any number of processes that write the same journal."""

    def __init__(self, venue: PurpleFleaVenue, folder: Path, *, seed: int, segment_bytes: int = 1 << 18) -> None:
        self.venue = venue
        self.folder = folder
        self.account = folder / "account"
        """Of the journal: the same for every process."""
        self.seed = seed
        self.keys: AccountKeys = venue.create_account(funds="10000000")
        self.children: list[Child] = []
        self.placed_frames: list[dict[str, Any]] = []
        """Every place request that reached the venue, of whatever process."""
        self._segment_bytes = segment_bytes
        self._watch_places()

    def _watch_places(self) -> None:
        receive = self.venue.exchange.receive

        def watched(conn_id: int, data: str | bytes) -> None:
            frame = msgspec.json.decode(data)
            if frame.get("action") == "place_order":
                self.placed_frames.append(frame)
            receive(conn_id, data)

        self.venue.exchange.receive = watched  # type: ignore[method-assign] # what is seen is handed on as it is

    def start(self, *, seconds: float | None = None, **more: Any) -> Child:
        run = f"run-{len(self.children) + 1}"
        plan = Plan(
            run=run,
            folder=str(self.account),
            # A person has taken away what the guard of the killed run left: here each run has a folder of its own.
            guard_folder=str(self.folder / f"guard-{run}"),
            ws_url=self.venue.ws_url,
            key=self.keys.trade.secret,
            seed=self.seed + len(self.children),
            seconds=seconds,
            result=str(self.folder / f"{run}.json"),
            **{"segment_bytes": self._segment_bytes, **more},
        )
        child = Child(plan, self.folder)
        self.children.append(child)
        return child

    def open_orders(self) -> int:
        """How many rest at the venue now."""
        return len(self.venue.floor.engine.open_orders[self.keys.agent_id])

    async def let_one_end(self, *, seconds: float, **more: Any) -> Ended:
        """A process that is not killed: behind it all must be well."""
        last = self.start(seconds=seconds, **more)
        code = await last.ended()
        assert code == 0, (code, last.words())
        ended = last.result()
        assert not ended.is_halted, ended.halt_reason
        self.check_records()
        self.check_orders()
        self.check_books(ended)
        self.replay()
        return ended

    # What must be true

    def check_records(self) -> None:
        """The journal reads to its end, and holds every record that any process reported."""
        held = {record.sequence: record.crc for record in self.records()}
        for child in self.children:
            lost = [(sequence, crc) for sequence, crc in child.reported if held.get(sequence) != crc]
            assert not lost, f"{child.plan.run} was told that these are kept: {lost[:3]}"

    def check_orders(self) -> None:
        """No id was sent twice, and the venue holds no order that the journal does not hold as it is."""
        ids = [frame["client_order_id"] for frame in self.placed_frames]
        assert len(ids) == len(set(ids)), "an order was sent twice"
        recorded = {effect.client_order_id: effect for effect in self.effects() if isinstance(effect, Place)}
        for (account, client_order_id), order in self.venue.floor.engine.orders.items():
            if account != self.keys.agent_id:
                continue
            place = recorded.get(client_order_id)
            assert place is not None, f"{client_order_id} is at the venue and not in the journal"
            asked = order.place
            assert (asked.symbol, asked.side, asked.kind, asked.lots, asked.price_ticks) == (
                place.symbol, place.side, place.order_type, place.lots, place.price_ticks,
            )  # fmt: skip

    def check_books(self, ended: Ended) -> None:
        """What the last run left: fills, positions and money as at the venue, and nothing open on either side."""
        account = self.venue.books()["accounts"][self.keys.agent_id]
        assert not [row for row in account["orders"] if row["status"] == "open"]
        assert ended.open_orders == 0
        ours = {(fill.symbol, fill.trade_id): fill for fill in self.fills()}
        theirs = {(row["symbol"], row["trade_id"]): row for row in account["fills"]}
        assert ours.keys() == theirs.keys()
        ledger = self.venue.floor.engine.ledger.accounts[self.keys.agent_id]
        assert {symbol: lots for symbol, lots in ended.positions.items() if lots} == {
            symbol: position.lots for symbol, position in ledger.positions.items() if position.lots
        }
        assert ended.cash == {currency: atoms for currency, atoms in ledger.balances.items() if currency in ended.cash}

    def records(self) -> list[Record]:
        """The whole journal; nothing where no process came so far as to begin one."""
        if not any(self.account.glob(f"journal/*{SUFFIX}")):
            return []
        return list(JournalReader(self.account).records())

    def effects(self) -> list[Any]:
        return [effect for record in self.records() if record.type == EFFECTS for effect in decode_effects(record)]

    def fills(self) -> list[Fill]:
        events = [decode_event(record) for record in self.records() if record.type == EVENT]
        return [event for event in events if isinstance(event, Fill)]

    def replay(self) -> dict[str, Any]:
        """The whole journal through a fresh core, in a process of its own: each effect must be the same."""
        asked = [sys.executable, "-m", "agent.cli", "replay", str(self.account), "--verify", "--json"]
        found = subprocess.run(asked, capture_output=True, text=True, timeout=600, cwd=REPOSITORY)
        assert found.returncode == 0, found.stdout[-1_000:] + found.stderr[-1_000:]
        return dict(msgspec.json.decode(found.stdout))

    async def close(self) -> None:
        """End what is left of it."""
        for child in self.children:
            child.kill()
            await child.ended()
        for guard in self.guards():
            with contextlib.suppress(psutil.Error):
                guard.kill()

    def guards(self) -> list[psutil.Process]:
        """Guards of this stage that still live."""
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                if str(self.folder) in " ".join(process.cmdline()) and "guard" in " ".join(process.cmdline()):
                    found.append(process)
        return found
