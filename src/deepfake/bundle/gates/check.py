"""One gate: its result, its limit, the files that it reads, and results in words."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from deepfake.base.stage import read_json
from deepfake.evaluate.predictions import Predictions, read_predictions

Outcome = Literal["passed", "failed", "missing"]
PASSED: Outcome = "passed"
FAILED: Outcome = "failed"
MISSING: Outcome = "missing"


@dataclass(frozen=True)
class Check:
    """The result of one gate.

    Attributes:
        verdict: `missing` if a file or figure is not there; this stops a promotion like `failed`.
        figure: what was measured; for `missing`, what is not there.
        limit: what the figure must keep.
    """

    verdict: Outcome
    figure: float | str
    limit: str

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


Checks = dict[str, Check]


class NothingToJudge(Exception):
    """A gate has no result; the text says what is missing."""


@dataclass(frozen=True)
class Evidence:
    """The stages' reports about a model: `reports/`, or the files of its run in MLflow.

    Attributes:
        folder: has `validate/verdict.json` and so on. The files of the starter are all in `starter/`.
    """

    folder: Path

    def file(self, name: str) -> Path:
        """The path of a file.

        Raises:
            NothingToJudge: the file does not exist.
        """
        for path in (self.folder / name, self.folder / "starter" / Path(name).name):
            if path.is_file():
                return path
        raise NothingToJudge(f"no file {name}")

    def json(self, name: str) -> Any:
        """The content of a JSON file.

        Raises:
            NothingToJudge: the file does not exist, or it is not JSON.
        """
        path = self.file(name)
        try:
            return read_json(path)
        except ValueError as error:
            raise NothingToJudge(f"{name} is damaged") from error

    def predictions(self) -> Predictions:
        """The model's predictions.

        Raises:
            NothingToJudge: they do not exist.
        """
        return read_predictions(self.file("evaluate/predictions.parquet"))


def ask(question: Callable[..., tuple[bool, float | str]], *given: Any, limit: str) -> Check:
    """The check of a gate. `question` returns (passed, figure), or raises `NothingToJudge`."""
    try:
        passed, figure = question(*given)
    except NothingToJudge as error:
        return Check(MISSING, str(error), limit)
    return Check(PASSED if passed else FAILED, figure, limit)


def stopped(checks: Mapping[str, Check]) -> list[str]:
    """Names of the gates that stop a promotion, because they failed or have no result."""
    return [name for name, check in checks.items() if check.verdict != PASSED]


def markdown(checks: Mapping[str, Check]) -> str:
    """The table, one row per gate."""
    rows = [f"| {name} | {c.figure} | {c.limit} | {c.verdict} |" for name, c in checks.items()]
    return "\n".join(["| gate | figure | limit | verdict |", "| --- | --- | --- | --- |", *rows, ""])


def summary(checks: Mapping[str, Check]) -> str:
    """One sentence for tags and history."""
    no = stopped(checks)
    said = f"{len(checks) - len(no)} of {len(checks)} gates passed"
    return said if not no else f"{said}; not {', '.join(no)}"


def refusal(checks: Mapping[str, Check]) -> str:
    """The gates that did not pass, with their results, as text."""
    return "; ".join(f"{name} ({one_line(checks[name])})" for name in stopped(checks))


def one_line(check: Check) -> str:
    """A result without the name of its gate."""
    return f"{check.verdict}: {check.figure}; required: {check.limit}"
