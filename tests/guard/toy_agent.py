"""An agent that is nothing but its link and its orders: places as fast as it is answered, beats, and can go wrong.

`python -m tests.guard.toy_agent FOLDER VENUE_URL FAULT`. It prints `live` when it trades. On SIGUSR1 the named fault
begins: wedge (the core spins, another thread lives), wedge_trading (that thread goes on placing), wedge_beating (and
beats on with a core that stands still), frozen, replay, mac, digest, build, epoch, progress.
"""

from __future__ import annotations

import asyncio
import dataclasses
import http.client
import json
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from agent.core.orders.ids import encoded
from agent.engine import guard_wire
from agent.engine.guard_link import GuardLink
from agent.ports.processes import Figures
from tests.guard.venue_double import AGENT_KEY

BUILD = bytes(range(16))
RUN_EPOCH = 7
HALTED = 6


@dataclasses.dataclass
class Core:
    """What the beats tell of. `seq` counts steps."""

    seq: int = 0
    orders: int = 0
    exec_seq: int = 0
    heard_ns: int = dataclasses.field(default_factory=time.monotonic_ns)


class Venue:
    """One blocking connection, for one thread."""

    def __init__(self, url: str, timeout_s: float = 1.0) -> None:
        self._connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=timeout_s)

    def ask(self, method: str, path: str, content: Any = None) -> Any:
        self._connection.request(method, path, body=json.dumps(content or {}), headers={"X-API-Key": AGENT_KEY})
        reply = self._connection.getresponse()
        return reply.status, json.loads(reply.read() or b"{}")


class Agent:
    """The loop's side: the core, its beats, and the halt when the guard is gone."""

    def __init__(self, folder: Path, url: str, fault: str) -> None:
        self.folder, self.url, self.fault = folder, url, fault
        self.core = Core()
        self.is_faulty = False
        self.link: GuardLink | None = None
        self.pulse_ns = time.monotonic_ns()
        self.ended = asyncio.Event()
        self.why = ""
        self.last_message = b""

    def on_pulse(self, is_armed: bool) -> None:
        del is_armed
        self.pulse_ns = time.monotonic_ns()

    def on_gone(self, reason: str) -> None:
        self.why = reason
        self.ended.set()

    def step(self) -> None:
        self.core.seq += 1
        assert self.link is not None
        self.link.store_progress(self.core.seq, self.core.seq & 0xFFFF_FFFF)

    def digest(self) -> bytes:
        return self.core.seq.to_bytes(16)

    def figures(self) -> Figures:
        core = self.core
        return Figures(
            event_seq=core.seq,
            event_crc=core.seq & 0xFFFF_FFFF,
            digest=self.digest(),
            exec_seq=core.exec_seq,
            next_order=core.orders,
            venue_age_ms=(time.monotonic_ns() - core.heard_ns) // 1_000_000,
        )

    def beat(self) -> None:
        link = self.link
        assert link is not None
        if not self.is_faulty:
            self.step()
            link.beat(self.figures())
            return
        if self.fault == "frozen":
            link.beat(self.figures())
            return
        self.core.seq += 1
        figures = self.figures()
        match self.fault:
            case "replay":
                link._beats -= 1
            case "mac":
                link._key = bytes(32)
            case "build":
                link._build = bytes(16)
            case "epoch":
                link._run_epoch += 1
            case "digest":
                figures = Figures(event_seq=1, event_crc=1, digest=bytes(16))
            case "truncated":
                whole = link._connection
                link._send(guard_wire.encode_bye(run_epoch=RUN_EPOCH, seq=1, key=link._key)[:-3])
                assert whole is link._connection
                return
        if self.fault != "progress":
            link.store_progress(self.core.seq, self.core.seq & 0xFFFF_FFFF)
        link.beat(figures)

    def on_signal(self, *_: object) -> None:
        self.is_faulty = True
        if self.fault.startswith("wedge"):
            while True:
                pass

    def trade_in_thread(self) -> None:
        """Places as fast as it is answered; goes on whatever the loop does where the fault says so."""
        venue = Venue(self.url)
        _, answer = venue.ask("POST", "/v1/login")
        epoch = answer["session_epoch"]
        while True:
            is_on = not self.is_faulty or self.fault in ("wedge_trading", "wedge_beating")
            if is_on and not self.ended.is_set():
                name = encoded(RUN_EPOCH, self.core.orders)
                self.core.orders += 1
                try:
                    status, answer = venue.ask("POST", "/v1/orders", {"client_order_id": name, "session_epoch": epoch})
                except (OSError, http.client.HTTPException):
                    venue = Venue(self.url)
                else:
                    self.core.heard_ns = time.monotonic_ns()
                    if status == 200:
                        self.core.exec_seq = max(self.core.exec_seq, answer["exec_seq"])
                    elif self.fault == "login_again":
                        epoch = venue.ask("POST", "/v1/login")[1].get("session_epoch", 0)
            if self.is_faulty and self.fault == "wedge_beating":
                assert self.link is not None
                self.link.beat(self.figures())
                time.sleep(0.03)
            time.sleep(0.01)

    def read_executions(self) -> None:
        """What others did to the account: a good agent hears it on its socket."""
        venue = Venue(self.url)
        while True:
            try:
                _, answer = venue.ask("GET", f"/v1/executions?after={self.core.exec_seq}")
                rows = answer.get("executions", [])
                self.core.exec_seq = max([self.core.exec_seq, *(row["exec_seq"] for row in rows)])
            except (OSError, http.client.HTTPException):
                venue = Venue(self.url)
            time.sleep(0.2)

    async def run(self) -> int:
        signal.signal(signal.SIGUSR1, self.on_signal)
        self.link = await GuardLink.connect(
            self.folder, run="toy", run_epoch=RUN_EPOCH, build=BUILD, listener=self, digest=self.digest()
        )
        threading.Thread(target=self.trade_in_thread, daemon=True).start()
        threading.Thread(target=self.read_executions, daemon=True).start()
        print("live", flush=True)
        while not self.ended.is_set():
            self.beat()
            if time.monotonic_ns() - self.pulse_ns > 500_000_000:
                self.on_gone("no pulse for 500 ms")
            try:
                await asyncio.wait_for(self.ended.wait(), 0.05)
            except TimeoutError:
                continue
        Venue(self.url).ask("DELETE", "/v1/orders", {"fence": "account"})
        print(f"halted: {self.why}", flush=True)
        return HALTED


if __name__ == "__main__":
    folder, url, fault = sys.argv[1:]

    async def main() -> int:
        return await Agent(Path(folder), url, fault).run()

    sys.exit(asyncio.run(main()))
