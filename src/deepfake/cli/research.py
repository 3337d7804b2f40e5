"""The commands that compute again: `report`, `verify`, `experiment`, `sweep` and `study`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from deepfake.base.errors import DeepfakeError

_CHANGES = "other changes of parameters, such as train.batch_size=16"


def add_commands(commands: Any) -> None:
    """Add them to the subparsers of the command line."""
    _add_report(commands)
    verify = commands.add_parser(
        "verify", help="build again in a second folder, and compare every output with dvc.lock"
    )
    verify.set_defaults(run=_verify)

    experiment = commands.add_parser(
        "experiment", help="run the pipeline with a file of changed parameters"
    )
    _add_file(experiment, "experiments/")
    experiment.set_defaults(run=_experiment)

    sweep = commands.add_parser(
        "sweep", help="search parameters with Optuna; the best become an experiment"
    )
    sweep.add_argument("name", help="file name in experiments/sweeps/, without .yaml")
    sweep.add_argument("--trials", type=int, default=20, help="finished trials at the end (20)")
    sweep.set_defaults(run=_sweep)

    study = commands.add_parser(
        "study", help="hold out each generator in turn, for every variant in a study file"
    )
    _add_file(study, "experiments/studies/")
    study.set_defaults(run=_study)


def _add_file(command: argparse.ArgumentParser, folder: str) -> None:
    """A file of changed parameters, and other changes beside it."""
    command.add_argument("name", help=f"file name in {folder}, without .yaml")
    command.add_argument("overrides", nargs="*", metavar="KEY=VALUE", help=_CHANGES)


def _add_report(commands: Any) -> None:
    report = commands.add_parser("report", help="compute figures and their page from a file of scores")
    report.add_argument(
        "--predictions", type=Path, required=True, metavar="FILE",
        help="predictions.parquet, or CSV or Parquet of any detector: path, label (0 or real, 1 or fake), "
        "score (higher: more fake); optional source, generator, group, split (train, val, test, holdout)",
    )  # fmt: skip
    report.add_argument(
        "--out", type=Path, default=Path("reports/scores"), metavar="FOLDER", help="(reports/scores)"
    )
    report.add_argument(
        "--threshold", type=float, help="of another detector: a score at or above it is called fake"
    )
    report.set_defaults(run=_report)


def _report(options: argparse.Namespace) -> None:
    from deepfake.report.recompute import recompute

    table = recompute(options.predictions, options.out, options.threshold)
    for name in table["detectors"]:
        auc = table["test"][name]["auc"]
        print(f"{name}: AUC {auc['value']:.3f} [{auc['low']:.3f}, {auc['high']:.3f}]")
    print(f"see {options.out / 'report.html'}")


def _verify(options: argparse.Namespace) -> None:
    from deepfake.base.stage import root
    from deepfake.lab.verify import verify

    print("\n".join(verify(root())))


def _experiment(options: argparse.Namespace) -> None:
    from deepfake.lab.experiment import read_changes, read_sections, run_experiment

    sections = read_sections(_file(Path("experiments"), options.name))
    run_experiment(options.name, read_changes(sections, options.overrides))


def _sweep(options: argparse.Namespace) -> None:
    from deepfake.lab.sweep import run_sweep

    print(f"winner: {run_sweep(_file(Path('experiments/sweeps'), options.name), options.trials)}")


def _study(options: argparse.Namespace) -> None:
    from deepfake.base.parameters import load_params
    from deepfake.base.runtime import configure
    from deepfake.lab.experiment import read_changes, read_sections, run_experiment
    from deepfake.params.whole import Params
    from deepfake.registry.tracking.runs import parent_run, show_result
    from deepfake.study.head_run import run_head_study
    from deepfake.study.run import parse_study, run_study
    from deepfake.study.settings import HeadStudy
    from deepfake.study.setup import StudyFolders, StudySetup

    file = _file(Path("experiments/studies"), options.name)
    study = parse_study(read_sections(file), origin=str(file))
    last = "embed" if isinstance(study, HeadStudy) else "preprocess"
    run_experiment(f"study-{options.name}", read_changes(study.data, options.overrides), last)
    content = read_sections(Path("params.yaml"))  # as DVC has just changed it
    runtime, out = configure(load_params(Params).base), Path("reports/study") / options.name
    folders = StudyFolders(Path("data/faces"), Path("data/embeddings"), Path(".resume/study"), out)
    setup = StudySetup(options.name, content, runtime, folders)
    lines = run_head_study(study, setup) if isinstance(study, HeadStudy) else run_study(study, setup)
    pages = sorted(path for path in out.iterdir() if path.suffix in (".html", ".md", ".png", ".json"))
    show_result(parent_run("study", options.name, content), {}, pages)
    print("\n".join([*lines, f"see {out / 'study.html'}"]))


def _file(folder: Path, name: str) -> Path:
    file = folder / f"{name}.yaml"
    if not file.is_file():
        known = ", ".join(sorted(path.stem for path in folder.glob("*.yaml"))) or "none"
        raise DeepfakeError(f"no file {file}; there are: {known}")
    return file
