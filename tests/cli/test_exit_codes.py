"""Every way a command can end has its own number."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable

import pytest

from agent.cli import main
from agent.errors import (
    ConfigError,
    Halted,
    OutcomeUnknown,
    ProtocolError,
    RateLimited,
    Rejected,
    RiskRefused,
    SetupError,
    UsageError,
)

ERRORS: list[tuple[Exception, int]] = [
    (UsageError("x"), 2),
    (ConfigError("x"), 3),
    (SetupError("x"), 4),
    (ProtocolError("x"), 4),
    (RateLimited("x", retry_after_ms=1), 4),
    (Rejected("x"), 4),
    (RiskRefused("x", limit="gas", used=2, cap=1), 5),
    (Halted("x"), 6),
    (OutcomeUnknown("x"), 7),
    (KeyboardInterrupt(), 130),  # type: ignore[list-item]
    (RuntimeError("http://user:secret@node/key"), 70),
]


def broken(error: BaseException) -> Callable[..., object]:
    def status(*_: object) -> object:
        raise error

    return lambda module, function: status


@pytest.mark.parametrize(("error", "code"), ERRORS, ids=lambda value: type(value).__name__)
def test_each_error_has_its_exit_code(error, code, monkeypatch, mev_agent) -> None:
    import agent.cli.status

    monkeypatch.setattr(agent.cli.status, "work", broken(error))
    ran = mev_agent("status")
    assert ran.code == code
    assert ran.stdout == ""
    assert "Traceback" not in ran.stderr


def test_a_defect_writes_a_crash_file_without_what_may_be_secret(monkeypatch, mev_agent, tmp_path) -> None:
    import agent.cli.status

    monkeypatch.setattr(agent.cli.status, "work", broken(RuntimeError("http://user:secret@node/key")))
    ran = mev_agent("status", "--color=never")
    (path,) = (tmp_path / "runs").glob("crash-*.json")
    assert path.name in ran.stderr
    text = path.read_text()
    crash = json.loads(text)
    assert "secret" not in text + ran.stderr
    assert crash["error"] == "RuntimeError"
    assert crash["command"] == ["status", "--color"]
    assert crash["frames"][-1]["function"] == "status"


def test_debug_shows_the_traceback_of_a_defect(monkeypatch, mev_agent) -> None:
    import agent.cli.status

    monkeypatch.setattr(agent.cli.status, "work", broken(RuntimeError("boom")))
    ran = mev_agent("status", "--debug")
    assert ran.code == 70
    assert "Traceback" in ran.stderr and "boom" in ran.stderr


STUCK = """
import sys
import agent.cli.status
from agent.cli import main

def stuck(*_):
    print("ready", flush=True)
    import threading
    threading.Event().wait()

agent.cli.status.work = lambda module, function: stuck
sys.exit(main(["status"]))
"""


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_the_command_with_its_number(number: int, code: int) -> None:
    with subprocess.Popen([sys.executable, "-c", STUCK], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stderr is not None
        assert process.stdout.readline() == b"ready\n"
        process.send_signal(number)
        assert process.wait(timeout=30) == code
        assert b"Traceback" not in process.stderr.read()


def test_a_reader_that_goes_away_is_no_defect() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "agent.cli", "completion", "bash"]
    done = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, timeout=60)
    os.close(writer)
    assert done.returncode == 141
    assert done.stderr == b""


def test_a_missing_part_is_said_and_a_broken_one_is_a_defect(monkeypatch, tmp_path) -> None:
    from agent.cli.command import work

    with pytest.raises(SetupError, match="not available in this build"):
        work("agent.nowhere.at_all", "run")
    with pytest.raises(SetupError, match="not available in this build"):
        work("agent.errors", "no_such_function")
    (tmp_path / "half_broken.py").write_text("import a_module_that_is_not_there\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModuleNotFoundError, match="a_module_that_is_not_there"):
        work("half_broken", "run")


def test_main_can_be_called_outside_the_main_thread(capsys) -> None:
    import threading

    codes: list[int] = []
    thread = threading.Thread(target=lambda: codes.append(main(["--version"])))
    thread.start()
    thread.join()
    assert codes == [0]
