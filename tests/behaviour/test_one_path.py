"""The contract of the house: the same bytes give the same crop and score in the pipeline and in serving."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from behaviour_data import make_predictor
from fastapi.testclient import TestClient
from PIL import Image

from deepfake.base.errors import RegistryError
from deepfake.base.stage import read_json, write_json
from deepfake.bundle.bundle import read_bundle
from deepfake.bundle.predictor import Predictor
from deepfake.bundle.seal import sealed
from deepfake.demo.corpus import make_pair
from deepfake.evaluate.disagreement import judge, spread
from deepfake.explain.choice import Explanation
from deepfake.ingest.ingest import ingest
from deepfake.ingest.raw import RawData
from deepfake.params.whole import Params
from deepfake.preprocess.preprocess import preprocess
from deepfake.preprocess.splits import SplitRule
from deepfake.rest.limits import ServiceLimits
from deepfake.rest.production import BundleFolder, LoadedModel, Production
from deepfake.rest.service import make_service
from deepfake.shards.manifest import SPLITS, read_manifest, usable
from deepfake.shards.shards import read_examples, shard_paths

_ORIENTATION, _SIDEWAYS = 0x0112, 6  # EXIF: turn the picture clockwise by a quarter


def encode(portrait: np.ndarray, number: int) -> tuple[str, bytes]:
    """In turns a JPEG, a PNG, and a JPEG on its side with the EXIF entry that says so."""
    file, kind = io.BytesIO(), ("jpeg", "png", "sideways")[number % 3]
    if kind == "png":
        Image.fromarray(portrait).save(file, "PNG")
    elif kind == "jpeg":
        Image.fromarray(portrait).save(file, "JPEG", quality=92)
    else:
        exif = Image.Exif()
        exif[_ORIENTATION] = _SIDEWAYS
        Image.fromarray(np.rot90(portrait).copy()).save(file, "JPEG", quality=92, exif=exif)
    return f"{kind}-{number:02d}.{'png' if kind == 'png' else 'jpg'}", file.getvalue()


def write_sources(root: Path, pictures: int) -> None:
    for number in range(pictures):
        real, fake = make_pair(5, number, 112)
        for label, portrait in (("real/camera", real), ("fake/made", fake.pixels)):
            wide = cv2.copyMakeBorder(portrait, 8, 8, 8, 48, cv2.BORDER_REFLECT_101)
            name, data = encode(wide, number)
            (root / label).mkdir(parents=True, exist_ok=True)
            (root / label / name).write_bytes(data)


def judged_over_http(predictor: Predictor, data: bytes) -> list[dict]:
    production = Production(BundleFolder(str(predictor.bundle.folder)))
    production.now = LoadedModel(predictor, "1")
    with TestClient(make_service(production, ServiceLimits(), poll=60.0)) as client:
        return client.post("/v1/picture", content=data).json()["faces"]


@pytest.mark.parametrize("align", ["box", "landmarks"])
def test_pipeline_and_predictor_cut_the_same_pixels(
    align: str, tmp_path: Path, runtime: object, make_params: Callable[..., Params]
) -> None:
    write_sources(tmp_path / "in", 18)
    params = make_params(**{
        "ingest.root": str(tmp_path / "in"),
        "ingest.sources": [{"kind": "folder", "name": "folder", "path": "."}],
        "preprocess.faces.align": align, "preprocess.faces.which": "all",
        "preprocess.neutralise.blur": 0.5,
        "preprocess.split": {"train": 0.4, "val": 0.3, "test": 0.3},
    })  # fmt: skip
    assert params.preprocess.neutralise.enabled
    ingest(params.ingest, 7, tmp_path / "raw", workers=1)
    manifest = read_manifest(tmp_path / "raw" / "manifest.parquet")
    frame, statistics, _ = preprocess(
        RawData(manifest, tmp_path / "raw", params.ingest), params.preprocess, SplitRule(7),
        tmp_path / "faces", 1, tmp_path / "resume",
    )  # fmt: skip
    predictor = make_predictor(tmp_path, params, statistics)
    assert predictor.bundle.recipe.history is not None
    assert predictor.bundle.recipe.history.band == statistics["history"]["band"]
    crops = {
        record["image_id"]: np.asarray(Image.open(io.BytesIO(record["image"])))
        for split in SPLITS
        for path in shard_paths(tmp_path / "faces" / split)
        for record in read_examples(path)
    }
    kept = usable(frame)
    kinds = kept["path"].str.extract(r"(jpeg|png|sideways)-")[0]
    assert set(kinds) == {"jpeg", "png", "sideways"} and len(kept) == len(crops) > 24
    for row in kept.itertuples():
        path = str(row.path).removeprefix("folder/")
        verdict = predictor.predict((tmp_path / "in" / path).read_bytes())[row.face]
        assert np.array_equal(verdict.crop, crops[row.image_id])
        box = verdict.box
        assert (box.left, box.top, box.side) == (row.face_left, row.face_top, row.face_side)
        assert box.angle == pytest.approx(row.face_angle, abs=1e-4)
        calibration = predictor.bundle.calibration
        logits = judge(predictor._model, crops[row.image_id][None], True).logits
        assert abs(float(calibration.score(logits["plain"])[0]) - verdict.score) < 1e-5
        apart = float(spread(calibration, logits)[0])
        assert verdict.verdict == calibration.verdict(verdict.score, apart)
        assert verdict.reason == calibration.reason(verdict.score, apart)
        assert [*verdict.views] == [*logits] and verdict.views["plain"] == verdict.score
        assert max(verdict.views.values()) - min(verdict.views.values()) == pytest.approx(apart, abs=1e-5)
    over_http = judged_over_http(predictor, (tmp_path / "in" / path).read_bytes())
    assert (
        over_http[row.face]["score"] == verdict.score and over_http[row.face]["verdict"] == verdict.verdict
    )
    heat = predictor.explain(verdict)
    assert heat.shape == verdict.crop.shape[:2] and heat.min() >= 0.0 and heat.max() <= 1.0
    nothing = replace(predictor.bundle, explanation=Explanation(None, 20, None))
    assert Predictor(nothing).explain(verdict) is None


def test_a_bundle_of_an_earlier_release_says_what_to_do(tmp_path: Path) -> None:
    write_json(tmp_path / "detector.json", {"architecture": {}, "card": {}})
    with pytest.raises(RegistryError, match="make repro"):
        read_bundle(tmp_path)


def test_a_bundle_with_a_random_history_says_what_to_do(
    tmp_path: Path, runtime: object, make_params: Callable[..., Params]
) -> None:
    statistics = {"history": None, "per_source": [], "split": {}}
    folder = make_predictor(tmp_path, make_params(), statistics).bundle.folder
    facts = read_json(folder / "detector.json")
    facts["recipe"]["history"] = {
        "border": 0.02, "band": 64, "blur": 0.0, "noise": 0.0, "jpeg_quality": [75, 95],
        "subsampling": ["yuv444", "yuv420"],
    }  # fmt: skip
    write_json(folder / "detector.json", sealed(facts))
    with pytest.raises(RegistryError, match="make repro"):
        read_bundle(folder)
