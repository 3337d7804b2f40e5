"""The manifest: one Parquet row per picture, usable or rejected. No picture disappears silently."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from deepfake.base.text import visible

SPLITS = ("train", "val", "test")  # of two splits of one group, the later one here wins
HOLDOUT = "holdout"  # pictures of held-out generators; training, thresholds and test never see these

SCHEMA = pa.schema([
    ("image_id", pa.string()),       # sha256 of the bytes, or of "path:<path>" if they can't be read
    ("label", pa.int8()),            # real = 0, fake = 1
    ("source", pa.string()),         # data set, camera folder or generator folder of the file
    ("generator", pa.string()),      # "none" for real
    ("declared_group", pa.string()), # identity, parent photo or clip, as the source says; null: unknown
    ("group", pa.string()),          # declared groups and near-duplicates joined; never crosses splits
    ("path", pa.string()),           # relative to its source's root
    ("format", pa.string()),
    ("width", pa.int32()),
    ("height", pa.int32()),
    ("mode", pa.string()),
    ("bytes", pa.int64()),
    ("jpeg_quality", pa.int16()),
    ("has_exif", pa.bool_()),
    ("phash", pa.string()),          # 64-bit perceptual hash, 16 hex digits
    ("decode_ok", pa.bool_()),
    ("reject_reason", pa.string()),  # null: usable
    ("reject_detail", pa.string()),
    ("cropped", pa.bool_()),         # the source says its pictures are face crops already
    ("split", pa.string()),          # before preprocess: the source's split (train, val, test) or null
])  # fmt: skip

FACE_SCHEMA = pa.schema(
    [
        *SCHEMA,
        ("face", pa.int16()),        # 0: the largest; the image_id of each other face ends in "-<face>"
        ("face_left", pa.int32()),
        ("face_top", pa.int32()),
        ("face_side", pa.int32()),   # native: before any resampling
        ("face_angle", pa.float32()),  # degrees that the square is turned clockwise about its middle
        ("face_score", pa.float32()),
    ]
)  # fmt: skip

_NULLABLE = {
    pa.int16(): pd.Int16Dtype(), pa.int32(): pd.Int32Dtype(), pa.float32(): pd.Float32Dtype()
}  # fmt: skip


def write_manifest(frame: pd.DataFrame, path: Path, schema: pa.Schema = SCHEMA) -> None:
    """Write rows sorted by image_id, then path, so that equal content gives equal bytes."""
    ordered = frame.sort_values(["image_id", "path"], kind="stable")
    table = pa.Table.from_pandas(ordered, schema=schema, preserve_index=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    # Pandas' metadata holds library versions, so the bytes would depend on them.
    pq.write_table(table.replace_schema_metadata(None), path, compression="zstd")


def read_manifest(path: Path) -> pd.DataFrame:
    """Rows as a frame; `reject_reason` is None for usable pictures."""
    return to_frame(pq.read_table(path))


def to_frame(table: pa.Table) -> pd.DataFrame:
    """A table of facts as a frame. Integers may be missing in it."""
    return table.to_pandas(types_mapper=_NULLABLE.get)


def usable(frame: pd.DataFrame) -> pd.DataFrame:
    """The rows that no stage has rejected."""
    return frame[frame["reject_reason"].isna()]


def rejections(frame: pd.DataFrame) -> str:
    """Number of rejected rows of each reason, the most frequent first, each with one example."""
    rejected = frame[frame["reject_reason"].notna()].sort_values("path")
    said = []
    for reason, rows in sorted(
        rejected.groupby("reject_reason"), key=lambda part: (-len(part[1]), part[0])
    ):
        path, detail = rows.iloc[0][["path", "reject_detail"]]
        said.append(f"{len(rows)} {reason} (such as {path}: {str(detail).removeprefix(f'{reason}: ')})")
    return visible("; ".join(said)) or "none"
