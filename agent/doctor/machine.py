"""Checks of this machine: nothing here leaves it."""

from __future__ import annotations

import importlib
import os
import platform
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

from agent.doctor.rows import Row, fail, ok, warn
from agent.errors import AgentError
from agent.guard.network import Cutter

NODE_MAJOR_MIN = 20
DISK_WARN_BYTES = 2 * 1024**3
DISK_FAIL_BYTES = 200 * 1024**2
YEAR_MIN = 2025
"""A clock before the code was written has not been set."""


def python() -> Iterator[Row]:
    """The interpreter, and that `agent` is this package: another distribution has the same import name."""
    import agent

    yield ok("python", f"{platform.python_version()} ({platform.machine()})")
    if not hasattr(agent, "__version__") or metadata.version("mev-agent") != agent.__version__:
        yield fail("agent", f"{agent.__file__} is not mev-agent's", "install mev-agent into an environment of its own")
    else:
        yield ok("agent", agent.__version__)


def backends() -> Iterator[Row]:
    """Each fast path, and what stands in for it."""
    wanted = {
        "coincurve": "signing",
        "sha3": "keccak",
        "msgspec": "values",
        "uvloop": "event loop",
        "picows": "WebSockets",
        "orjson": "JSON",
    }
    missing = []
    for module, purpose in wanted.items():
        try:
            importlib.import_module(module)
        except ImportError:
            missing.append(f"{module} ({purpose})")
    if missing:
        yield fail("backends", f"cannot be imported: {', '.join(missing)}", "run `make setup`")
    else:
        yield ok("backends", ", ".join(wanted))
    from agent.eth.keccak import keccak256

    if keccak256(b"").hex() != "c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470":
        yield fail("keccak", "gives wrong digests", "reinstall safe-pysha3: remove .venv and run `make setup`")


def network_cut() -> Iterator[Row]:
    """Whether a guard of this user can destroy an agent's connections, tried on one of our own."""
    why_not = Cutter().why_not
    if why_not:
        yield warn(
            "network cut",
            f"{why_not}; a halt revokes, cancels and kills, and bytes that the kernel holds may still leave",
            "give the guard CAP_NET_ADMIN (systemd: AmbientCapabilities=CAP_NET_ADMIN), as docs/how-to/stop-it.md says",
        )
    else:
        yield ok("network cut", "the guard can destroy an agent's connections")


def node() -> Iterator[Row]:
    """Node runs the Solidity compiler; the agent itself does not need it."""
    path = shutil.which("node", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}")
    version = version_of(path)
    if version is None:
        yield warn("node", "not found; contracts cannot be built", "run `make tools`")
    elif version[0] < NODE_MAJOR_MIN:
        yield warn("node", f"{dotted(version)} is too old to build contracts", "run `make tools`")
    else:
        yield ok("node", dotted(version))


def foundry() -> Iterator[Row]:
    """anvil runs the worlds; forge and cast build and look."""
    from agent.devnet.anvil import find_foundry

    for tool in ("anvil", "forge", "cast"):
        try:
            path = find_foundry(tool)
        except AgentError as error:
            line = f"{error.message}"
            yield fail(tool, line, "run `make tools`") if tool == "anvil" else warn(tool, line, "run `make tools`")
        else:
            yield ok(tool, f"{dotted(version_of(str(path)) or ())}")


def protocol_contracts(repository: Path) -> Iterator[Row]:
    """The canonical bytecode that the slice plants."""
    wanted = [
        "@uniswap/v2-core",
        "@uniswap/v2-periphery",
        "@uniswap/v3-core",
        "@uniswap/v3-periphery",
        "canonical-weth",
    ]
    missing = [name for name in wanted if not (repository / "node_modules" / name / "package.json").is_file()]
    if missing:
        yield fail("contracts", f"missing: {', '.join(missing)}", "run `make tools`")
    else:
        yield ok("contracts", f"{len(wanted)} protocol packages")


def executor() -> Iterator[Row]:
    """Our contract's bytecode is there, whole, and what its record says."""
    from agent.venues.onchain.executor import load_build

    for name in ("cancun", "london"):
        build = load_build(name)
        yield ok("executor", f"{name}: {len(build.runtime_template)} bytes, template {build.template_hash.hex()[:12]}…")


def ports() -> Iterator[Row]:
    """Worlds listen on free ports of the loopback."""
    try:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            probe.listen(1)
            with socket.create_connection(probe.getsockname(), timeout=2):
                pass
    except OSError as error:
        yield fail("ports", f"cannot listen on 127.0.0.1: {error.strerror or error}", "allow loopback sockets")
    else:
        yield ok("ports", "free ports of 127.0.0.1 can be used")


def disk(folder: Path) -> Iterator[Row]:
    """Room for journals, and that a write reaches the disk."""
    place = next(parent for parent in (folder.absolute(), *folder.absolute().parents) if parent.is_dir())
    free = shutil.disk_usage(place).free
    shown = f"{free / 1024**3:.1f} GiB free in {folder}"
    try:
        with tempfile.NamedTemporaryFile(dir=place) as file:
            begun = time.perf_counter()
            file.write(b"x" * 4096)
            file.flush()
            os.fsync(file.fileno())
            took_ms = (time.perf_counter() - begun) * 1000
    except OSError as error:
        yield fail("disk", f"{place} cannot be written: {error.strerror}", "choose another observe.runs_dir")
        return
    if free < DISK_FAIL_BYTES:
        yield fail("disk", shown, "make room, or choose another observe.runs_dir")
    elif free < DISK_WARN_BYTES:
        yield warn("disk", shown, "make room before a long run")
    else:
        yield ok("disk", f"{shown}, a synced write took {took_ms:.1f} ms")


def clock() -> Iterator[Row]:
    """Without a node there is nothing to compare with but the calendar."""
    if time.gmtime().tm_year < YEAR_MIN:
        yield fail("clock", f"says {time.strftime('%Y-%m-%d')}", "set the clock")
    else:
        yield ok("clock", "plausible; no node to compare with")


def version_of(program: str | None) -> tuple[int, ...] | None:
    if program is None:
        return None
    try:
        done = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.SubprocessError):
        return None
    found = re.search(r"(\d+)\.(\d+)\.(\d+)", done.stdout)
    return tuple(int(part) for part in found.groups()) if found else None


def dotted(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))
