"""Validate: good data pass, broken rows are named, and the report is safe to open."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import logging
import re
import socket
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pandas as pd
import pyarrow as pa
import pytest
import yaml
from helpers import tiny_params
from ingest_data import picture

from deepfake.base.errors import ValidationFailed
from deepfake.base.labels import FAKE, REAL
from deepfake.base.parameters import load_params
from deepfake.base.stage import write_json
from deepfake.params.validate import Validate
from deepfake.params.whole import Params
from deepfake.shards.manifest import SCHEMA, read_manifest, write_manifest
from deepfake.shards.shards import RAW_EXAMPLE, shard_path, write_shard
from deepfake.validate.validation import validate_manifest
from deepfake.validate.validation_report import render_report

ROOT = Path(__file__).parents[2]
HOSTILE = '"><script>alert(1)</script><img src=http://x onerror=alert(1)>\u202egpj\n.png'
PARAMS = Validate(
    min_per_class=10,
    max_class_share=0.8,
    max_rejected_share=0.2,
    max_rejected_share_gap=0.1,
    max_source_share=0.7,
    max_group_share=0.1,
)


def manifest(pairs: int = 20) -> pd.DataFrame:
    """A good manifest: two sources per class, in pairs of a real picture and the fake made from it."""
    rows = []
    for pair in range(pairs):
        for label, sources in ((0, ("camera", "phone")), (1, ("swap", "diffusion"))):
            source = sources[pair % 2]
            name = f"set/{'fake' if label else 'real'}/{source}/{pair:03}.jpg"
            rows.append(
                dict.fromkeys(SCHEMA.names)
                | {
                    "image_id": hashlib.sha256(name.encode()).hexdigest(),
                    "label": label,
                    "source": source,
                    "generator": source if label else "none",
                    "declared_group": f"set/{pair:03}",
                    "group": f"set/{pair:03}",
                    "path": name,
                    "format": "JPEG",
                    "width": 144,
                    "height": 160,
                    "mode": "RGB",
                    "bytes": 9000,
                    "jpeg_quality": 85 + pair % 10,
                    "has_exif": False,
                    "phash": f"{pair:016x}",
                    "decode_ok": True,
                    "cropped": False,
                }
            )
    return pd.DataFrame(rows, columns=SCHEMA.names)


def stored(frame: pd.DataFrame, folder: Path) -> pd.DataFrame:
    """The frame after a round trip through Parquet, as the stage reads it."""
    write_manifest(frame, folder / "manifest.parquet")
    return read_manifest(folder / "manifest.parquet")


def spoiled(**cells: object) -> Callable[[pd.DataFrame], pd.DataFrame]:
    """A change that sets cells of the third row, a real picture."""

    def change(frame: pd.DataFrame) -> pd.DataFrame:
        frame = frame.copy()
        for column, value in cells.items():
            frame[column] = frame[column].astype(object)
            frame.loc[2, column] = value
        return frame

    return change


def rejected(frame: pd.DataFrame, count: int) -> pd.DataFrame:
    """The first `count` fake pictures do not decode."""
    frame = frame.copy()
    hit = frame.index[frame["label"] == FAKE][:count]
    frame.loc[hit, "decode_ok"] = False
    frame.loc[hit, "reject_reason"] = "corrupt"
    frame.loc[hit, "reject_detail"] = "OSError: truncated"
    return frame


ROW_2, FAKE_3 = "set/real/phone/001.jpg", "set/fake/diffusion/001.jpg"

# expectation -> a change that breaks it, and the row that the verdict must name (or none)
BROKEN: dict[str, tuple[Callable[[pd.DataFrame], pd.DataFrame], str | None]] = {
    "columns": (lambda f: f.drop(columns="width"), None),
    "types": (lambda f: f.assign(width="wide"), None),
    "required_fields": (spoiled(group=None), ROW_2),
    "labels": (spoiled(label=2), ROW_2),
    "image_id_format": (spoiled(image_id="F" * 64), ROW_2),
    "image_id_unique": (lambda f: spoiled(image_id=f.loc[3, "image_id"])(f), ROW_2),
    "path_unique": (spoiled(path=FAKE_3), FAKE_3),
    "real_generator": (spoiled(generator="swap"), ROW_2),
    "fake_generator": (spoiled(label=1), ROW_2),
    "reason_given": (spoiled(decode_ok=False), ROW_2),
    "width": (spoiled(width=3), ROW_2),
    "height": (spoiled(height=99999), ROW_2),
    "formats": (spoiled(format="SVG"), ROW_2),
    "label_conflict": (spoiled(reject_reason="label_conflict"), ROW_2),
    "rejected_share": (lambda f: rejected(f, 9), FAKE_3),
    "rejected_share_gap": (lambda f: rejected(f, 3), FAKE_3),
    "min_per_class": (lambda f: f[(f["label"] == REAL) | (f.index < 18)], None),
    "max_class_share": (lambda f: f[(f["label"] == REAL) | (f.index < 8)], None),
    "max_source_share": (lambda f: f.assign(source=["one"] * 32 + ["two"] * 8), None),
}


def test_sound_manifest_passes_without_warning(tmp_path: Path) -> None:
    verdict = validate_manifest(stored(manifest(), tmp_path), PARAMS)
    assert verdict.passed
    assert {result.status for result in verdict.results} == {"passed"}
    critical = {result.name for result in verdict.results if result.severity == "critical"}
    assert critical == BROKEN.keys(), "every critical expectation needs a case that breaks it"


@pytest.mark.parametrize("name", BROKEN)
def test_broken_manifest_fails_and_names_the_rows(name: str) -> None:
    change, path = BROKEN[name]
    verdict = validate_manifest(change(manifest()), PARAMS)
    result = next(result for result in verdict.results if result.name == name)
    assert not verdict.passed
    assert result.status == "failed"
    if path:
        assert path in result.rows
        assert result.row_count >= 1


def test_many_broken_rows_are_counted_and_ten_named() -> None:
    verdict = validate_manifest(manifest().assign(format="SVG"), PARAMS)
    result = next(result for result in verdict.results if result.name == "formats")
    assert (len(result.rows), result.row_count) == (10, 40)
    assert list(result.rows) == sorted(manifest()["path"])[:10]


def test_columns_that_do_not_fit_skip_the_rest() -> None:
    verdict = validate_manifest(manifest().drop(columns="width"), PARAMS)
    assert {result.status for result in verdict.results[2:]} == {"skipped"}
    assert "width" in verdict.results[0].observed


def test_empty_manifest_is_a_verdict() -> None:
    verdict = validate_manifest(manifest().iloc[:0], PARAMS)
    assert "min_per_class" in verdict.to_json()["critical_failures"]
    assert "<h1>Failed" in render_report(manifest().iloc[:0], verdict)


def test_one_source_is_a_warning_only() -> None:
    frame = manifest()
    frame.loc[frame["label"] == REAL, "source"] = "camera"
    verdict = validate_manifest(frame, PARAMS)
    assert verdict.passed
    assert verdict.to_json()["warnings"] == ["several_sources"]


def test_same_look_across_classes_is_normal_only_in_a_declared_pair() -> None:
    undeclared = manifest()
    undeclared["declared_group"] = None
    verdict = validate_manifest(undeclared, PARAMS)
    assert verdict.passed
    (warning,) = verdict.failed("warning")
    assert warning.name == "phash_across_classes"
    assert (warning.row_count, warning.rows[0]) == (40, "set/fake/diffusion/001.jpg")


def test_a_group_that_swallows_the_data_is_a_warning_with_its_figure() -> None:
    frame = manifest()
    frame.loc[:8, ["declared_group", "group"]] = [None, "phash/0"]
    verdict = validate_manifest(frame, PARAMS)
    warning = next(result for result in verdict.failed("warning") if result.name == "max_group_share")
    assert verdict.passed
    assert warning.observed == "phash/0 holds 9 pictures of 5 looks (22.5 %)"
    assert warning.row_count == 9


def test_rejected_rows_do_not_count_as_twins_or_duplicates() -> None:
    frame = manifest()
    double = frame.iloc[[0]].assign(path="set/real/again.jpg", reject_reason="duplicate")
    verdict = validate_manifest(pd.concat([frame, double], ignore_index=True), PARAMS)
    assert verdict.passed
    assert not verdict.failed("warning")


def test_verdict_does_not_depend_on_row_order() -> None:
    frame = rejected(manifest().assign(format="SVG"), 9)
    shuffled = frame.sample(frac=1, random_state=3)
    first, second = (validate_manifest(f, PARAMS).to_json() for f in (frame, shuffled))
    assert json.dumps(first, sort_keys=True) == json.dumps(second, sort_keys=True)


def test_quiet_offline_and_without_lasting_effects(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("validation opened a connection")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    level = logging.getLogger("great_expectations").level
    validate_manifest(manifest().assign(format="SVG"), PARAMS)
    assert capfd.readouterr() == ("", "")
    assert not list(tmp_path.iterdir())
    assert logging.getLogger("great_expectations").level == level


@pytest.mark.parametrize("change", [lambda f: f, lambda f: rejected(f, 9), BROKEN["columns"][0]])
def test_report_is_self_contained_and_byte_identical(
    change: Callable[[pd.DataFrame], pd.DataFrame],
) -> None:
    frame = change(manifest())
    verdict = validate_manifest(frame, PARAMS)
    page = render_report(frame, verdict)
    assert page == render_report(frame.sample(frac=1, random_state=5), verdict)
    assert not re.search(r"https?://|\bsrc\s*=|\bhref\s*=|url\(|@import|<script|<link", page)
    assert not re.search(r"\b(None|nan|<NA>)\b", page.replace("None: every file", ""))


def test_report_escapes_hostile_names() -> None:
    frame = rejected(manifest(), 9)
    for column in ("path", "source", "generator", "reject_reason", "reject_detail"):
        frame.loc[3, column] = HOSTILE
    page = render_report(frame, validate_manifest(frame, PARAMS))
    assert "&lt;script&gt;alert(1)" in page
    assert "<script" not in page
    assert "<img" not in page
    assert "\u202e" not in page
    assert "\\u202egpj\\n.png" in page


def stage() -> ModuleType:
    """pipelines/validate.py as a module, because pipelines/ is no package."""
    spec = importlib.util.spec_from_file_location("validate_stage", ROOT / "pipelines/validate.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def run_in(folder: Path, frame: pd.DataFrame, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    monkeypatch.setattr("sys.argv", ["validate.py"])  # without pytest's options
    # One thread starts no processes. The test does not use the audit's figures, except the one at chance.
    content = tiny_params(**{
        "base.threads": 1, "audit.bootstrap_resamples": 20, "validate.min_per_class": 20,
        "ingest.shard_size": 256,
    })  # fmt: skip
    (folder / "params.yaml").write_text(yaml.safe_dump(content))
    raw = folder / "data/raw"
    write_manifest(frame, raw / "manifest.parquet")
    ids = sorted(frame.loc[frame["reject_reason"].isna(), "image_id"])
    examples = [{"image_id": name, "image": picture(1, "JPEG", (144, 160))} for name in ids]
    write_shard(shard_path(raw, 0), pa.Table.from_pylist(examples))
    write_shard(raw / "rejected.arrow", RAW_EXAMPLE.empty_table())
    write_json(raw / "sources.json", [])
    stage().main()


def test_stage_writes_verdict_and_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run_in(tmp_path, manifest(), monkeypatch)
    assert capsys.readouterr().out.startswith("40 files; expectations not met: none\n")
    verdict = json.loads((tmp_path / "reports/validate/verdict.json").read_text())
    assert verdict["passed"]
    assert load_params(Params, ROOT / "params.yaml").validate_.min_per_class <= 20
    page = (tmp_path / "reports/validate/report.html").read_text()
    assert "<h1>Passed" in page
    assert page.count("0.500 [0.500, 0.500]") == 5, "equal pictures tell nothing"


def test_stage_reports_before_it_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    frame = rejected(manifest(), 9)
    frame.loc[1, "path"] = "set/a\x1b[2J\u202e.jpg"
    with pytest.raises(ValidationFailed) as failure:
        run_in(tmp_path, frame, monkeypatch)
    text = str(failure.value)
    assert text.startswith("rejected_share: At most 20 % of all files are rejected, but found: 22")
    assert r"set/a\x1b[2J\u202e.jpg" in text
    assert text.endswith("see reports/validate/report.html")
    assert "\n" not in text
    assert not json.loads((tmp_path / "reports/validate/verdict.json").read_text())["passed"]
    page = (tmp_path / "reports/validate/report.html").read_text()
    assert "<h1>Failed" in page
    assert "<h2>Shortcut audit</h2>" in page, "whoever mends the data needs the audit too"


def test_data_that_break_the_audit_too_are_told_by_the_verdict(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ValidationFailed, match=r"^min_per_class"):
        run_in(tmp_path, manifest()[manifest()["label"] == REAL], monkeypatch)
    page = (tmp_path / "reports/validate/report.html").read_text()
    assert "<h1>Failed" in page
    assert "Shortcut audit" not in page
