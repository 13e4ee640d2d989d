"""Set-up by stages: nothing twice, nothing half, one clear message."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture
def setup(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """scripts/setup.py as a module, working in an empty folder."""
    spec = importlib.util.spec_from_file_location("project_setup", REPOSITORY / "scripts" / "setup.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    (tmp_path / "build").mkdir()
    monkeypatch.setattr(module, "ROOT", tmp_path)
    monkeypatch.setattr(module, "LOG", tmp_path / "build" / "setup.log")
    monkeypatch.setattr(module, "VENV", tmp_path / ".venv")
    monkeypatch.setattr(module.time, "sleep", lambda _: None)
    return module


def tool(folder: Path, name: str, text: str) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def test_a_finished_stage_is_fresh_until_what_it_was_made_from_changes(setup: ModuleType, tmp_path: Path) -> None:
    lock, folder = tmp_path / "lock", tmp_path / "made"
    lock.write_text("one")
    with setup.Stage("x", folder, [lock]) as stage:
        assert not stage.is_fresh
    with setup.Stage("x", folder, [lock]) as stage:
        assert stage.is_fresh
    with setup.Stage("x", folder, [lock], extra="another python") as stage:
        assert not stage.is_fresh
    lock.write_text("two")
    with setup.Stage("x", folder, [lock], extra="another python") as stage:
        assert not stage.is_fresh


def test_a_stage_that_broke_off_is_begun_from_an_empty_folder(setup: ModuleType, tmp_path: Path) -> None:
    lock, folder = tmp_path / "lock", tmp_path / "made"
    lock.write_text("one")
    with pytest.raises(setup.SetupFailed), setup.Stage("x", folder, [lock]):
        (folder / "half").touch()
        raise setup.SetupFailed("broken")
    with setup.Stage("x", folder, [lock]) as stage:
        assert not stage.is_fresh
        assert not (folder / "half").exists()


def test_a_folder_without_a_stamp_is_kept_and_completed(setup: ModuleType, tmp_path: Path) -> None:
    lock, folder = tmp_path / "lock", tmp_path / "made"
    lock.write_text("one")
    folder.mkdir()
    (folder / "old").touch()
    with setup.Stage("x", folder, [lock]) as stage:
        assert not stage.is_fresh
    assert (folder / "old").exists()


def test_a_download_that_breaks_off_is_tried_again(setup: ModuleType, tmp_path: Path, capsys) -> None:
    counter = tmp_path / "count"
    text = f'echo x >> "{counter}"; test $(wc -l < "{counter}") -ge 3 || {{ echo "connection reset" >&2; exit 1; }}'
    setup.step("download", [str(tool(tmp_path / "bin", "pip", text))])
    assert counter.read_text().count("x") == 3
    assert "trying again" in capsys.readouterr().err


def test_a_failure_is_told_once_with_its_end_and_what_to_do(setup: ModuleType, tmp_path: Path) -> None:
    failing = tool(tmp_path / "bin", "pip", "echo first; echo 'no space left on device' >&2; exit 1")
    with pytest.raises(setup.SetupFailed) as caught:
        setup.step("packages", [str(failing)])
    message = str(caught.value)
    assert message.startswith("packages could not be installed (the whole output: build/setup.log)")
    assert "no space left on device" in message and "what to do: " in message
    assert "no space left on device" in (tmp_path / "build" / "setup.log").read_text()


def test_a_program_that_is_not_there_is_a_clear_failure(setup: ModuleType) -> None:
    with pytest.raises(setup.SetupFailed, match="cannot run /nowhere/npm"):
        setup.step("npm", ["/nowhere/npm"])


@pytest.mark.parametrize(
    ("said", "fits"), [("v24.19.0", True), ("v20.0.0", True), ("v18.19.1", False), ("nonsense", False)]
)
def test_a_node_on_path_is_used_when_it_fits(setup: ModuleType, tmp_path: Path, said: str, fits: bool) -> None:
    assert setup.node_fits(str(tool(tmp_path / "bin", "node", f"echo {said}"))) is fits
    assert not setup.node_fits(None)


@pytest.mark.parametrize(
    ("versions", "fits"),
    [
        (("1.7.1", "1.7.0", "1.7.9"), True),
        (("1.7.1", "1.6.0", "1.7.1"), False),
        (("1.7.1", "1.7.1", None), False),
    ],
)
def test_a_foundry_on_path_is_used_when_all_of_it_fits(setup, tmp_path, monkeypatch, versions, fits) -> None:
    for name, version in zip(("anvil", "forge", "cast"), versions, strict=True):
        if version is not None:
            tool(tmp_path / "bin", name, f"echo '{name} Version: {version}-stable'")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}/usr/bin:/bin")
    monkeypatch.setattr(
        setup.shutil,
        "which",
        lambda name, **_: found if (found := str(tmp_path / "bin" / name)) and Path(found).exists() else None,
    )
    assert setup.foundry_on_path("1.7.1") is fits


def test_unknown_stages_are_a_usage_error(setup: ModuleType, capsys) -> None:
    assert setup.main(["everything"]) == 2
    assert "usage: scripts/setup.py" in capsys.readouterr().err


def test_an_old_python_is_told_what_to_do(setup: ModuleType, monkeypatch, capsys) -> None:
    monkeypatch.setattr(setup, "PYTHON_MIN", (99, 0))
    assert setup.main(["environment"]) == 4
    assert "make PYTHON=" in capsys.readouterr().err


def test_setup_needs_nothing_but_the_standard_library() -> None:
    command = [sys.executable, "-I", "-S", str(REPOSITORY / "scripts" / "setup.py")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2, done.stderr
