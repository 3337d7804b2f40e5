"""Jobs of the REST service: what is accepted is judged, also after a kill, and nobody else sees it."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from serve_helpers import GreyPredictor, picture

from deepfake.base.errors import DeepfakeError
from deepfake.rest import jobs
from deepfake.rest.keys import Keys, make_key
from deepfake.rest.limits import ServiceLimits
from deepfake.rest.production import LoadedModel, Production
from deepfake.rest.service import make_service
from deepfake.serve.spool import KEPT, Spool, SpoolFull

MOST = 2**20


class Toy:
    """A source with a model that needs no network."""

    def identity(self) -> str:
        return "1"

    def load(self) -> LoadedModel:
        return LoadedModel(GreyPredictor(), "1")  # type: ignore[arg-type]


@contextmanager
def serving(folder: Path, keys: Keys | None = None, loaded: bool = True) -> Iterator[TestClient]:
    production = Production(Toy())
    if loaded:
        production.start()
    service = make_service(production, ServiceLimits(max_batch=4), keys, 60.0, None, Spool(folder, MOST))
    with TestClient(service, raise_server_exceptions=False) as client:
        yield client


def sent(*pictures: bytes) -> list[tuple[str, tuple[str, bytes]]]:
    return [("file", ("somebody.png", data)) for data in pictures]


def done(client: TestClient, job: str, **options: Any) -> dict:
    """The answer to a job, waited for."""
    give_up = time.monotonic() + 60
    while (state := client.get(f"/v1/jobs/{job}", **options).json())["state"] == "waiting":
        assert time.monotonic() < give_up, state
        time.sleep(0.02)
    return state["answer"]


def test_a_job_gets_the_answer_of_a_batch_and_its_pictures_are_gone(tmp_path: Path) -> None:
    files = sent(picture(10), b"no picture", picture(30), picture(200))
    with serving(tmp_path / "jobs") as client:
        accepted = client.post("/v1/jobs", files=files)
        job = accepted.json()["job"]
        assert accepted.status_code == 202 and accepted.headers["location"] == f"/v1/jobs/{job}"
        answer = done(client, job)
        assert answer == client.post("/v1/pictures", files=files).json()
        assert [one["problem"] is None for one in answer["pictures"]] == [True, False, True, True]
        kept = {file.name for file in (tmp_path / "jobs").iterdir()}
        assert kept == {"lock", f"{job}.json"}
        assert "somebody" not in (tmp_path / "jobs" / f"{job}.json").read_text()
        assert client.delete(f"/v1/jobs/{job}").status_code == 204
        gone = client.get(f"/v1/jobs/{job}")
        assert (gone.status_code, gone.json()["code"]) == (404, "no_such_job")
        assert client.get("/v1/jobs/..%2f..%2fkeys").status_code in (404, 422)
        assert client.post("/v1/jobs", files=sent(*[picture()] * 5)).json()["code"] == "too_many_pictures"


def test_a_job_waits_for_the_next_service_and_is_put_back_on_a_stop_in_order(tmp_path: Path) -> None:
    with serving(tmp_path, loaded=False) as client:
        job = client.post("/v1/jobs", files=sent(picture(10))).json()["job"]
        assert client.get(f"/v1/jobs/{job}").json() == {"job": job, "state": "waiting", "answer": None}
        assert client.delete(f"/v1/jobs/{job}").status_code == 404
    assert (tmp_path / f"{job}.0.job").exists()
    with serving(tmp_path) as client:
        assert done(client, job)["pictures"][0]["judged"] is not None


def test_only_the_key_that_sent_a_job_sees_it(tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    mine, other = ({"headers": {"Authorization": f"Bearer {make_key(file, name)}"}} for name in ("a", "b"))
    with serving(tmp_path / "jobs", Keys(file)) as client:
        job = client.post("/v1/jobs", files=sent(picture()), **mine).json()["job"]
        assert done(client, job, **mine)["model_version"] == "1"
        for ask in (client.get, client.delete):
            assert ask(f"/v1/jobs/{job}", **other).status_code == 404
            assert ask(f"/v1/jobs/{job}").status_code == 401


def test_a_service_without_a_folder_takes_no_jobs() -> None:
    production = Production(Toy())
    with TestClient(make_service(production, ServiceLimits())) as client:
        assert client.post("/v1/jobs", files=sent(picture())).status_code == 404


def test_a_job_that_ends_the_service_three_times_is_given_up(tmp_path: Path) -> None:
    spool = Spool(tmp_path, MOST)
    job = spool.add("all", False, [picture(), picture()])
    for begun in range(jobs._ATTEMPTS):
        found = spool.begin()
        assert found is not None and (found.id, found.begun) == (job, begun)
    spool.close()
    with serving(tmp_path) as client:
        problems = [one["problem"]["code"] for one in done(client, job)["pictures"]]
    assert problems == ["not_judged", "not_judged"]


def test_the_folder_is_private_limited_and_for_one_service(tmp_path: Path) -> None:
    folder = tmp_path / "jobs"
    spool = Spool(folder, 1000)
    job = spool.add("all", True, [b"1" * 300, b"2" * 300])
    assert folder.stat().st_mode & 0o777 == 0o700
    assert (folder / f"{job}.0.job").stat().st_mode & 0o777 == 0o600
    with pytest.raises(SpoolFull):
        spool.add("all", True, [b"3" * 400])
    with pytest.raises(DeepfakeError, match="another service uses"):
        Spool(folder, 1000)
    spool.close()
    (folder / f"{'0' * 32}.0.job.part").write_bytes(b"never accepted")
    again = Spool(folder, 1000)
    found = again.begin()
    assert found is not None and found.pictures == [b"1" * 300, b"2" * 300] and found.assume_face
    assert not [*folder.glob("*.part")]


def test_a_kill_between_answer_and_removal_judges_nothing_twice_and_old_answers_go(tmp_path: Path) -> None:
    spool = Spool(tmp_path, MOST)
    job = spool.add("all", False, [b"1"])
    (tmp_path / f"{job}.json").write_text(json.dumps({"owner": "all", "answer": {"pictures": []}}))
    assert spool.begin() is None and spool.answer(job, "all") == {"pictures": []}
    assert not [*tmp_path.glob("*.job")]
    spool.expire()
    assert spool.answer(job, "all") is not None
    os.utime(tmp_path / f"{job}.json", (0, time.time() - KEPT - 60))
    spool.expire()
    with pytest.raises(KeyError):
        spool.answer(job, "all")
