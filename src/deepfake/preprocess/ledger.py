"""The ledger of splits: where each picture went first, so that later versions of the data leave it there.

A group's split is drawn by its name, and its name is the smallest in it: one more near-duplicate can rename
a group, and its old test pictures would be drawn anew, some of them into training. So the split of every
picture is written down once, in a file that git keeps, and carried forward from version to version.

The most held-out split of a group's pictures wins (train < val < test):

* pictures that were test stay test, and whoever joins their group follows;
* where groups of train and of test grow together, all of it is test. An old test picture never comes into
  training; old training pictures leave it, and flatter only models that were trained before.

A picture that is removed keeps its line, and finds its split again if it comes back. Another seed or other
shares deal everything anew, since that is what they are for: the ledger then starts again.
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
    """The first digits of each image_id -> its split; empty where there is no file, or one of another deal.

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
            "it all splits are drawn anew, and old test pictures may come into training"
        )
    if first != _deal(seed, split):
        print(f"{path} starts again: it is of another seed or other shares ({first.removeprefix('# ')})")
        return {}
    return {row[0]: row[1] for row in rows}


def carry_forward(
    manifest: pd.DataFrame, ledger: Mapping[str, str], seed: int, split: Split
) -> dict[str, str]:
    """The ledger with every usable picture of the manifest.

    Args:
        manifest: from ingest.
        ledger: of the version before.

    Raises:
        SourceError: a given split does not exist.
    """
    kept = usable(manifest)
    plain = split.model_copy(update={"holdout": Holdout()})
    found = assign_splits(manifest, seed, plain, ledger)[kept.index]
    return {**ledger, **dict(zip(kept["image_id"].str[:DIGITS], found, strict=True))}


def moves(before: Mapping[str, str], after: Mapping[str, str]) -> dict[str, int]:
    """How many pictures of the version before are in another split now, by `from_to`."""
    ways = pd.Series([f"{split}_to_{after[key]}" for key, split in before.items() if after[key] != split])
    return {str(way): int(number) for way, number in sorted(ways.value_counts().items())}


def write_ledger(path: Path, ledger: Mapping[str, str], seed: int, split: Split) -> None:
    """Write the ledger, sorted, so that equal content gives equal bytes."""
    lines = [_deal(seed, split), *(f"{key},{ledger[key]}" for key in sorted(ledger))]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _deal(seed: int, split: Split) -> str:
    """What splits of new groups are drawn with; the first line of the file."""
    return f"# seed {seed}, train {split.train:g}, val {split.val:g}, test {split.test:g}"
