"""Make everything the project needs, from the package registries of pip and npm alone.

    scripts/setup.py environment     .venv: uv, the locked packages, the agent itself
    scripts/setup.py tools           node_modules: Foundry, solc, protocol contracts; Node too where none fits
    scripts/setup.py contracts       .venv-contracts: halmos and slither
    scripts/setup.py peers           .venv-flashbots and tests/e2e/clients/node: foreign clients
    scripts/setup.py engines         .venv-engines: matching engines that the simulated venue is compared with
    scripts/setup.py mutants         .venv-mutants: mutmut, which says what to break in the core

Runs on the standard library, before any of it exists. Each stage is stamped with a digest of what it was made
from, written last: a stage that is up to date does nothing, one that broke off is made anew. Names no index: pip,
uv and npm are asked by package name, and every file is checked against the hash in its lock.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LOCKS = ROOT / "scripts" / "locks"
VENV = ROOT / ".venv"
LOG = ROOT / "build" / "setup.log"
STAMP = ".setup-complete"
UNFINISHED = ".setup-unfinished"
PYTHON_MIN = (3, 11)
NODE_MAJOR_MIN = 20
ATTEMPTS = 3
"""A registry that stumbles once should not cost the user a second command."""


class SetupFailed(Exception):
    """What happened, and what to do."""


def main(stages: Sequence[str]) -> int:
    leave_own_environment()
    known: dict[str, Callable[[], None]] = {
        "environment": make_environment,
        "tools": make_tools,
        "contracts": make_contract_tools,
        "peers": make_peers,
        "engines": make_engines,
        "mutants": make_mutants,
    }
    if not stages or not set(stages) <= set(known):
        say(f"usage: scripts/setup.py {'|'.join(known)}...")
        return 2
    if sys.version_info < PYTHON_MIN:
        say(f"error: Python {PYTHON_MIN[0]}.{PYTHON_MIN[1]} or later is needed, this is {sys.version.split()[0]}")
        say("  what to do: install a newer Python, or name one: make PYTHON=/path/to/python3.12 ...")
        return 4
    LOG.parent.mkdir(exist_ok=True)
    with open(LOG.parent / "setup.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two makes at once would spoil each other's folders
        try:
            for stage in stages:
                known[stage]()
        except SetupFailed as failure:
            say(f"error: {failure}")
            return 4
        except KeyboardInterrupt:
            say("stopped; the next run makes the unfinished part anew")
            return 130
    return 0


def leave_own_environment() -> None:
    """Go on with the Python below, when run by one of the environments that may have to be made anew."""
    if sys.prefix != sys.base_prefix and Path(sys.prefix).is_relative_to(ROOT):
        base = str(sys._base_executable)  # type: ignore[attr-defined]
        os.execv(base, [base, *sys.orig_argv[1:]])


def make_environment() -> None:
    """.venv with the locked packages and the agent, importable from this checkout."""
    lock = ROOT / "requirements.lock"
    inputs = [lock, LOCKS / "uv.lock", ROOT / "pyproject.toml"]
    with Stage("environment", VENV, inputs, extra=sys.version) as stage:
        if stage.is_fresh:
            return
        make_venv(VENV)
        python = str(VENV / "bin" / "python")
        step("uv", [python, "-m", "pip", "install", "--quiet", "--require-hashes", "-r", str(LOCKS / "uv.lock")])
        uv = [str(VENV / "bin" / "uv"), "pip"]
        step(
            "packages",
            [*uv, "sync", "--python", python, "--require-hashes", "--compile-bytecode", str(lock)],
        )
        # compat: a plain path entry. The default, an import hook, costs every start of Python 15 ms.
        editable = ["--no-deps", "--no-build-isolation", "--config-setting", "editable_mode=compat", "--editable"]
        step("agent", [*uv, "install", "--python", python, *editable, str(ROOT)])


def make_tools() -> None:
    """node_modules by the lock, after a Node that can run npm."""
    make_node()
    modules = ROOT / "node_modules"
    foundry = wanted_foundry()
    own = foundry_on_path(foundry)
    with Stage("tools", modules, [ROOT / "package.json", ROOT / "package-lock.json"], extra=str(own)) as stage:
        if stage.is_fresh:
            return
        if own:
            say(f"setup: Foundry {foundry} on PATH is used")
        npm_ci("node packages", ROOT, leave_out_optional=own)
        if not own and not list(modules.glob("@foundry-rs/anvil-*/bin/anvil*")):
            raise SetupFailed(
                "npm has no Foundry build for this machine\n"
                f"  what to do: put anvil, forge and cast of Foundry {foundry} on PATH"
            )


def make_node() -> None:
    """Nothing where PATH has a Node that fits; else the one that PyPI carries, into .venv."""
    if node_fits(shutil.which("node", path=path_with_venv())) and shutil.which("npm", path=path_with_venv()):
        return
    uv = [str(VENV / "bin" / "uv"), "pip", "install", "--python", str(VENV / "bin" / "python")]
    step("Node", [*uv, "--require-hashes", "-r", str(LOCKS / "node.lock")])


def make_contract_tools() -> None:
    """The analysers of the contracts, which pin old releases of what the agent uses."""
    make_locked_venv("contracts", ROOT / ".venv-contracts", LOCKS / "contracts.lock")


def make_peers() -> None:
    """Two Flashbots clients that nobody here wrote, each with the libraries it was written for."""
    make_locked_venv("peer flashbots", ROOT / ".venv-flashbots", LOCKS / "flashbots.lock")
    make_node()
    folder = ROOT / "tests" / "e2e" / "clients" / "node"
    inputs = [folder / "package.json", folder / "package-lock.json"]
    if not all(path.is_file() for path in inputs):
        raise SetupFailed(
            f"{folder.relative_to(ROOT)} has no package.json with its lock\n  what to do: restore it from git"
        )
    with Stage("peer ethers", folder / "node_modules", inputs) as stage:
        if not stage.is_fresh:
            npm_ci("ethers client", folder)


def make_engines() -> None:
    """Matching engines that nobody here wrote."""
    make_locked_venv("engines", ROOT / ".venv-engines", LOCKS / "engines.lock")


def make_mutants() -> None:
    """mutmut, for its mutants alone."""
    make_locked_venv("mutants", ROOT / ".venv-mutants", LOCKS / "mutants.lock")


def make_locked_venv(name: str, folder: Path, lock: Path) -> None:
    """An environment of its own that holds exactly what its lock says."""
    with Stage(name, folder, [lock], extra=sys.version) as stage:
        if stage.is_fresh:
            return
        make_venv(folder)
        uv = [str(VENV / "bin" / "uv"), "pip", "sync", "--python", str(folder / "bin" / "python")]
        step(f"{name} packages", [*uv, "--require-hashes", str(lock)])


class Stage:
    """A folder made from files: fresh when its stamp says so, begun anew when the last try broke off."""

    def __init__(self, name: str, folder: Path, inputs: Sequence[Path], *, extra: str = "") -> None:
        self.name = name
        self.folder = folder
        digest = hashlib.sha256(extra.encode())
        for path in inputs:
            digest.update(path.read_bytes())
        self.digest = digest.hexdigest()
        self.is_fresh = False

    def __enter__(self) -> Stage:
        stamp = self.folder / STAMP
        self.is_fresh = stamp.is_file() and stamp.read_text() == self.digest
        if not self.is_fresh:
            if (self.folder / UNFINISHED).exists():
                shutil.rmtree(self.folder)
            self.folder.mkdir(parents=True, exist_ok=True)
            stamp.unlink(missing_ok=True)
            (self.folder / UNFINISHED).touch()
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is None and not self.is_fresh:
            # npm ci empties the folder it is given, so neither file needs to be there still.
            (self.folder / STAMP).write_text(self.digest)
            (self.folder / UNFINISHED).unlink(missing_ok=True)


def make_venv(folder: Path) -> None:
    """A virtual environment of this Python, kept when it already is one."""
    if venv_version(folder) == sys.version:
        return
    try:
        import ensurepip  # noqa: F401
        import venv  # noqa: F401
    except ImportError:
        raise SetupFailed(
            "this Python has no venv with pip\n  what to do: install it (Debian, Ubuntu: apt-get install python3-venv)"
        ) from None
    if (folder / "bin").exists():
        shutil.rmtree(folder)
        folder.mkdir()
        (folder / UNFINISHED).touch()
    step(folder.name, [sys.executable, "-m", "venv", str(folder)])


def venv_version(folder: Path) -> str | None:
    python = folder / "bin" / "python"
    if not python.exists() or not (folder / "bin" / "pip").exists():
        return None
    try:
        done = subprocess.run([python, "-c", "import sys; print(sys.version, end='')"], capture_output=True, text=True)
    except OSError:
        return None
    return done.stdout if done.returncode == 0 else None


def npm_ci(name: str, folder: Path, *, leave_out_optional: bool = False) -> None:
    npm = shutil.which("npm", path=path_with_venv())
    if npm is None:
        raise SetupFailed("no npm\n  what to do: run make setup again, or install Node 20 or later")
    options = ["--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    if leave_out_optional:
        options.append("--omit=optional")
    step(name, [npm, "ci", *options], cwd=folder)


def step(name: str, command: Sequence[str], *, cwd: Path = ROOT) -> None:
    """Run one command quietly, with its output in the log; raise SetupFailed with the end of it."""
    say(f"setup: {name} ...")
    begun = time.monotonic()
    environment = {**os.environ, "PATH": path_with_venv(), "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    environment.pop("VIRTUAL_ENV", None)
    for attempt in range(1, ATTEMPTS + 1):
        try:
            done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, errors="replace")
        except OSError as failure:
            raise SetupFailed(f"{name}: cannot run {command[0]}: {failure}") from None
        output = done.stdout + done.stderr
        with open(LOG, "a") as log:
            log.write(f"$ {' '.join(command)}\n{output}\n")
        if done.returncode == 0:
            say(f"setup: {name} done in {time.monotonic() - begun:.1f} s")
            return
        if attempt < ATTEMPTS and is_broken_download(output):
            say(f"setup: {name}: the download broke off, trying again")
            time.sleep(2**attempt)
            continue
        break
    tail = "\n".join(f"    {line}" for line in output.strip().splitlines()[-6:])
    raise SetupFailed(
        f"{name} could not be installed (the whole output: {LOG.relative_to(ROOT)})\n{tail}\n"
        "  what to do: check the network and the disk, then give the same command again"
    )


def is_broken_download(output: str) -> bool:
    words = (
        "timed out",
        "timeout",
        "Connection",
        "connection",
        "ECONNRESET",
        "ETIMEDOUT",
        "EAI_AGAIN",
        "IncompleteRead",
    )
    return any(word in output for word in words)


def node_fits(node: str | None) -> bool:
    version = version_of(node)
    return version is not None and version[0] >= NODE_MAJOR_MIN


def wanted_foundry() -> str:
    return str(json.loads((ROOT / "package.json").read_text())["dependencies"]["@foundry-rs/anvil"])


def foundry_on_path(wanted: str) -> bool:
    """True when PATH has all three tools in the wanted minor version."""
    minor = tuple(int(part) for part in wanted.split(".")[:2])
    versions = [version_of(shutil.which(tool)) for tool in ("anvil", "forge", "cast")]
    return all(version is not None and version[:2] == minor for version in versions)


def version_of(program: str | None) -> tuple[int, ...] | None:
    """The first dotted number that `program --version` says."""
    if program is None:
        return None
    try:
        done = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return None
    found = re.search(r"(\d+)\.(\d+)\.(\d+)", done.stdout)
    return tuple(int(part) for part in found.groups()) if found else None


def path_with_venv() -> str:
    return f"{VENV / 'bin'}{os.pathsep}{os.environ.get('PATH', os.defpath)}"


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
