"""Reports of clips, and the training pictures that a face is most like."""

from __future__ import annotations

import hashlib
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
from starter_helpers import CALIBRATION

from deepfake.base.labels import FAKE, REAL, Verdict
from deepfake.bundle.predictor import FaceVerdict
from deepfake.media.squares import Square
from deepfake.networks.head import sources_of
from deepfake.present.clip_report import clip_report
from deepfake.present.neighbours import neighbours
from deepfake.present.picture_report import Subject
from deepfake.serve.clips import ClipVerdict
from deepfake.serve.track_verdict import judge_by_frames
from deepfake.serve.tracks import Appearance

HOSTILE = "<img src=x onerror=alert(1)>.mp4"


def pictures() -> pd.DataFrame:
    rows = [
        (FAKE, "many", "gan"), (REAL, "ffhq", "none"), (REAL, "ffhq-256", "none"),
        (FAKE, "many", "diffusion"), (REAL, "ffhq", "none"), (FAKE, "sdxl-web", "sdxl"),
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=["label", "source", "generator"])


def test_centres_and_names_have_one_order() -> None:
    codes = sources_of(pictures()).cat.codes.to_numpy()
    last = np.eye(6)[[0, 1, 2, 3, 1, 5]]  # the two pictures of ffhq are equal
    centres = np.stack([last[codes == each].mean(axis=0) for each in np.unique(codes)])
    for row, name in (
        (1, "real/ffhq"),
        (2, "real/ffhq-256"),
        (3, "fake/many, diffusion"),
        (5, "fake/sdxl-web"),
    ):
        found = neighbours(np.linalg.norm(centres - last[row], axis=1), pictures())
        assert len(found) == 5 and found[0].name == name and found[0].distance == 0.0
    assert neighbours(np.zeros(4), pictures()) == []  # predictions of another model


def clip() -> ClipVerdict:
    crop = np.full((32, 32, 3), 90, np.uint8)
    faces = [
        Appearance(n, n / 2, FaceVerdict(0, score, verdict, "", 0.6, Square(0, 0, 32), crop))
        for n, (score, verdict) in enumerate(
            [(0.9, Verdict.FAKE), (0.8, Verdict.FAKE), (0.1, Verdict.REAL)]
        )
    ]
    track = judge_by_frames(faces)
    return ClipVerdict(3, 1.0, (track,), track.score, track.verdict, track.reason, 0.6, problem="a note")


def test_the_report_of_a_clip_stands_alone() -> None:
    share: dict[str, Any] = {"value": 0.9, "low": 0.8, "high": 1.0}
    bundle: Any = SimpleNamespace(
        calibration=CALIBRATION, weights_sha256="ab" * 32, only_rendered=False,
        card={"test": {"model": {"auc": share, "fpr": share}}},
    )  # fmt: skip
    page = clip_report(Subject(HOSTILE, b"clip", "2020-02-02 20:20 UTC"), clip(), bundle, "7")
    assert "Looks fake" in page and "Score 0.800." in page and "A note; scores" in page
    assert page.count("<circle") == 3 and page.count('src="data:image/png') == 3
    assert "0:00.0: 0.900, fake" in page and hashlib.sha256(b"clip").hexdigest() in page
    assert "<script" not in page and 'src="http' not in page and "<img src=x" not in page
