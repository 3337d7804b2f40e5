"""The monitor: records hold no picture and no name; drift is found, chance is not."""

from __future__ import annotations

import hashlib
import json
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from fastapi.testclient import TestClient
from serve_helpers import LIMITS, GreyPredictor, picture

from deepfake.base.errors import DeepfakeError
from deepfake.monitor import command, run
from deepfake.monitor.command import Look, monitor
from deepfake.monitor.drift import ALERT, FEW, OK, compare_categories, compare_numbers, worst
from deepfake.monitor.reading import read_records, read_reference, read_truth
from deepfake.monitor.records import Recorder
from deepfake.monitor.report import find, write_findings
from deepfake.monitor.truth import realised
from deepfake.rest.limits import ServiceLimits
from deepfake.rest.production import BundleFolder, LoadedModel, Production
from deepfake.rest.service import make_service

KEPT = {  # all that a record may hold
    "time", "origin", "version", "sha256", "bytes", "format", "width", "height", "jpeg_quality", "has_exif",
    "face", "score", "verdict", "reason", "spread", "distance", "face_side",
}  # fmt: skip
TODAY = date(2026, 3, 9)


def scored(number: int, shift: float = 0.0, seed: int = 0) -> pd.DataFrame:
    """Records as they are read; the score is `number` times uniform, plus the shift."""
    rng = np.random.default_rng(seed)
    score = np.clip(rng.random(number) + shift, 0, 1)
    return pd.DataFrame({
        "sha256": [f"{seed}-{n}" for n in range(number)], "origin": "all", "version": "1", "face": 0,
        "score": score, "verdict": np.where(score > 0.9, "fake", "uncertain"), "split": "test",
        "width": rng.integers(100, 900, number).astype(float), "format": "JPEG",
        "time": "2026-03-09T10:00:00+00:00",
    })  # fmt: skip


def test_the_service_records_figures_and_neither_pixels_nor_names(tmp_path: Path) -> None:
    production, recorder = Production(BundleFolder(None)), Recorder(tmp_path / "kept")
    production.now = LoadedModel(GreyPredictor(), "7")  # type: ignore[arg-type]
    data = picture(100, "JPEG")
    service = make_service(production, ServiceLimits(), poll=60.0, recorder=recorder)
    with TestClient(service) as client:
        client.post("/v1/picture", files={"file": ("somebody-by-name.jpg", data)})
        client.post("/v1/pictures", files=[("file", ("b.png", picture())), ("file", ("c.png", b"none"))])
    text = "".join(file.read_text() for file in (tmp_path / "kept").iterdir())
    assert {key for line in text.splitlines() for key in json.loads(line)} == KEPT
    assert not [word for word in ("somebody", "name", "b.png", "/", "\\") if word in text]
    assert all(len(line) < 600 for line in text.splitlines())  # there is no room for a picture
    kept = read_records(tmp_path / "kept", None, TODAY)
    assert len(kept) == 2  # what is refused is no picture
    first = kept[kept["sha256"] == hashlib.sha256(data).hexdigest()].iloc[0]
    assert (first["format"], first["width"], first["version"], first["origin"]) == ("JPEG", 32, "7", "all")
    assert first["score"] == pytest.approx(100 / 255, abs=0.01) and first["verdict"] == "real"


def test_a_line_that_a_kill_cut_off_does_not_spoil_the_next(tmp_path: Path) -> None:
    recorder, judged = Recorder(tmp_path), GreyPredictor().not_applicable("no_face: x")
    for _ in range(2):
        recorder.add("all", "1", picture(), LIMITS, [judged])
        (file,) = tmp_path.iterdir()
        file.write_text(file.read_text() + '{"time": "2026')
    recorder.add("all", "1", picture(), LIMITS, [judged])
    assert len(read_records(tmp_path, None, TODAY)) == 3


def test_a_reason_is_kept_as_its_code_alone(tmp_path: Path) -> None:
    judged = GreyPredictor().not_applicable("no_face: a portrait of somebody")
    Recorder(tmp_path).add("all", "1", picture(), LIMITS, [judged])
    assert read_records(tmp_path, None, TODAY)["reason"].tolist() == ["no_face"]


def test_only_the_last_days_are_read_and_half_a_line_is_passed_over(tmp_path: Path) -> None:
    for day in ("2026-03-01", "2026-03-08", "2026-03-09"):
        line = json.dumps({"sha256": day, "face": 0, "verdict": "real", "score": 0.1})
        (tmp_path / f"scored-{day}.jsonl").write_text(line + '\n{"sha')
    assert read_records(tmp_path, 2, TODAY)["sha256"].tolist() == ["2026-03-08", "2026-03-09"]
    assert len(read_records(tmp_path, None, TODAY)) == 3
    (tmp_path / "scored-2026-03-09.jsonl").write_text('broken\n{"face": 0}\n')
    with pytest.raises(DeepfakeError, match="line 1 is not a record"):
        read_records(tmp_path, 1, TODAY)
    with pytest.raises(DeepfakeError, match="no records"):
        read_records(tmp_path / "none", None, TODAY)


def test_chance_is_no_drift_and_a_shift_is() -> None:
    before = scored(2000, seed=1)
    quiet = [compare_numbers("score", scored(150, seed=n)["score"], before["score"]) for n in range(2, 60)]
    levels = [one.level for one in quiet]
    assert levels.count(OK) >= len(quiet) - 1 and ALERT not in levels  # one in a thousand is allowed
    assert max(one.psi or 0.0 for one in quiet) > 0.1  # above the usual limit by chance alone
    moved = compare_numbers("score", scored(400, shift=0.3)["score"], before["score"])
    assert moved.level == ALERT and (moved.psi or 0) > 0.25 and (moved.ks or 0) > 0.2


def test_psi_and_categories_are_what_they_are_defined_as() -> None:
    now = pd.Series(["JPEG"] * 300 + ["PNG"] * 100)
    before = pd.Series(["JPEG"] * 200 + ["PNG"] * 200)
    found = compare_categories("format", now, before)
    assert found.psi == pytest.approx(0.25 * np.log(0.75 / 0.5) + -0.25 * np.log(0.25 / 0.5))
    assert found.level == ALERT and found.now == "JPEG 75 %"
    gone = compare_numbers("quality", pd.Series([80.0] * 200 + [np.nan] * 200), pd.Series([80.0] * 400))
    assert gone.level == ALERT  # half of the values are missing now
    assert compare_categories("format", now[:50], before).level == FEW
    assert worst([FEW, OK, ALERT]) == ALERT and worst([]) == FEW


def test_the_truth_gives_precision_and_recall_with_intervals(tmp_path: Path) -> None:
    records = scored(8)
    records["verdict"] = ["fake"] * 4 + ["real"] * 2 + ["uncertain"] * 2
    again = records.iloc[[0]].assign(verdict="real")  # judged once more: only this counts
    labels = ["1", "fake", "1", "0", "real", "1", "1"]
    pd.DataFrame({"sha256": records["sha256"][:7], "label": labels}).to_csv(tmp_path / "t.csv", index=False)
    known, shares = realised(pd.concat([records, again]), read_truth(tmp_path / "t.csv"))
    values = {words.partition(":")[0]: share["value"] for words, share in shares.items()}
    assert known == 7
    assert values["precision"] == pytest.approx(2 / 3, abs=1e-4) and values["recall"] == pytest.approx(0.4)
    assert values["false alarms"] == 0.5 and values["missed"] == 0.4
    assert shares["recall: fakes that are called fake"]["low"] < 0.4  # type: ignore[operator]


def test_the_truth_may_name_files_and_a_wrong_label_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"a")
    (tmp_path / "t.csv").write_text("path,label\na.png,fake\n")
    assert read_truth(tmp_path / "t.csv").to_dict() == {hashlib.sha256(b"a").hexdigest(): 1}
    for content, words in (("sha256,label\nx,perhaps\n", "perhaps"), ("label\n1\n", "needs the columns")):
        (tmp_path / "t.csv").write_text(content)
        with pytest.raises(DeepfakeError, match=words):
            read_truth(tmp_path / "t.csv")


def test_the_page_and_the_exit_say_what_drifts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    published: list[dict[str, float]] = []
    monkeypatch.setattr(run, "publish_look", lambda figures, files, tags: published.append(dict(figures)))
    scored(1000, seed=1).to_parquet(tmp_path / "predictions.parquet")
    look = Look(tmp_path, tmp_path / "out", None, tmp_path / "predictions.parquet", None, None)
    for shift, alert in ((0.0, False), (0.4, True)):
        lines = scored(300, shift).to_dict("records")
        (tmp_path / "scored-2026-03-09.jsonl").write_text("".join(json.dumps(x) + "\n" for x in lines))
        assert monitor(look) is alert
        page = (tmp_path / "out" / "monitor.html").read_text()
        assert ("<h1>Alert</h1>" in page) is alert and "<script" not in page
        assert "2026-03-09</dd>" in page and "--manifest" not in page
    assert "ALERT   score" in capsys.readouterr().out
    assert published[1]["monitor/psi/score"] > published[0]["monitor/psi/score"]
    monkeypatch.setattr(run, "starter_in_production", lambda: False)
    with pytest.raises(DeepfakeError, match="no reference"):
        read_reference(*command._reference(Look(tmp_path, tmp_path, None, None, tmp_path / "m", None)))


def test_an_origin_that_drifts_alone_is_seen(tmp_path: Path) -> None:
    mixed = pd.concat([scored(900), scored(200, shift=0.5, seed=3).assign(origin="bob")])
    found = find(mixed, scored(2000, seed=1), 0, {})
    assert (found.origins["all"].level, found.origins["bob"].level, found.level) == (OK, ALERT, ALERT)
    (page, figures) = write_findings(found, tmp_path)
    assert (
        "<p>ALERT: scores of bob.</p>" in page.read_text()
        and json.loads(figures.read_text())["pictures"] == 1100
    )
