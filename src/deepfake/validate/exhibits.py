"""Pictures for the report: look-alikes, equal files and rejected ones; few, for data of any size."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import cv2
import numpy as np
import pandas as pd

from deepfake.base.labels import LABEL_NAMES
from deepfake.base.plots import data_uri
from deepfake.ingest.groups import join_groups
from deepfake.ingest.raw import RawData
from deepfake.ingest.thumbnails import SIDE, read_kept, read_rejected, shown
from deepfake.shards.manifest import usable

MAX_GROUPS = 12  # with MAX_MEMBERS and the sizes below, the page has about one megabyte
MAX_MEMBERS = 8
_MAX_EQUAL = 4
_LARGE = 160  # pixels: enough to see whether two faces are the same
_JPEG = [cv2.IMWRITE_JPEG_QUALITY, 85]
_EQUAL = ("label_conflict", "duplicate")


@dataclass(frozen=True)
class Exhibit:
    """One picture: its path, its class, and a data URI; without one, `detail` says what is known of it."""

    path: str
    label: str
    image: str | None
    detail: str


@dataclass(frozen=True)
class Group:
    """Pictures that belong together; `size` also counts those that are not shown."""

    title: str
    size: int
    members: tuple[Exhibit, ...]


@dataclass(frozen=True)
class Gallery:
    """Groups of one kind; `note` says how many there are and which are shown."""

    title: str
    note: str
    groups: tuple[Group, ...]


def raw_exhibits(raw: RawData) -> list[Gallery]:
    """Near-duplicates, equal files and rejected pictures from the output of ingest."""
    manifest = raw.manifest
    alike, alike_note = _look_alikes(manifest, raw.settings.near_duplicate_distance)
    equal, equal_note = _equal_files(manifest)
    rows = pd.concat([manifest.iloc[:0], *(rows for _, _, rows in alike + equal)])
    large = dict(read_rejected(raw.folder)) | dict(read_kept(rows["path"], raw, _LARGE))
    for _, _, members in equal:  # equal files share one thumbnail
        known = next((large[path] for path in members["path"] if path in large), None)
        if known is not None:
            large |= dict.fromkeys(members["path"], known)
    return [
        Gallery("Near-duplicates", alike_note, _groups(alike, large)),
        Gallery("Equal files", equal_note, _groups(equal, large)),
        quarantine_exhibits(manifest, raw),
    ]


def quarantine_exhibits(frame: pd.DataFrame, raw: RawData) -> Gallery:
    """Some rejected pictures for every reason.

    Args:
        frame: the raw manifest or the face manifest; its reasons are shown.
    """
    rows = shown(frame)
    pictures = dict(read_rejected(raw.folder)) | dict(read_kept(rows["path"], raw, SIDE))
    counts = frame["reject_reason"].value_counts()
    found = [(reason, int(counts[reason]), members) for reason, members in rows.groupby("reject_reason")]
    found.sort(key=lambda item: (-item[1], item[0]))
    note = f"{int(counts.sum()):,} of {len(frame):,} rows are rejected, each with its reason."
    return Gallery("Quarantine", note, _groups(found, pictures))


_Found = list[tuple[str, int, pd.DataFrame]]


def _look_alikes(manifest: pd.DataFrame, distance: int) -> tuple[_Found, str]:
    """Groups of usable pictures that look alike. Groups of both classes and undeclared ones come first."""
    rows = usable(manifest)
    rows = rows.assign(look=join_groups(rows.assign(declared_group=None), distance)["group"])
    table = rows.groupby("look").agg(
        size=("label", "size"),
        classes=("label", "nunique"),
        declared=("declared_group", "count"),
        names=("declared_group", "nunique"),
    )
    table = table[table["size"] > 1].reset_index()
    table["kin"] = (table["names"] == 1) & (table["declared"] == table["size"])
    order = ["classes", "kin", "size", "look"]
    table = table.sort_values(order, ascending=[False, True, False, True])
    found: _Found = []
    for group in table.head(MAX_GROUPS).itertuples():
        members = rows[rows["look"] == group.look].sort_values("path")
        turn = members.groupby("label").cumcount()  # so that both classes are shown
        members = members.assign(turn=turn).sort_values(["turn", "label"]).head(MAX_MEMBERS)
        kind = "Real and fake" if group.classes > 1 else "One class"
        kin = "declared as one group" if group.kin else "not declared as one group"
        found.append((f"{kind}, {kin}", int(group.size), members))
    mixed, stray = table["classes"] > 1, ~table["kin"]
    note = (
        f"{len(table):,} groups of pictures that look alike: at most {distance} of the 64 bits of their "
        f"perceptual hashes differ. {int(mixed.sum()):,} groups hold real and fake pictures; "
        f"{int((mixed & stray).sum()):,} of these are not declared as one group. All pictures of a group "
        "get the same split. Groups of both classes come first, then larger ones; "
        f"{min(len(table), MAX_GROUPS)} are shown."
    )
    return found, note


def _equal_files(manifest: pd.DataFrame) -> tuple[_Found, str]:
    """Files of equal bytes: those in both classes first, then the most frequent."""
    rejected = manifest[manifest["reject_reason"].isin(_EQUAL)]
    rows = manifest[manifest["image_id"].isin(rejected["image_id"])]
    table = rows.groupby("image_id").agg(size=("label", "size"), classes=("label", "nunique")).reset_index()
    table = table[table["size"] > 1]  # a size of 1: only the pixels are equal, not the files
    table = table.sort_values(["classes", "size", "image_id"], ascending=[False, False, True])
    found: _Found = []
    for group in table.head(MAX_GROUPS).itertuples():
        members = rows[rows["image_id"] == group.image_id].sort_values(["label", "path"])
        kind = "In both classes, all rejected" if group.classes > 1 else "The first one is kept"
        found.append((kind, int(group.size), members.head(_MAX_EQUAL)))
    note = (
        f"{len(table):,} files occur more than once, with equal bytes; "
        f"{min(len(table), MAX_GROUPS)} are shown."
    )
    return found, note


def _groups(found: _Found, pictures: dict[str, np.ndarray]) -> tuple[Group, ...]:
    return tuple(Group(title, size, tuple(_exhibits(rows, pictures.get))) for title, size, rows in found)


def _exhibits(rows: pd.DataFrame, picture: Callable[[str], np.ndarray | None]) -> Iterable[Exhibit]:
    for row in rows.itertuples():
        pixels = picture(row.path)
        image = None if pixels is None else data_uri("jpeg", _encode(pixels))
        detail = row.reject_detail if isinstance(row.reject_detail, str) else "no thumbnail kept"
        yield Exhibit(row.path, LABEL_NAMES[int(row.label)], image, detail)


def _encode(pixels: np.ndarray) -> bytes:
    _, jpeg = cv2.imencode(".jpg", pixels[:, :, ::-1], _JPEG)
    return bytes(jpeg)
