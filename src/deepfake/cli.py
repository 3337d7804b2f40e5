"""The command line: judge, report, register, promote, fetch weights, run experiments and studies."""

from __future__ import annotations

import argparse
import io
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from deepfake.base.errors import DeepfakeError
from deepfake.base.stage import run_stage
from deepfake.monitor.options import DRIFTED, add_monitor
from deepfake.rest.options import add_serve, add_serve_key, limits_of
from deepfake.serve.options import INTERRUPTED, PIPE_CLOSED, UNSCORED, add_predict

# Each command imports what it needs: `--help` answers at once.
if TYPE_CHECKING:
    from deepfake.params.whole import Params

_NO_REASON = "no reason given"
_CHANGES = "other changes of parameters, such as train.batch_size=16"


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry point of the `deepfake` command."""
    options = _parser().parse_args(arguments)
    # As in dvc.yaml. TensorFlow reads them when it is imported, which the commands below do.
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a name that the terminal can't show is escaped
            stream.reconfigure(errors="backslashreplace")
    try:
        run_stage(lambda: options.run(options))
        sys.stdout.flush()
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        sys.exit(INTERRUPTED)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # Python flushes once more at its end
        sys.exit(PIPE_CLOSED)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="deepfake",
        description="Is the face in a picture real or fake? Judge pictures; train and promote detectors.",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    add_predict(commands).set_defaults(run=_predict)

    add_serve(commands).set_defaults(run=_serve)
    add_serve_key(commands).set_defaults(run=_serve_key)
    add_monitor(commands).set_defaults(run=_monitor)

    doctor = commands.add_parser("doctor", help="find what is wrong on this machine, and what mends it")
    doctor.set_defaults(run=_doctor)

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

    register = commands.add_parser("register", help="register the model of this working tree (again)")
    register.set_defaults(run=_register)

    promote = commands.add_parser("promote", help="put a version in production, if all gates pass")
    promote.add_argument("version", help="its number")
    promote.add_argument("--force", action="store_true", help="go past gates that fail; needs --why")
    rollback = commands.add_parser("rollback", help="put the previous production version back")
    for command, run in ((promote, _promote), (rollback, _rollback)):
        command.add_argument("--why", default="", help="reason, for the version and the history")
        command.set_defaults(run=run)

    history = commands.add_parser(
        "history", help="list promotions and rollbacks: who, when, why, which gates"
    )
    history.set_defaults(run=_history)

    ui = commands.add_parser("ui", help="start MLflow's UI: runs and models")
    ui.add_argument("--port", type=int, default=5000, help="(5000)")
    ui.set_defaults(run=_ui)

    weights = commands.add_parser(
        "weights", help="fetch the weights of the CLIP tower before their first use"
    )
    weights.set_defaults(run=_weights)

    starter = commands.add_parser(
        "starter", help="write models/starter from the model of this working tree"
    )
    starter.set_defaults(run=_starter)

    verify = commands.add_parser(
        "verify", help="build again in a second folder, and compare every output with dvc.lock"
    )
    verify.set_defaults(run=_verify)

    key = commands.add_parser("key", help="make a key that signs models; its .pub file goes into keys/")
    key.add_argument("file", type=Path, help="new file for the private key; keep it out of the repository")
    key.set_defaults(run=_key)
    sign = commands.add_parser("sign", help="sign a model's folder, such as models/starter")
    sign.add_argument("folder", type=Path, help="folder of the model")
    sign.add_argument("--key", type=Path, required=True, metavar="FILE", help="file of the private key")
    sign.set_defaults(run=_sign)

    experiment = commands.add_parser(
        "experiment", help="run the pipeline with a file of changed parameters"
    )
    experiment.add_argument("name", help="file name in experiments/, without .yaml")
    experiment.add_argument("overrides", nargs="*", metavar="KEY=VALUE", help=_CHANGES)
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
    study.add_argument("name", help="file name in experiments/studies/, without .yaml")
    study.add_argument("overrides", nargs="*", metavar="KEY=VALUE", help=_CHANGES)
    study.set_defaults(run=_study)
    return parser


def _predict(options: argparse.Namespace) -> None:
    from deepfake.serve.command import Request, predict
    from deepfake.serve.models import load_model

    request = Request(options.paths, options.output, options.assume_face, options.workers, options.frames)
    if predict(request, lambda: load_model(options.model)):
        sys.exit(UNSCORED)


def _serve(options: argparse.Namespace) -> None:
    from deepfake.rest.server import Place, serve

    place = Place(options.host, options.port, options.keys, options.model, options.record, options.jobs)
    serve(place, limits_of(options), options.poll)


def _monitor(options: argparse.Namespace) -> None:
    from deepfake.monitor.command import Look, monitor

    look = Look(
        options.records, options.out, options.days, options.reference, options.manifest, options.truth
    )
    if monitor(look):
        sys.exit(DRIFTED)


def _serve_key(options: argparse.Namespace) -> None:
    from deepfake.rest.keys import make_key

    print(make_key(options.keys, options.name))
    print(f"it is shown only now; {options.keys} holds its hash: serve with --keys", file=sys.stderr)


def _doctor(options: argparse.Namespace) -> None:
    from deepfake.serve.doctor import report

    if not report():
        sys.exit(1)


def _report(options: argparse.Namespace) -> None:
    from deepfake.report.recompute import recompute

    table = recompute(options.predictions, options.out, options.threshold)
    for name in table["detectors"]:
        auc = table["test"][name]["auc"]
        print(f"{name}: AUC {auc['value']:.3f} [{auc['low']:.3f}, {auc['high']:.3f}]")
    print(f"see {options.out / 'report.html'}")


def _register(options: argparse.Namespace) -> None:
    from deepfake.base.parameters import load_params
    from deepfake.registry.promotion import require_sound_production
    from deepfake.registry.release import ReleaseParams, release

    result = release(load_params(ReleaseParams))
    print(f"version {result.version}; in production: {result.in_production}")
    for name, check in result.checks.items():
        print(f"gate {name}: {check.verdict}: {check.figure}; required: {check.limit}")
    require_sound_production(_params().register_.name)


def _promote(options: argparse.Namespace) -> None:
    from deepfake.registry.promotion import promote

    if options.force and not options.why:
        raise DeepfakeError('to go past the gates needs a reason: make promote VERSION=n FORCE=1 WHY="..."')
    done = promote(_params().register_, options.version, options.why or _NO_REASON, force=options.force)
    if not done.changed:
        print(f"version {done.version} is in production already: nothing changed")
        return
    print(f"version {done.version} is in production; before: {done.replaced or 'none'}; gates: {done.page}")


def _rollback(options: argparse.Namespace) -> None:
    from deepfake.registry.promotion import rollback

    move = rollback(_params().register_.name, options.why or _NO_REASON)
    print(f"version {move.version} is in production; before: {move.replaced}")


def _history(options: argparse.Namespace) -> None:
    from deepfake.base.text import visible
    from deepfake.registry.journal import history, settle

    name = _params().register_.name
    settle(name)
    for move in history(name):
        print(visible(str(move)))


def _ui(options: argparse.Namespace) -> None:
    from deepfake.registry.tracking.store import serve_ui

    serve_ui(options.port)


def _weights(options: argparse.Namespace) -> None:
    from deepfake.pretrained.clip_weights import tower_graph

    print(tower_graph())


def _starter(options: argparse.Namespace) -> None:
    from deepfake.base.parameters import load_params, read_params
    from deepfake.bundle.shipping import write_starter
    from deepfake.bundle.starter import starter_folder
    from deepfake.registry.release import MODELS, RAW, REPORTS, ReleaseParams
    from deepfake.registry.starter import register_starter

    params = load_params(ReleaseParams)
    write_starter(starter_folder(), params, read_params(), RAW, MODELS, REPORTS)
    version = register_starter(params.register_.name).version
    print(f"{starter_folder()}: registered as version {version}; commit the folder")


def _key(options: argparse.Namespace) -> None:
    from deepfake.bundle.signature import make_key

    public = make_key(options.file)
    print(f"{options.file}: keep it secret; copy {public} into keys/ where its signatures are trusted")


def _sign(options: argparse.Namespace) -> None:
    from deepfake.bundle.bundle import read_bundle
    from deepfake.bundle.signature import check_signature, sign

    place = sign(options.folder, options.key)
    read_bundle(options.folder)
    signer = check_signature(options.folder)
    print(f"{place}: " + (f"signed by {signer}" if signer else "signed; keys/ has no key to check it with"))


def _verify(options: argparse.Namespace) -> None:
    from deepfake.base.places import root
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
    from deepfake.base.runtime import configure
    from deepfake.lab.experiment import read_changes, read_sections, run_experiment
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
    runtime, out = configure(_params().base), Path("reports/study") / options.name
    folders = StudyFolders(Path("data/faces"), Path("data/embeddings"), Path(".resume/study"), out)
    setup = StudySetup(options.name, content, runtime, folders)
    lines = run_head_study(study, setup) if isinstance(study, HeadStudy) else run_study(study, setup)
    pages = sorted(path for path in out.iterdir() if path.suffix in (".html", ".md", ".png", ".json"))
    show_result(parent_run("study", options.name, content), {}, pages)
    print("\n".join([*lines, f"see {out / 'study.html'}"]))


def _params() -> Params:
    from deepfake.base.parameters import load_params
    from deepfake.params.whole import Params

    return load_params(Params)


def _file(folder: Path, name: str) -> Path:
    file = folder / f"{name}.yaml"
    if not file.is_file():
        known = ", ".join(sorted(path.stem for path in folder.glob("*.yaml"))) or "none"
        raise DeepfakeError(f"no file {file}; there are: {known}")
    return file


if __name__ == "__main__":
    main()
