"""The latch: made once, on a full disk too, and only a reset takes it away."""

from __future__ import annotations

import subprocess
import threading
from pathlib import Path

import pytest

from agent.guard import latch


def test_the_first_reason_counts(tmp_path: Path) -> None:
    assert latch.set_latch(tmp_path, code="silent", detail="no beat", by="guard", evidence=b"beats")
    assert not latch.set_latch(tmp_path, code="asked", detail="", by="somebody")
    held = latch.read(tmp_path)
    assert held is not None and held["code"] == "silent" and len(held["evidence"]) == 16
    assert (tmp_path / latch.LATCH).stat().st_mode & 0o777 == 0o600


def test_of_many_that_latch_at_once_one_does(tmp_path: Path) -> None:
    made: list[bool] = []
    threads = [
        threading.Thread(target=lambda n=n: made.append(latch.set_latch(tmp_path, code=str(n), detail="", by="")))
        for n in range(16)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert made.count(True) == 1


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"code": 1}', b"\xff" * 10])
def test_a_latch_without_a_readable_record_halts_like_any_other(tmp_path: Path, content: bytes) -> None:
    (tmp_path / latch.LATCH).write_bytes(content)
    assert latch.is_set(tmp_path)
    held = latch.read(tmp_path)
    assert held is not None and held["code"] == "unreadable"


def test_a_folder_that_cannot_be_looked_into_counts_as_halted(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert latch.is_set(tmp_path / "file" / "guard")


def test_a_reset_without_a_latch_is_none(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        latch.release(tmp_path, reason="r", by="b")
    assert not (tmp_path / latch.MUST_REDUCE).exists()


@pytest.fixture
def small_disk(tmp_path: Path):
    """A file system of 64 KiB; only root may mount one."""
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k,nr_inodes=16", "none", str(tmp_path)], capture_output=True, text=True
    )
    if mounted.returncode:
        pytest.skip(f"cannot mount: {mounted.stderr.strip()}")
    yield tmp_path
    subprocess.run(["umount", "-l", str(tmp_path)], check=True)


def fill(folder: Path) -> None:
    with pytest.raises(OSError, match="No space"):
        with (folder / "fill").open("wb", buffering=0) as file:
            while True:
                file.write(bytes(4096))


def test_a_full_disk_does_not_stop_the_latch(small_disk: Path) -> None:
    latch.take_reserve(small_disk)
    fill(small_disk)
    assert latch.set_latch(small_disk, code="silent", detail="no beat", by="guard")
    assert latch.is_set(small_disk)
    assert latch.read(small_disk) is not None


def test_no_inode_left_the_reserve_is_the_latch(small_disk: Path) -> None:
    latch.take_reserve(small_disk)
    with pytest.raises(OSError):
        for number in range(100):
            (small_disk / str(number)).touch()
    assert latch.set_latch(small_disk, code="silent", detail="no beat", by="guard")
    held = latch.read(small_disk)
    assert held is not None and held["code"] == "silent"
    assert not (small_disk / latch.RESERVE).exists()
