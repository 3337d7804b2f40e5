"""Ingest reads a file again only if it may have changed, and ends in the bytes of a first run."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest
from ingest_data import LIMITS, fill, picture
from pyarrow import feather

from deepfake.base.errors import SourceError
from deepfake.ingest import facts
from deepfake.ingest.ingest import ingest
from deepfake.params.ingest.ingest import Ingest
from deepfake.params.ingest.limits import Limits
from deepfake.params.ingest.sources import FolderSource
from deepfake.sources.item import Item

FILES = {f"{label}/set/{number}.png": picture(number) for number, label in enumerate(("real", "fake") * 3)}
BROKEN = "real/set/broken.jpg"


class Place:
    """A folder of pictures, and what a run reads there."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.root, self.resume, self.read = folder / "sources", folder / "resume", list[str]()
        fill(self.root, FILES | {BROKEN: b"no picture at all"})
        monkeypatch.setattr(facts, "describe", self._counted(facts.describe))
        monkeypatch.setattr(facts, "_SETTLED", 0)

    def _counted(
        self, describe: Callable[[Item, Limits], dict[str, object]]
    ) -> Callable[[Item, Limits], dict[str, object]]:
        def counted(item: Item, limits: Limits) -> dict[str, object]:
            self.read.append(item.path.partition("/")[2])
            return describe(item, limits)

        return counted

    def run(self, limits: Limits = LIMITS, name: str = "set") -> list[str]:
        """What was read. The outputs must be those of a run that knows nothing."""
        source = FolderSource(kind="folder", name=name)
        params = Ingest(
            root=str(self.root),
            sources=(source,),
            shard_size=4,
            near_duplicate_distance=4,
            limits=limits,
        )
        self.read.clear()
        ingest(params, 7, self.resume.parent / "raw", 1, self.resume)
        read = sorted(self.read)
        ingest(params, 7, self.resume.parent / "fresh", 1)
        raw, fresh = (
            {file.name: file.read_bytes() for file in (self.resume.parent / folder).iterdir()}
            for folder in ("raw", "fresh")
        )
        assert raw == fresh
        return read


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    return Place(tmp_path, monkeypatch)


ALL = sorted([*FILES, BROKEN])


def test_only_new_and_changed_files_are_read_again(place: Place) -> None:
    assert place.run() == ALL
    assert place.run() == []
    fill(place.root, {"fake/set/new.png": picture(20)})
    (place.root / "real/set/2.png").unlink()
    assert place.run() == ["fake/set/new.png"]


def test_a_change_is_seen_although_size_and_time_of_the_file_are_as_before(place: Place) -> None:
    file = place.root / "real/set/2.png"
    place.run()
    before = file.stat()
    file.write_bytes(picture(30).ljust(before.st_size, b"\0")[: before.st_size])
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert file.stat().st_mtime_ns == before.st_mtime_ns and file.stat().st_size == before.st_size
    assert place.run() == ["real/set/2.png"]


def test_facts_of_a_file_stay_when_its_source_has_another_name(place: Place) -> None:
    place.run()
    assert place.run(name="other") == []


def test_other_limits_read_every_file(place: Place) -> None:
    place.run()
    assert place.run(LIMITS.model_copy(update={"max_bytes": LIMITS.max_bytes - 1})) == ALL


def test_a_file_that_changed_just_now_is_read_again(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(facts, "_SETTLED", 10**12)
    place.run()
    assert place.run() == ALL


@pytest.mark.parametrize("damage", [lambda data: b"", lambda data: data[:-9], lambda data: b"\0" * 99])
def test_damaged_facts_are_not_used(place: Place, damage: Callable[[bytes], bytes]) -> None:
    place.run()
    kept = place.resume / facts.KEPT
    kept.write_bytes(damage(kept.read_bytes()))
    assert place.run() == ALL


def test_a_wrong_fact_stops_one_run_and_no_second_one(place: Place) -> None:
    place.run()
    kept = place.resume / facts.KEPT
    table = feather.read_table(kept)
    names = table["image_id"].to_pylist()
    wrong = pa.array(["0" * 64 if name == max(names) else name for name in names])
    column = table.schema.get_field_index("image_id")
    feather.write_feather(table.set_column(column, "image_id", wrong), kept)
    with pytest.raises(SourceError, match="changed during ingest: run again"):
        place.run()
    assert place.run() == ALL
