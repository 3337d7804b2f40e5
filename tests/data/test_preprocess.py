"""Preprocess: no picture is lost, each group is in one split, and the crops equal those of the app."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from PIL import Image

from deepfake.base.errors import SourceError
from deepfake.base.labels import FAKE, REAL
from deepfake.base.statistics import difference, proportion
from deepfake.demo.corpus import make_pair, write_corpus
from deepfake.ingest.ingest import ingest
from deepfake.ingest.raw import RawData
from deepfake.params.ingest.ingest import Ingest
from deepfake.params.ingest.limits import Limits
from deepfake.params.ingest.sources import FolderSource, SyntheticSource
from deepfake.params.preprocess import Faces, Holdout, Neutralise, Preprocess, Split
from deepfake.preprocess import search
from deepfake.preprocess.crops import CropRecipe, face_crops
from deepfake.preprocess.faces import weights_digest
from deepfake.preprocess.preprocess import _require_both_classes, preprocess
from deepfake.preprocess.splits import SplitRule, split_of_group
from deepfake.shards.manifest import FACE_SCHEMA, SPLITS, read_manifest, usable
from deepfake.shards.shards import read_examples

SEED, PORTRAITS, SIZE = 7, 24, 48
LIMITS = Limits(max_bytes=10**6, max_pixels=10**6, min_side=32)
FACES = Faces(detector="centerface", weights=None, min_score=0.5, min_size=32, margin=0.3)
OFF = Neutralise(
    enabled=False, border=0.05, min_side=32, cap="auto", auto_percentile=10, enlarge=False, blur=0.0,
    jpeg_quality=90, subsampling="yuv420",
)  # fmt: skip
PARAMS = Preprocess(size=SIZE, faces=FACES, neutralise=OFF, split=Split(train=0.5, val=0.25, test=0.25))
RECIPE = CropRecipe(size=SIZE, limits=LIMITS, faces=FACES, history=None)
BOX = ["face", "face_left", "face_top", "face_side", "face_angle", "face_score"]


def with_faces(**changes: object) -> Preprocess:
    return PARAMS.model_copy(update={"faces": FACES.model_copy(update=changes)})


def neutralised(**changes: object) -> Preprocess:
    settings = OFF.model_copy(update={"enabled": True, **changes})
    return PARAMS.model_copy(update={"neutralise": settings})


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> tuple[Ingest, Path]:
    """The demo corpus, a picture of two people, and a folder with a faceless picture, a text and a copy."""
    root = tmp_path_factory.mktemp("sources")
    extra = root / "real" / "walls"
    extra.mkdir(parents=True)
    noise = np.random.default_rng(0).integers(0, 256, (2, 96, 96, 3), dtype=np.uint8)
    Image.fromarray(noise[0]).save(extra / "noise.png")
    Image.fromarray(noise[1]).save(extra / "more.png")
    (extra / "copy.png").write_bytes((extra / "noise.png").read_bytes())
    (extra / "text.jpg").write_text("no picture")
    couple = np.full((128, 240, 3), 110, np.uint8)
    couple[:96, :96], couple[:, 112:] = make_pair(1, 1, 96)[0], make_pair(1, 2, 128)[0]
    (root / "real" / "couples").mkdir()
    Image.fromarray(couple).save(root / "real" / "couples" / "one.png")
    params = Ingest(
        root=str(root),
        sources=(
            SyntheticSource(kind="synthetic", name="demo", portraits=PORTRAITS, size=96),
            FolderSource(kind="folder", name="extra"),
        ),
        shard_size=20,
        near_duplicate_distance=2,
        limits=LIMITS,
    )
    out = tmp_path_factory.mktemp("raw")
    ingest(params, SEED, out, workers=1)
    return params, out


def run(
    raw: tuple[Ingest, Path],
    out: Path,
    params: Preprocess = PARAMS,
    workers: int = 1,
    resume: Path | None = None,
) -> tuple[pd.DataFrame, dict[str, Any]]:
    return preprocess(RawData.read(raw[1], raw[0]), params, SplitRule(SEED), out, workers, resume)[:2]


@pytest.fixture(scope="module")
def cut(raw: tuple[Ingest, Path], tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Any, Path]:
    out = tmp_path_factory.mktemp("faces")
    return *run(raw, out), out


def examples(out: Path, split: str) -> list[dict[str, Any]]:
    return [record for path in sorted((out / split).iterdir()) for record in read_examples(path)]


def pixels_of(png: bytes) -> np.ndarray:
    return cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_UNCHANGED)[:, :, ::-1]


def files(out: Path) -> dict[str, bytes]:
    return {str(file.relative_to(out)): file.read_bytes() for file in out.rglob("*") if file.is_file()}


def test_what_comes_in_is_kept_or_rejected(cut: tuple[pd.DataFrame, dict, Path]) -> None:
    frame, statistics, out = cut
    pictures = statistics["pictures"]
    assert pictures["in"] == len(frame) == 2 * PORTRAITS + 5
    assert pictures["in"] == pictures["kept"] + pictures["rejected"]
    assert pictures["kept"] == len(usable(frame)) > 1.8 * PORTRAITS
    assert sum(statistics["rejected_by_reason"].values()) == pictures["rejected"]
    for split in SPLITS:
        kept = usable(frame)[usable(frame)["split"] == split]
        counts = {"real": int((kept["label"] == REAL).sum()), "fake": int((kept["label"] == FAKE).sum())}
        assert statistics["split"][split] == counts
        written = [example["image_id"] for example in examples(out, split)]
        assert written == sorted(kept["image_id"])


def test_rejected_rows_keep_their_reason_and_have_no_split(cut: tuple[pd.DataFrame, dict, Path]) -> None:
    frame = cut[0].set_index("path")
    # Of equal files the first path is kept: copy.png, not noise.png.
    assert frame.loc["extra/real/walls/text.jpg", "reject_reason"] == "not_an_image"
    walls = frame.loc[
        [f"extra/real/walls/{name}.png" for name in ("copy", "more", "noise")], "reject_reason"
    ]
    assert walls.tolist() == ["no_face", "no_face", "duplicate"]
    rejected = frame[frame["reject_reason"].notna()]
    assert rejected["split"].isna().all() and rejected[BOX].isna().all(axis=None)
    assert rejected["reject_detail"].str.len().min() > 10
    kept = usable(frame)
    assert kept["split"].isin(SPLITS).all() and kept[BOX].notna().all(axis=None)
    assert kept["reject_detail"].isna().all()


def test_no_group_is_in_two_splits(cut: tuple[pd.DataFrame, dict, Path]) -> None:
    kept = usable(cut[0])
    assert (kept.groupby("group")["split"].nunique() == 1).all()
    assert kept.groupby("group").size().max() == 2  # a portrait and the fake made of it
    expected = [split_of_group(group, SEED, PARAMS.split) for group in kept["group"]]
    assert kept["split"].tolist() == expected
    where = {example["group"]: set() for split in SPLITS for example in examples(cut[2], split)}
    for split in SPLITS:
        for example in examples(cut[2], split):
            where[example["group"]].add(split)
    assert all(len(splits) == 1 for splits in where.values())


def test_a_held_out_generator_has_shards_of_its_own(raw: tuple[Ingest, Path], tmp_path: Path) -> None:
    manifest = read_manifest(raw[1] / "manifest.parquet")
    first = sorted({*manifest["generator"]} - {"none"})[0]
    split = PARAMS.split.model_copy(update={"holdout": Holdout(generators=(first,))})
    frame, statistics = run(raw, tmp_path, PARAMS.model_copy(update={"split": split}))
    kept = usable(frame)
    held = kept[kept["split"] == "holdout"]
    assert {*kept.loc[kept["generator"] == first, "split"]} == {"holdout"}
    assert {*held["group"]}.isdisjoint(kept.loc[kept["split"] != "holdout", "group"])
    assert [e["image_id"] for e in examples(tmp_path, "holdout")] == sorted(held["image_id"])
    assert statistics["split"]["holdout"] == {
        "real": int((held["label"] == REAL).sum()), "fake": int((held["label"] == FAKE).sum())
    }  # fmt: skip
    assert statistics["holdout"]["reals_moved"] >= statistics["split"]["holdout"]["real"] > 0


def test_crops_are_what_any_other_user_of_the_bytes_would_cut(
    raw: tuple[Ingest, Path], cut: tuple[pd.DataFrame, dict, Path]
) -> None:
    frame, _, out = cut
    originals = {r["image_id"]: r["image"] for path in raw[1].glob("shard-*") for r in read_examples(path)}
    rows = frame.set_index("image_id")
    kept = [example for split in SPLITS for example in examples(out, split)]
    assert rows.loc[[example["image_id"] for example in kept], "source"].eq("couples").sum() == 1
    for example in kept:
        row = rows.loc[example["image_id"]]
        face = face_crops(originals[example["image_id"]], RECIPE, cropped=False)[0]
        assert example["image"].startswith(b"\x89PNG")
        assert face.pixels.shape == (SIZE, SIZE, 3)
        assert np.array_equal(pixels_of(example["image"]), face.pixels)
        square = (face.square.left, face.square.top, face.square.side)
        assert (row["face_left"], row["face_top"], row["face_side"]) == square
        assert example["label"] == row["label"]
        texts = [example[key] for key in ("source", "generator", "group")]
        assert texts == row[["source", "generator", "group"]].tolist()


def test_statistics_are_those_of_the_crops(cut: tuple[pd.DataFrame, dict, Path]) -> None:
    _, statistics, out = cut
    crops = np.stack([pixels_of(e["image"]) for split in SPLITS for e in examples(out, split)]).astype(
        float
    )
    assert np.allclose(statistics["crop_rgb_mean"], crops.mean(axis=(0, 1, 2)), atol=0.001)
    assert np.allclose(statistics["crop_rgb_std"], crops.std(axis=(0, 1, 2)), atol=0.001)
    assert statistics["face_detector"] == {"name": "centerface", "sha256": weights_digest(FACES)}
    walls = next(row for row in statistics["per_source"] if row["source"] == "walls")
    assert walls == {
        "label": "real", "source": "walls", "pictures": 4, "kept": 0, "face_miss_rate": 1.0,
        "median_face_side": None,
    }  # fmt: skip


def test_the_manifest_has_exactly_its_schema(cut: tuple[pd.DataFrame, dict, Path]) -> None:
    frame, _, out = cut
    assert pq.read_schema(out / "manifest.parquet").equals(FACE_SCHEMA, check_metadata=True)
    stored = read_manifest(out / "manifest.parquet").set_index("path")
    frame = frame.set_index("path")
    assert stored.index.equals(frame.index)
    for column in ("image_id", "split", "reject_reason", "face_left", "face_side"):
        assert stored[column].dropna().to_dict() == frame[column].dropna().to_dict()


@pytest.mark.parametrize("workers", [1, 2])
def test_runs_and_workers_give_the_same_bytes(
    raw: tuple[Ingest, Path], cut: tuple[Any, dict, Path], tmp_path: Path, workers: int
) -> None:
    _, statistics = run(raw, tmp_path, workers=workers)
    assert statistics == cut[1]
    assert files(tmp_path) == files(cut[2])


def test_small_faces_are_rejected_as_such(raw: tuple[Ingest, Path], cut: tuple, tmp_path: Path) -> None:
    found = usable(cut[0])
    # A square is the face's larger side with its margin, so some faces are below this minimum.
    minimum = int(found["face_side"].astype(float).quantile(0.3) / (1 + FACES.margin))
    frame, statistics = run(raw, tmp_path, with_faces(min_size=minimum))
    small = frame[frame["reject_reason"] == "face_too_small"]
    assert 0 < len(small) < len(found)
    assert statistics["rejected_by_reason"]["face_too_small"] == len(small)
    assert found.set_index("image_id").loc[small["image_id"], "face_side"].max() <= 1.3 * minimum + 1
    assert usable(frame)["face_side"].min() >= 1.3 * minimum - 1


def test_a_split_without_one_of_the_classes_is_an_error(raw: tuple[Ingest, Path], tmp_path: Path) -> None:
    lean = PARAMS.model_copy(update={"split": Split(train=0.98, val=0.01, test=0.01)})
    advice = r"the \w+ split has no (real|fake) picture .*: add pictures, or change preprocess\.split"
    with pytest.raises(SourceError, match=advice):
        run(raw, tmp_path, lean)
    assert not (tmp_path / "manifest.parquet").exists()


def test_a_half_of_validation_without_one_of_the_classes_is_an_error() -> None:
    """Otherwise one half could not choose an epoch, or the other could not set a threshold."""
    pairs = [(split, group, label) for split in SPLITS for group in "ab" for label in (0, 1)]
    rows = pd.DataFrame(pairs, columns=["split", "group", "label"]).assign(source="s", reject_reason=None)
    _require_both_classes(rows, PARAMS, SEED)
    short = rows[(rows["split"] != "val") | (rows["group"] == "a")]
    with pytest.raises(SourceError, match=r"half of the val split that calibrates has no real picture"):
        _require_both_classes(short, PARAMS, SEED)


def test_sources_of_crops_are_not_searched_for_faces(tmp_path: Path) -> None:
    write_corpus(tmp_path / "in", portraits=12, size=64, seed=SEED)
    source = FolderSource(kind="folder", name="crops", path="in", cropped=True)
    params = Ingest(
        root=str(tmp_path), sources=(source,), shard_size=50, near_duplicate_distance=2, limits=LIMITS
    )
    ingest(params, SEED, tmp_path / "raw", workers=1)
    frame, _ = run((params, tmp_path / "raw"), tmp_path / "faces", with_faces(min_score=1.0))
    assert len(usable(frame)) == 24
    assert (frame[["face_left", "face_top", "face_side"]] == [0, 0, 64]).all(axis=None)
    assert frame["face_score"].isna().all()


def test_every_face_gets_a_row_and_an_example_of_its_own(
    raw: tuple[Ingest, Path], cut: tuple[pd.DataFrame, dict, Path], tmp_path: Path
) -> None:
    frame, statistics = run(raw, tmp_path, with_faces(which="all"))
    kept = usable(frame)
    couple = kept[kept["source"] == "couples"].sort_values("face")
    first = couple["image_id"].iloc[0]
    assert couple["face"].tolist() == [0, 1] and couple["image_id"].tolist() == [first, f"{first}-1"]
    assert couple["face_side"].is_monotonic_decreasing and couple["split"].nunique() == 1
    assert kept["image_id"].is_unique
    written = [e["image_id"] for split in SPLITS for e in examples(tmp_path, split)]
    assert sorted(written) == sorted(kept["image_id"])
    assert statistics["pictures"] == cut[1]["pictures"]
    assert statistics["faces"] == len(kept) == cut[1]["faces"] + 1
    assert sum(sum(counts.values()) for counts in statistics["split"].values()) == len(kept)
    largest = kept[kept["face"] == 0].set_index("image_id")[BOX]
    assert largest.equals(usable(cut[0]).set_index("image_id")[BOX])


@pytest.mark.parametrize("workers", [1, 2])
def test_a_warm_cache_a_cold_one_and_none_give_the_same_bytes(
    raw: tuple[Ingest, Path], tmp_path: Path, workers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    resume, params = tmp_path / "resume", neutralised()
    _, without = run(raw, tmp_path / "none", params)
    _, cold = run(raw, tmp_path / "cold", params, workers, resume)
    monkeypatch.setattr(search, "load_detector", lambda params: pytest.fail("the detector was asked"))
    _, warm = run(raw, tmp_path / "warm", params, 1, resume)
    assert without == cold == warm
    assert files(tmp_path / "none") == files(tmp_path / "cold") == files(tmp_path / "warm")


def test_the_band_comes_from_training_faces_and_what_it_costs_is_said(
    raw: tuple[Ingest, Path], cut: tuple[pd.DataFrame, dict, Path], tmp_path: Path
) -> None:
    settings = neutralised(border=0.0, auto_percentile=30).model_copy(update={"size": 96})
    frame, statistics = run(raw, tmp_path, settings)
    before = usable(cut[0])
    training = before[before["split"] == "train"]
    lows = [np.percentile(rows["face_side"].astype(float), 30) for _, rows in training.groupby("label")]
    band = statistics["history"]["band"]
    assert band == int(min(lows)) < 96
    below = frame[frame["reject_reason"] == "below_band"]
    assert set(below["image_id"]) == set(before.loc[before["face_side"] < band, "image_id"])
    assert 0 < len(below) == sum(row["below_band"] for row in statistics["per_class"].values())
    assert below["face_side"].max() < band <= usable(frame)["face_side"].min()
    pictures = statistics["pictures"]
    assert pictures["in"] == pictures["kept"] + pictures["rejected"] == len(frame)
    for label, name in enumerate(("real", "fake")):
        row, sides = statistics["per_class"][name], before[before["label"] == label]["face_side"]
        assert (
            row["native_side_quartiles"]
            == np.percentile(sides.astype(float), [0, 25, 50, 75, 100]).tolist()
        )
        assert (
            row["face_miss_rate"]["low"] <= row["face_miss_rate"]["value"] <= row["face_miss_rate"]["high"]
        )
    missed = [statistics["per_class"][name]["face_miss_rate"]["value"] for name in ("fake", "real")]
    assert statistics["gap"]["face_miss_rate"]["value"] == pytest.approx(missed[0] - missed[1], abs=1e-4)


def test_enlarged_faces_are_kept_and_counted_by_class(
    raw: tuple[Ingest, Path], cut: tuple[pd.DataFrame, dict, Path], tmp_path: Path
) -> None:
    cap = int(np.percentile(usable(cut[0])["face_side"].astype(float), 40))
    strict, wide = (neutralised(border=0.0, cap=cap, enlarge=on) for on in (False, True))
    dropped, before = run(raw, tmp_path / "dropped", strict)
    frame, statistics = run(raw, tmp_path / "enlarged", wide)
    below = dropped[dropped["reject_reason"] == "below_band"]
    assert 0 < len(below) == len(usable(frame)) - len(usable(dropped))
    assert len(usable(frame)) == len(usable(cut[0]))
    assert set(below["image_id"]) <= set(usable(frame)["image_id"])
    assert statistics["history"]["enlarge"] and not (frame["reject_reason"] == "below_band").any()
    assert statistics["gap"]["below_band_rate"] == before["gap"]["below_band_rate"]
    for name in ("real", "fake"):
        counts = [each["per_class"][name]["below_band"] for each in (before, statistics)]
        assert counts[0] == counts[1]


def test_a_detector_that_misses_one_class_is_shown() -> None:
    gap = difference((30, 100), (10, 100))
    assert gap["value"] == 0.2 and 0.08 < gap["low"] < 0.1 and 0.3 < gap["high"] < 0.32
    alike = difference((10, 100), (12, 100))
    assert alike["low"] < 0.0 < alike["high"]
    # Wilson's interval of 0 in 10, by hand: z^2 / (n + z^2).
    assert proportion(0, 10) == {"value": 0.0, "low": 0.0, "high": 0.2775}
    assert proportion(0, 0)["value"] is None and difference((0, 0), (1, 2))["value"] is None
