"""One gate: what was observed, what it must keep, and what it is judged by."""

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
    """What one gate found.

    Attributes:
        verdict: `missing` where there is nothing to judge by; it stops a promotion like `failed`.
        figure: what was observed; for `missing`, what is not there.
        limit: what it must keep.
    """

    verdict: Outcome
    figure: float | str
    limit: str

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


Checks = dict[str, Check]


class NothingToJudge(Exception):
    """A gate can't be asked; the text says what is missing."""


@dataclass(frozen=True)
class Evidence:
    """What the stages wrote of a model: `reports/`, or the files of its run, which lie alike.

    Attributes:
        folder: holds `validate/verdict.json` and so on; the starter's files all lie in `starter/`.
    """

    folder: Path

    def file(self, name: str) -> Path:
        """Where a file is.

        Raises:
            NothingToJudge: it is not there.
        """
        for path in (self.folder / name, self.folder / "starter" / Path(name).name):
            if path.is_file():
                return path
        raise NothingToJudge(f"no file {name}")

    def json(self, name: str) -> Any:
        """The content of a JSON file.

        Raises:
            NothingToJudge: it is not there, or is no JSON.
        """
        path = self.file(name)
        try:
            return read_json(path)
        except ValueError as error:
            raise NothingToJudge(f"{name} is damaged") from error

    def predictions(self) -> Predictions:
        """The model's predictions.

        Raises:
            NothingToJudge: they are not there.
        """
        return read_predictions(self.file("evaluate/predictions.parquet"))


def ask(question: Callable[..., tuple[bool, float | str]], *given: Any, limit: str) -> Check:
    """The check of a gate whose question gives (passed, figure), or can't be answered."""
    try:
        passed, figure = question(*given)
    except NothingToJudge as error:
        return Check(MISSING, str(error), limit)
    return Check(PASSED if passed else FAILED, figure, limit)


def stopped(checks: Mapping[str, Check]) -> list[str]:
    """Names of the gates that stop a promotion: failed and missing ones."""
    return [name for name, check in checks.items() if check.verdict != PASSED]
