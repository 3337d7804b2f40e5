"""The command line: both ways to start it work, and libraries find their settings at import."""

from __future__ import annotations

import errno
import os
import sys
from pathlib import Path

import pytest
from helpers import REPO, run

from deepfake.base.stage import run_stage
from deepfake.registry.tracking import store

# Ends just before TensorFlow is imported, and prints the settings that it would find.
WATCH = """
import os, sys
class Watch:
    def find_spec(self, name, path=None, target=None):
        if name in ("keras", "tensorflow"):
            print(os.environ.get("TF_CPP_MIN_LOG_LEVEL"), os.environ.get("TF_ENABLE_ONEDNN_OPTS"))
            os._exit(sys.stdout.flush() or 9)
sys.meta_path.insert(0, Watch())
for name in ("TF_CPP_MIN_LOG_LEVEL", "TF_ENABLE_ONEDNN_OPTS"):
    os.environ.pop(name, None)
from deepfake.cli import main
main(["sweep", "small"])
"""


def test_the_module_is_the_command(tmp_path: Path) -> None:
    said = run([sys.executable, "-m", "deepfake.cli", "--help"], tmp_path).stdout
    assert "score pictures" in said
    wrong = run([sys.executable, "-m", "deepfake.cli", "experiment", "none"], REPO, check=False)
    assert wrong.returncode == 1 and "error: no file experiments" in wrong.stderr


def test_help_imports_no_package(tmp_path: Path) -> None:
    watch = (
        "import sys; before = {*sys.modules}; from deepfake.cli import main\n"
        "try: main(['--help'])\n"
        "finally:\n"
        "    new = {name.partition('.')[0] for name in {*sys.modules} - before}\n"
        "    print(new - sys.stdlib_module_names)"
    )
    assert run([sys.executable, "-c", watch], tmp_path).stdout.endswith("{'deepfake'}\n")


def test_tensorflow_finds_its_settings(tmp_path: Path) -> None:
    done = run([sys.executable, "-c", WATCH], REPO, check=False)
    assert (done.returncode, done.stdout) == (9, "2 1\n"), done.stderr


def test_a_stage_changes_no_setting_that_comes_too_late(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TF_CPP_MIN_LOG_LEVEL", raising=False)
    before = dict(os.environ)
    run_stage(lambda: None)
    assert dict(os.environ) == before


def test_a_tracking_servers_own_ui_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(store, "connect", lambda: store.mlflow.set_tracking_uri("http://127.0.0.1:9"))
    monkeypatch.setattr(os, "execv", lambda *command: pytest.fail(f"{command} was started"))
    before = store.mlflow.get_tracking_uri()
    try:
        store.serve_ui(5000)
    finally:
        store.mlflow.set_tracking_uri(before)
    assert "open http://127.0.0.1:9" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("paths", "words"),
    [
        ("my photo.jpg", ["my photo.jpg"]),
        ("one.jpg two.jpg", ["one.jpg", "two.jpg"]),
        ("one.jpg 'my photo.jpg'", ["one.jpg", "my photo.jpg"]),
    ],
)
def test_make_takes_names_with_spaces(tmp_path: Path, paths: str, words: list[str]) -> None:
    for name in ("my photo.jpg", "one.jpg", "two.jpg", ".ready"):
        (tmp_path / name).touch()
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin" / "deepfake"
    program.write_text(f'#!/bin/bash\n# {program}\nprintf "<%s>" "$@"\n')  # as pip does, with its place
    program.chmod(0o755)
    make = ["make", "--no-print-directory", "-f", str(REPO / "Makefile"), f"VENV={tmp_path}"]
    for needed in ("requirements.lock", "pyproject.toml"):  # older than .ready: nothing is installed
        (tmp_path / needed).touch()
        os.utime(tmp_path / needed, (0, 0))
    said = run([*make, "predict", f"PATHS={paths}"], tmp_path).stdout
    assert said == "".join(f"<{word}>" for word in ["predict", *words])


def test_a_full_disk_without_a_name_is_told() -> None:
    def main() -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(SystemExit, match=r"no space left on the disk: free"):
        run_stage(main)
