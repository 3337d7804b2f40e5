"""The ledger of splits: it records the first split of each picture, and later versions of the data keep it.

The hash of a group's name decides its split, and the name is the smallest one in the group. A new
near-duplicate can rename a group. Its old test pictures could then move into training. So a file in git
records the split of every picture, and each version of the data carries it forward.

If pictures of a group have different splits, the highest wins (train < val < test):

* Test pictures stay in test, and a picture that joins their group goes to test too.
* If a group of train and a group of test become one, all of it goes to test. So an old test picture never
  gets into training. Old training pictures may get into test: then only older models look too good.

A picture that is removed keeps its line, and gets the same split if it comes back. Another seed or other
shares start a new ledger.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from deepfake.base.errors import SourceError
from deepfake.params.preprocess import Holdout, Split
from deepfake.preprocess.splits import DIGITS, assign_splits
from deepfake.shards.manifest import SPLITS, usable

LEDGER = Path("data/splits.csv")


def read_ledger(path: Path, seed: int, split: Split) -> dict[str, str]:
    """First digits of each image_id -> split. Empty if there is no file, or one of other settings.

    Raises:
        SourceError: the file is damaged; the text says what to do.
    """
    if not path.exists():
        return {}
    first, *lines = path.read_text(encoding="utf-8").splitlines() or [""]
    rows = [line.split(",") for line in lines]
    good = all(len(row) == 2 and len(row[0]) == DIGITS and row[1] in SPLITS for row in rows)
    if not first.startswith("# ") or not good:
        raise SourceError(
            f"{path} is no ledger of splits: take the last good one (`git checkout -- {path}`); without "
            "it all splits are made again, and old test pictures may get into training"
        )
    if first != _deal(seed, split):
        print(f"{path} starts again: it was made with other settings ({first.removeprefix('# ')})")
        return {}
    return {row[0]: row[1] for row in rows}


def carry_forward(
    manifest: pd.DataFrame, ledger: Mapping[str, str], seed: int, split: Split
) -> dict[str, str]:
    """The old ledger, with the split of every usable picture of the manifest added or updated.

    Args:
        manifest: from ingest.
        ledger: of the version before.

    Raises:
        SourceError: a source gives a split that does not exist.
    """
    kept = usable(manifest)
    plain = split.model_copy(update={"holdout": Holdout()})
    found = assign_splits(manifest, seed, plain, ledger)[kept.index]
    return {**ledger, **dict(zip(kept["image_id"].str[:DIGITS], found, strict=True))}


def moves(before: Mapping[str, str], after: Mapping[str, str]) -> dict[str, int]:
    """How many old pictures are in another split now, by "<from>_to_<to>"."""
    ways = pd.Series([f"{split}_to_{after[key]}" for key, split in before.items() if after[key] != split])
    return {str(way): int(number) for way, number in sorted(ways.value_counts().items())}


def write_ledger(path: Path, ledger: Mapping[str, str], seed: int, split: Split) -> None:
    """Write the ledger, sorted, so that equal content gives equal bytes."""
    lines = [_deal(seed, split), *(f"{key},{ledger[key]}" for key in sorted(ledger))]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _deal(seed: int, split: Split) -> str:
    """The settings that decide the splits of new groups; the first line of the file."""
    return f"# seed {seed}, train {split.train:g}, val {split.val:g}, test {split.test:g}"
