"""Starts a guard for one run: writes its configuration, starts its process, links to it, and leaves it in order.

    async with guarded(plan, run=run_id, run_epoch=1, build=build, listener=listener) as guard:
        ...  # guard.store_progress after each step, guard.beat each 50 ms

The guard's process gets a session of its own and the standard library alone (`-I -S`): it outlives whatever kills the
agent, Ctrl-C at the terminal does not reach it, and no installed package can harm it.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import secrets
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec

import agent
from agent.engine import guard_wire as wire
from agent.engine.bundle_drops import DROPS_FILE
from agent.engine.guard_link import GuardLink, check_latch, connect
from agent.errors import SetupError
from agent.eth.hexes import address_text, to_data
from agent.eth.keys import Signer, sign_dynamic_fee
from agent.eth.units import Address
from agent.ports.clock import SYSTEM_CLOCK, Clock
from agent.ports.processes import GuardListener

GUARD_FILE = Path(agent.__file__).parent / "guard" / "__main__.py"
CONTROL_SOCKET = "control.sock"
GUARD_PATHS = frozenset(("orders", "executions", "positions", "balances", "deadman", "keys"))
BUTTON_TOKEN = "button.token"
START_TIMEOUT_S = 5.0
LEAVE_TIMEOUT_S = 6.0
_POLL_S = 0.01
_WORDS_SHOWN = 400

HALT_CALLDATA = bytes.fromhex("5ed7ca5b")
"""`halt()` of the executor."""
HALT_GAS = 60_000
HALT_NONCES = 3
BURN_GAS = 21_000
BURNED_NONCES = 64
HALT_TIERS = ((20, 2_000_000_000), (60, 10_000_000_000), (200, 50_000_000_000))
"""Of each tier: how many times the present base fee it pays at most, and the tip in wei. The dearer replace the others."""


VENUE_AGE_MS = 600
"""An agent that asks its venue five times a second has lost it when nothing came for so long."""


class GuardedVenue(msgspec.Struct, frozen=True, kw_only=True):
    """The venue as the guard needs it. `guard_key` has the scopes read, cancel and revoke."""

    url: str
    guard_key: str
    agent_key_ids: tuple[str, ...]
    agent_keys: tuple[str, ...] = ()
    """Secrets of the agent's keys: only by trying one the guard can see that it is dead."""
    symbols: tuple[str, ...] = ()
    quote_currency: str = "USDC"
    quote_decimals: int = 6
    auth_header: str = "X-API-Key"
    auth_prefix: str = ""
    deadman_ms: int = 15_000
    paths: dict[str, str] = {}
    """Where its requests are, if not where the contract has them; names the guard does not ask for are left out."""

    def __repr__(self) -> str:
        return f"GuardedVenue({', '.join(self.agent_key_ids)})"


class GuardedChain(msgspec.Struct, frozen=True, kw_only=True):
    """The executor as the guard needs it: nodes to speak to, and `halt()` signed ahead (see `sign_halts`)."""

    nodes: tuple[str, ...]
    executor: Address
    halts: dict[str, Any]
    burns: dict[str, Any] | None = None
    """Of the operators' nonces, signed ahead (see `sign_burns`)."""
    relays: tuple[str, ...] = ()
    """Where bundles may wait: the guard withdraws them there by what `BundleDrops` wrote into its folder."""

    def __repr__(self) -> str:
        return f"GuardedChain({address_text(self.executor)})"


class GuardPlan(msgspec.Struct, frozen=True, kw_only=True):
    """A guard for one run. Limits in atoms of the quote currency; 0 is no limit."""

    folder: Path
    """The guard's own: its latch lies there. It is made where it is missing."""
    beat_deadline_ms: int = 250
    max_exposure_atoms: int = 0
    max_day_loss_atoms: int = 0
    max_orders_per_s: int = 0
    max_venue_age_ms: int = 0
    """Beyond this the guard cancels for an agent that lives and has lost the venue."""
    venue: GuardedVenue | None = None
    chain: GuardedChain | None = None
    give_up_s: int = 0
    """For worlds that end with the run: how long after a trip the guard goes on trying. 0: for ever."""


@asynccontextmanager
async def guarded(
    plan: GuardPlan,
    *,
    run: str,
    run_epoch: int,
    build: bytes,
    listener: GuardListener,
    event_seq: int = 0,
    digest: bytes = bytes(wire.DIGEST_BYTES),
    clock: Clock = SYSTEM_CLOCK,
) -> AsyncIterator[GuardLink]:
    """A guard that watches from here on; the first beat is due within `beat_deadline_ms`.

    A guard that already stands in the plan's folder (`mev-agent guard run`) is the one, with its own configuration, and
    goes on standing; else one is started for this run. `build` is 16 bytes over code and configuration; `event_seq` and
    `digest` are where the journal stands. However the block ends, the guard is told good-bye, and then cancels and looks
    for what was left. Raises Halted while the latch is set, SetupError where no guard comes up.
    """
    process = None if is_standing(plan.folder) else await start_guard(plan)
    try:
        link = await GuardLink.connect(
            plan.folder,
            run=run,
            run_epoch=run_epoch,
            build=build,
            listener=listener,
            event_seq=event_seq,
            digest=digest,
            clock=clock,
        )
    except BaseException:
        if process is not None:
            process.terminate()
            await _ended(process, LEAVE_TIMEOUT_S)
        raise
    try:
        yield link
    finally:
        await link.leave()
        if process is not None and not link.is_abandoned:
            await _ended(process, LEAVE_TIMEOUT_S)


def is_standing(folder: Path) -> bool:
    """Whether a guard listens in this folder."""
    try:
        connect(folder, CONTROL_SOCKET, socket.SOCK_STREAM).close()
    except OSError:
        return False
    return True


async def start_guard(plan: GuardPlan) -> subprocess.Popen[bytes]:
    """The guard's process, ready to be linked to. Raises Halted while the latch is set, SetupError otherwise."""
    if not sys.platform.startswith("linux"):
        raise SetupError("the guard needs Linux: it holds the agent by a process descriptor", code="E_NO_GUARD")
    try:
        plan.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        check_latch(plan.folder)
        config = write_configuration(plan)
    except OSError as error:
        raise SetupError(
            f"the guard's folder cannot be written: {error.strerror}", code="E_NO_GUARD", where=str(plan.folder)
        ) from None
    ready, told = os.pipe()
    log_path = plan.folder / "guard.log"
    try:
        process = _spawn(config, told, log_path)
    except BaseException:
        os.close(ready)
        raise
    finally:
        os.close(told)
    if await _said_ready(ready):
        return process
    process.terminate()
    await _ended(process, LEAVE_TIMEOUT_S)
    words = log_path.read_text(errors="replace")[-_WORDS_SHOWN:].strip().rpartition("\n")[2]
    raise SetupError(f"the guard did not come up: {words}", code="E_NO_GUARD", where=str(log_path))


def _spawn(config: Path, told: int, log_path: Path) -> subprocess.Popen[bytes]:
    """A session of its own, and no code but the standard library's and its own."""
    with log_path.open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-I", "-S", str(GUARD_FILE), "--config", str(config), "--ready-fd", str(told)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            pass_fds=(told,),
            start_new_session=True,
        )


def write_configuration(plan: GuardPlan) -> Path:
    """The guard's file, and the secrets beside it, readable by its user alone. Raises OSError."""
    content: dict[str, Any] = {
        "schema": 1,
        "folder": ".",
        "beat_deadline_ms": plan.beat_deadline_ms,
        "is_single_run": True,
        "give_up_s": plan.give_up_s,
        "limits": {
            "max_exposure_atoms": plan.max_exposure_atoms,
            "max_day_loss_atoms": plan.max_day_loss_atoms,
            "max_orders_per_s": plan.max_orders_per_s,
            "max_venue_age_ms": plan.max_venue_age_ms,
        },
    }
    venue, chain = plan.venue, plan.chain
    if venue is not None:
        _write_private(plan.folder / "guard.key", venue.guard_key)
        names = [f"agent-{number}.key" for number in range(len(venue.agent_keys))]
        for name, secret in zip(names, venue.agent_keys, strict=True):
            _write_private(plan.folder / name, secret)
        content["venue"] = {
            "url": venue.url,
            "key_file": "guard.key",
            "auth_header": venue.auth_header,
            "auth_prefix": venue.auth_prefix,
            "symbols": list(venue.symbols),
            "quote_currency": venue.quote_currency,
            "quote_decimals": venue.quote_decimals,
            "agent_key_ids": list(venue.agent_key_ids),
            "agent_key_files": names,
            "deadman_ms": venue.deadman_ms,
            "paths": {name: path for name, path in venue.paths.items() if name in GUARD_PATHS},
        }
    if chain is not None:
        _write_private(plan.folder / "halts.json", json.dumps(chain.halts))
        content["chain"] = {
            "nodes": list(chain.nodes),
            "executor": to_data(chain.executor),
            "halts_file": "halts.json",
        }
        if chain.burns is not None:
            _write_private(plan.folder / "burns.json", json.dumps(chain.burns))
            content["chain"]["burns_file"] = "burns.json"
        if chain.relays:
            content["chain"] |= {"drops_file": DROPS_FILE, "relays": list(chain.relays)}
    _write_private(plan.folder / BUTTON_TOKEN, secrets.token_urlsafe(32))
    content["button"] = {"token_file": BUTTON_TOKEN}
    path = plan.folder / "guard.json"
    _write_private(path, json.dumps(content, indent=1))
    return path


def sign_halts(
    guardian: Signer, *, executor: Address, chain_id: int, first_nonce: int, base_fee_wei: int
) -> dict[str, Any]:
    """`halt()` signed ahead, for a throw-away guardian of a devnet: in each tier one for every nonce that may be next.

    A guardian that is worth something never comes into the agent's process: `python -m agent.guard.signing` does the
    same for it.
    """
    base = max(base_fee_wei, 1)
    return {
        "schema": "mev-agent/halts/1",
        "chain_id": chain_id,
        "guardian": to_data(guardian.address),
        "executor": to_data(executor),
        "first_nonce": first_nonce,
        "max_fee_wei": str(HALT_TIERS[0][0] * base + HALT_TIERS[0][1]),
        "tiers": [
            [
                to_data(
                    sign_dynamic_fee(
                        guardian,
                        chain_id=chain_id,
                        nonce=nonce,
                        max_priority_fee_wei=tip_wei,
                        max_fee_wei=times * base + tip_wei,
                        gas=HALT_GAS,
                        to=executor,
                        value_wei=0,
                        data=HALT_CALLDATA,
                    ).raw
                )
                for nonce in range(first_nonce, first_nonce + HALT_NONCES)
            ]
            for times, tip_wei in HALT_TIERS
        ],
    }


def sign_burns(
    operators: Sequence[Signer], *, chain_id: int, nonces: Sequence[int], base_fee_wei: int
) -> dict[str, Any]:
    """An empty transaction to itself for each of an operator's next nonces: what makes a pending bundle void.

    For throw-away operators of a devnet; for others `python -m agent.guard.signing` does the same.
    """
    base = max(base_fee_wei, 1)

    def burn(operator: Signer, nonce: int, times: int, tip_wei: int) -> str:
        return to_data(
            sign_dynamic_fee(
                operator,
                chain_id=chain_id,
                nonce=nonce,
                max_priority_fee_wei=tip_wei,
                max_fee_wei=times * base + tip_wei,
                gas=BURN_GAS,
                to=operator.address,
                value_wei=0,
                data=b"",
            ).raw
        )

    return {
        "schema": "mev-agent/burns/1",
        "chain_id": chain_id,
        "max_fee_wei": str(HALT_TIERS[0][0] * base + HALT_TIERS[0][1]),
        "operators": [
            {
                "address": to_data(operator.address),
                "first_nonce": first,
                "tiers": [
                    [burn(operator, nonce, times, tip_wei) for nonce in range(first, first + BURNED_NONCES)]
                    for times, tip_wei in HALT_TIERS
                ],
            }
            for operator, first in zip(operators, nonces, strict=True)
        ],
    }


def _write_private(path: Path, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        os.fchmod(descriptor, 0o600)
        file.write(text)


async def _said_ready(descriptor: int) -> bool:
    """Whether the guard wrote its line in time; a guard that ends instead closes the pipe. Closes the descriptor."""
    loop = asyncio.get_running_loop()
    readable = asyncio.Event()
    os.set_blocking(descriptor, False)
    loop.add_reader(descriptor, readable.set)
    try:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(readable.wait(), START_TIMEOUT_S)
            return bool(os.read(descriptor, 64))
        return False
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)


async def _ended(process: subprocess.Popen[bytes], patience_s: float) -> bool:
    """Whether it ended in that time. It is not killed: what it still does is its duty."""
    for _ in range(int(patience_s / _POLL_S)):
        if process.poll() is not None:
            return True
        await asyncio.sleep(_POLL_S)
    return False
