"""What every disk must do, whether the machine's or a simulated one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from agent.devnet.virtual.disk import VirtualDisk
from agent.devnet.virtual.faults import Faults
from agent.devnet.virtual.randomness import Streams
from agent.ports.disk import Disk, SystemDisk


def virtual_disk() -> Disk:
    streams = Streams(0)
    return VirtualDisk(Faults({}, streams), streams["disk"])


IMPLEMENTATIONS: dict[str, Callable[[], Disk]] = {"system": SystemDisk, "virtual": virtual_disk}


@pytest.fixture(params=sorted(IMPLEMENTATIONS))
def disk(request: pytest.FixtureRequest) -> Iterator[Disk]:
    yield IMPLEMENTATIONS[request.param]()


@pytest.fixture
def folder(disk: Disk, tmp_path: Path) -> Path:
    made = tmp_path / "deep" / "er"
    disk.make_folder(made)
    disk.make_folder(made)
    return made


def test_a_file_of_a_size_is_all_zero_and_has_that_size(disk: Disk, folder: Path) -> None:
    file = disk.create(folder / "a", size=5000)
    assert file.size == 5000
    assert file.read_at(0, 6000) == bytes(5000)
    file.close()


def test_what_exists_is_not_created_again(disk: Disk, folder: Path) -> None:
    disk.create(folder / "a").close()
    with pytest.raises(FileExistsError):
        disk.create(folder / "a")


def test_what_does_not_exist_is_not_opened_or_removed(disk: Disk, folder: Path) -> None:
    for ask in (disk.open, disk.open_to_read, disk.remove):
        with pytest.raises(FileNotFoundError):
            ask(folder / "absent")
    assert disk.names(folder / "absent") == []


def test_a_write_is_read_back_by_everyone(disk: Disk, folder: Path) -> None:
    file = disk.create(folder / "a")
    file.write_at(3, b"defg")
    assert file.read_at(0, 100) == b"\0\0\0defg"
    other = disk.open(folder / "a")
    other.write_at(0, b"abc")
    assert file.read_at(1, 3) == b"bcd"
    assert file.read_at(7, 1) == b""
    file.close()
    other.close()


def test_a_mapped_write_is_a_write(disk: Disk, folder: Path) -> None:
    file = disk.create(folder / "a", size=8192)
    mapped = file.map()
    mapped[4094:4098] = b"over"
    assert bytes(mapped[4094:4098]) == b"over"
    reader = disk.open_to_read(folder / "a")
    assert reader.read_at(4090, 10) == b"\0\0\0\0over\0\0"
    file.write_at(0, b"head")
    assert bytes(mapped[0:4]) == b"head"
    file.warm(10, 8192)
    file.warm(8000, 100_000)
    assert file.read_at(0, 8192).strip(b"\0") == b"head" + bytes(4090) + b"over"
    file.sync()
    reader.close()
    file.close()
    file.close()


def test_a_mapped_write_of_another_length_is_refused(disk: Disk, folder: Path) -> None:
    file = disk.create(folder / "a", size=4096)
    mapped = file.map()
    with pytest.raises((IndexError, ValueError)):
        mapped[0:4] = b"three"
    assert file.size == 4096
    file.close()


def test_a_file_opened_to_read_takes_no_write(disk: Disk, folder: Path) -> None:
    disk.create(folder / "a").close()
    file = disk.open_to_read(folder / "a")
    with pytest.raises(OSError):
        file.write_at(0, b"no")
    file.close()


def test_a_file_is_cut_to_a_size(disk: Disk, folder: Path) -> None:
    file = disk.create(folder / "a", size=100)
    file.write_at(0, b"keep")
    file.truncate(4)
    assert (file.size, file.read_at(0, 100)) == (4, b"keep")
    file.close()


def test_names_are_sorted_and_a_rename_replaces(disk: Disk, folder: Path) -> None:
    for name in ("c", "a", "b"):
        file = disk.create(folder / name)
        file.write_at(0, name.encode())
        file.close()
    disk.rename(folder / "a", folder / "b")
    disk.sync_folder(folder)
    assert disk.names(folder) == ["b", "c"]
    file = disk.open_to_read(folder / "b")
    assert file.read_at(0, 1) == b"a"
    file.close()
    disk.remove(folder / "b")
    assert disk.names(folder) == ["c"]


def test_a_lock_has_one_holder_and_can_be_had_again(disk: Disk, folder: Path) -> None:
    held = disk.lock(folder / "lock")
    with pytest.raises(BlockingIOError):
        disk.lock(folder / "lock")
    held.release()
    held.release()
    disk.lock(folder / "lock").release()


def test_there_is_room(disk: Disk, folder: Path) -> None:
    assert disk.free_bytes(folder) > 0
