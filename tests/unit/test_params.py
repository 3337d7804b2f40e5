"""params.yaml: what fits, and what the errors say about what does not."""

from __future__ import annotations

import dataclasses
import io
from pathlib import Path

import pytest
import yaml
from helpers import REPO, tiny_params
from pydantic import ValidationError
from ruamel.yaml import YAML

from deepfake.base.errors import ParamsError
from deepfake.base.parameters import flatten, load_params, parse_params
from deepfake.params.whole import Params


def test_the_shipped_file_parses() -> None:
    params = load_params(Params, REPO / "params.yaml")
    assert params.train.model == "hybrid-resnet50"
    assert params.ingest.sources[0].kind == "synthetic"


def test_models_are_frozen() -> None:
    params = load_params(Params, REPO / "params.yaml")
    with pytest.raises(ValidationError):
        params.base.seed = 3  # type: ignore[misc]


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("train.phase1.epoch", 3, ["train.phase1.epoch", "did you mean 'epochs'", "learning_rate"]),
        ("trian", {}, ["unknown key trian", "did you mean 'train'", "base, ingest, validate"]),
        ("base.device", "tpu", ["base.device", "'cpu'", "'gpu'", "got 'tpu'"]),
        ("train.batch_size", 0, ["train.batch_size", "greater than or equal to 1", "got 0"]),
        ("train.batch_size", "many", ["train.batch_size", "integer", "got 'many'"]),
        ("preprocess.split.test", 0.5, ["preprocess.split", "must be 1.0"]),
        ("ingest.sources", [{"kind": "ftp"}], ["ingest.sources.0", "'synthetic'", "'folder'"]),
        (
            "ingest.sources",
            [{"kind": "folder", "pth": "x"}],
            ["ingest.sources.0.pth", "did you mean 'path'", "allowed here"],
        ),
        (
            "ingest.sources",
            [{"kind": "folder"}, {"kind": "folder", "path": "b"}],
            ["source names must differ"],
        ),
        ("train.phase2", None, ["train.phase2"]),
        ("train.augment", "heavy", ["train.augment", "'light'", "'laundering'", "got 'heavy'"]),
        ("train.trainable", "last-blocks:0", ["train.trainable", "layer-norms", "got 'last-blocks:0'"]),
        ("train.pseudo_fakes", {"share": 0.1, "kinds": []}, ["train.pseudo_fakes", "kinds is empty"]),
        ("train.pseudo_fakes.share", 0.1, ["less than one picture"]),  # the tests use batches of 8
    ],
)
def test_an_error_names_place_fault_and_choices(key: str, value: object, words: list[str]) -> None:
    with pytest.raises(ParamsError) as caught:
        parse_params(Params, tiny_params(**{key: value}), origin="params.yaml")
    for word in ["params.yaml", *words]:
        assert word in str(caught.value)


def test_a_missing_key_is_named() -> None:
    content = tiny_params()
    del content["evaluate"]["target_fpr"]
    with pytest.raises(ParamsError, match=r"evaluate\.target_fpr is missing"):
        parse_params(Params, content, origin="params.yaml")


@pytest.mark.parametrize("text", ["- a\n- b\n", "base: [unclosed", ""])
def test_a_file_that_is_no_mapping_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(text)
    with pytest.raises(ParamsError, match=r"params\.yaml"):
        load_params(Params, path)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"base: {seed: \xff}", "not in UTF-8"),
        (b"a: 2020-13-41", "not valid YAML"),
        (b"[" * 5000, "not valid YAML"),
    ],
)
def test_a_file_that_can_not_be_read_is_refused(tmp_path: Path, content: bytes, words: str) -> None:
    (tmp_path / "params.yaml").write_bytes(content)
    with pytest.raises(ParamsError, match=words):
        load_params(Params, tmp_path / "params.yaml")


def test_a_missing_file_says_where_to_run(tmp_path: Path) -> None:
    with pytest.raises(ParamsError, match="repository root"):
        load_params(Params, tmp_path / "params.yaml")


def test_flatten_keeps_every_leaf() -> None:
    flat = flatten(parse_params(Params, tiny_params(), origin="x").to_json())
    assert flat["train.phase1.epochs"] == 2
    assert flat["register.name"] == "deepfake-detector"
    assert not any(isinstance(value, dict) for value in flat.values())


def test_every_experiment_file_fits_and_has_a_header() -> None:
    from deepfake.lab.experiment import flat_overrides

    files = sorted((REPO / "experiments").glob("*.yaml"))
    assert files
    for file in files:
        overrides = dict(flat_overrides(yaml.safe_load(file.read_text())))
        content = yaml.safe_load((REPO / "params.yaml").read_text())
        for key, value in overrides.items():
            *parents, last = key.split(".")
            section = content
            for parent in parents:
                section = section[parent]
            section[last] = value
        parse_params(Params, content, origin=file.name)
        assert file.read_text().startswith("# "), f"{file.name}: the header says what it reached"


def test_dataclasses_of_the_contract_are_frozen() -> None:
    from deepfake.evaluate.calibration import Calibration
    from deepfake.networks.detector import Architecture

    for kind in (Calibration, Architecture):
        assert dataclasses.is_dataclass(kind) and kind.__dataclass_params__.frozen  # type: ignore[attr-defined]


def test_what_dvc_writes_is_what_we_read() -> None:
    """DVC's experiments write params.yaml as YAML 1.2; the project reads it as YAML 1.1."""
    text, written = (REPO / "params.yaml").read_text(), io.StringIO()
    yaml12 = YAML()
    yaml12.dump(yaml12.load(text), written)
    assert yaml.safe_load(written.getvalue()) == yaml.safe_load(text)


@pytest.mark.parametrize(
    ("key", "value"), [("branches", []), ("branches", ["rgb", "rgb"]), ("residuals", ["fft"])]
)
def test_branches_and_residuals_are_checked(key: str, value: list[str]) -> None:
    with pytest.raises(ParamsError, match=f"train.{key}"):
        parse_params(Params, tiny_params(**{f"train.{key}": value}), origin="p")
