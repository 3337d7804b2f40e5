"""The pipeline as a user runs it: twice, killed, in another folder, with another parameter."""

from __future__ import annotations

import base64
import csv
import json
import shutil
import sys
from pathlib import Path

import pandas as pd
import pytest
import yaml
from helpers import outputs, run

TOLERANCE = 1e-5


@pytest.fixture
def copy(trained: Path, tmp_path: Path) -> Path:
    """A copy of the trained clone that a test may change, with its caches and registry."""
    shutil.copytree(trained, tmp_path / "copy", symlinks=True)
    return tmp_path / "copy"


def test_the_first_model_is_in_production(trained: Path) -> None:
    gates = json.loads((trained / "reports/register/gates.json").read_text())
    assert {name for name, gate in gates.items() if gate["verdict"] != "passed"} == set()
    done = run(["deepfake", "promote", "99"], trained, check=False)
    assert done.returncode == 1 and "choose one of [1]" in done.stderr


def test_a_second_repro_runs_nothing(trained: Path) -> None:
    before = (trained / "dvc.lock").read_text()
    # Python's cache files in a folder of code do not count as a change.
    leavings = trained / "src/deepfake/params/__pycache__/leavings.pyc"
    leavings.parent.mkdir(exist_ok=True)
    leavings.touch()
    done = run(["dvc", "repro"], trained)
    leavings.unlink()
    assert "Data and pipelines are up to date" in done.stdout
    assert "Running stage" not in done.stdout
    assert (trained / "dvc.lock").read_text() == before


def test_every_file_that_a_stage_writes_is_declared(trained: Path) -> None:
    """Others stay behind at `dvc push`, and a second machine would make the report again without them."""
    declared = [trained / path for path in outputs(trained)]
    left_over = [
        str(file.relative_to(trained))
        for file in (trained / "reports").rglob("*")
        if file.is_file() and file.name != ".gitignore" and not file.match("register/version-*")
        if not any(file == out or out in file.parents for out in declared)
    ]
    assert left_over == []


def test_metrics_plots_and_graph_are_there(trained: Path) -> None:
    shown = json.loads(run(["dvc", "metrics", "show", "--json"], trained).stdout)
    data = shown[""]["data"]["reports/evaluate/metrics.json"]["data"]
    assert 0.0 <= data["test"]["model"]["auc"]["low"] <= data["test"]["model"]["auc"]["high"] <= 1.0
    assert "ingest" in run(["dvc", "dag"], trained).stdout
    run(["dvc", "plots", "show", "--out", "build/plots"], trained)
    page = (trained / "build/plots/index.html").read_text()
    for name in ("roc", "confusion", "loss", "reliability"):
        assert name in page
    shutil.rmtree(trained / "build")


def test_an_emptied_registry_is_filled_again_from_files(copy: Path) -> None:
    shutil.rmtree(copy / "mlruns")
    done = run(["deepfake", "register"], copy)
    assert "version 1; in production: True" in done.stdout


def test_an_unknown_experiment_names_the_known(trained: Path) -> None:
    done = run(["deepfake", "experiment", "nope"], trained, check=False)
    assert done.returncode == 1 and "there are: " in done.stderr and "faces" in done.stderr


@pytest.fixture(scope="module")
def pictures(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the original bytes of four test pictures, named by image_id, and a broken file."""
    code = (
        "import sys; from pathlib import Path\n"
        "from deepfake.shards.shards import read_examples, shard_paths\n"
        "for shard in shard_paths(Path('data/raw')):\n"
        "    for r in read_examples(shard):\n"
        "        Path(sys.argv[1], r['image_id'] + '.jpg').write_bytes(r['image'])\n"
    )
    everything = tmp_path_factory.mktemp("all")
    run([sys.executable, "-c", code, str(everything)], trained)
    predictions = pd.read_parquet(trained / "reports/evaluate/predictions.parquet")
    wanted = predictions.loc[predictions["split"] == "test", "image_id"].head(4)
    folder = tmp_path_factory.mktemp("pictures")
    for image_id in wanted:
        shutil.copy(everything / f"{image_id}.jpg", folder)
    (folder / "broken.png").write_text("not a picture")
    return folder


def expected_scores(trained: Path) -> dict[str, float]:
    predictions = pd.read_parquet(trained / "reports/evaluate/predictions.parquet")
    return dict(zip(predictions["image_id"], predictions["score"], strict=True))


def test_the_command_line_gives_the_pipelines_scores(trained: Path, pictures: Path, tmp_path: Path) -> None:
    output = tmp_path / "scores.csv"
    done = run(["deepfake", "predict", str(pictures), "--output", str(output)], trained, check=False)
    assert done.returncode == 3 and "1 of 5 files could not be scored" in done.stderr
    rows = list(csv.DictReader(output.read_text().splitlines()))
    assert list(rows[0]) == [
        "path", "face", "score", "verdict", "reason", "threshold",
        "box_left", "box_top", "box_side", "left_out", "model_version", "note",
    ]  # fmt: skip
    expected = expected_scores(trained)
    judged = {Path(row["path"]).stem: row for row in rows if row["score"]}
    assert len(judged) == 4
    for image_id, row in judged.items():
        assert abs(float(row["score"]) - expected[image_id]) < TOLERANCE
        assert row["verdict"] in ("real", "fake", "uncertain") and row["model_version"] == "1"
    (broken,) = [row for row in rows if row["path"].endswith("broken.png")]
    assert broken["verdict"] == "not_applicable" and "not_an_image" in broken["reason"]


def test_the_served_model_gives_the_pipelines_scores(trained: Path, pictures: Path) -> None:
    """The input is base64 in JSON. MLflow's scoring server parses it and uses the model's code paths."""
    expected = expected_scores(trained)
    files = sorted(pictures.glob("*.jpg"))
    body = {"dataframe_split": {
        "columns": ["image"],
        "data": [[base64.b64encode(f.read_bytes()).decode()] for f in [*files, pictures / "broken.png"]],
    }}  # fmt: skip
    code = (
        "import json, sys\n"
        "from deepfake.registry.tracking.store import connect; connect()\n"
        "import mlflow\n"
        "from mlflow.pyfunc.scoring_server import invocations, load_model\n"
        "model = load_model('models:/deepfake-detector@production')\n"
        "data = sys.stdin.read()\n"
        "answer = invocations(data, 'application/json', model, model.metadata.get_input_schema())\n"
        "print('ANSWER' + answer.response)\n"
    )
    done = run([sys.executable, "-W", "ignore", "-c", code], trained, input=json.dumps(body))
    rows = json.loads(done.stdout.split("ANSWER")[1])["predictions"]
    largest = {row["picture"]: row for row in rows if row["face"] == 0}
    for number, file in enumerate(files):
        assert abs(largest[number]["score"] - expected[file.stem]) < TOLERANCE
        assert largest[number]["box_side"] > 0
    assert rows[-1]["verdict"] == "not_applicable" and rows[-1]["score"] is None


def test_an_empty_registry_says_what_to_run(make_clone, pictures: Path) -> None:
    folder = make_clone("empty")
    done = run(["deepfake", "predict", str(pictures)], folder, check=False)
    assert done.returncode == 1
    assert "make repro" in done.stderr and "Traceback" not in done.stderr


def test_an_unknown_key_stops_its_stage_with_a_sentence(make_clone) -> None:
    folder = make_clone("typo")
    params = yaml.safe_load((folder / "params.yaml").read_text())
    params["train"]["batchsize"] = 4
    (folder / "params.yaml").write_text(yaml.safe_dump(params))
    done = run([sys.executable, "pipelines/train.py"], folder, check=False)
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert "unknown key train.batchsize (did you mean 'batch_size'?)" in done.stderr
