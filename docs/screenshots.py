"""Makes docs/images/ from the demo: `python docs/screenshots.py` in a trained working tree (make repro).

It needs Chromium. The working tree and its registry do not change. A scratch copy registers the model
twice, the second time with a stricter threshold, so that MLflow shows two versions beside the starter's.
Then it runs a small sweep.
"""

from __future__ import annotations

import csv
import io
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import yaml
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch
from PIL import Image
from playwright.sync_api import Page, sync_playwright

from deepfake.base.plots import MODEL_COLOUR, QUIET
from deepfake.demo.corpus import write_corpus

REPO = Path(__file__).parents[1]
IMAGES = REPO / "docs" / "images"
NEEDED = ("params.yaml", "requirements.lock", "dvc.yaml", "dvc.lock", "data", "models", "reports",
          "pipelines", "app", "experiments", ".streamlit")  # fmt: skip
PATIENCE = 180_000.0  # milliseconds; MLflow's pages are slow on a busy machine
APP_PORT, UI_PORT = 8611, 8612
SWEEP, TRIALS = "small", 3
# Columns of MLflow's table of runs; the first three are there already, and are switched off.
COLUMNS = ("Dataset", "Source", "Models", "kind", "train.model", "sweep/objective", "train/val_auc",
           "test/model/auc", "train.phase1.learning_rate")  # fmt: skip
CHROMIUM_FLAGS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]


def main() -> None:
    """All pictures."""
    if not (REPO / "models" / "calibration.json").is_file():
        sys.exit("no trained model in this working tree: run `make repro` first")
    IMAGES.mkdir(parents=True, exist_ok=True)
    plot_pipeline(IMAGES / "pipeline.png")
    with tempfile.TemporaryDirectory(prefix="screenshots-") as name:
        alone, scratch = Path(name) / "alone", Path(name) / "scratch"
        register_alone(alone)
        portraits = judged_portraits(alone)
        app = [sys.executable, "-m", "streamlit", "run", "app/app.py", "--server.port", str(APP_PORT),
               "--client.toolbarMode", "minimal"]  # fmt: skip
        with browser_page(1280, 1040) as page, serving(alone, app, APP_PORT) as address:
            portrait = portraits.get("fake", portraits.get("uncertain", portraits["real"]))
            app_picture(page, address, portrait, IMAGES / "app.png")
            model_picture(page, address, IMAGES / "app-model.png")
        prepare(scratch)
        ui = ["deepfake", "ui", "--port", str(UI_PORT)]
        with browser_page(1400, 690) as page, serving(scratch, ui, UI_PORT) as address:
            mlflow_pictures(page, address)


# --- the scratch copy ---------------------------------------------------------------------------


def environment(scratch: Path) -> dict[str, str]:
    """Variables that make commands work in the scratch copy and sign with a role, not a person's name."""
    env = {k: v for k, v in os.environ.items() if k != "MLFLOW_TRACKING_URI"}
    path = f"{Path(sys.executable).parent}{os.pathsep}{env['PATH']}"
    return env | {"DVC_ROOT": str(scratch), "LOGNAME": "analyst", "PATH": path}


def command(scratch: Path, *words: str) -> str:
    """Run one of the project's commands there; returns its output."""
    done = subprocess.run(
        words, cwd=scratch, env=environment(scratch), stdout=subprocess.PIPE, text=True, check=True
    )
    return done.stdout


def copy(scratch: Path) -> None:
    """What the commands need of the working tree."""
    scratch.mkdir()
    for name in NEEDED:
        source = REPO / name
        (shutil.copytree if source.is_dir() else shutil.copy2)(source, scratch / name)


def register_alone(scratch: Path) -> None:
    """Only the working tree's model, in production: the starter has no heat map."""
    copy(scratch)
    shutil.rmtree(scratch / "models" / "starter")
    command(scratch, "deepfake", "register")


def prepare(scratch: Path) -> None:
    """The starter is version 1, the working tree's model 2, and a stricter one 3; then a small sweep."""
    copy(scratch)
    command(scratch, "deepfake", "register")
    params = yaml.safe_load((scratch / "params.yaml").read_text(encoding="utf-8"))
    params["evaluate"]["target_fpr"] = 0.02
    (scratch / "params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")
    command(scratch, sys.executable, "pipelines/evaluate.py")
    command(scratch, "deepfake", "register")
    params["train"] |= {"model": "hybrid-small"}  # a sweep of a small model, for MLflow's pages
    params["train"]["phase1"]["epochs"] = 4
    (scratch / "params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")
    command(scratch, "deepfake", "sweep", SWEEP, "--trials", str(TRIALS))


def judged_portraits(scratch: Path) -> dict[str, Path]:
    """Verdict -> a newly rendered portrait that got it: a fake for `fake`, a real one for the others."""
    folder = scratch / "portraits"
    write_corpus(folder, portraits=8, size=96, seed=99)
    rows = csv.DictReader(command(scratch, "deepfake", "predict", str(folder)).splitlines())
    found: dict[str, Path] = {}
    for row in rows:
        path = Path(row["path"])
        if (row["verdict"] == "fake") == ("fake" in path.relative_to(folder).parts):
            found.setdefault(row["verdict"], path)
    return found


# --- browser ------------------------------------------------------------------------------------


@contextmanager
def serving(scratch: Path, words: list[str], port: int) -> Iterator[str]:
    """Run a server of the scratch copy; gives its address."""
    address = f"http://127.0.0.1:{port}"
    where = {"cwd": scratch, "env": environment(scratch), "start_new_session": True}
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(words, **where, **quiet) as process:
        try:
            while True:
                try:
                    urllib.request.urlopen(address, timeout=10).close()
                    break
                except (urllib.error.URLError, OSError):
                    if process.poll() is not None:
                        raise
                    time.sleep(0.5)
            yield address
        finally:
            os.killpg(process.pid, signal.SIGTERM)  # with its workers


@contextmanager
def browser_page(width: int, height: int) -> Iterator[Page]:
    """An empty page of Chromium."""
    with sync_playwright() as playwright:
        program = shutil.which("chromium") or shutil.which("google-chrome")
        browser = playwright.chromium.launch(executable_path=program, args=CHROMIUM_FLAGS)
        page = browser.new_page(viewport={"width": width, "height": height})
        page.set_default_timeout(PATIENCE)
        yield page
        browser.close()


def app_picture(page: Page, address: str, portrait: Path, target: Path) -> None:
    """A screenshot of the app with one judged portrait."""
    page.goto(address)
    content = {"name": "portrait.jpg", "mimeType": "image/jpeg", "buffer": portrait.read_bytes()}
    page.locator("input[type=file]").set_input_files(content)
    page.get_by_text("How a verdict is made").wait_for()
    page.wait_for_timeout(2000)  # pictures fade in
    save(page, target)


def model_picture(page: Page, address: str, target: Path) -> None:
    """A screenshot of the page on the model in production."""
    page.goto(f"{address}/model")
    page.get_by_text("The model card").wait_for()
    page.wait_for_timeout(2000)  # curves fade in
    save(page, target)


def mlflow_pictures(page: Page, address: str) -> None:
    """Screenshots of runs with a sweep, of its trials side by side, of the versions, and of one version."""
    page.goto(f"{address}/#/experiments/1/runs")
    page.get_by_text(f"sweep {SWEEP}").first.wait_for()
    page.get_by_text("Model training", exact=True).click()  # hides the menu for generative AI
    page.get_by_role("button", name="Close").click()  # hides the assistant
    page.locator(".ag-row").filter(has_text=f"sweep {SWEEP}").locator("button").first.click()
    page.get_by_text(f"{SWEEP}-0", exact=True).first.wait_for()
    page.get_by_role("button", name="Columns").click()
    for column in COLUMNS:
        page.get_by_placeholder("Search columns").fill(column)
        page.wait_for_timeout(700)  # the list follows what is typed
        page.locator("[role=menu], [role=tree], [class*=tree]").get_by_text(column, exact=True).last.click()
    page.keyboard.press("Escape")
    shoot(page, IMAGES / "mlflow-runs.png")
    trials = quote("tags.kind = 'trial'")
    page.goto(f"{address}/#/experiments/1/runs?searchFilter={trials}&compareRunsMode=CHART")
    page.get_by_placeholder("Search metric charts").fill("train/(auc|val_auc|val_loss)")
    page.get_by_text("train/val_loss", exact=True).first.wait_for()
    page.locator(".js-plotly-plot .point").nth(2).wait_for()
    shoot(page, IMAGES / "mlflow-compare.png")
    page.set_viewport_size({"width": 1400, "height": 960})
    page.goto(f"{address}/#/models/deepfake-detector")
    page.get_by_text("Registered at").wait_for()
    page.get_by_role("button", name="Tags").first.click()  # folds the journal of promotions away
    shoot(page, IMAGES / "mlflow-model.png")
    page.goto(f"{address}/#/models/deepfake-detector/versions/2")
    page.get_by_text("What it cannot do").first.wait_for()
    shoot(page, IMAGES / "mlflow-version.png")


def shoot(page: Page, target: Path) -> None:
    """A screenshot when panels have slid and curves are there."""
    page.mouse.move(1200, 640)
    page.wait_for_timeout(4000)
    save(page, target)


def save(page: Page, target: Path) -> None:
    """Save a screenshot with a dithered palette, which halves its bytes."""
    with Image.open(io.BytesIO(page.screenshot())) as shot:
        colours = shot.convert("RGB")
        palette = colours.quantize(256, kmeans=2)
        colours.quantize(palette=palette, dither=Image.Dither.FLOYDSTEINBERG).save(target, optimize=True)
    print(target.relative_to(REPO), f"{target.stat().st_size / 1000:.0f} kB")


# --- the graph ----------------------------------------------------------------------------------


def stage_edges(stages: dict[str, dict]) -> list[tuple[str, str]]:
    """Pairs of stages (writer, reader): the second reads an output of the first."""
    owner: dict[str, str] = {}
    for name, stage in stages.items():
        for out in [*stage.get("outs", []), *stage.get("metrics", [])]:
            owner[next(iter(out)) if isinstance(out, dict) else out] = name
    return sorted({
        (owner[out], name)
        for name, stage in stages.items()
        for dep in stage["deps"]
        for out in owner
        if dep == out or dep.startswith(f"{out}/")
    })  # fmt: skip


def plot_pipeline(target: Path) -> None:
    """Plot dvc.yaml's stages from left to right; edges to the next stage are straight, others are arcs."""
    stages = yaml.safe_load((REPO / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
    place = {name: 2.0 * number for number, name in enumerate(stages)}
    canvas = Figure(figsize=(2.0 * len(stages), 5.5), dpi=100)
    axes = canvas.add_axes((0.0, 0.0, 1.0, 1.0))
    axes.set(xlim=(-1.1, 2.0 * len(stages) - 0.9), ylim=(-1.5, 4.0))
    axes.axis("off")
    for start, end in stage_edges(stages):
        near = place[end] - place[start] == 2.0
        ends = ((place[start] + 0.75, 0.0), (place[end] - 0.75, 0.0)) if near else (
            (place[start] + 0.2, 0.32), (place[end] - 0.2, 0.32))  # fmt: skip
        axes.add_patch(FancyArrowPatch(
            *ends, arrowstyle="-|>", mutation_scale=12, color=MODEL_COLOUR if near else QUIET,
            connectionstyle="arc3" if near else "arc3,rad=-0.3", linewidth=1.6 if near else 1.0,
        ))  # fmt: skip
    for name, stage in stages.items():
        corner = (place[name] - 0.7, -0.27)
        axes.add_patch(
            FancyBboxPatch(corner, 1.4, 0.54, "round,pad=0.04", facecolor=MODEL_COLOUR, edgecolor="none")
        )
        middle = {"ha": "center", "va": "center", "color": "white"}
        axes.text(place[name], 0.0, name, weight="bold", fontsize=12, **middle)
        words = wrapped(stage["desc"].replace("->", "→"))
        axes.text(place[name], -0.45, words, fontsize=8.5, ha="center", va="top")
    buffer = io.BytesIO()
    canvas.savefig(buffer, metadata={"Software": None})
    with Image.open(buffer) as plotted:
        plotted.convert("RGB").quantize(64, dither=Image.Dither.NONE).save(target, optimize=True)


def wrapped(text: str, width: int = 25) -> str:
    """Lines that fit under a box."""
    lines = [""]
    for word in text.split():
        if len(lines[-1]) + len(word) > width:
            lines.append("")
        lines[-1] += f" {word}" if lines[-1] else word
    return "\n".join(lines)


if __name__ == "__main__":
    main()
