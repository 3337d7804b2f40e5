"""Quarantine: the sheet shows rejected pictures, a limited number for each reason."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from deepfake.base.errors import SourceError
from deepfake.ingest.ingest import ingest
from deepfake.ingest.raw import RawData
from deepfake.ingest.thumbnails import PER_REASON, SIDE, read_rejected, shown, thumbnail
from deepfake.params.ingest.ingest import Ingest
from deepfake.params.ingest.limits import Limits
from deepfake.params.ingest.sources import FolderSource
from deepfake.preprocess.preprocess import _require_all_counted
from deepfake.preprocess.quarantine import plot_quarantine


def picture(number: int, size: tuple[int, int] = (120, 60)) -> bytes:
    coarse = np.random.default_rng(number).integers(0, 256, (6, 6, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(coarse).resize(size).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> tuple[Ingest, pd.DataFrame, Path]:
    """Three good pictures, more copies than fit, one with both labels, a text with an unusual name."""
    root = tmp_path_factory.mktemp("sources")
    files = {f"real/a/{n:02}.png": picture(1) for n in range(PER_REASON + 4)}
    files |= {"real/a/x.png": picture(2), "fake/g/y.png": picture(3)}
    files |= {"real/a/both.png": picture(4), "fake/g/both.png": picture(4)}
    files |= {"real/a/$x^\u202e_\u4e2d\n.png": b"no picture"}
    for name, data in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
    params = Ingest(
        root=str(root), sources=(FolderSource(kind="folder", name="set"),), shard_size=2,
        near_duplicate_distance=0, limits=Limits(max_bytes=10**6, max_pixels=10**6, min_side=32),
    )  # fmt: skip
    out = tmp_path_factory.mktemp("raw")
    return params, ingest(params, 7, out, workers=1), out


def test_thumbnails_are_kept_of_what_decodes_up_to_a_limit(raw: tuple[Ingest, pd.DataFrame, Path]) -> None:
    _, manifest, out = raw
    kept = dict(read_rejected(out))
    reasons = manifest.set_index("path").loc[[*kept], "reject_reason"].value_counts().to_dict()
    assert reasons == {"duplicate": PER_REASON, "label_conflict": 2}
    assert {pixels.shape for pixels in kept.values()} == {(SIDE // 2, SIDE, 3)}


def test_the_sheet_shows_both_stages_and_is_byte_stable(
    raw: tuple[Ingest, pd.DataFrame, Path], tmp_path: Path
) -> None:
    params, manifest, out = raw
    faces = manifest.copy()
    no_face = faces.index[faces["path"].isin(["set/real/a/x.png", "set/fake/g/y.png"])]
    faces.loc[no_face, ["reject_reason", "reject_detail"]] = ["no_face", "no face found"]
    sheets = []
    for name, frame in (("one", faces), ("two", faces.sample(frac=1, random_state=3)), ("raw", manifest)):
        plot_quarantine(frame, RawData(manifest, out, params), tmp_path / f"{name}.png")
        sheets.append((tmp_path / f"{name}.png").read_bytes())
    assert sheets[0] == sheets[1] != sheets[2]
    heights = [Image.open(io.BytesIO(sheet)).height for sheet in sheets]
    assert heights[0] > heights[2]  # no_face has a line of its own


def test_nothing_rejected_is_a_sheet_too(raw: tuple[Ingest, pd.DataFrame, Path], tmp_path: Path) -> None:
    params, manifest, out = raw
    good = manifest[manifest["reject_reason"].isna()]
    plot_quarantine(good, RawData(good, out, params), tmp_path / "sheet.png")
    assert (tmp_path / "sheet.png").stat().st_size > 0


def test_few_of_many_are_shown() -> None:
    frame = pd.DataFrame({"reject_reason": ["corrupt"] * 5000 + ["no_face"] * 3 + [None]})
    frame["image_id"] = frame["path"] = [f"{n:05}" for n in range(len(frame))]
    assert shown(frame)["reject_reason"].value_counts().to_dict() == {"corrupt": PER_REASON, "no_face": 3}


@pytest.mark.parametrize("size", [(1, 4000), (4000, 1), (7, 7), (300, 200)])
def test_thumbnails_fit(size: tuple[int, int]) -> None:
    small = thumbnail(np.zeros((*size, 3), np.uint8))
    assert min(small.shape[:2]) >= 1 and max(small.shape[:2]) == min(max(size), SIDE)


def test_a_picture_that_vanishes_is_an_error() -> None:
    manifest = pd.DataFrame({"image_id": ["a", "b", "c"], "reject_reason": [None, None, "duplicate"]})
    _require_all_counted(manifest, {"a", "b"})
    with pytest.raises(SourceError, match="1 pictures are only in the manifest or only in"):
        _require_all_counted(manifest, {"a"})
