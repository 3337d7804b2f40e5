"""The doors that `fuzz.py` stands at: where bytes of strangers come in, and valid inputs to damage."""

from __future__ import annotations

import io
import json
import shutil
import tarfile
import zipfile
from abc import ABC, abstractmethod
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import yaml
from fuzz_decoder import LIMITS
from fuzz_decoder import samples as pictures

from deepfake.base.parameters import load_params
from deepfake.bundle.seal import FACTS, sealed
from deepfake.evaluate.predictions import write_predictions
from deepfake.evaluate.score_files import read_any
from deepfake.params.ingest.limits import ClipLimits, Unpacking


class Door(ABC):
    """One way in. `scratch` is an empty folder of its own."""

    def __init__(self, scratch: Path) -> None:
        self.scratch = scratch

    @abstractmethod
    def samples(self) -> list[bytes]:
        """Small valid inputs."""

    @abstractmethod
    def enter(self, data: bytes) -> None:
        """Read an input as the program does.

        Raises:
            DeepfakeError: it is refused in words.
        """

    def _file(self, name: str, data: bytes) -> Path:
        path = self.scratch / name
        path.write_bytes(data)
        return path


class Images(Door):
    def samples(self) -> list[bytes]:
        return pictures()

    def enter(self, data: bytes) -> None:
        from deepfake.media.images import decode_image

        decode_image(data, LIMITS)


class Videos(Door):
    def samples(self) -> list[bytes]:
        made = []
        for name, code in (("a.mp4", "mp4v"), ("a.avi", "MJPG"), ("a.mkv", "VP80")):
            path = self.scratch / name
            writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*code), 10.0, (48, 32))
            for number in range(6):
                writer.write(np.full((32, 48, 3), 40 * number, np.uint8))
            writer.release()
            if path.is_file() and path.stat().st_size:
                made.append(path.read_bytes())
        return made

    def enter(self, data: bytes) -> None:
        from deepfake.media.videos import read_frames

        limits = ClipLimits(max_bytes=1 << 20, max_frames=100, max_seconds=60.0)
        for _ in read_frames(self._file("clip", data), 3, limits, LIMITS):
            pass


class Archives(Door):
    def samples(self) -> list[bytes]:
        made = []
        for mode in ("", "gz", "bz2", "xz"):
            buffer = io.BytesIO()
            with tarfile.open(fileobj=buffer, mode=f"w:{mode}") as archive:
                for name in ("real/a.jpg", "fake/b.jpg"):
                    member = tarfile.TarInfo(name)
                    member.size = 5
                    archive.addfile(member, io.BytesIO(b"bytes"))
            made.append(buffer.getvalue())
        for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2):
            buffer = io.BytesIO()
            with zipfile.ZipFile(buffer, "w", method) as archive:
                for name in ("real/a.jpg", "fake/b.jpg", "../out.jpg"):
                    archive.writestr(name, b"bytes" * 9)
            made.append(buffer.getvalue())
        return made

    def enter(self, data: bytes) -> None:
        from deepfake.sources.archive import unpack

        target = self.scratch / "target"
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir()
        try:
            unpack(
                self._file("archive", data), target, Unpacking(max_bytes=1 << 20, max_files=50), "archive"
            )
        finally:
            outside = {path.name for path in self.scratch.iterdir()} - {"target", "archive"}
            assert not outside, f"written outside: {outside}"


class Tables(Door):
    def samples(self) -> list[bytes]:
        text = 'path,label,split\nreal/a.jpg,real,train\n"fake/b, c.jpg",1,test\n'
        return [text.encode(), text.replace(",", ";").encode("utf-16"), b"\xef\xbb\xbf" + text.encode()]

    def enter(self, data: bytes) -> None:
        from deepfake.params.ingest.sources import CsvSource
        from deepfake.sources.table import list_table

        self._file("table.csv", data)
        columns = {"image": "path", "label": "label", "split": "split"}
        source = CsvSource.model_validate({"kind": "csv", "path": "table.csv", "columns": columns})
        list_table(source, self.scratch)


class Scores(Door):
    def samples(self) -> list[bytes]:
        rows = range(40)
        frame = pd.DataFrame({
            "path": [f"{n}.jpg" for n in rows], "label": [n % 2 for n in rows],
            "score": [(n * 7 % 40) / 40 for n in rows],
            "split": ["val" if n < 20 else "test" for n in rows],
        })  # fmt: skip
        table, ours = io.BytesIO(), self.scratch / "ours.parquet"
        frame.to_parquet(table)
        write_predictions(read_any(self._file("scores.csv", frame.to_csv(index=False).encode())), ours)
        return [table.getvalue(), frame.to_csv(index=False).encode(), ours.read_bytes()]

    def enter(self, data: bytes) -> None:
        suffix = ".parquet" if data[:3] == b"PAR" or data[-3:] == b"AR1" else ".csv"
        read_any(self._file(f"scores{suffix}", data), None)


class Parameters(Door):
    def samples(self) -> list[bytes]:
        whole = yaml.safe_load(Path("params.yaml").read_text(encoding="utf-8"))
        # Without its comments, which take more time than all else.
        return [yaml.safe_dump(whole, default_flow_style=None).encode(), b"base: {seed: 7}\n"]

    def enter(self, data: bytes) -> None:
        from deepfake.params.whole import Params

        load_params(Params, self._file("params.yaml", data))


class Bundles(Door):
    """Facts of a model; each second input is sealed again, as an attacker would."""

    def samples(self) -> list[bytes]:
        facts = json.loads(Path("models/starter", FACTS).read_text(encoding="utf-8"))
        shutil.copyfile(Path("models/starter/model.weights.h5"), self.scratch / "model.weights.h5")
        return [json.dumps(facts, indent=1).encode()]

    def enter(self, data: bytes) -> None:
        from deepfake.bundle.bundle import read_bundle

        path = self._file(FACTS, data)
        if len(data) % 2:
            try:
                facts = json.loads(data)
            except ValueError:
                facts = None
            if isinstance(facts, dict):
                path.write_text(json.dumps(sealed(facts)), encoding="utf-8")
        read_bundle(self.scratch)


DOORS: dict[str, type[Door]] = {
    "images": Images,
    "videos": Videos,
    "archives": Archives,
    "tables": Tables,
    "scores": Scores,
    "parameters": Parameters,
    "bundles": Bundles,
}
