"""Pictures without a single face end preprocess with a sentence that shows one of them."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers import tiny_params
from ingest_data import fill, picture

from deepfake.base.errors import SourceError
from deepfake.base.parameters import parse_params
from deepfake.ingest.ingest import ingest
from deepfake.ingest.raw import RawData
from deepfake.params.whole import Params
from deepfake.preprocess.preprocess import preprocess
from deepfake.preprocess.splits import SplitRule


def test_no_face_anywhere_is_one_sentence_with_an_example(tmp_path: Path) -> None:
    names = [f"{place}/{number}.png" for place in ("real/cam", "fake/gan") for number in range(6)]
    root = fill(tmp_path / "in", {name: picture(number) for number, name in enumerate(names)})
    changes = {"ingest.root": str(root), "ingest.sources": [{"kind": "folder", "name": "set"}]}
    params = parse_params(Params, tiny_params(**changes), origin="test")
    manifest = ingest(params.ingest, 7, tmp_path / "raw", 1)
    words = (
        r"no usable face in any of the \d+ real training pictures, such as set/real/cam/\d\.png: .*cropped"
    )
    with pytest.raises(SourceError, match=words):
        raw = RawData(manifest, tmp_path / "raw", params.ingest)
        preprocess(raw, params.preprocess, SplitRule(7), tmp_path / "faces", 1)
