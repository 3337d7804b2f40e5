"""The app and MLflow's UI in a real browser: each test waits for what a person reads."""

from __future__ import annotations

import base64
import csv
import io
import json
import re
import shutil
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import pytest
import yaml
from browser_helpers import START, app_in, free_port, image, listening, serving, upload
from helpers import run
from PIL import Image
from playwright.sync_api import Page, expect

from deepfake.demo.corpus import write_corpus

# The page asks every 5 s and then loads the model. The limit is long, because a test machine may be busy.
# The test is that no restart is needed, not the time.
PROMOTION = START
WORDS = {"real": "Looks real", "fake": "Looks fake", "uncertain": "Uncertain"}
HOSTILE = "<img src=x onerror=alert(1)> <b>audit</b> **loud**"  # must be shown as plain text
PASTE = """
(text) => {
  const bytes = Uint8Array.from(atob(text), (one) => one.charCodeAt(0));
  const data = new DataTransfer();
  data.items.add(new File([bytes], "image.png", { type: "image/png" }));
  document.dispatchEvent(new ClipboardEvent("paste", { clipboardData: data }));
}
"""


@pytest.fixture(scope="module")
def site(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the trained clone: version 1 serves, 2 is a challenger."""
    folder = tmp_path_factory.mktemp("site") / "clone"
    shutil.copytree(trained, folder, symlinks=True)
    params = yaml.safe_load((folder / "params.yaml").read_text())
    params["evaluate"]["target_fpr"] = 0.2
    (folder / "params.yaml").write_text(yaml.safe_dump(params))
    run(["dvc", "repro", "evaluate"], folder)
    run(["deepfake", "register"], folder)
    return folder


@pytest.fixture(scope="module")
def app(site: Path) -> Iterator[str]:
    port = free_port()
    with serving(site, port, *app_in(site), str(port)) as address:
        assert listening(port) == {"0100007F"}, "the app must listen on 127.0.0.1 only"
        yield address


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Demo portraits that are in no training set, two files without a face, an archive and a clip."""
    folder = tmp_path_factory.mktemp("pictures")
    write_corpus(folder, portraits=2, size=96, seed=99)
    portraits = sorted(folder.rglob("*.jpg"))
    (folder / "text.png").write_text("not a picture")
    Image.new("RGB", (200, 200), (128, 128, 128)).save(folder / "grey.png")
    with zipfile.ZipFile(folder / "album.zip", "w") as archive:
        for portrait in portraits[:2]:
            archive.write(portrait, portrait.relative_to(folder))
    frame = cv2.imread(str(portraits[0]))
    writer = cv2.VideoWriter(
        str(folder / "clip.avi"), cv2.VideoWriter.fourcc(*"MJPG"), 2, frame.shape[1::-1]
    )
    for _ in range(4):
        writer.write(frame)
    writer.release()
    return folder


def explained(site: Path) -> bool:
    """Whether a method beat the random and the centred map. With such a small model this is chance."""
    return json.loads((site / "reports/explain/facts.json").read_text())["best"] is not None


def test_a_picture_gets_verdict_score_box_heat_map_and_report(
    app: str, site: Path, pictures: Path, page: Page
) -> None:
    picture = min((pictures / "fake").rglob("*.jpg"))
    [row] = csv.DictReader(run(["deepfake", "predict", str(picture)], site).stdout.splitlines())
    page.goto(app)
    upload(page, picture)
    banner = page.get_by_role("status").filter(has_text=WORDS[row["verdict"]])
    expect(banner).to_be_visible(timeout=START)
    expect(page.get_by_role("img", name=f"score {float(row['score']):.3f} on a scale")).to_be_visible()
    expect(page.locator(".scale")).to_contain_text(f"fake from {float(row['threshold']):.3f}")

    crop = image(page, "What the model saw: 64 × 64 px")
    assert crop.shape == (256, 256, 3)
    if explained(site):
        expect(page.get_by_text("test fakes that the model recognised")).to_be_visible()
        expect(page.get_by_text("Heat map over the face")).to_be_visible()
    else:
        expect(page.get_by_text("No heat map: ")).to_be_visible()
    boxed = image(page, "The upload with the judged face")
    scale = boxed.shape[0] / 96
    row_, column, side = (scale * float(row[f"box_{x}"]) for x in ("top", "left", "side"))
    middle, edge = round(row_ + side / 2), 4  # on the coloured line, inside its white rim
    left, right = boxed[middle, round(column) + edge], boxed[middle, round(column + side) - edge - 1]
    assert (left == right).all() and (left != 255).any(), "the box's two sides have the verdict's colour"

    page.get_by_text("How the score moves under small changes").click()
    expect(page.get_by_text("mirrored")).to_be_visible()
    page.get_by_text("Which training pictures the face is most like").click()
    expect(page.get_by_text("does not measure how near")).to_be_visible()
    page.get_by_text("What the file says of its origin").click()
    expect(page.get_by_text("JPEG, 96 × 96 pixels")).to_be_visible()
    expect(page.get_by_text("do not act on a single score")).to_be_visible()
    expect(page.get_by_text("only on rendered pictures")).to_be_visible()
    with page.expect_download() as download:
        page.get_by_role("button", name="Download a report").click()
    report = download.value.path().read_text(encoding="utf-8")
    assert f"score {float(row['score']):.3f}" in report and 'src="data:image/' in report
    assert "<script" not in report and 'src="http' not in report


@pytest.mark.parametrize(
    ("name", "reason"), [("text.png", "known picture format"), ("grey.png", "No face was found; ")]
)
def test_what_cannot_be_judged_says_why(
    app: str, pictures: Path, page: Page, name: str, reason: str
) -> None:
    page.goto(app)
    upload(page, pictures / name)
    banner = page.get_by_role("status").filter(has_text="Not applicable")
    expect(banner).to_contain_text(reason, timeout=START)
    expect(page.get_by_test_id("stException")).to_have_count(0)
    expect(page.get_by_text("Score 0.")).to_have_count(0)


def test_a_pasted_face_crop_is_judged_without_looking_for_a_face(
    app: str, pictures: Path, page: Page
) -> None:
    page.goto(app)
    page.get_by_text("Already a face crop").click()
    page.evaluate(PASTE, base64.b64encode((pictures / "grey.png").read_bytes()).decode())
    expect(page.get_by_text("What the model saw")).to_be_visible(timeout=START)
    page.get_by_role("button", name="Remove the pasted picture").click()
    expect(page.get_by_text("What the model saw")).to_have_count(0)


def test_several_pictures_are_counted_and_shown_one_by_one_on_a_phone(
    app: str, pictures: Path, page: Page
) -> None:
    page.set_viewport_size({"width": 360, "height": 740})
    page.goto(app)
    upload(page, min((pictures / "real").rglob("*.jpg")))
    expect(page.get_by_text("The upload with the judged face")).to_be_visible(timeout=START)
    verdict = page.locator(".banner").bounding_box()
    assert verdict is not None and verdict["y"] + verdict["height"] < 740, (
        "the verdict is on the first screen"
    )
    upload(page, pictures / "album.zip", pictures / "grey.png")
    expect(page.get_by_text("4 files: ")).to_contain_text("1 not applicable", timeout=START)
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


def test_a_clip_gets_a_verdict_and_a_timeline(app: str, pictures: Path, page: Page) -> None:
    page.goto(app)
    upload(page, pictures / "clip.avi")
    expect(page.get_by_text("Most suspicious frames")).to_be_visible(timeout=START)
    expect(page.locator(".banner")).to_contain_text("4 frames judged, 1 face.")
    expect(page.get_by_text("calibrated on pictures, not on clips")).to_be_visible()
    expect(page.get_by_text(re.compile(r"0:0\d\.\d: \d\.\d{3}, "))).to_have_count(4)
    with page.expect_download() as download:
        page.get_by_role("button", name="Download a report").click()
    report = download.value.path().read_text(encoding="utf-8")
    assert "Report on clip.avi" in report and report.count("<circle") == 4 and "<script" not in report


def test_a_batch_is_a_table_to_filter_and_download(app: str, pictures: Path, page: Page) -> None:
    page.goto(f"{app}/batch")
    upload(page, pictures / "album.zip", pictures / "text.png")
    expect(page.get_by_text("3 of 3 rows.")).to_be_visible(timeout=START)
    page.get_by_role("button", name="not applicable").click()
    expect(page.get_by_text("1 of 3 rows.")).to_be_visible()
    with page.expect_download() as download:
        page.get_by_role("button", name="Download these rows").click()
    [row] = csv.DictReader(io.StringIO(download.value.path().read_text()))
    assert row["path"] == "text.png" and row["reason"].startswith("not_an_image: ")


def test_the_monitor_shows_the_last_look_and_says_how_to_make_one(app: str, site: Path, page: Page) -> None:
    page.goto(f"{app}/monitor")
    expect(page.get_by_text("Nothing is monitored yet")).to_be_visible(timeout=START)
    expect(page.get_by_text("deepfake monitor records")).to_be_visible()
    figures = {"now": "0.9", "before": "0.1", "psi": 0.5, "noise": 0.1, "ks": 0.4, "p": 0.0}
    drift, share = {"name": HOSTILE, "level": "ALERT", **figures}, {"value": 0.25, "low": 0.2, "high": 0.3}
    found = {
        "level": "ALERT", "pictures": 1234, "faces": 1300, "versions": ["1"], "facts": [drift],
        "origins": {"all": drift | {"level": "ok"}}, "shares": {"uncertain": share},
        "known": 0, "realised": {},
    }  # fmt: skip
    folder = site / "reports" / "monitor"
    folder.mkdir()
    (folder / "monitor.json").write_text(json.dumps(found))
    page.reload()
    expect(page.get_by_role("status").filter(has_text="Alert")).to_be_visible(timeout=START)
    expect(page.get_by_text("1,234 pictures with 1,300 judged faces")).to_be_visible()
    expect(page.get_by_role("cell", name=HOSTILE)).to_be_visible()
    expect(page.get_by_text("25.0 %")).to_be_visible()
    expect(page.locator("img")).to_have_count(0)


def test_versions_are_compared_on_one_picture(app: str, pictures: Path, page: Page) -> None:
    page.goto(f"{app}/compare")
    upload(page, min((pictures / "fake").rglob("*.jpg")))
    expect(page.locator(".scale")).to_have_count(2, timeout=START)
    expect(page.get_by_role("columnheader", name="version 2")).to_be_visible()


def test_a_promotion_shows_without_a_restart(app: str, site: Path, page: Page) -> None:
    page.goto(f"{app}/model")
    expect(page.get_by_role("heading", name="Model version 1")).to_be_visible(timeout=START)
    for words in (
        "What it can't do",
        "first model to pass all gates",
        "spectrum baseline",
        "Per generator",
    ):
        expect(page.get_by_text(words).first).to_be_visible(timeout=START)
    expect(page.get_by_text("It knows only rendered portraits").first).to_be_visible()
    run(["deepfake", "promote", "2", "--why", HOSTILE], site)
    expect(page.get_by_role("heading", name="Model version 2")).to_be_visible(timeout=PROMOTION)
    expect(page.get_by_text(HOSTILE)).to_be_visible()
    expect(page.locator("img")).to_have_count(0)
    run(["deepfake", "rollback"], site)
    expect(page.get_by_role("heading", name="Model version 1")).to_be_visible(timeout=PROMOTION)


def test_an_untrained_clone_says_what_to_run(make_clone: Callable[[str], Path], page: Page) -> None:
    folder, port = make_clone("untrained"), free_port()
    with serving(folder, port, *app_in(folder), str(port)) as address:
        page.goto(address)
        banner = page.get_by_role("status").filter(has_text="No model can be loaded")
        expect(banner).to_contain_text("make repro", timeout=START)


def test_mlflow_shows_the_run_and_the_model(site: Path, page: Page) -> None:
    port = free_port()
    with serving(site, port, "deepfake", "ui", "--port", str(port)) as address:
        assert listening(port) == {"0100007F"}, "MLflow must listen on 127.0.0.1 only"
        page.goto(f"{address}/#/models")
        expect(page.get_by_role("link", name="deepfake-detector")).to_be_visible(timeout=START)
        page.goto(f"{address}/#/experiments/1/runs")
        expect(page.get_by_text("hybrid-small").first).to_be_visible(timeout=START)
