"""The audit of shards: equal for any number of workers, and preprocess removes the shortcuts."""

from __future__ import annotations

from typing import Any

import pytest
from helpers import tiny_params
from ingest_data import fill, picture

from deepfake.audit.audit import audit_crops, audit_raw
from deepfake.audit.names import CROP_CONTAINER, FAMILIES
from deepfake.base.parameters import parse_params
from deepfake.ingest.ingest import ingest
from deepfake.ingest.raw import RawData
from deepfake.params.whole import Params
from deepfake.preprocess.preprocess import preprocess
from deepfake.preprocess.splits import SplitRule
from deepfake.shards.manifest import usable

EACH, SIZE = 80, 32


@pytest.fixture(scope="module")
def params(tmp_path_factory: pytest.TempPathFactory) -> Params:
    """Real crops of 80 pixels and fake crops of 40 pixels, which differ in nothing else."""
    files = {}
    for number in range(EACH):
        files[f"real/camera/{number}.jpg"] = picture(number, "JPEG", (80, 80))
        files[f"fake/gan/{number}.jpg"] = picture(EACH + number, "JPEG", (40, 40))
    root = fill(tmp_path_factory.mktemp("sources"), files)
    source = {"kind": "folder", "path": ".", "cropped": True}
    overrides = {
        "ingest.root": str(root), "ingest.sources": [source], "ingest.shard_size": 20,
        "preprocess.size": SIZE, "audit.bootstrap_resamples": 50, "audit.folds": 2,
    }  # fmt: skip
    return parse_params(Params, tiny_params(**overrides), origin="test")


@pytest.fixture(scope="module")
def audits(params: Params, tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    out = tmp_path_factory.mktemp("out")
    manifest = ingest(params.ingest, 7, out / "raw", workers=1)
    source = RawData(manifest, out / "raw", params.ingest)
    raw = [audit_raw(source, params.audit, 7, workers) for workers in (1, 2)]
    frame, _, _ = preprocess(source, params.preprocess, SplitRule(7), out / "faces", 1)
    assert len(usable(frame)) == 2 * EACH
    crops = audit_crops(source, frame, out / "faces", params.audit, 7, 1)
    return {"raw": raw[0], "by two": raw[1], "crops": crops}


def test_an_audit_does_not_depend_on_the_number_of_workers(audits: dict[str, dict[str, Any]]) -> None:
    assert audits["raw"] == audits["by two"]


def test_what_the_files_told_is_gone_from_the_crops(audits: dict[str, dict[str, Any]]) -> None:
    before, after = (audits[name]["families"]["container"] for name in ("raw", "crops"))
    assert before["auc"]["low"] > 0.95 and before["status"] == "stop"
    assert after["auc"]["low"] <= 0.5 <= after["auc"]["high"] and after["status"] == "passed"
    assert "in pixels" in before["sentences"][0] and after["sentences"] == []
    assert {row["feature"] for row in after["features"]} <= {f.name for f in CROP_CONTAINER}


def test_what_the_faces_were_before_is_remembered(audits: dict[str, dict[str, Any]]) -> None:
    crops = audits["crops"]
    assert crops["families"].keys() == {*FAMILIES, "resolution"}
    assert "resolution" not in audits["raw"]["families"]
    assert crops["families"]["resolution"]["auc"]["low"] > 0.95
    assert "Native side" in crops["families"]["resolution"]["sentences"][0]
    assert crops["pictures"] == {"audited": 2 * EACH, "usable": 2 * EACH, "real": EACH, "fake": EACH}
