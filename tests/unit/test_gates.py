"""Gates: each can fail alone, each is missing without what it judges by, and nothing missing passes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from gate_helpers import CLOCK, LIMITS, Judge, files, interval, predictions, side, write_evidence, write_raw
from sklearn.metrics import roc_auc_score
from starter_helpers import CALIBRATION

from deepfake.bundle.gates.check import FAILED, MISSING, PASSED, Check, Evidence, stopped
from deepfake.bundle.gates.contest import AGAINST, Side, check_against, check_photographs, unanswered
from deepfake.bundle.gates.figures import check_model
from deepfake.bundle.gates.registered import check_registered
from deepfake.bundle.gates.scores import TOLERANCE, check_scores
from deepfake.bundle.requirements import serving_requirements
from deepfake.registry.publishing import signature

Change = Callable[[dict[str, Any]], None]


def setting(name: str, *keys: str, value: Any) -> Change:
    """A change of one place in one file."""

    def change(content: dict[str, Any]) -> None:
        *parents, last = (name, *keys)
        place = content
        for key in parents:
            place = place[key]
        place[last] = value

    return change


METRICS = "evaluate/metrics.json"
STRESS = ("stress/facts.json", "robustness", "families")


@pytest.mark.parametrize(
    ("gate", "change", "figure"),
    [
        (
            "data_verdict",
            setting("validate/verdict.json", value={"passed": False, "critical_failures": ["one_class"]}),
            "not met: one_class",
        ),
        (
            "shortcut_audit",
            setting("validate/audit.json", "families", "container", "status", value="stop"),
            "above: raw/container",
        ),
        (
            "shortcut_audit",
            setting("preprocess/audit.json", "families", "spectrum", "status", value="stop"),
            "above: crops/spectrum",
        ),
        # The estimates are above the floors; the lower ends of their intervals are not.
        ("auc", setting(METRICS, "test", "model", "auc", value=interval(0.79)), 0.74),
        ("caught", setting(METRICS, "test", "model", "tpr", value=interval(0.54)), 0.49),
        ("worst_generator", setting(METRICS, "per_generator", "edit", "auc", value=interval(0.64)), 0.59),
        (
            "worst_source",
            setting(METRICS, "per_source", "real/phone", value={"flagged_fake": interval(0.16)}),
            0.21,
        ),
        ("calibration", setting(METRICS, "test", "model", "ece", value=interval(0.06)), 0.11),
        ("robustness", setting(*STRESS, "blur", value={"area": {"model": interval(0.4)}}), 0.55),
    ],
)
def test_each_gate_on_a_model_can_fail_alone(
    tmp_path: Path, gate: str, change: Change, figure: Any
) -> None:
    content = files()
    assert not stopped(check_model(LIMITS, write_evidence(tmp_path / "sound", content)))
    change(content)
    checks = check_model(LIMITS, write_evidence(tmp_path / "changed", content))
    assert stopped(checks) == [gate]
    assert checks[gate].verdict == FAILED and checks[gate].figure == pytest.approx(figure)


def test_a_limit_itself_is_good_enough(tmp_path: Path) -> None:
    content = files()
    auc = {"value": 0.9, "low": LIMITS.min_auc, "high": 1.0}
    setting(METRICS, "test", "model", "auc", value=auc)(content)
    ece = {"value": 0.0, "low": 0.0, "high": LIMITS.max_calibration_error}
    setting(METRICS, "test", "model", "ece", value=ece)(content)
    assert not stopped(check_model(LIMITS, write_evidence(tmp_path, content)))


@pytest.mark.parametrize(
    ("name", "gates"),
    [
        ("validate/verdict.json", {"data_verdict"}),
        ("validate/audit.json", {"shortcut_audit"}),
        ("preprocess/audit.json", {"shortcut_audit"}),
        (METRICS, {"auc", "caught", "worst_generator", "worst_source", "calibration"}),
        ("stress/facts.json", {"robustness"}),
    ],
)
def test_a_gate_without_its_file_stops_too(tmp_path: Path, name: str, gates: set[str]) -> None:
    evidence = write_evidence(tmp_path)
    (tmp_path / name).unlink()
    checks = check_model(LIMITS, evidence)
    assert {*stopped(checks)} == gates
    assert {(checks[gate].verdict, checks[gate].figure) for gate in gates} == {(MISSING, f"no file {name}")}
    (tmp_path / name).write_text("{")
    damaged = check_model(LIMITS, evidence)
    assert {damaged[gate].figure for gate in gates} == {f"{name} is damaged"}


@pytest.mark.parametrize(
    ("gate", "change"),
    [
        ("auc", setting(METRICS, "test", "model", "auc", "low", value=None)),
        ("caught", lambda content: content[METRICS]["test"]["model"].pop("tpr")),
        ("worst_generator", setting(METRICS, "per_generator", value={})),
        ("worst_source", lambda content: content[METRICS]["per_source"].pop("real/camera")),
        ("robustness", setting(*STRESS, value={})),
    ],
)
def test_a_figure_that_nobody_measured_is_missing(tmp_path: Path, gate: str, change: Change) -> None:
    content = files()
    change(content)
    checks = check_model(LIMITS, write_evidence(tmp_path, content))
    assert stopped(checks) == [gate] and checks[gate].verdict == MISSING


@pytest.fixture
def ours(tmp_path: Path) -> Side:
    return side(tmp_path / "ours")


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    return write_raw(tmp_path / "raw", list(predictions().frame["image_id"]))


def test_scores_from_original_bytes_must_be_the_pipelines(ours: Side, raw: Path, tmp_path: Path) -> None:
    assert not stopped(check_scores(ours.evidence, ours.predictor, raw))
    known: Judge = ours.predictor  # type: ignore[assignment]
    first = min(known.scores)
    for score in (known.scores[first] + 2 * TOLERANCE, None):
        other = replace(known, scores={**known.scores, first: score})
        checks = check_scores(ours.evidence, other, raw)  # type: ignore[arg-type]
        assert stopped(checks) == ["smoke_scores"] and checks["smoke_scores"].verdict == FAILED
    checks = check_scores(ours.evidence, ours.predictor, tmp_path / "nothing")
    assert stopped(checks) == ["smoke_scores"] and checks["smoke_scores"].verdict == MISSING


def test_the_files_must_be_of_this_very_version(ours: Side, raw: Path) -> None:
    bundle = SimpleNamespace(calibration=replace(CALIBRATION, threshold=0.7))
    other = SimpleNamespace(bundle=bundle, predict=ours.predictor.predict)
    checks = check_scores(ours.evidence, other, raw)  # type: ignore[arg-type]
    assert stopped(checks) == ["evidence"] and "register this one again" in str(checks["evidence"].figure)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """MLflow's folder of a sound version."""
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "MLmodel").write_text(yaml.safe_dump({"signature": signature().to_dict()}))
    needed = serving_requirements("deepfake.bundle.pyfunc", "hybrid-small", "keras")
    (folder / "requirements.txt").write_text("\n".join(needed))
    return folder


def test_the_signature_must_be_the_predictors(model: Path) -> None:
    assert not stopped(check_registered(model, signature().to_dict(), "hybrid-small", "keras"))
    stored = signature().to_dict()
    stored["outputs"] = stored["outputs"].replace("threshold", "limit")
    for content, verdict in (({"signature": stored}, FAILED), ({}, FAILED), (None, MISSING)):
        if content is None:
            (model / "MLmodel").unlink()
        else:
            (model / "MLmodel").write_text(yaml.safe_dump(content))
        checks = check_registered(model, signature().to_dict(), "hybrid-small", "keras")
        assert stopped(checks) == ["signature"] and checks["signature"].verdict == verdict


def test_the_requirements_must_name_every_package(model: Path) -> None:
    file = model / "requirements.txt"
    file.write_text("\n".join(line for line in file.read_text().splitlines() if "opencv" not in line))
    checks = check_registered(model, signature().to_dict(), "hybrid-small", "keras")
    assert stopped(checks) == ["requirements"] and checks["requirements"].figure == "missing: opencv-python"
    file.unlink()
    assert (
        check_registered(model, signature().to_dict(), "hybrid-small", "keras")["requirements"].verdict
        == MISSING
    )


def against(ours: Side, theirs: Side, raw: Path) -> dict[str, Check]:
    return check_against(LIMITS, ours, theirs, raw, clock=lambda: CLOCK.now)


def test_a_challenger_as_good_as_production_passes(ours: Side, raw: Path, tmp_path: Path) -> None:
    checks = against(ours, side(tmp_path / "theirs", evidence=False), raw)
    assert {*checks} == {*AGAINST} and not stopped(checks)
    assert checks["auc_against_production"].figure == 0.0 and checks["latency"].figure == 1.0


def test_a_worse_challenger_is_stopped(raw: Path, tmp_path: Path) -> None:
    weak, strong = side(tmp_path / "weak", shift=1.0), side(tmp_path / "strong", evidence=False)
    worse = ["auc_against_production", "caught_against_production"]
    assert stopped(against(weak, strong, raw)) == worse
    # Where production's own test held these pictures, none of them is needed.
    checks = against(weak, side(tmp_path / "known"), tmp_path / "nothing")
    assert {name for name, check in checks.items() if check.verdict == FAILED} == {*worse}
    assert {name for name, check in checks.items() if check.verdict == MISSING} == {"latency"}


def test_what_is_not_shown_to_be_as_good_is_stopped(raw: Path, tmp_path: Path) -> None:
    """The estimates are close to each other, but the interval of the difference reaches far below."""
    one = side(tmp_path / "one", shift=1.5, seed=4)
    checks = against(one, side(tmp_path / "other", evidence=False, shift=1.5, seed=3), raw)
    assert "auc_against_production" in stopped(checks)
    frames = [predictions(seed=seed, shift=1.5).frame for seed in (4, 3)]
    mine, other = (roc_auc_score(frame["label"], frame["score"]) for frame in frames)
    assert mine > other - LIMITS.max_auc_loss


def test_without_scores_of_production_the_comparison_is_missing(ours: Side, tmp_path: Path) -> None:
    few = write_raw(tmp_path / "few", list(predictions().frame["image_id"][:1]))
    checks = against(ours, side(tmp_path / "theirs", evidence=False), few)
    assert {name for name, check in checks.items() if check.verdict == MISSING} == {*AGAINST} - {"size"}
    assert {check.verdict for check in unanswered("its files are gone").values()} == {MISSING}


def test_slower_or_larger_models_are_stopped(ours: Side, raw: Path, tmp_path: Path) -> None:
    theirs = side(tmp_path / "theirs", evidence=False)
    slow: Judge = replace(ours.predictor, seconds=2.1)  # type: ignore[type-var]
    checks = against(Side(ours.evidence, slow), theirs, raw)  # type: ignore[arg-type]
    assert stopped(checks) == ["latency"] and checks["latency"].figure == 2.1
    checks = against(side(tmp_path / "large", kilobytes=4), theirs, raw)
    assert stopped(checks) == ["size"] and checks["size"].figure == 4.0


def test_rendered_pictures_never_replace_photographs() -> None:
    assert check_photographs(rendered=True, replaced_rendered=False).verdict == FAILED
    for rendered, replaced in ((True, True), (False, True), (False, False)):
        assert check_photographs(rendered, replaced).verdict == PASSED


def test_a_check_says_what_it_found(ours: Side, raw: Path, tmp_path: Path) -> None:
    assert check_model(LIMITS, write_evidence(tmp_path / "good"))["data_verdict"].figure == "all met"
    content = files()
    content["validate/verdict.json"] = {"passed": False, "critical_failures": ["one_class"]}
    bad = check_model(LIMITS, write_evidence(tmp_path / "bad", content))["data_verdict"]
    assert bad.figure == "not met: one_class"
    assert check_scores(ours.evidence, ours.predictor, raw)["smoke_scores"].figure == "the same scores"
    known: Judge = ours.predictor  # type: ignore[assignment]
    other = replace(known, scores=dict.fromkeys(known.scores, 0.5))
    assert check_scores(ours.evidence, other, raw)["smoke_scores"].figure == "other scores"  # type: ignore[arg-type]
    assert check_photographs(True, False).figure == "trained only on rendered pictures"
    assert check_photographs(False, False).figure == "trained on photographs"


def test_the_first_pictures_are_enough_for_the_smoke_test(ours: Side, raw: Path) -> None:
    known: Judge = ours.predictor  # type: ignore[assignment]
    asked: list[bytes] = []

    def predict(data: bytes, assume_face: bool = False) -> list[SimpleNamespace]:
        asked.append(data)
        return known.predict(data, assume_face)

    check_scores(ours.evidence, SimpleNamespace(bundle=known.bundle, predict=predict), raw)  # type: ignore[arg-type]
    assert 1 < len(asked) < 10


def test_the_limits_of_a_contest_are_good_enough(ours: Side, raw: Path, tmp_path: Path) -> None:
    """Twice the time and three times the size are allowed, and a loss of the limit itself."""
    theirs = side(tmp_path / "theirs", evidence=False)
    slow: Judge = replace(ours.predictor, seconds=2.0)  # type: ignore[type-var]
    checks = against(Side(ours.evidence, slow), theirs, raw)  # type: ignore[arg-type]
    assert not stopped(checks) and checks["latency"].figure == 2.0
    assert not stopped(against(side(tmp_path / "large", kilobytes=3), theirs, raw))
    strict = LIMITS.model_copy(update={"max_auc_loss": 0.0, "max_caught_loss": 0.0})
    assert not stopped(check_against(strict, ours, theirs, raw, clock=lambda: CLOCK.now))  # no loss at all


def test_the_first_picture_is_not_timed(ours: Side, raw: Path, tmp_path: Path) -> None:
    """The first one builds graphs: a challenger that is slow only there is not slower."""

    class SlowStart:
        def __init__(self, judge: Judge) -> None:
            self.judge, self.bundle, self.seconds = judge, judge.bundle, [50.0]

        def predict(self, data: bytes, assume_face: bool = False) -> list[SimpleNamespace]:
            CLOCK.now += self.seconds.pop() if self.seconds else 0.0
            return self.judge.predict(data, assume_face)

    theirs = side(tmp_path / "theirs")
    two = write_raw(tmp_path / "two", list(predictions().frame["image_id"][:2]))
    checks = against(Side(ours.evidence, SlowStart(ours.predictor)), theirs, two)  # type: ignore[arg-type]
    assert checks["latency"].figure == 1.0


def test_a_comparison_may_use_a_sample_of_whole_groups(ours: Side, raw: Path, tmp_path: Path) -> None:
    known: Judge = side(tmp_path / "theirs", evidence=False).predictor  # type: ignore[assignment]
    asked: list[bytes] = []

    def predict(data: bytes, assume_face: bool = False) -> list[SimpleNamespace]:
        asked.append(data)
        return known.predict(data, assume_face)

    theirs = Side(Evidence(tmp_path / "none"), SimpleNamespace(bundle=known.bundle, predict=predict))  # type: ignore[arg-type]
    few = LIMITS.model_copy(update={"compared_pictures": 30})
    check_against(few, ours, theirs, raw, clock=lambda: CLOCK.now)
    assert len(asked) == 30 + 9  # the sample; then one picture to warm up and eight that are timed


def test_the_ratio_is_the_challengers_time_over_productions(ours: Side, raw: Path, tmp_path: Path) -> None:
    theirs = side(tmp_path / "theirs", evidence=False)
    quick: Judge = replace(theirs.predictor, seconds=0.25)  # type: ignore[type-var]
    checks = against(ours, Side(theirs.evidence, quick), raw)  # type: ignore[arg-type]
    assert checks["latency"].figure == 4.0 and stopped(checks) == ["latency"]


def test_the_size_of_a_frozen_model_includes_its_tower(
    raw: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tower = tmp_path / "tower.onnx"
    tower.write_bytes(bytes(3 * 1024))
    monkeypatch.setattr("deepfake.bundle.gates.contest.tower_graph", lambda: tower)

    class Frozen(Judge):
        @property
        def bundle(self) -> SimpleNamespace:
            return SimpleNamespace(**{
                **vars(super().bundle), "architecture": SimpleNamespace(model="frozen-clip-vit-b16")
            })  # fmt: skip

    known: Judge = side(tmp_path / "ours").predictor  # type: ignore[assignment]
    frozen = Side(Evidence(tmp_path / "ours/reports"), Frozen(known.scores, known.folder))  # type: ignore[arg-type]
    checks = against(frozen, side(tmp_path / "theirs", evidence=False), raw)
    assert checks["size"].figure == 4.0 and stopped(checks) == ["size"]
