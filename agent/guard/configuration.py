"""The guard's own configuration, read with its own code: a small TOML or JSON file, closed and typed.

It names limits, not the agent: a lying agent must not be able to widen what it is held to.
"""

from __future__ import annotations

import json
import os
import stat
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from agent.guard.venue_client import PATHS, Venue
from agent.guard.watch import WatchLimits

PULSE_MS = 50
TOKEN_LETTERS_MIN = 24
DEADMAN_MS_MIN, DEADMAN_MS_MAX = 5_000, 120_000


class ConfigurationFault(Exception):
    """A mistake in the file; the text names the key and never a value."""


class VenuePart(NamedTuple):
    """The order-book venue. The agent's keys are named by their ids; the probe is the agent's secret, if known."""

    venue: Venue
    symbols: tuple[str, ...]
    quote_currency: str
    quote_decimals: int
    agent_key_ids: tuple[str, ...]
    probe_keys: tuple[str, ...]
    deadman_ms: int
    is_flattened: bool = False
    """After a halt positions are brought down as well, by a key with the scope `reduce`."""
    collar_ppm: int = 5_000


class ChainPart(NamedTuple):
    """The chain. The files hold what was signed ahead; only the signing step opens keystores.

    `burns_file` None: no nonce is burned. `drops_file` None: no bundle is withdrawn.
    """

    nodes: tuple[str, ...]
    executor: str
    halts_file: Path
    guardian_keystore: Path | None = None
    guardian_password_file: Path | None = None
    burns_file: Path | None = None
    operator_keystores: tuple[Path, ...] = ()
    operator_password_file: Path | None = None
    drops_file: Path | None = None
    relays: tuple[str, ...] = ()


class ButtonPart(NamedTuple):
    """The door on loopback that halts for who has the token. Port 0: any that is free."""

    port: int
    token: str


class Configuration(NamedTuple):
    folder: Path
    limits: WatchLimits
    venue: VenuePart | None
    chain: ChainPart | None
    button: ButtonPart | None
    is_single_run: bool
    """End with the run that was watched, instead of waiting for the next."""
    give_up_s: float
    """0: repeat for ever. Else, for worlds that end with their run: stop repeating after so long."""


class _Table:
    """One table of the file: takes each key once, by type, and complains about what is left."""

    def __init__(self, content: Any, name: str) -> None:
        if not isinstance(content, Mapping):
            raise ConfigurationFault(f"{name} is not a table")
        self._content = dict(content)
        self._name = name

    def take(self, key: str, kind: type, default: Any = None) -> Any:
        if key not in self._content:
            if default is None:
                raise ConfigurationFault(f"{self._name}.{key} is missing")
            return default
        value = self._content.pop(key)
        if type(value) is not kind:
            raise ConfigurationFault(f"{self._name}.{key} is not a {kind.__name__}")
        return value

    def number(self, key: str, default: int, low: int, high: int) -> int:
        value: int = self.take(key, int, default)
        if not low <= value <= high:
            raise ConfigurationFault(f"{self._name}.{key} is not within {low} and {high}")
        return value

    def texts(self, key: str) -> tuple[str, ...]:
        values = self.take(key, list, [])
        if not all(isinstance(value, str) and value for value in values):
            raise ConfigurationFault(f"{self._name}.{key} is not a list of texts")
        return tuple(values)

    def table(self, key: str, read: Callable[[_Table], Any]) -> Any:
        if key not in self._content:
            return None
        inner = _Table(self._content.pop(key), key)
        found = read(inner)
        inner.close()
        return found

    def close(self) -> None:
        if self._content:
            raise ConfigurationFault(f"{self._name} has no key {min(map(str, self._content))!r}")


def load(path: Path) -> Configuration:
    """Raises ConfigurationFault for every mistake, also where a file of it cannot be read."""
    try:
        text = path.read_text()
        content = json.loads(text) if path.suffix == ".json" else tomllib.loads(text)
    except (OSError, ValueError) as error:
        raise ConfigurationFault(f"{path.name} cannot be read: {type(error).__name__}") from None
    return parse(content, path.parent)


def parse(content: Any, base: Path) -> Configuration:
    """Paths in it are relative to `base`. Raises ConfigurationFault."""
    whole = _Table(content, "guard")
    if whole.take("schema", int) != 1:
        raise ConfigurationFault("guard.schema is not 1")
    folder = base / whole.take("folder", str)
    deadline_ms = whole.number("beat_deadline_ms", 250, 20, 60_000)
    limits: WatchLimits = whole.table("limits", lambda table: _limits(table, deadline_ms)) or WatchLimits(deadline_ms)
    found = Configuration(
        folder=folder,
        limits=limits,
        venue=whole.table("venue", lambda table: _venue(table, base)),
        chain=whole.table("chain", lambda table: _chain(table, base)),
        button=whole.table("button", lambda table: _button(table, base)),
        is_single_run=whole.take("is_single_run", bool, False),
        give_up_s=float(whole.number("give_up_s", 0, 0, 86_400)),
    )
    whole.close()
    return found


def _limits(table: _Table, deadline_ms: int) -> WatchLimits:
    largest = 2**127 - 1
    return WatchLimits(
        beat_deadline_ms=deadline_ms,
        max_exposure=table.number("max_exposure_atoms", 0, 0, largest),
        max_day_loss=table.number("max_day_loss_atoms", 0, 0, largest),
        max_orders_per_s=table.number("max_orders_per_s", 0, 0, 1_000_000),
        exec_lag_ms=table.number("exec_lag_ms", 5_000, 100, 600_000),
        max_venue_age_ms=table.number("max_venue_age_ms", 0, 0, 600_000),
    )


def _venue(table: _Table, base: Path) -> VenuePart:
    deadman_ms = table.number("deadman_ms", 15_000, 0, DEADMAN_MS_MAX)
    if deadman_ms and deadman_ms < DEADMAN_MS_MIN:
        raise ConfigurationFault(f"venue.deadman_ms is neither 0 nor at least {DEADMAN_MS_MIN}")
    return VenuePart(
        venue=Venue(
            url=_address(table.take("url", str), "venue.url"),
            key=read_secret(base / table.take("key_file", str), "venue.key_file"),
            auth_header=table.take("auth_header", str, "X-API-Key"),
            auth_prefix=table.take("auth_prefix", str, ""),
            timeout_s=table.number("timeout_ms", 1_000, 50, 60_000) / 1000,
            paths=table.table("paths", _paths) or {},
        ),
        symbols=table.texts("symbols"),
        quote_currency=table.take("quote_currency", str, "USDC"),
        quote_decimals=table.number("quote_decimals", 6, 0, 30),
        agent_key_ids=table.texts("agent_key_ids"),
        probe_keys=tuple(read_secret(base / name, "venue.agent_key_files") for name in table.texts("agent_key_files")),
        deadman_ms=deadman_ms,
        is_flattened=table.take("is_flattened", bool, False),
        collar_ppm=table.number("collar_ppm", 5_000, 1, 500_000),
    )


def _paths(table: _Table) -> dict[str, str]:
    found = {name: table.take(name, str, PATHS[name]) for name in PATHS}
    for name, path in found.items():
        if not path.startswith("/") or not path.isprintable() or any(mark in path for mark in " ?#"):
            raise ConfigurationFault(f"venue.paths.{name} is no path")
    return found


def _chain(table: _Table, base: Path) -> ChainPart:
    nodes = tuple(_address(url, "chain.nodes") for url in table.texts("nodes"))
    if not nodes:
        raise ConfigurationFault("chain.nodes names no node")
    executor = table.take("executor", str).lower()
    try:
        is_address = executor.startswith("0x") and len(bytes.fromhex(executor[2:])) == 20
    except ValueError:
        is_address = False
    if not is_address:
        raise ConfigurationFault("chain.executor is no address")
    keystore, password_file = (table.take(key, str, "") for key in ("guardian_keystore", "guardian_password_file"))
    if bool(keystore) != bool(password_file):
        raise ConfigurationFault("chain.guardian_keystore and chain.guardian_password_file belong together")
    burns, drops, password = (
        table.take(key, str, "") for key in ("burns_file", "drops_file", "operator_password_file")
    )
    keystores = table.texts("operator_keystores")
    relays = tuple(_address(url, "chain.relays") for url in table.texts("relays"))
    if bool(keystores) != bool(password) or (keystores and not burns):
        raise ConfigurationFault("chain.operator_keystores, operator_password_file and burns_file belong together")
    if bool(drops) != bool(relays):
        raise ConfigurationFault("chain.drops_file and chain.relays belong together")
    return ChainPart(
        burns_file=base / burns if burns else None,
        operator_keystores=tuple(base / name for name in keystores),
        operator_password_file=base / password if password else None,
        drops_file=base / drops if drops else None,
        relays=relays,
        nodes=nodes,
        executor=executor,
        halts_file=base / table.take("halts_file", str, "halts.json"),
        guardian_keystore=base / keystore if keystore else None,
        guardian_password_file=base / password_file if password_file else None,
    )


def _button(table: _Table, base: Path) -> ButtonPart:
    port = table.number("port", 0, 0, 65_535)
    token = read_secret(base / table.take("token_file", str), "button.token_file")
    if len(token) < TOKEN_LETTERS_MIN:
        raise ConfigurationFault(f"button.token_file holds less than {TOKEN_LETTERS_MIN} letters")
    return ButtonPart(port, token)


def _address(url: str, key: str) -> str:
    if not url.startswith(("http://", "https://")):
        raise ConfigurationFault(f"{key} does not begin with http:// or https://")
    return url


def read_secret(path: Path, key: str) -> str:
    """A secret from a file that nobody else may read. Raises ConfigurationFault."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        raise ConfigurationFault(f"{key} cannot be read: {type(error).__name__}") from None
    with os.fdopen(descriptor) as file:
        found = os.fstat(file.fileno())
        if not stat.S_ISREG(found.st_mode) or found.st_uid not in (0, os.geteuid()) or found.st_mode & 0o077:
            raise ConfigurationFault(f"{key} may be read by others: chmod 600")
        secret = file.read(4096).strip()
    if not secret or not secret.isprintable():
        raise ConfigurationFault(f"{key} holds no secret")
    return secret
