"""What people see of verdicts: words, marked pictures, facts of a model, and uploads on their way in."""

from __future__ import annotations

import io
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from serve_helpers import LIMITS, GreyPredictor, picture
from starter_helpers import CALIBRATION

from deepfake.base.labels import Verdict
from deepfake.bundle.predictor import FaceVerdict
from deepfake.evaluate.calibration import IN_BAND, UNLIKE, UNSTABLE
from deepfake.media.squares import Square
from deepfake.present.model_facts import cannot_do, part_rows
from deepfake.present.pictures import boxed, enlarged
from deepfake.present.words import moves, rules, sentence, why
from deepfake.serve.batch import How, score_contents
from deepfake.serve.contents import Content
from deepfake.serve.uploads import is_clip, unpack


@pytest.mark.parametrize(
    ("verdict", "reason", "words"),
    [
        (Verdict.FAKE, "", "Of real pictures like those of the test, at most 5 % score 0.600 or more."),
        (Verdict.REAL, "", "Of fakes like those of the test, at most 10 % score below 0.400."),
        (Verdict.UNCERTAIN, IN_BAND, "between the two limits"),
        (Verdict.UNCERTAIN, UNSTABLE, "Mirroring, JPEG or scaling moves its score too far."),
        (Verdict.UNCERTAIN, UNLIKE, "unlike all faces"),
        (Verdict.NOT_APPLICABLE, "no_face: no face was found", "No face was found."),
    ],
)
def test_each_verdict_has_its_reason_in_one_sentence(verdict: Verdict, reason: str, words: str) -> None:
    assert words in why(FaceVerdict(0, 0.5, verdict, reason, 0.6), CALIBRATION)


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        (
            "face_too_small: 20 pixels, at least 48",
            "The face is too small: 20 pixels, at least 48. Give a larger copy.",
        ),
        (
            "too_many_pixels: 9 x 9 pixels, at most 50",
            "It is too large: 9 x 9 pixels, at most 50. Give a smaller copy.",
        ),
        ("corrupt: the file is damaged: copy it again", "The file is damaged: copy it again."),
        ("this page compares pictures", "This page compares pictures."),
    ],
)
def test_a_refusal_is_about_something_and_says_what_to_do_next(reason: str, words: str) -> None:
    assert sentence(reason) == words


def test_a_file_that_is_no_picture_is_answered_with_the_formats() -> None:
    assert "Give a JPEG, PNG" in sentence("not_an_image: the file is empty")


def test_rules_name_only_what_the_model_asks() -> None:
    assert len(rules(replace(CALIBRATION, max_spread=None, max_distance=None))) == 3
    told = rules(replace(CALIBRATION, max_spread=0.25, max_distance=3.0))
    assert len(told) == 5 and "0.250" in told[3]
    assert "mean logit" in rules(replace(CALIBRATION, mean_of_views=True))[3]


def test_moves_need_views() -> None:
    assert moves({"plain": 0.4}) == []
    assert moves({"plain": 0.4, "flip": 0.5}) == [("as it is", 0.4), ("mirrored", 0.5)]


def test_limits_are_read_from_a_card() -> None:
    card = "# Card\n\n## What it cannot do\n\n* One.\n* Two \\[a\\].\n\n## Use\n\n* Three.\n"
    assert cannot_do(card) == ["One.", "Two \\[a\\]."] and cannot_do("# Card\n") == []


def test_parts_are_the_worst_first() -> None:
    def part(value: float) -> dict:
        return {"auc": {"value": value, "low": 0.1, "high": 0.9}, "pictures": 1234}

    rows = part_rows({"good": part(0.9), "bad": part(0.2)})
    assert [row[0] for row in rows] == ["bad", "good"] and rows[0][1:] == (
        "1,234",
        "0.20\n0.10 to 0.90",
        "-",
    )


def test_a_face_is_marked_inside_its_square() -> None:
    face = FaceVerdict(0, 0.9, Verdict.FAKE, "", 0.6, Square(20, 10, 60))
    grey = np.full((100, 120, 3), 128, np.uint8)
    marked = boxed(grey, [face], 240)
    assert marked.shape == (200, 240, 3) and (marked[:18] == 128).all() and (marked[:, :38] == 128).all()
    assert (marked[80, 44] != 128).any() and (marked[80, 100] == 128).all()
    assert enlarged(grey[:100, :100], 256).shape == (200, 200, 3)
    assert enlarged(grey[:100, :100], 50).shape == (100, 100, 3)


def test_uploads_are_pictures_clips_or_members_of_an_archive(tmp_path: Path) -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for number in range(3):
            archive.writestr(f"{number}.png", picture(90 * number))
    album = file.getvalue()
    assert [one.name for one in unpack("a.zip", album, LIMITS, 2)] == ["a.zip/0.png", "a.zip/1.png"]
    assert [one.name for one in unpack("a.png", picture(), LIMITS, 2)] == ["a.png"]
    assert is_clip(b"\x1a\x45\xdf\xa3") and not is_clip(picture())
    broken = Content("a.mkv", b"\x1a\x45\xdf\xa3 no clip")
    ((_, _, [row]),) = score_contents(GreyPredictor(), [broken], {}, How("1"))
    assert row["verdict"] == "not_applicable" and row["reason"].startswith("corrupt: ")
