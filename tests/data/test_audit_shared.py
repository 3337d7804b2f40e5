"""The audit on real photographs and fakes: it names the known biases by itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from helpers import REPO

from deepfake.audit.audit import audit_raw
from deepfake.base.parameters import load_params
from deepfake.ingest.ingest import ingest
from deepfake.ingest.raw import RawData
from deepfake.params.ingest.sources import FolderSource
from deepfake.params.whole import Params

EVERY = 10  # one picture in ten of each source, but all of the smallest source


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("audit")


@pytest.fixture
def audit(shared: Path, raw: Path) -> dict[str, Any]:
    params = load_params(Params, REPO / "params.yaml")
    source = FolderSource(kind="folder", name="faces")
    settings = params.ingest.model_copy(update={"root": str(raw / "faces"), "sources": (source,)})
    for folder in sorted((shared / "faces").glob("*/*")):
        target = raw / "faces" / folder.relative_to(shared / "faces")
        target.mkdir(parents=True)
        files = sorted(folder.iterdir())
        for file in files if len(files) < 100 else files[::EVERY]:
            (target / file.name).symlink_to(file)
    frame = ingest(settings, 7, raw / "out", workers=1)
    return audit_raw(RawData(frame, raw / "out", settings), params.audit, 7, workers=1)


def test_the_known_biases_are_named(audit: dict[str, Any]) -> None:
    container = audit["families"]["container"]
    assert container["status"] == "stop"
    told = "\n".join(container["sentences"])
    assert "EXIF block tells generated-faces (fake)" in told
    assert "in pixels tells" in told  # the resolution gap
    assert "JPEG" in told
    border = "\n".join(audit["families"]["border"]["sentences"])
    assert "bottom right corner, more than in its mirror image (a watermark?) tells tpdne" in border
