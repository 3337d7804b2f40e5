"""The report's pictures, audit and licences: the page holds and escapes them, and shows few pictures."""

from __future__ import annotations

import io
import re
from pathlib import Path

import pandas as pd
import pytest
from ingest_data import fill, picture, source_params
from PIL import Image

from deepfake.ingest.ingest import ingest
from deepfake.ingest.raw import RawData
from deepfake.params.ingest.ingest import Ingest
from deepfake.params.validate import Validate
from deepfake.preprocess.leakage import check_splits
from deepfake.validate import exhibits
from deepfake.validate.exhibits import MAX_GROUPS, MAX_MEMBERS, Gallery, quarantine_exhibits, raw_exhibits
from deepfake.validate.validation import validate_manifest
from deepfake.validate.validation_report import Audits, render_report

HOSTILE = "'><img src=http:x onerror=alert(1)>\u202egpj.png"
LIMITS = Validate(
    min_per_class=1,
    max_class_share=0.9,
    max_rejected_share=0.9,
    max_rejected_share_gap=0.9,
    max_source_share=0.99,
    max_group_share=0.9,
)
AUDIT = {
    "Original pictures": [
        {
            "name": "raw/container",
            "family": "container",
            "shown": "0.980 [0.950, 0.990]",
            "status": "stop",
            "sentences": ["JPEG quality tells <real> from fake with AUC 0.98"],
        }
    ]
}
LICENCE = {
    "name": "faces", "kind": "folder", "licence": "CC BY-NC 4.0", "citation": "A. Author (2020) <b>",
    "url": "https://example.org/faces", "revision": None, "files": 9,
    "usable": {"real": 3, "fake": 3},
}  # fmt: skip


def again(data: bytes) -> bytes:
    """The same picture as a larger JPEG: a near-duplicate. At its own size it is a conflict of labels."""
    buffer, picture = io.BytesIO(), Image.open(io.BytesIO(data))
    picture.resize((picture.width * 2, picture.height * 2)).save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> tuple[Ingest, pd.DataFrame, Path]:
    """Raw pictures with a near-duplicate in each class, one file twice, and two rejected pictures."""
    folder = tmp_path_factory.mktemp("planted")
    root = fill(folder / "in", {
        "real/camera/photo.png": picture(1),
        "fake/gan/photo-again.jpg": again(picture(1)),
        "real/camera/twice.png": picture(2),
        "real/camera/twice-copy.png": picture(2),
        "real/phone/alone.png": picture(3),
        "fake/gan/alone.png": picture(4),
        "real/phone/broken.png": b"no picture",
        f"fake/gan/{HOSTILE}": b"no picture either",
    })  # fmt: skip
    params = source_params(root, {"kind": "folder", "name": "faces", "path": "."})
    return params, ingest(params, 7, folder / "raw", 1), folder / "raw"


def page_of(frame: pd.DataFrame, sections: list[Gallery]) -> str:
    return render_report(
        frame,
        validate_manifest(frame, LIMITS),
        audits=Audits(AUDIT, b"a figure"),
        provenance=[LICENCE],
        exhibits=sections,
    )


def paths(section: Gallery) -> list[list[str]]:
    return [[member.path for member in group.members] for group in section.groups]


def test_planted_pictures_are_shown(planted: tuple[Ingest, pd.DataFrame, Path]) -> None:
    params, frame, raw = planted
    near, equal, quarantine = raw_exhibits(RawData(frame, raw, params))
    assert paths(near) == [["faces/real/camera/photo.png", "faces/fake/gan/photo-again.jpg"]]
    assert near.groups[0].title == "Real and fake, not declared as one group"
    assert all(member.image for member in near.groups[0].members)
    assert paths(equal) == [["faces/real/camera/twice-copy.png", "faces/real/camera/twice.png"]]
    assert all(member.image for member in equal.groups[0].members)
    titles = [group.title for group in quarantine.groups]
    assert titles == ["not_an_image", "duplicate"]
    page = page_of(frame, [near, equal, quarantine])
    for section in (near, equal, quarantine):
        for group in section.groups:
            assert all(member.image is None or member.image in page for member in group.members)


def test_page_tells_audit_and_licence_and_refers_to_nothing(
    planted: tuple[Ingest, pd.DataFrame, Path],
) -> None:
    params, frame, raw = planted
    page = page_of(frame, raw_exhibits(RawData(frame, raw, params)))
    assert page == page_of(frame.sample(frac=1, random_state=2), raw_exhibits(RawData(frame, raw, params)))
    assert "<h1>Stopped" in page
    assert "JPEG quality tells &lt;real&gt; from fake with AUC 0.98" in page
    assert "0.980 [0.950, 0.990]" in page
    assert "CC BY-NC 4.0" in page
    assert "<b>" not in page
    assert set(re.findall(r"<img[^>]* src=\"(.{5})", page)) == {"data:"}
    assert not re.search(r"\bhref\s*=|url\(|@import|<script|<link", page)
    assert "default-src 'none'" in page
    assert "\\u202egpj.png" in page
    assert "&gt;\\u202egpj" in page, "a hostile name is text"
    assert "\u202e" not in page


def test_pictures_are_bounded(
    planted: tuple[Ingest, pd.DataFrame, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    params, frame, raw = planted
    monkeypatch.setattr(exhibits, "read_kept", lambda *_: iter(()))  # no shard has these rows
    kept = frame[frame["reject_reason"].isna()].head(1)
    parts = []
    for number in range(3 * MAX_GROUPS):
        copies = pd.concat([kept] * 10, ignore_index=True)
        numbers = copies.index.astype(str)
        looks = int.from_bytes(bytes([number * 37 % 256, number, 255 - number] * 2 + [number] * 2))
        parts.append(
            copies.assign(
                image_id=f"{number:060x}" + numbers.str.zfill(4),
                path=f"faces/{number}/" + numbers,
                phash=f"{looks:016x}",
            )
        )
    near = raw_exhibits(RawData(pd.concat([frame, *parts], ignore_index=True), raw, params))[0]
    assert len(near.groups) == MAX_GROUPS
    assert {len(group.members) for group in near.groups[1:]} == {MAX_MEMBERS}
    assert near.groups[1].size == 10
    assert near.groups[0].title.startswith("Real and fake"), "mixed groups come first"


def test_the_page_of_preprocess_tells_splits_and_misses(planted: tuple[Ingest, pd.DataFrame, Path]) -> None:
    params, manifest, raw = planted
    kept = manifest["reject_reason"].isna()
    faces = manifest.assign(face=0, face_side=40, split="train")
    faces.loc[~kept, ["face", "face_side", "split"]] = None
    rate = {"value": 0.25, "low": 0.1, "high": 0.4}
    source = {"label": "fake", "source": "gan", "pictures": 3, "kept": 2, "face_miss_rate": 0.25}
    statistics = {
        "split": {"train": {"real": 1234, "fake": 2}},
        "per_source": [
            source | {"median_face_side": None},
            source | {"source": "cropped already", "median_face_side": 224, "face_miss_rate": None},
        ],
        "gap": {"face_miss_rate": rate},
        "face_detector": {"name": "centerface", "sha256": "ab" * 32},
    }
    page = render_report(
        faces,
        check_splits(faces, params.near_duplicate_distance),
        audits=Audits({"Before": AUDIT["Original pictures"], "After": []}, b"a figure"),
        exhibits=[quarantine_exhibits(faces, RawData(manifest, raw, params))],
        statistics=statistics,
    )
    for text in ("Preprocessing", "No leak between splits", "1,234", "25.0 %", "+25.0 %", "adds a bias"):
        assert text in page
    searched_for_nothing = page[page.index("cropped already") :]
    assert searched_for_nothing.index('<td class="number">–</td>') < searched_for_nothing.index("</tr>")


def test_a_family_of_one_stage_only_stands_in_that_stages_column(
    planted: tuple[Ingest, pd.DataFrame, Path],
) -> None:
    _, frame, _ = planted
    rows = AUDIT["Original pictures"]
    later = [*rows, rows[0] | {"name": "crops/resolution", "family": "resolution", "shown": "0.123 [0, 1]"}]
    audits = Audits({"Before": rows, "After": later}, b"a figure")
    page = render_report(frame, validate_manifest(frame, LIMITS), audits=audits)
    row = page.split("<td>resolution</td>")[1].split("</tr>")[0]
    before, after = re.findall(r"<td>(.*?)</td>", row)
    assert before == "not measured" and "0.123" in after
