"""A summary of a run over many pictures, in a few lines."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from deepfake.base.labels import Verdict
from deepfake.serve.batch import Row, rows_of_faces


class Summary:
    """Counts pictures, faces and verdicts.

    Attributes:
        files: number of pictures.
        unscored: number of pictures without a score.
    """

    def __init__(self) -> None:
        self.files = self.unscored = 0
        self._verdicts: Counter[str] = Counter()
        self._reasons: Counter[str] = Counter()

    def add(self, rows: list[Row]) -> None:
        """Count the rows of one picture."""
        self.files += 1
        faces = rows_of_faces(rows)
        self._verdicts.update(row["verdict"] for row in faces if row["score"] is not None)
        if rows[0]["score"] is None:
            self.unscored += 1
            self._reasons[rows[0]["reason"].partition(":")[0]] += 1

    def lines(self, passed: Mapping[str, int]) -> list[str]:
        """The lines for a reader; `passed` counts the skipped files of folders."""
        verdicts = ", ".join(
            f"{self._verdicts[v]} {v}" for v in (Verdict.FAKE, Verdict.REAL, Verdict.UNCERTAIN)
        )
        lines = [f"{many(self.files, 'file')}, {many(self._verdicts.total(), 'face')}: {verdicts}"]
        if self.unscored:
            reasons = ", ".join(f"{count} {reason}" for reason, count in sorted(self._reasons.items()))
            lines.append(
                f"{self.unscored} of {many(self.files, 'file')} could not be scored ({reasons}): "
                "see `reason`"
            )
        if passed:
            others = ", ".join(f"{count} {words}" for words, count in sorted(passed.items()))
            lines.append(f"skipped: {others}")
        return lines


def many(count: int, what: str) -> str:
    """A number with its noun: `1 picture`, `1,400 pictures`."""
    return f"{count:,} {what}{'s' * (count != 1)}"
