"""Clips: evenly spaced frames without loss, one group per clip, a reason for each unreadable clip."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from ingest_data import ingested, source_params

from deepfake.media.images import decode_image
from deepfake.shards.manifest import usable
from deepfake.sources.listing import list_items

VIDEO = {"kind": "video", "name": "clips", "path": ".", "frames": 3}


def noise_clip(path: Path, seed: int, frames: int = 12, side: int = 64) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    codec = cv2.VideoWriter_fourcc(*"FFV1")
    writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, codec, 10, (side, side))
    for _ in range(frames):
        writer.write(cv2.resize(rng.integers(0, 256, (6, 6, 3), dtype=np.uint8), (side, side)))
    writer.release()


def clips(root: Path) -> Path:
    for number, name in enumerate(["real/tv/a", "real/tv/b", "fake/swap/c"]):
        noise_clip(root / f"{name}.mkv", number)
    (root / "fake" / "swap" / "broken.mkv").write_bytes((root / "fake/swap/c.mkv").read_bytes()[:300])
    (root / "fake" / "swap" / "notes.txt").write_text("about these clips")
    return root


def test_frames_of_a_clip_are_one_group_and_broken_clips_have_a_reason(tmp_path: Path) -> None:
    frame = ingested(clips(tmp_path / "in"), VIDEO)
    kept = usable(frame)
    assert sorted(kept.index) == [
        f"clips/{clip}.mkv/frame-{number:06d}.png"
        for clip in ("fake/swap/c", "real/tv/a", "real/tv/b")
        for number in (2, 6, 10)
    ]
    assert kept.groupby("group").size().to_dict() == {
        "clips/fake/swap/c.mkv": 3, "clips/real/tv/a.mkv": 3, "clips/real/tv/b.mkv": 3,
    }  # fmt: skip
    assert set(kept["format"]) == {"PNG"} and set(kept["source"]) == {"tv", "swap"}
    rejected = frame[frame["reject_reason"].notna()]
    assert rejected["reject_reason"].to_dict() == {
        "clips/fake/swap/broken.mkv": "corrupt", "clips/fake/swap/notes.txt": "not_a_video",
    }  # fmt: skip
    assert rejected["reject_detail"].str.match(r"^(corrupt|not_a_video): (?!corrupt|not_a)").all()


def test_frames_are_stored_without_loss_and_alike_for_any_number_of_workers(tmp_path: Path) -> None:
    params = source_params(clips(tmp_path / "in"), VIDEO)
    bytes_of = []
    for workers in (1, 2):
        scratch = tmp_path / f"scratch-{workers}"
        scratch.mkdir()
        items = [item for item in list_items(params, 7, scratch, workers)[0] if item.rejected is None]
        bytes_of.append({item.path: item.file.read_bytes() for item in items})
    assert bytes_of[0] == bytes_of[1]
    rng = np.random.default_rng(0)
    painted = [rng.integers(0, 256, (6, 6, 3), dtype=np.uint8) for _ in range(12)]
    stored = decode_image(bytes_of[0]["clips/real/tv/a.mkv/frame-000006.png"], params.limits)
    wanted = cv2.resize(painted[6], (64, 64))[:, :, ::-1]
    assert np.abs(stored.astype(int) - wanted).max() <= 2  # FFV1 may keep chroma in YUV
