"""The app and MLflow's UI in a real browser. Both must stay on the loopback interface."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urljoin

import numpy as np
import pytest
import yaml
from helpers import clean_environment, run
from PIL import Image
from playwright.sync_api import Browser, Page, expect, sync_playwright

from deepfake.demo.corpus import write_corpus

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium: apt-get install chromium")
SECONDS = 1000.0  # Playwright counts milliseconds
START = 120 * SECONDS  # TensorFlow starts slowly on a busy machine
# The page asks every 5 s and then loads the model. The limit is long, because a test machine may be busy.
# The test is that no restart is needed, not the time.
PROMOTION = START
WORDS = {"real": "Looks real", "fake": "Looks fake", "uncertain": "Uncertain"}
HOSTILE = "<img src=x onerror=alert(1)> <b>audit</b> **loud**"  # must be shown as plain text


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def serving(folder: Path, port: int, *command: str) -> Iterator[str]:
    """Run a server of a clone during the test; gives its address."""
    log = folder / f"server-{port}.log"
    where = {"cwd": folder, "env": clean_environment(), "start_new_session": True}
    with (
        log.open("w") as output,
        subprocess.Popen(command, stdout=output, stderr=output, **where) as process,
    ):
        try:
            give_up = time.monotonic() + START / SECONDS
            while not listening(port):
                assert process.poll() is None and time.monotonic() < give_up, log.read_text()[-4000:]
                time.sleep(0.2)
            yield f"http://127.0.0.1:{port}"
        finally:
            os.killpg(process.pid, signal.SIGTERM)  # with its workers
    assert "Traceback" not in log.read_text(), log.read_text()[-4000:]
    log.unlink()


def app_in(folder: Path) -> list[str]:
    return [sys.executable, "-m", "streamlit", "run", "app/app.py", "--server.port"]


def listening(port: int) -> set[str]:
    """The local addresses with a listener at `port`, in the kernel's hexadecimal form."""
    found = set()
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            _, local, _, state, *_ = line.split()
            address, _, number = local.partition(":")
            if state == "0A" and int(number, 16) == port:
                found.add(address)
    return found


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
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=CHROMIUM,
            args=[
                "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
                "--disable-background-networking", "--disable-component-update", "--disable-sync",
            ],
        )  # fmt: skip
        yield chromium
        chromium.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page of a new visitor. It may connect only to this machine."""
    asked: list[str] = []
    with browser.new_context(viewport={"width": 1280, "height": 900}) as context:
        context.set_default_timeout(START)
        context.on("request", lambda request: asked.append(request.url))
        yield context.new_page()
    outside = [url for url in asked if not url.startswith(("http://127.0.0.1:", "data:", "blob:"))]
    assert not outside, "the page asked for something from outside"


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Demo portraits that are in no training set, and two files without a face."""
    folder = tmp_path_factory.mktemp("pictures")
    write_corpus(folder, portraits=2, size=96, seed=99)
    (folder / "text.png").write_text("not a picture")
    Image.new("RGB", (200, 200), (128, 128, 128)).save(folder / "grey.png")
    return folder


def explained(site: Path) -> bool:
    """Whether a method beat the random and the centred map. With such a small model this is chance."""
    return json.loads((site / "reports/explain/facts.json").read_text())["best"] is not None


def upload(page: Page, picture: Path) -> None:
    page.locator("input[type=file]").set_input_files(picture)


def image(page: Page, caption: str) -> np.ndarray:
    """The pixels of the picture with this caption, as the browser got them."""
    figure = page.get_by_test_id("stImage").filter(has_text=caption)
    source = figure.locator("img").get_attribute("src")
    assert source is not None
    answer = page.request.get(urljoin(page.url, source))
    with Image.open(io.BytesIO(answer.body())) as opened:
        return np.asarray(opened.convert("RGB"))


def test_a_picture_gets_verdict_score_threshold_box_and_heat_map(
    app: str, site: Path, pictures: Path, page: Page
) -> None:
    picture = min((pictures / "fake").rglob("*.jpg"))
    [row] = csv.DictReader(run(["deepfake", "predict", str(picture)], site).stdout.splitlines())
    page.goto(app)
    upload(page, picture)
    banner = page.get_by_role("status").filter(has_text="Score")
    expect(banner).to_contain_text(WORDS[row["verdict"]], timeout=START)
    expect(banner).to_contain_text(f"Score {float(row['score']):.3f}:")
    threshold = f"fake from {float(row['threshold']):.3f} (false-positive rate 5 %)"
    expect(page.get_by_text(threshold)).to_be_visible()
    expect(page.get_by_text("False-positive rate on the test split: ")).to_contain_text("95 % interval")

    crop = image(page, "What the model saw: 64 × 64 px")
    assert crop.shape == (192, 192, 3)
    if explained(site):
        expect(page.get_by_text("test fakes that the model recognised")).to_be_visible()
        heat_map = image(page, "Heat map of the score")
        assert heat_map.shape == crop.shape and (heat_map != crop).any()
    else:
        expect(page.get_by_text("No heat map: ")).to_be_visible()
    boxed = image(page, "The upload with the judged face")
    scale = boxed.shape[0] / 96
    row_, column, side = (scale * float(row[f"box_{x}"]) for x in ("top", "left", "side"))
    middle, edge = round(row_ + side / 2), 4  # on the coloured line, inside its white rim
    left, right = boxed[middle, round(column) + edge], boxed[middle, round(column + side) - edge - 1]
    assert (left == right).all() and (left != 255).any(), "the box's two sides have the verdict's colour"

    sidebar = page.get_by_test_id("stSidebar")
    for words in (
        "Model version 1",
        "first model to pass all gates",
        "spectrum baseline",
        "real/camera",
    ):
        expect(sidebar).to_contain_text(words)
    expect(page.get_by_text("do not act on a single score")).to_be_visible()
    expect(page.get_by_text("rendered pictures only")).to_be_visible()


@pytest.mark.parametrize(("name", "reason"), [("text.png", "not_an_image"), ("grey.png", "no_face")])
def test_what_cannot_be_judged_says_why(
    app: str, pictures: Path, page: Page, name: str, reason: str
) -> None:
    page.goto(app)
    upload(page, pictures / name)
    banner = page.get_by_role("status").filter(has_text="Not applicable")
    expect(banner).to_contain_text(f"{reason}: ", timeout=START)
    expect(page.get_by_test_id("stException")).to_have_count(0)
    expect(page.get_by_text("Score 0.")).to_have_count(0)


def test_a_face_crop_is_judged_without_looking_for_a_face(
    app: str, site: Path, pictures: Path, page: Page
) -> None:
    page.goto(app)
    page.get_by_text("The picture is already a face crop").click()
    upload(page, pictures / "grey.png")
    expect(page.get_by_role("status").filter(has_text="Score")).to_be_visible(timeout=START)
    words = "Heat map of the score" if explained(site) else "No heat map: "
    expect(page.get_by_text(words)).to_be_visible()


def test_a_narrow_screen_shows_all_without_scrolling_sideways(app: str, pictures: Path, page: Page) -> None:
    page.set_viewport_size({"width": 360, "height": 740})
    page.goto(app)
    upload(page, min((pictures / "real").rglob("*.jpg")))
    expect(page.get_by_text("The upload with the judged face")).to_be_visible(timeout=START)
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    verdict = page.get_by_role("status").filter(has_text="Score").bounding_box()
    assert verdict is not None and verdict["y"] + verdict["height"] < 740, (
        "the verdict is on the first screen"
    )


def test_a_promotion_shows_without_a_restart(app: str, site: Path, pictures: Path, page: Page) -> None:
    page.goto(app)
    upload(page, min((pictures / "real").rglob("*.jpg")))
    expect(page.get_by_text("(false-positive rate 5 %)")).to_be_visible(timeout=START)
    run(["deepfake", "promote", "2", "--why", HOSTILE], site)
    sidebar = page.get_by_test_id("stSidebar")
    expect(sidebar.get_by_text("Model version 2")).to_be_visible(timeout=PROMOTION)
    expect(page.get_by_text("(false-positive rate 20 %)")).to_be_visible()  # the same upload, judged anew
    expect(sidebar).to_contain_text(HOSTILE)
    expect(sidebar.locator("img")).to_have_count(0)
    run(["deepfake", "rollback"], site)
    expect(sidebar.get_by_text("Model version 1")).to_be_visible(timeout=PROMOTION)


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
