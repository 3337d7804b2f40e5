"""A registry on a full disk, or on one that can only be read: a sentence, and nothing is lost."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from faults import Person, check_consistent, with_past

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(os.getuid() != 0, reason="mounts a small disk, which only root may"),
]


def mount(folder: Path, *options: str) -> None:
    subprocess.run(["mount", *options, str(folder)], check=True, capture_output=True)


@pytest.fixture
def small_disk(repo: Path) -> Iterator[Path]:
    """A repository on a disk of its own, with a past."""
    try:
        mount(repo, "-t", "tmpfs", "-o", "size=40m", "tmpfs")
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("no disk can be mounted here")
    os.chdir(repo)
    try:
        yield with_past(repo)
    finally:
        os.chdir("/")
        subprocess.run(["umount", "--lazy", str(repo)], check=True)


@contextmanager
def full(folder: Path) -> Iterator[None]:
    """Fill the disk to its last byte."""
    filler = folder / "filler"
    with filler.open("wb", buffering=0) as file:
        try:
            while file.write(bytes(1 << 16)):
                pass
        except OSError:
            pass
    try:
        yield
    finally:
        filler.unlink()


@contextmanager
def read_only(folder: Path, view: Path) -> Iterator[None]:
    """A second view of a folder, through which nothing can be written."""
    view.mkdir()
    mount(view, "--bind", str(folder))
    try:
        mount(view, "-o", "remount,bind,ro")
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(view)], check=True)


@pytest.mark.parametrize("what", ["promote", "rollback", "register"])
def test_a_full_disk_is_a_sentence(small_disk: Path, what: str) -> None:
    before = len(check_consistent())
    with full(small_disk):
        person = Person(small_disk, what, 4 if what == "register" else 3)
        code, said = person.wait()
    assert code == 1, said
    assert "Traceback" not in said and ("full" in said or "space" in said), said
    assert len(check_consistent()) - before in (0, 1)
    Person(small_disk, what, 4 if what == "register" else 1).seconds()
    check_consistent()


@pytest.mark.parametrize("what", ["promote", "rollback", "register"])
def test_a_disk_that_can_only_be_read_is_a_sentence(
    small_disk: Path, tmp_path_factory: pytest.TempPathFactory, what: str
) -> None:
    before = check_consistent()
    view = tmp_path_factory.mktemp("disks") / "view"
    with read_only(small_disk, view):
        code, said = Person(view, what, 4 if what == "register" else 3).wait()
    assert code == 1 and "Traceback" not in said, said
    assert "can't be written" in said or "can only be read" in said, said
    assert check_consistent() == before
