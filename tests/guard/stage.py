"""Guard, toy agent and venue as real processes in a folder, for one scene."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from agent.guard.control import ask
from tests.guard.venue_double import AGENT_KEY, AGENT_KEY_ID, GUARD_KEY, VenueDouble

ROOT = Path(__file__).resolve().parents[2]
GUARD_FILE = ROOT / "agent" / "guard" / "__main__.py"
PATIENCE_S = 15.0


class Stage:
    """Everything in one folder; `close` ends what still lives."""

    def __init__(self, folder: Path, double: VenueDouble, **changes: Any) -> None:
        self.folder = folder
        self.venue = double
        self.guard_folder = folder / "guard"
        self.config = folder / "guard.json"
        for name, secret in (("guard.key", GUARD_KEY), ("agent.key", AGENT_KEY)):
            (folder / name).write_text(secret)
            (folder / name).chmod(0o600)
        content: dict[str, Any] = {
            "schema": 1,
            "folder": "guard",
            "venue": {
                "url": double.url,
                "key_file": "guard.key",
                "symbols": ["BTC-USDC"],
                "agent_key_ids": [AGENT_KEY_ID],
                "agent_key_files": ["agent.key"],
            },
        }
        for name, value in changes.items():
            content[name] = {**content[name], **value} if isinstance(content.get(name), dict) else value
        self.config.write_text(json.dumps(content))
        self.guard: subprocess.Popen[str] | None = None
        self.agent: subprocess.Popen[str] | None = None

    def start_guard(self) -> subprocess.Popen[str]:
        """With no installed package in its reach: `-I -S`."""
        ready, told = os.pipe()
        with (self.folder / "guard.log").open("a") as log:
            self.guard = subprocess.Popen(
                [sys.executable, "-I", "-S", str(GUARD_FILE), "--config", str(self.config), "--ready-fd", str(told)],
                pass_fds=(told,),
                stderr=log,
                text=True,
                start_new_session=True,
            )
        os.close(told)
        with os.fdopen(ready, "rb") as reader:
            assert reader.read() == b"ready\n", (self.folder / "guard.log").read_text()
        return self.guard

    def start_agent(self, fault: str = "none", url: str = "") -> subprocess.Popen[str]:
        self.agent = subprocess.Popen(
            [sys.executable, "-m", "tests.guard.toy_agent", str(self.guard_folder), url or self.venue.url, fault],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.agent.stdout is not None
        assert self.agent.stdout.readline() == "live\n"
        wait_for(lambda: len(self.venue.times("accepted")) > 5, "the agent trades")
        return self.agent

    def status(self) -> dict[str, Any]:
        return ask(self.guard_folder, {"ask": "status"})

    def wait_verified(self, patience_s: float = PATIENCE_S) -> dict[str, Any]:
        wait_for(lambda: self.status()["is_verified"], "the guard verifies", patience_s, self.status)
        return self.status()

    def log(self) -> str:
        return (self.folder / "guard.log").read_text()

    def close(self) -> None:
        for process in (self.agent, self.guard):
            if process is not None and process.poll() is None:
                process.send_signal(signal.SIGCONT)
                process.kill()
                process.wait()
        self.venue.stop()


def wait_for(is_true: Any, what: str, patience_s: float = PATIENCE_S, tell: Any = lambda: "") -> None:
    until = time.monotonic() + patience_s
    while not is_true():
        assert time.monotonic() < until, f"{what}: did not come true in {patience_s} s; {tell()}"
        time.sleep(0.01)
