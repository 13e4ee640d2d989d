"""What the simulated disk does beyond a disk's contract: it fails, fills up, and loses power as real ones do."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from agent.devnet.virtual.disk import VirtualDisk
from agent.devnet.virtual.faults import Faults
from agent.devnet.virtual.randomness import Streams
from agent.ports.disk import SECTOR_BYTES

FOLDER = Path("/run")


def disk(seed: int = 0, capacity_bytes: int = 1 << 30, **rates: int) -> VirtualDisk:
    streams = Streams(seed)
    made = VirtualDisk(
        Faults({f"disk.{name}": ppm for name, ppm in rates.items()}, streams),
        streams["disk"],
        capacity_bytes=capacity_bytes,
    )
    made.make_folder(FOLDER)
    return made


def content_after_power_loss(seed: int, *, syncs: bool, is_mapped: bool = False) -> bytes:
    """A file of eight sectors of `a`, overwritten by `b` and then the power is gone."""
    here = disk(seed)
    file = here.create(FOLDER / "a", size=8 * SECTOR_BYTES)
    file.write_at(0, b"a" * 8 * SECTOR_BYTES)
    file.sync()
    here.sync_folder(FOLDER)
    if is_mapped:
        file.map()[0 : 8 * SECTOR_BYTES] = b"b" * 8 * SECTOR_BYTES
    else:
        file.write_at(0, b"b" * 8 * SECTOR_BYTES)
    if syncs:
        file.sync()
    here.lose_power()
    return here.open(FOLDER / "a").read_at(0, 8 * SECTOR_BYTES)


@pytest.mark.parametrize("is_mapped", [False, True])
def test_without_a_sync_any_sectors_may_be_the_old_ones(is_mapped: bool) -> None:
    images = {content_after_power_loss(seed, syncs=False, is_mapped=is_mapped) for seed in range(100)}
    assert b"a" * 8 * SECTOR_BYTES in images
    assert b"b" * 8 * SECTOR_BYTES in images
    assert len(images) > 20
    for image in images:
        for sector in range(8):
            assert len(set(image[sector * SECTOR_BYTES : (sector + 1) * SECTOR_BYTES])) == 1, "a sector is whole"


@pytest.mark.parametrize("is_mapped", [False, True])
def test_what_a_sync_covered_is_there(is_mapped: bool) -> None:
    for seed in range(50):
        assert content_after_power_loss(seed, syncs=True, is_mapped=is_mapped) == b"b" * 8 * SECTOR_BYTES


def test_the_death_of_the_process_loses_nothing_and_ends_its_handles_and_locks() -> None:
    here = disk()
    file = here.create(FOLDER / "a")
    file.write_at(0, b"kept")
    here.lock(FOLDER / "lock")
    here.kill_process()
    with pytest.raises(OSError) as raised:
        file.write_at(0, b"dead")
    assert raised.value.errno == errno.EBADF
    assert here.open(FOLDER / "a").read_at(0, 9) == b"kept"
    here.lock(FOLDER / "lock")


def test_a_name_without_a_sync_of_its_folder_may_be_gone() -> None:
    there = set()
    for seed in range(40):
        here = disk(seed)
        here.create(FOLDER / "a").sync()
        here.lose_power()
        there.add(tuple(here.names(FOLDER)))
    assert there == {(), ("a",)}


def test_a_rename_without_a_sync_of_its_folder_leaves_the_old_or_the_new() -> None:
    seen = set()
    for seed in range(40):
        here = disk(seed)
        for name, content in (("a", b"old"), ("b", b"new")):
            file = here.create(FOLDER / name)
            file.write_at(0, content)
            file.sync()
        here.sync_folder(FOLDER)
        here.rename(FOLDER / "b", FOLDER / "a")
        here.lose_power()
        seen.add(here.open(FOLDER / "a").read_at(0, 9))
    assert seen == {b"old", b"new"}


def test_a_length_that_was_not_synced_may_be_the_old_one() -> None:
    sizes = set()
    for seed in range(60):
        here = disk(seed)
        file = here.create(FOLDER / "a", size=1_000)
        file.sync()
        here.sync_folder(FOLDER)
        file.write_at(1_000, b"more" * 500)
        here.lose_power()
        sizes.add(here.open(FOLDER / "a").size)
    assert sizes == {1_000, 3_000}


def test_a_cut_that_was_not_synced_may_be_undone() -> None:
    images = set()
    for seed in range(60):
        here = disk(seed)
        file = here.create(FOLDER / "a", size=600)
        file.write_at(0, b"x" * 600)
        file.sync()
        here.sync_folder(FOLDER)
        file.truncate(10)
        here.lose_power()
        images.add(here.open(FOLDER / "a").read_at(0, 1_000))
    assert b"x" * 10 in images
    assert b"x" * 600 in images


def test_after_a_sync_that_failed_the_next_one_proves_nothing() -> None:
    lost = 0
    for seed in range(60):
        here = disk(seed)
        file = here.create(FOLDER / "a", size=SECTOR_BYTES)
        file.sync()
        here.sync_folder(FOLDER)
        file.write_at(0, b"intent")
        here.faults.rates_ppm = {"disk.sync_fails": 1_000_000}
        with pytest.raises(OSError):
            file.sync()
        here.faults.calm()
        file.sync()
        here.lose_power()
        lost += here.open(FOLDER / "a").read_at(0, 6) != b"intent"
    assert 10 < lost < 50


def test_a_full_disk_takes_a_part_then_says_so() -> None:
    here = disk(capacity_bytes=1_000)
    file = here.create(FOLDER / "a")
    file.write_at(0, b"x" * 900)
    with pytest.raises(OSError) as raised:
        file.write_at(900, b"y" * 200)
    assert raised.value.errno == errno.ENOSPC
    assert file.read_at(900, 200) == b"y" * 100
    with pytest.raises(OSError):
        here.create(FOLDER / "b", size=1)
    assert here.names(FOLDER) == ["a"], "what could not be made whole is not there"


def test_a_mapped_write_into_space_that_was_taken_never_fails() -> None:
    here = disk(capacity_bytes=4_096, write_fails=1_000_000)
    file = here.create(FOLDER / "a", size=4_096)
    file.map()[0:4] = b"fine"
    assert file.read_at(0, 4) == b"fine"
    with pytest.raises(OSError) as raised:
        file.write_at(0, b"x" * 100)
    assert raised.value.errno == errno.EIO
