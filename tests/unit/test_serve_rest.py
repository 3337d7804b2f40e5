"""The REST service: every face comes back, and what is beyond a limit is refused with a reason."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest
from fastapi.testclient import TestClient
from serve_helpers import GreyPredictor, picture

from deepfake.base.errors import RegistryError
from deepfake.bundle.predictor import FaceVerdict
from deepfake.media.header import ImageRejected
from deepfake.media.squares import Square
from deepfake.media.videos import ClipRejected
from deepfake.rest.keys import Keys, make_key
from deepfake.rest.limits import ServiceLimits
from deepfake.rest.pool import JudgingPool
from deepfake.rest.problems import STATUS_OF, Problem
from deepfake.rest.production import LoadedModel, Production
from deepfake.rest.service import make_service

SECRET_NAME = "somebody-by-name.png"


class TwoFaces(GreyPredictor):
    """Finds two faces in every picture. While `gate` is shut, it does not come to an end."""

    def __init__(self, shift: float = 0.0) -> None:
        super().__init__()
        self.shift, self.gate, self.entered = shift, threading.Event(), threading.Semaphore(0)
        self.gate.set()
        self.bundle.architecture = SimpleNamespace(model="grey")
        self.bundle.calibration = SimpleNamespace(threshold=0.5)
        self.bundle.card = {"sources": [{"name": "a"}], "trained_on": [{"kept": 1}], "test": {"auc": 1}}

    def predict(self, data: bytes, assume_face: bool = False) -> list[FaceVerdict]:
        self.entered.release()
        assert self.gate.wait(20)
        found = super().predict(data, assume_face)
        if found[0].score is None:
            return found
        score = found[0].score * 0.9 + self.shift
        boxes = (Square(1, 2, 20), Square(5, 6, 10, 30.0))
        return [FaceVerdict(n, score, "real", "", 0.5, box, left_out=3) for n, box in enumerate(boxes)]


@dataclass
class Toy:
    """A source whose model a test can exchange."""

    predictor: Any = field(default_factory=TwoFaces)
    version: str = "1"
    broken: bool = False

    def identity(self) -> str:
        return self.version

    def load(self) -> LoadedModel:
        if self.broken:
            raise RegistryError("its files are missing")
        return LoadedModel(self.predictor, self.version)


@contextmanager
def serving(toy: Toy | None = None, keys: Keys | None = None, **limits: Any) -> Iterator[TestClient]:
    production = Production(toy or Toy())
    production.start()
    service = make_service(production, ServiceLimits(**limits), keys, poll=0.01)
    with TestClient(service, raise_server_exceptions=False) as client:
        yield client


def sent(*pictures: bytes) -> list[tuple[str, tuple[str, bytes]]]:
    return [("file", (SECRET_NAME, data)) for data in pictures]


def code(response: Any, status: int) -> str:
    """The code of a problem; the body has the form of RFC 9457."""
    body = response.json()
    assert response.status_code == body["status"] == status, body
    assert response.headers["content-type"] == "application/problem+json" and body["detail"]
    return body["code"]


def test_every_face_of_a_picture_comes_back_as_the_predictor_says() -> None:
    data, predictor = picture(100), TwoFaces()
    with serving(Toy(predictor)) as client:
        form = client.post("/v1/picture", files=sent(data))
        plain = client.post("/v1/picture", content=data)
    assert form.status_code == 200 and form.json() == plain.json()
    want = predictor.predict(data)
    assert [face["score"] for face in form.json()["faces"]] == [face.score for face in want]
    first, second = form.json()["faces"]
    assert first["box"] == {"left": 1, "top": 2, "side": 20, "degrees": 0.0}
    assert (second["face"], second["verdict"], second["threshold"]) == (1, "real", 0.5)
    assert second["box"]["degrees"] == 30.0
    assert form.json()["left_out"] == 3 and form.json()["model_version"] == "1"


def test_a_picture_without_a_face_is_answered() -> None:
    class Nobody(TwoFaces):
        def predict(self, data: bytes, assume_face: bool = False) -> list[FaceVerdict]:
            return [self.not_applicable("no_face: nothing looks like a face")]

    with serving(Toy(Nobody())) as client:
        (face,) = client.post("/v1/picture", content=picture()).json()["faces"]
    assert face["verdict"] == "not_applicable" and face["score"] is None and "no_face" in face["reason"]


def test_a_bad_picture_does_not_stop_a_batch() -> None:
    with serving(max_batch=3) as client:
        answer = client.post("/v1/pictures", files=sent(picture(10), b"no picture", picture(200))).json()
        too_many = client.post("/v1/pictures", files=sent(*[picture()] * 4))
        none = client.post("/v1/pictures", files={"field": (None, "text")})
        plain = client.post("/v1/pictures", content=picture())
    good, bad, other = answer["pictures"]
    assert bad["problem"]["code"] == "not_an_image" and bad["judged"] is None
    assert good["judged"]["faces"][0]["score"] < other["judged"]["faces"][0]["score"]
    assert [code(too_many, 422), code(none, 422), code(plain, 415)] == [
        "too_many_pictures", "too_many_pictures", "no_form",
    ]  # fmt: skip


def test_files_that_are_no_good_picture_get_their_status() -> None:
    with serving(max_pixels=1000) as client:
        assert code(client.post("/v1/picture", content=b"<html>"), 415) == "not_an_image"
        assert code(client.post("/v1/picture", content=picture()), 413) == "too_many_pixels"
        assert code(client.post("/v1/picture", content=b""), 422) == "nothing_sent"
        assert code(client.post("/v1/picture", files=sent(b"1", b"2")), 422) == "one_picture"
    with serving() as client:
        assert code(client.post("/v1/picture", content=picture()[:60]), 422) == "corrupt"
        assert code(client.post("/v1/picture", content=b"8BPS" + bytes(60)), 415) == "unsupported_format"
        assert code(client.post("/v1/picture?assume_face=perhaps", content=picture()), 422) == "bad_request"
        assert code(client.get("/v2"), 404) == "no_such_thing"
        broken_form = {"content-type": "multipart/form-data; boundary=x"}
        assert code(client.post("/v1/picture", content=b"--y", headers=broken_form), 400) == "bad_form"
        assert code(client.post("/v1/video", content=picture()), 415) == "not_a_video"


def test_a_clip_has_a_verdict_and_tracks(tmp_path: Path) -> None:
    file = tmp_path / "clip.avi"
    writer = cv2.VideoWriter(str(file), cv2.VideoWriter_fourcc(*"MJPG"), 10, (64, 64))
    for _ in range(20):
        writer.write(np.full((64, 64, 3), 200, np.uint8))
    writer.release()
    with serving() as client:
        clip = client.post("/v1/video?frames=3", files=sent(file.read_bytes())).json()
        cut = client.post("/v1/video", content=file.read_bytes()[:60])
        assert client.post("/v1/video?frames=0", content=b"x").status_code == 422
        assert 'deepfake_verdicts_total{verdict="real"} 6.0' in client.get("/metrics").text
    with serving(clip_seconds=1.0) as client:
        assert code(client.post("/v1/video", content=file.read_bytes()), 413) == "too_long"
    assert (clip["frames"], clip["verdict"], clip["without_face"]) == (3, "real", 0)
    assert [frame["frame"] for frame in clip["tracks"][0]["frames"]] == [3, 10, 16]
    assert code(cut, 422) == "corrupt"


def test_every_reason_of_media_has_a_status() -> None:
    for kind in (ImageRejected, ClipRejected):
        named = (kind.__doc__ or "").partition("(")[2].partition(")")[0]
        codes = {word.strip("` \n") for word in named.split(",")}
        assert codes and codes <= STATUS_OF.keys()


def test_too_many_bytes_are_refused_with_and_without_a_declared_size() -> None:
    def chunks() -> Iterator[bytes]:
        for _ in range(32):
            yield bytes(2**16)

    with serving(max_body=1000, memory=2**20) as client:
        assert code(client.post("/v1/picture", content=bytes(2**22 + 1)), 413) == "too_many_bytes"
        assert code(client.post("/v1/picture", content=chunks()), 503) == "busy"  # more than the memory
        assert code(client.post("/v1/pictures", files=sent(bytes(2000))), 413) == "too_many_bytes"
        assert client.post("/v1/picture", content=picture()).status_code == 200  # all of it came back


def test_a_fault_of_the_program_is_an_answer_and_no_text_of_it_is_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Faulty(TwoFaces):
        def predict(self, data: bytes, assume_face: bool = False) -> list[FaceVerdict]:
            raise ValueError(f"secret {data!r}")

    caplog.set_level(logging.DEBUG)
    with serving(Toy(Faulty())) as client:
        assert code(client.post("/v1/picture", files=sent(picture())), 500) == "internal"
        assert 'status="500"' in client.get("/metrics").text
    assert "ValueError at" in caplog.text
    assert "secret" not in caplog.text and SECRET_NAME not in caplog.text


def post_in_thread(client: TestClient, answers: list[Any]) -> threading.Thread:
    thread = threading.Thread(target=lambda: answers.append(client.post("/v1/picture", content=picture())))
    thread.start()
    return thread


@pytest.mark.parametrize(
    ("limits", "status", "word"),
    [
        ({"threads": 1, "queue": 0}, 503, "busy"),
        ({"max_requests": 1}, 503, "busy"),
        ({"per_client": 1}, 429, "too_many_requests"),
    ],
)
def test_more_than_the_service_can_do_is_refused_at_once(
    limits: dict[str, int], status: int, word: str
) -> None:
    toy, answers = Toy(), []
    toy.predictor.gate.clear()
    with serving(toy, **limits) as client:
        first = post_in_thread(client, answers)
        assert toy.predictor.entered.acquire(timeout=20)
        refused = client.post("/v1/picture", content=picture())
        assert code(refused, status) == word and int(refused.headers["retry-after"]) > 0
        toy.predictor.gate.set()
        first.join()
        assert answers[0].status_code == 200
        assert client.post("/v1/picture", content=picture()).status_code == 200


def test_a_request_that_takes_too_long_is_answered_and_its_thread_stays_counted() -> None:
    toy = Toy()
    toy.predictor.gate.clear()
    with serving(toy, threads=1, queue=1, seconds=0.2) as client:
        assert code(client.post("/v1/picture", content=picture()), 503) == "too_slow"
        assert "deepfake_pictures_in_work 1.0" in client.get("/metrics").text
        toy.predictor.gate.set()
        while "deepfake_pictures_in_work 1.0" in client.get("/metrics").text:
            pass
        assert client.post("/v1/picture", content=picture()).status_code == 200


def test_a_promoted_version_takes_over_and_requests_in_work_keep_theirs() -> None:
    toy, answers = Toy(), []
    first = toy.predictor
    first.gate.clear()
    with serving(toy) as client:
        waiting = post_in_thread(client, answers)
        assert first.entered.acquire(timeout=20)
        toy.predictor, toy.version = TwoFaces(shift=0.05), "2"
        while client.get("/v1/model").json()["version"] != "2":
            pass
        new = client.post("/v1/picture", content=picture()).json()
        first.gate.set()
        waiting.join()
        assert "deepfake_model_swaps 1.0" in client.get("/metrics").text
    old = answers[0].json()
    assert (old["model_version"], new["model_version"]) == ("1", "2")
    assert new["faces"][0]["score"] == pytest.approx(old["faces"][0]["score"] + 0.05)


def test_a_version_that_cannot_be_loaded_changes_nothing(caplog: pytest.LogCaptureFixture) -> None:
    toy = Toy()
    production = Production(toy)
    production.start()
    toy.version, toy.broken = "2", True
    production.check()
    production.check()
    assert production.now is not None and production.now.version == "1"
    assert (production.swaps, production.failures) == (0, 2)
    assert len(caplog.records) == 1 and "its files are missing" in caplog.text
    toy.broken = False
    production.check()
    assert production.now.version == "2" and production.swaps == 1


def test_without_a_model_the_service_is_alive_but_not_ready() -> None:
    service = make_service(Production(Toy()), ServiceLimits())
    client = TestClient(service)  # not entered: nothing looks for a model
    assert client.get("/health").status_code == 200
    assert code(client.get("/ready"), 503) == "no_model"
    assert code(client.post("/v1/picture", content=picture()), 503) == "no_model"


def test_only_those_with_a_key_may_ask(tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    key = make_key(file, "alice")
    assert key not in file.read_text() and file.stat().st_mode & 0o077 == 0
    with serving(keys=Keys(file), per_client=1) as client:
        mine = {"Authorization": f"Bearer {key}"}
        assert client.post("/v1/picture", content=picture(), headers=mine).status_code == 200
        for wrong in ({}, {"Authorization": "Bearer x"}, {"Authorization": f"Basic {key}"}):
            refused = client.post("/v1/picture", content=picture(), headers=wrong)
            assert code(refused, 401) == "no_key" and refused.headers["www-authenticate"] == "Bearer"
            for path in ("/v1/model", "/metrics"):
                assert code(client.get(path, headers=wrong), 401) == "no_key"
        assert client.get("/health").status_code == client.get("/ready").status_code == 200
        other = {"Authorization": f"Bearer {make_key(file, 'alice')}"}  # replaces the first one at once
        assert client.get("/v1/model", headers=mine).status_code == 401
        assert client.get("/v1/model", headers=other).json()["network"] == "grey"


def test_the_description_names_bodies_refusals_and_the_key() -> None:
    with serving() as client:
        told = client.get("/openapi.json").json()
    route = told["paths"]["/v1/picture"]["post"]
    assert set(route["requestBody"]["content"]) == {"multipart/form-data", "application/octet-stream"}
    assert {"413", "415", "422", "429", "503"} <= set(route["responses"]) and route["security"]
    assert told["components"]["securitySchemes"]["HTTPBearer"]["scheme"] == "bearer"


def test_work_that_waits_when_its_request_ends_never_starts() -> None:
    async def scenario() -> tuple[list[int], int, int]:
        pool, gate, ran = JudgingPool(threads=1, queue=9), threading.Event(), list[int]()

        def task(number: int) -> int:
            assert gate.wait(20)
            ran.append(number)
            return number

        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await pool.judge([lambda n=n: task(n) for n in range(5)])
        held = pool.taken
        gate.set()
        after = await pool.judge([lambda: task(9)])
        assert after == [9]
        while pool.taken:
            await asyncio.sleep(0)
        pool.close()
        return ran, held, pool.taken

    assert asyncio.run(scenario()) == ([0, 9], 1, 0)


def test_a_large_request_does_not_hold_up_a_small_one() -> None:
    async def scenario() -> list[str]:
        pool, order = JudgingPool(threads=1, queue=99), list[str]()
        large = asyncio.ensure_future(pool.judge([lambda: order.append("large")] * 20))
        await asyncio.sleep(0)
        await pool.judge([lambda: order.append("small")])
        await large
        pool.close()
        return order

    order = asyncio.run(scenario())
    assert len(order) == 21 and order.index("small") < 10


def test_a_full_pool_refuses_and_keeps_its_count() -> None:
    async def scenario() -> int:
        pool = JudgingPool(threads=1, queue=1)
        with pytest.raises(Problem, match="busy"):
            await pool.judge([lambda: 1] * 3)
        assert await pool.judge([lambda: 1, lambda: 2]) == [1, 2]
        pool.close()
        return pool.taken

    assert asyncio.run(scenario()) == 0


_WRITTEN: list[str] | None = (
    None  # a hook of Python can't be taken away: it only looks while this is a list
)


def _note_writes(event: str, arguments: tuple[Any, ...]) -> None:
    if _WRITTEN is None or event != "open":
        return
    path, mode, flags = arguments
    if isinstance(path, str) and (flags & (os.O_WRONLY | os.O_RDWR) or set(str(mode or "")) & set("wax+")):
        _WRITTEN.append(path)


def test_pictures_never_touch_the_disk() -> None:
    """More than a form's usual megabyte in memory, alone, in a form and as a batch."""
    global _WRITTEN
    sys.addaudithook(_note_writes)
    data = picture() + bytes(3 << 20)  # what follows a picture's end is allowed
    with serving() as client:
        client.post("/v1/picture", content=data)  # imports
        _WRITTEN = []
        try:
            answers = [
                client.post("/v1/picture", content=data),
                client.post("/v1/picture", files=sent(data)),
                client.post("/v1/pictures", files=sent(data, data)),
            ]
            by_service = [*_WRITTEN]
            with tempfile.TemporaryFile():
                pass
        finally:
            written, _WRITTEN = _WRITTEN, None
    assert [answer.status_code for answer in answers] == [200, 200, 200]
    assert by_service == [] and written, "the hook sees temporary files, and the service writes none"
