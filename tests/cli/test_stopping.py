"""A signal at any moment ends a command and everything that it started."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

SIGNALS = [(signal.SIGINT, 130), (signal.SIGTERM, 143)]
PATIENCE_S = 60


def started(folder: Path, *words: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "agent.cli", *words]
    return subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def stopped(process: subprocess.Popen[str], number: int) -> tuple[int, str, str]:
    """Exit code, stdout and stderr after the signal; fails where a child outlives the command."""
    children = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(number)
    out, err = process.communicate(timeout=PATIENCE_S)
    _, alive = psutil.wait_procs(children, timeout=10)
    assert not alive, f"left behind: {alive}"
    return process.returncode, out, err


@pytest.mark.anvil
@pytest.mark.parametrize(("number", "code"), SIGNALS)
def test_a_run_is_stopped_while_it_works(number: int, code: int, tmp_path: Path) -> None:
    process = started(tmp_path, "run", "--blocks", "500")
    assert process.stderr is not None
    seen = ""
    while "block " not in seen:
        line = process.stderr.readline()
        assert line, seen
        seen += line
    ended, out, err = stopped(process, number)
    assert ended == code
    assert "Traceback" not in err
    assert out == ""


@pytest.mark.anvil
@pytest.mark.parametrize(("number", "code"), SIGNALS)
def test_a_devnet_stands_until_it_is_stopped(number: int, code: int, tmp_path: Path) -> None:
    process = started(tmp_path, "devnet", "up", "--json")
    assert process.stdout is not None
    document = json.loads(process.stdout.readline())
    assert document["ok"] is True
    assert psutil.Process(process.pid).children(recursive=True), "a devnet without an anvil"
    ended, out, err = stopped(process, number)
    assert (ended, out) == (code, "")
    assert "Traceback" not in err


@pytest.mark.parametrize(("number", "code"), SIGNALS)
def test_a_simulated_venue_stands_until_it_is_stopped(number: int, code: int, tmp_path: Path) -> None:
    process = started(tmp_path, "devnet", "purpleflea", "--json")
    assert process.stdout is not None
    document = json.loads(process.stdout.readline())
    assert document["ok"] is True
    ended, out, err = stopped(process, number)
    assert (ended, out) == (code, "")
    assert "Traceback" not in err


@pytest.mark.parametrize(("number", "code"), SIGNALS)
def test_a_signal_during_the_imports_is_one_like_any_other(number: int, code: int, tmp_path: Path) -> None:
    # A module that is imported by the command and sends the signal from inside its own import.
    program = (
        "import os, sys, types, agent.cli\n"
        "class Finder:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        f"        if name == 'click': os.kill(os.getpid(), {number})\n"
        "sys.meta_path.insert(0, Finder())\n"
        "sys.exit(agent.cli.main(['--help']))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.returncode == code
    assert done.stderr == "stopped\n"


@pytest.mark.parametrize(("number", "code"), SIGNALS)
def test_a_signal_while_the_interpreter_ends_changes_no_answer(number: int, code: int, tmp_path: Path) -> None:
    # Python restores the default handlers as it ends; what an atexit function sends arrives just before, and the
    # module's own end, which holds the last reference, after that.
    program = (
        "import atexit, os, sys, agent.cli\n"
        "class Last:\n"
        "    def __init__(self): self.kill, self.pid = os.kill, os.getpid()\n"
        f"    def __del__(self): self.kill(self.pid, {number})\n"
        "sys.last = Last()\n"
        f"atexit.register(os.kill, os.getpid(), {number})\n"
        "sys.argv[1:] = ['--version']\n"
        "sys.exit(agent.cli.main())\n"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("mev-agent")
