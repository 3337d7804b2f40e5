"""Helpers of the browser tests: servers of a clone, uploads, pictures as the browser got them."""

from __future__ import annotations

import io
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urljoin

import numpy as np
from helpers import clean_environment
from PIL import Image
from playwright.sync_api import Page

SECONDS = 1000.0  # Playwright counts milliseconds
START = 120 * SECONDS  # a model starts slowly on a busy machine


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


def upload(page: Page, *files: Path) -> None:
    page.locator("input[type=file]").first.set_input_files(files)


def image(page: Page, caption: str) -> np.ndarray:
    """The pixels of the picture with this caption, as the browser got them."""
    figure = page.get_by_test_id("stImage").filter(has_text=caption)
    source = figure.locator("img").get_attribute("src")
    assert source is not None
    answer = page.request.get(urljoin(page.url, source))
    with Image.open(io.BytesIO(answer.body())) as opened:
        return np.asarray(opened.convert("RGB"))
