"""Sweeps: Optuna searches parameters of `train`. Trials use the train function of the stage train.

Each trial is one MLflow run.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import keras
import optuna
import yaml
from optuna.trial import TrialState
from pydantic import Field, TypeAdapter, ValidationError, model_validator

from deepfake.base.errors import DeepfakeError, ParamsError
from deepfake.base.parameters import Section, parse_params
from deepfake.base.runtime import Runtime, configure
from deepfake.base.stage import root
from deepfake.lab.experiment import read_sections, with_changes
from deepfake.params.whole import Params
from deepfake.registry.tracking.runs import nested_run, parent_run, show_result
from deepfake.train.callbacks import SELECT_AUC, monitored, summarise
from deepfake.train.fit import resume_key, train

FACES = Path("data/faces")


class Range(Section):
    """Numbers from `low` to `high`; integers if both are integers."""

    low: int | float
    high: int | float
    log: bool = False

    @model_validator(mode="after")
    def _in_order(self) -> Range:
        if self.low >= self.high or (self.log and self.low <= 0):
            raise ValueError("low must be below high, and above 0 if log")
        return self

    def suggest(self, trial: optuna.Trial, key: str) -> int | float:
        if isinstance(self.low, int) and isinstance(self.high, int):
            return trial.suggest_int(key, self.low, self.high, log=self.log)
        return trial.suggest_float(key, self.low, self.high, log=self.log)


class Choices(Section):
    """One of the values `choices`."""

    choices: Annotated[tuple[bool | int | float | str | None, ...], Field(min_length=2)]

    def suggest(self, trial: optuna.Trial, key: str) -> Any:
        return trial.suggest_categorical(key, self.choices)


Space = dict[str, Range | Choices]


def run_sweep(file: Path, trials: int) -> Path:
    """Run trials of a sweep until `trials` are finished, and write the best one as an experiment.

    Only validation judges a trial: its score is the figure that chooses its best epoch. Trials are kept in
    `mlruns/optuna.db`. The same command continues a killed sweep, also in the middle of a trial. A larger
    `trials` extends a finished sweep.

    Args:
        file: YAML, key of `train` -> {low, high, log} or {choices}. The file's name is the sweep's name.
        trials: number of finished trials at the end, with those of earlier calls.

    Returns:
        The experiment file.

    Raises:
        ParamsError: the space does not fit the parameters.
        DeepfakeError: there are no face shards, or three trials in a row failed.
    """
    content = yaml.safe_load(Path("params.yaml").read_text(encoding="utf-8"))
    params, space = parse_params(Params, content, origin="params.yaml"), read_space(file)
    if not (FACES / "manifest.parquet").is_file():
        raise DeepfakeError("a sweep trains on data/faces, which does not exist: run make repro first")
    runtime = configure(params.base)
    study = _open_study(file.stem, params)
    while len(_finished(study)) < trials:
        # A new seed for each trial: a continued sweep must not suggest its first values again.
        study.sampler = optuna.samplers.TPESampler(seed=params.base.seed + len(study.trials))
        trial = study.ask()
        chosen = {key: values.suggest(trial, key) for key, values in space.items()}
        try:
            study.tell(trial, _score(file.stem, trial.number, content, chosen, runtime))
        except DeepfakeError as error:  # a batch may be too large, for example: the next trial may work
            study.tell(trial, state=TrialState.FAIL)
            print(f"trial {trial.number} failed: {error}")
            if all(one.state == TrialState.FAIL for one in study.trials[-3:]) and trial.number >= 2:
                raise
    return _write_winner(file, study, params)


def read_space(file: Path) -> Space:
    """The space of a sweep file.

    Raises:
        ParamsError: a key does not belong to `train`, or its value has neither form.
    """
    content = read_sections(file)
    outside = [key for key in content if not str(key).startswith("train.")]
    if outside:
        raise ParamsError(f"{file}: {outside[0]} is no key of train; a sweep can't change the data")
    try:
        return TypeAdapter(Space).validate_python(content)
    except ValidationError as error:
        first = error.errors()[0]
        raise ParamsError(
            f"{file}: {first['loc'][0]}: {first['msg']}; give {{low, high, log}} or {{choices}}"
        ) from error


def _open_study(name: str, params: Params) -> optuna.Study:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    folder = root() / "mlruns"
    folder.mkdir(exist_ok=True)
    _, mode = _monitor(params)
    study = optuna.create_study(
        storage=f"sqlite:///{folder / 'optuna.db'}", study_name=name, load_if_exists=True,
        direction="minimize" if mode == "min" else "maximize",
    )  # fmt: skip
    for trial in study.get_trials(states=(TrialState.RUNNING,)):  # killed: try its values again
        study.tell(trial.number, state=TrialState.FAIL)
        study.enqueue_trial(trial.params)
    return study


def _monitor(params: Params) -> tuple[str, str]:
    return monitored([SELECT_AUC] if params.train.select_holdout else [])


def _finished(study: optuna.Study) -> list[optuna.trial.FrozenTrial]:
    return study.get_trials(states=(TrialState.COMPLETE,))


def _score(
    name: str, number: int, content: dict[str, Any], chosen: Mapping[str, Any], runtime: Runtime
) -> float:
    """Train with the chosen values, in a run nested in the sweep's run; returns the score."""
    params = parse_params(Params, with_changes(content, chosen), origin=f"sweep {name}")
    keras.backend.clear_session()  # free the model of the last trial
    key = resume_key(params, FACES)
    workspace = Path(".resume") / f"sweep-{key}"
    parent = parent_run("sweep", name, params.to_json())
    with nested_run(parent, f"{name}-{number}", f"sweep-{name}-{key}", params.to_json(), runtime) as run:
        _, _, history = train(params, runtime, FACES, workspace, [run.live_curves])
        score = float(summarise(history)[f"best_{_monitor(params)[0]}"])
        run.client.log_metric(run.run_id, "sweep/objective", score)
    shutil.rmtree(workspace)
    print(f"trial {number}: {_monitor(params)[0]} {score:.4f} with {dict(chosen)}")
    return score


def _write_winner(file: Path, study: optuna.Study, params: Params) -> Path:
    best, done = study.best_trial, len(_finished(study))
    content = with_changes({}, best.params)
    header = (
        f"# Winner of the sweep {file.name}: trial {best.number}, the best of {done} finished ones.\n"
        f"# Run:  make experiment NAME=sweep-{file.stem}\n"
        f"# Reached: {_monitor(params)[0]} {best.value:.4f} on validation. The best of several trials\n"
        "#       looks better than it is: judge it by its figures on the test split.\n"
        f"# Found by: deepfake sweep {file.stem} --trials {done}\n\n"
    )
    target = Path("experiments") / f"sweep-{file.stem}.yaml"
    target.write_text(header + yaml.safe_dump(content, sort_keys=True), encoding="utf-8")
    parent = parent_run("sweep", file.stem, params.to_json())
    show_result(parent, {"sweep/objective": float(best.values[0]), "sweep/trials": done}, [target])
    return target
