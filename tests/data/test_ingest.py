"""Ingest: one row for every file, reasons for bad files, and equal bytes in every run."""

from __future__ import annotations

import hashlib
import io
import os
import subprocess
import sys
from pathlib import Path

import imagehash
import pandas as pd
import pyarrow.parquet as pq
import pytest
import yaml
from helpers import REPO, tiny_params
from ingest_data import LIMITS, fill, picture
from PIL import Image

from deepfake.base.errors import SourceError
from deepfake.base.labels import FAKE, REAL
from deepfake.ingest.ingest import ingest
from deepfake.params.ingest.ingest import Ingest
from deepfake.params.ingest.sources import FolderSource
from deepfake.shards.manifest import SCHEMA, read_manifest, usable
from deepfake.shards.shards import read_examples, shard_paths
from deepfake.sources.layout import LAYOUT


def params(root: Path, shard_size: int = 4, **source: object) -> Ingest:
    folder = FolderSource(kind="folder", name="set", **source)
    return Ingest(
        root=str(root), sources=(folder,), shard_size=shard_size, near_duplicate_distance=4, limits=LIMITS
    )


def outputs(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


TAGS = Image.Exif()
TAGS[0x010F] = "maker"
GOOD = {
    "real/camera/a.png": picture(1),
    "real/camera/deep/er/b.JPG": picture(2, "JPEG", exif=TAGS),
    "real/phone/c.webp": picture(3, "WEBP"),
    "real/loose.png": picture(4),
    "fake/gan/e": picture(5, "JPEG"),
    "fake/gan/x/y/z/f.jpeg": picture(6, "WEBP"),
    "fake/diffusion/g.png": picture(7),
    "fake/diffusion/wrong-ending.jpg": picture(8, "PNG", (64, 80)),
    "fake/diffusion/\u00fcml\u00e4ut \u4e2d.png": picture(9),
}
BAD = {
    "real/camera/text.jpg": (b"no picture at all", "not_an_image"),
    "real/camera/.hidden": (b"\0\1\2", "not_an_image"),
    "real/camera/empty.png": (b"", "not_an_image"),
    "real/camera/cut.jpg": (picture(10, "JPEG")[:400], "corrupt"),
    "fake/gan/pixel.png": (picture(11, size=(1, 1)), "too_small"),
    "fake/gan/wide.png": (picture(12, size=(400, 40)), "too_many_pixels"),
    "fake/gan/heavy.png": (picture(13) + bytes(30_000), "too_many_bytes"),
    "fake/gan/film.jpg": (b"8BPS" + bytes(60), "unsupported_format"),
}


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Good files of every kind, bad files of every kind, links, and a name that is not UTF-8."""
    root = fill(tmp_path_factory.mktemp("mixed"), GOOD | {name: data for name, (data, _) in BAD.items()})
    (root / "real" / "camera" / "dangling.jpg").symlink_to("nowhere")
    (root / "real" / "camera" / "linked-folder").symlink_to(root / "fake")
    (root / "real" / "phone" / "link.png").symlink_to(root / "real" / "camera" / "a.png")
    os.mkfifo(root / "fake" / "gan" / "pipe.jpg")
    (root / "fake" / "gan" / os.fsdecode(b"\xff\xfe.png")).write_bytes(picture(16))
    return root


@pytest.fixture(scope="module")
def ingested(mixed: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[pd.DataFrame, Path]:
    out = tmp_path_factory.mktemp("raw") / "raw"
    return ingest(params(mixed), 7, out, workers=1).set_index("path"), out


def test_every_file_has_a_row_and_every_bad_one_its_reason(ingested: tuple[pd.DataFrame, Path]) -> None:
    reasons = {f"set/{name}": reason for name, (_, reason) in BAD.items()}
    reasons |= dict.fromkeys([f"set/{name}" for name in GOOD] + [r"set/fake/gan/\xff\xfe.png"])
    reasons["set/real/camera/dangling.jpg"] = reasons["set/real/camera/linked-folder"] = "unreadable"
    reasons["set/fake/gan/pipe.jpg"] = "unreadable"
    reasons["set/real/phone/link.png"] = "duplicate"  # of real/camera/a.png, which comes first
    frame = ingested[0]
    found = frame["reject_reason"].astype(object).where(frame["reject_reason"].notna(), None).to_dict()
    assert found == reasons
    rejected = frame[frame["reject_reason"].notna()]
    assert rejected["reject_detail"].str.len().min() > 10
    assert frame["reject_detail"].notna().sum() == len(rejected)


def test_rows_say_what_the_files_are(ingested: tuple[pd.DataFrame, Path]) -> None:
    frame, _ = ingested
    row = frame.loc["set/real/camera/deep/er/b.JPG"]
    data = GOOD["real/camera/deep/er/b.JPG"]
    assert row["image_id"] == hashlib.sha256(data).hexdigest()
    facts = row[["format", "width", "height", "mode", "bytes", "jpeg_quality", "has_exif", "decode_ok"]]
    assert facts.tolist() == ["JPEG", 48, 40, "RGB", len(data), 90, True, True]
    assert row["phash"] == str(imagehash.phash(Image.open(io.BytesIO(data))))
    assert row["group"] == f"phash/{row['phash']}"
    assert frame.loc["set/fake/gan/wide.png", ["width", "height"]].tolist() == [400, 40]
    assert not frame.loc["set/fake/gan/wide.png", "decode_ok"]
    assert frame.loc["set/fake/diffusion/wrong-ending.jpg", "format"] == "PNG"


def test_sources_and_generators_come_from_the_first_folder(ingested: tuple[pd.DataFrame, Path]) -> None:
    frame, _ = ingested
    real, fake = frame[frame["label"] == REAL], frame[frame["label"] == FAKE]
    assert set(real["generator"]) == {"none"}
    assert set(real["source"]) == {"camera", "phone", "set"}
    assert real.loc["set/real/loose.png", "source"] == "set"
    assert set(fake["source"]) == {"gan", "diffusion"}
    assert (fake["generator"] == fake["source"]).all()
    assert frame.index.str.startswith("set/real/").sum() == len(real)


def test_the_manifest_has_exactly_its_schema(ingested: tuple[pd.DataFrame, Path]) -> None:
    frame, out = ingested
    assert pq.read_schema(out / "manifest.parquet").equals(SCHEMA, check_metadata=True)
    stored = read_manifest(out / "manifest.parquet")
    assert list(stored["image_id"]) == sorted(stored["image_id"])
    assert stored.set_index("path")["image_id"].to_dict() == frame["image_id"].to_dict()
    assert stored["split"].isna().all()


def test_shards_hold_the_original_bytes_in_order(ingested: tuple[pd.DataFrame, Path]) -> None:
    frame, out = ingested
    kept = usable(frame)
    wanted = {hashlib.sha256(data).hexdigest(): data for data in [*GOOD.values(), picture(16)]}
    assert set(kept["image_id"]) == set(wanted)
    shards = [list(read_examples(path)) for path in shard_paths(out)]
    assert [len(shard) for shard in shards] == [4, 4, 2]
    records = [(record["image_id"], record["image"]) for shard in shards for record in shard]
    assert records == sorted(wanted.items())


@pytest.mark.parametrize("workers", [1, 2])
def test_runs_and_workers_give_the_same_bytes(
    ingested: tuple[pd.DataFrame, Path], mixed: Path, tmp_path: Path, workers: int
) -> None:
    ingest(params(mixed), 7, tmp_path / "raw", workers)
    assert outputs(tmp_path / "raw") == outputs(ingested[1])


def test_equal_bytes_are_kept_once_and_never_under_both_labels(tmp_path: Path) -> None:
    names = ["real/a/1.png", "real/b/1.png", "real/b/2.png", "fake/g/1.png"]
    files = dict.fromkeys(names[:2], picture(1)) | {"real/b/2.png": picture(2), "fake/g/1.png": picture(3)}
    both = dict.fromkeys(["real/a/both.png", "fake/g/both.png", "fake/g/both2.png"], picture(4))
    frame = ingest(params(fill(tmp_path / "in", files | both)), 7, tmp_path / "out", 1).set_index("path")
    assert usable(frame).index.isin([f"set/{name}" for name in ("real/a/1.png", *names[2:])]).all()
    assert len(usable(frame)) == 3
    assert frame.loc["set/real/b/1.png", "reject_reason"] == "duplicate"
    assert (frame.loc[[f"set/{name}" for name in both], "reject_reason"] == "label_conflict").all()


def test_crops_are_marked_as_such(tmp_path: Path) -> None:
    root = fill(tmp_path / "in", {"part/real/a/1.png": picture(1), "part/fake/g/1.png": picture(2)})
    frame = ingest(params(root, path="part", cropped=True), 7, tmp_path / "out", 1)
    assert frame["cropped"].tolist() == [True, True]


@pytest.mark.parametrize(
    ("files", "sentence"),
    [
        (None, r"source 'set': there is no folder .*gone: correct ingest\.root"),
        ({}, r"source 'set': no file in .*; expected real/<source>/\.\.\. and fake/<generator>/\.\.\."),
        (
            {"elsewhere/1.png": picture(1)},
            r"source 'set': no folder of real or fake pictures in .*: elsewhere/ ",
        ),
        ({"real/a/1.png": picture(1)}, r"no fake picture in any source: a detector needs both classes"),
        ({"fake/g/1.png": picture(1)}, r"no real picture in any source: a detector needs both classes"),
        (
            {"real/a/1.png": picture(1), "fake/g/1.png": b"text", "fake/g/2.png": b""},
            r"none of the 2 fake files can be used, .*: 2 not_an_image \(such as set/fake/g/1\.png: ",
        ),
        (
            {"real/a/1.png": picture(1), "fake/g/1.png": picture(1)},
            r"none of the 1 real files can be used, .*: 1 label_conflict \(such as set/real/a/1\.png: ",
        ),
    ],
)
def test_unusable_sources_say_what_is_wrong(
    tmp_path: Path, files: dict[str, bytes] | None, sentence: str
) -> None:
    if files is not None:
        (tmp_path / "gone").mkdir()
        fill(tmp_path / "gone", files)
    with pytest.raises(SourceError, match=sentence):
        ingest(params(tmp_path, path="gone"), 7, tmp_path / "out", 1)
    assert not (tmp_path / "out").exists()


def test_the_stage_ends_with_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "data" / "sources").mkdir(parents=True)
    content = tiny_params(**{"ingest.sources": [{"kind": "folder", "path": "."}], "base.threads": 1})
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(content))
    script = REPO / "pipelines" / "ingest.py"
    done = subprocess.run(
        [sys.executable, script], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stderr == (
        f"error: source 'folder': no file in data/sources; expected {LAYOUT}, or these folders inside "
        "train/, val/ and test/; rename the folders, or correct ingest.root and path\n"
    )
    assert not (tmp_path / "data" / "raw").exists()
