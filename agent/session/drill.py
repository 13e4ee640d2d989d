"""`mev-agent drill kill`: the kill switch against the real agent at a simulated venue, fault by fault, with a clock.

Agent and guard are processes as in every run; the venue lives here, and its own books say when the last order was
accepted and since when nothing is open. Each fault begins from nothing: a new venue, account, agent and guard.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec

from agent.devnet.cut_wire import CutWire
from agent.devnet.purpleflea import AccountKeys, PurpleFleaVenue
from agent.errors import SetupError
from agent.guard.control import ask
from agent.guard.folder import VERIFIED, read_object
from agent.guard.latch import is_set
from agent.ports.clock import SystemClock
from agent.requests import Answer, Say
from agent.session.loop import run_loop

CANCELLED_WITHIN_S = 1.0
SILENT_AFTER_S = 2.0
FAULTS = ("killed", "stopped", "wedged", "guard-killed", "network-cut", "disk-full")
_TRADES_BEFORE = 4
_START_TIMEOUT_S = 40.0
_VERIFY_TIMEOUT_S = 25.0
_SAMPLE_S = 0.002
_DISK = "size=2g"
_CLOCK = SystemClock()


class Times(msgspec.Struct, frozen=True, kw_only=True):
    """One fault: seconds after it; None where it did not come."""

    fault: str
    cancelled_s: float | None
    """Since when nothing of the account was open."""
    last_accepted_s: float
    """When the venue took the last order; 0 where it took none after the fault."""
    verified_s: float | None
    """When the guard had seen by reads that all had stopped."""
    is_latched: bool
    note: str = ""

    @property
    def is_kept(self) -> bool:
        return (
            self.cancelled_s is not None
            and self.cancelled_s <= CANCELLED_WITHIN_S
            and self.last_accepted_s <= SILENT_AFTER_S
            and self.verified_s is not None
        )


def kill(faults: tuple[str, ...], trials: int, say: Say) -> Answer:
    """Every fault `trials` times; exit 1 where a promise was broken once."""
    rows: list[Times] = []
    for fault in faults or FAULTS:
        for trial in range(trials):
            say(f"{fault}, {trial + 1} of {trials}…")
            rows.append(run_loop(_once(fault, seed=trial)))
    lines = [
        f"{'fault':<14}{'nothing open':>14}{'last accepted':>15}{'verified':>11}  promise",
        f"{'':<14}{f'≤ {CANCELLED_WITHIN_S:.0f} s':>14}{f'≤ {SILENT_AFTER_S:.0f} s':>15}{'by reads':>11}",
    ]
    lines += [
        f"{row.fault:<14}{_seconds(row.cancelled_s):>14}{_seconds(row.last_accepted_s):>15}{_seconds(row.verified_s):>11}"
        f"  {'kept' if row.is_kept else 'BROKEN'}{'  ' + row.note if row.note else ''}"
        for row in rows
    ]
    is_kept = all(row.is_kept for row in rows)
    data = {
        "promise": {"cancelled_s": CANCELLED_WITHIN_S, "last_accepted_s": SILENT_AFTER_S},
        "drills": [{**msgspec.to_builtins(row), "is_kept": row.is_kept} for row in rows],
        "is_kept": is_kept,
    }
    return Answer(data=data, text="\n".join(lines), mode="devnet", exit_code=0 if is_kept else 1)


class _Stage:
    """A venue, an account, and the real agent that trades it."""

    def __init__(self, venue: PurpleFleaVenue, keys: AccountKeys, wire: CutWire, folder: Path) -> None:
        self.venue, self.wire, self.out = venue, wire, folder / "run"
        self.guard_folder = self.out / "guard"
        self._account = keys.agent_id
        for name, secret in (("agent.key", keys.trade.secret), ("guard.key", keys.guard.secret)):
            (folder / name).write_text(secret)
            (folder / name).chmod(0o600)
        config = folder / "drill.toml"
        config.write_text(
            f'schema = 1\nmode = "devnet"\nvenue = "purpleflea"\n[purpleflea]\nws_url = "{wire.ws_url}/ws"\n'
            f'rest_url = "{venue.http_url}"\napi_key = "file:{folder / "agent.key"}"\n'
            f'guard_key = "file:{folder / "guard.key"}"\nkey_id = "{keys.trade.key_id}"\nsymbols = ["BTC-USDC"]\n'
        )
        config.chmod(0o600)
        self._log = (folder / "agent.log").open("wb")
        self.process = subprocess.Popen(  # as everything here ends with the stage, its start may block a moment
            [sys.executable, "-m", "agent.cli.drill_agent", "run", "--config", str(config), "--out", str(self.out)],
            stdout=self._log,
            stderr=self._log,
            start_new_session=True,
        )

    @property
    def accepted_us(self) -> list[int]:
        """When the venue took each order, by its own clock."""
        executions = self.venue.floor.engine.executions[self._account]
        return [row["exchange_ts"] for row in executions.since(1) if row["type"] == "order_ack"]

    @property
    def open_orders(self) -> int:
        return len(self.venue.floor.engine.open_orders[self._account])

    def guard_pid(self) -> int:
        return int(ask(self.guard_folder, {"ask": "status"})["guard_pid"])

    def words(self) -> str:
        path = Path(self._log.name)
        return path.read_text(errors="replace").strip().rpartition("\n")[2][-300:]

    def close(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            os.kill(self.guard_pid(), signal.SIGKILL)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self._log.close()


@contextlib.asynccontextmanager
async def _standing(seed: int, folder: Path) -> AsyncIterator[_Stage]:
    async with PurpleFleaVenue(seed=seed) as venue, CutWire("127.0.0.1", venue.port) as wire:
        stage = await asyncio.to_thread(_Stage, venue, venue.create_account(), wire, folder)
        try:
            await _until(lambda: len(stage.accepted_us) >= _TRADES_BEFORE and stage.open_orders > 0, stage)
            yield stage
        finally:
            await asyncio.to_thread(stage.close)


async def _until(is_true: Callable[[], bool], stage: _Stage) -> None:
    until = _now() + _START_TIMEOUT_S
    while not is_true():
        if _now() > until or stage.process.poll() is not None:
            raise SetupError(f"the agent of the drill does not trade: {stage.words()}", code="E_DRILL")
        await asyncio.sleep(0.02)


async def _once(fault: str, *, seed: int) -> Times:
    with tempfile.TemporaryDirectory(prefix="mev-agent-drill-") as name:
        folder = Path(name)
        note = ""
        is_mounted = fault == "disk-full" and _mount(folder)
        if fault == "disk-full" and not is_mounted:
            note = "no right to mount a small disk here: the agent is killed on the present one"
        try:
            async with _standing(seed, folder) as stage:
                return await _measured(stage, fault, folder, note)
        finally:
            if is_mounted:
                await asyncio.to_thread(subprocess.run, ["umount", "-l", name], check=False)


async def _measured(stage: _Stage, fault: str, folder: Path, note: str) -> Times:
    inject: dict[str, Callable[[], Awaitable[None]]] = {
        "killed": lambda: _signal(stage.process.pid, signal.SIGKILL),
        "stopped": lambda: _signal(stage.process.pid, signal.SIGSTOP),
        "wedged": lambda: _signal(stage.process.pid, signal.SIGUSR1),
        "guard-killed": lambda: _signal(stage.guard_pid(), signal.SIGKILL),
        "network-cut": stage.wire.cut,
        "disk-full": lambda: (
            _signal(stage.process.pid, signal.SIGKILL) if note else _fill_and_kill(folder, stage.process.pid)
        ),
    }
    # Whatever the injection needs is asked for before the clock starts; the signal itself takes microseconds.
    if fault == "guard-killed":
        pid = await asyncio.to_thread(stage.guard_pid)
        inject["guard-killed"] = lambda: _signal(pid, signal.SIGKILL)
    trigger_us, trigger = _CLOCK.wall_ns() // 1000, _now()
    await inject[fault]()
    if fault == "disk-full":
        trigger_us, trigger = _CLOCK.wall_ns() // 1000, _now()
    is_restarted = False
    empty_since: float | None = None
    verified: float | None = None
    while _now() - trigger < _VERIFY_TIMEOUT_S:
        if stage.open_orders:
            empty_since = None
        elif empty_since is None:
            empty_since = _now()
        if fault == "guard-killed" and not is_restarted and stage.process.poll() is not None:
            is_restarted = True
            await asyncio.to_thread(_restart_guard, stage.guard_folder)
        if verified is None and await asyncio.to_thread(_is_verified, stage.guard_folder, fault):
            verified = _now()
        # Two seconds and more are watched in every case: a late order must be seen.
        if verified is not None and _now() - trigger > SILENT_AFTER_S + 1:
            break
        await asyncio.sleep(_SAMPLE_S)
    late = [at_us for at_us in stage.accepted_us if at_us > trigger_us]
    return Times(
        fault=fault,
        cancelled_s=None if empty_since is None else round(empty_since - trigger, 3),
        last_accepted_s=round((late[-1] - trigger_us) / 1e6, 3) if late else 0.0,
        verified_s=None if verified is None else round(verified - trigger, 2),
        is_latched=is_set(stage.guard_folder),
        note=note,
    )


def _is_verified(guard_folder: Path, fault: str) -> bool:
    if fault == "network-cut":
        try:
            status: dict[str, Any] = ask(guard_folder, {"ask": "status"})
        except (OSError, ValueError):
            return read_object(guard_folder / VERIFIED) is not None
        return bool(status["is_shield_verified"] or status["is_verified"])
    return read_object(guard_folder / VERIFIED) is not None


def _restart_guard(guard_folder: Path) -> None:
    """As whoever runs the guard would: with the same configuration."""
    from agent.session.guard import GUARD_FILE

    with (guard_folder / "guard.log").open("ab") as log:
        subprocess.Popen(
            [sys.executable, "-I", "-S", str(GUARD_FILE), "--config", str(guard_folder / "guard.json")],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )


def _now() -> float:
    return _CLOCK.monotonic_ns() / 1e9


async def _signal(pid: int, number: int) -> None:
    os.kill(pid, number)


async def _fill_and_kill(folder: Path, pid: int) -> None:
    """No block is left for latch, log or record; then the agent dies."""
    held = os.statvfs(folder)
    used_bytes = (held.f_blocks - held.f_bfree) * held.f_frsize
    options = f"remount,size={used_bytes}"
    await asyncio.to_thread(subprocess.run, ["mount", "-o", options, str(folder)], check=True)
    os.kill(pid, signal.SIGKILL)


def _mount(folder: Path) -> bool:
    """A disk in memory, whose size can be taken away later; it holds nothing until it is written."""
    command = ["mount", "-t", "tmpfs", "-o", _DISK, "none", str(folder)]
    try:
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def _seconds(value: float | None) -> str:
    return "never" if value is None else f"{value:.3f} s"
