"""Stage report: the page of this model version, its model card and the data card."""

from pathlib import Path

from deepfake.base.parameters import Sections, load_params
from deepfake.base.stage import run_stage
from deepfake.evaluate.predictions import read_predictions
from deepfake.params.register import Register
from deepfake.params.report import Report
from deepfake.params.train import Train
from deepfake.report.outputs import Version, write_report


class Params(Sections):
    train: Train
    report: Report
    register_: Register


def main() -> None:
    params = load_params(Params)
    predictions = read_predictions(Path("reports/evaluate/predictions.parquet"))
    folders = Path("data/raw"), Path("data/faces"), Path("models"), Path("reports")
    version = Version(params.register_.name, params.train, *folders)
    write_report(version, predictions, params.report.failures, Path("reports/report"))


if __name__ == "__main__":
    run_stage(main)
