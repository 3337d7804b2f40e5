"""A team's servers on the loopback interface: PostgreSQL, an object store, MLflow with passwords."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from helpers import clean_environment

PROGRAMS = next(iter(sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)), Path("/nowhere"))
PASSWORD = "loopback-only-1"  # of every server here
ADMIN, MEMBER = "keeper", "member"
PATIENCE = 300.0  # seconds that a server may take to answer on a busy machine
_ROOT = os.getuid() == 0  # PostgreSQL refuses to run as root


def missing() -> str | None:
    """What this machine lacks for these servers, or None."""
    if not (PROGRAMS / "initdb").exists():
        return "needs PostgreSQL: apt-get install postgresql"
    for module in ("moto", "boto3", "psycopg", "flask_wtf", "dvc_s3", "s3fs"):
        try:
            __import__(module)
        except ImportError:
            return f"needs {module}: pip install 'deepfake-detector[dev,team]'"
    return None


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Server:
    """A running program, in a process group of its own.

    Attributes:
        command: starts it again after `kill`.
        log: what it says.
        address: where a web server is.
    """

    command: list[str]
    environment: Mapping[str, str]
    answers: Callable[[], bool]
    log: Path
    address: str = ""
    user: str | None = None
    process: subprocess.Popen | None = None

    def start(self) -> None:
        with self.log.open("a") as log:
            self.process = subprocess.Popen(
                self.command, env={**self.environment}, stdout=log, stderr=log, start_new_session=True,
                user=self.user, cwd=self.log.parent,
            )  # fmt: skip
        give_up = time.monotonic() + PATIENCE
        while not self.answers():
            assert self.process.poll() is None and time.monotonic() < give_up, self.log.read_text()[-4000:]
            time.sleep(0.2)

    def kill(self, sign: signal.Signals = signal.SIGKILL) -> None:
        assert self.process is not None
        if self.process.poll() is None:
            os.killpg(self.process.pid, sign)
        self.process.wait()


@contextmanager
def running(server: Server) -> Iterator[Server]:
    """A server until the end of the block."""
    server.start()
    try:
        yield server
    finally:
        server.kill(signal.SIGINT)  # PostgreSQL then stops at once; the others too


def opens(port: int) -> Callable[[], bool]:
    """Whether somebody listens on a port."""

    def check() -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    return check


def says(address: str) -> Callable[[], bool]:
    """Whether a web server answers."""

    def check() -> bool:
        try:
            urllib.request.urlopen(address, timeout=10).close()
        except urllib.error.HTTPError:
            return True
        except OSError:
            return False
        return True

    return check


@contextmanager
def postgres(*databases: str) -> Iterator[str]:
    """PostgreSQL with empty databases; gives the address before a database's name."""
    folder = Path(tempfile.mkdtemp(prefix="postgres-"))
    user = "postgres" if _ROOT else None
    (folder / "password").write_text(PASSWORD)
    if _ROOT:
        for path in (folder, folder / "password"):
            shutil.chown(path, "postgres")
    data, port = folder / "data", free_port()
    try:
        subprocess.run(
            [str(PROGRAMS / "initdb"), "--pgdata", str(data), "--username=keeper", "--auth=scram-sha-256",
             f"--pwfile={folder / 'password'}", "--no-sync"],
            check=True, capture_output=True, user=user, cwd=folder,
        )  # fmt: skip
        command = [
            str(PROGRAMS / "postgres"), "-D", str(data), "-p", str(port), "-k", str(folder),
            "-c", "listen_addresses=127.0.0.1", "-c", "fsync=off",
        ]  # fmt: skip
        with running(Server(command, clean_environment(), opens(port), folder / "log", user=user)):
            _create(port, databases)
            yield f"postgresql+psycopg://keeper:{PASSWORD}@127.0.0.1:{port}"
    finally:
        shutil.rmtree(folder)


def _create(port: int, databases: tuple[str, ...]) -> None:
    import psycopg

    place = {"host": "127.0.0.1", "port": port, "user": "keeper", "password": PASSWORD}
    give_up = time.monotonic() + PATIENCE
    while True:
        try:
            with psycopg.connect(**place, dbname="postgres", autocommit=True) as connection:
                for name in databases:
                    connection.execute(f"CREATE DATABASE {name}")
                return
        except psycopg.OperationalError:  # it listens, but is still starting
            assert time.monotonic() < give_up
            time.sleep(0.2)


@dataclass(frozen=True)
class Store:
    """An object store.

    Attributes:
        environment: variables with which programs find it.
    """

    address: str
    environment: Mapping[str, str]


@contextmanager
def object_store(folder: Path, *buckets: str) -> Iterator[Store]:
    """A store that speaks S3, with empty buckets."""
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    keys = {
        "AWS_ACCESS_KEY_ID": "keeper", "AWS_SECRET_ACCESS_KEY": PASSWORD, "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL_S3": address, "MLFLOW_S3_ENDPOINT_URL": address,
    }  # fmt: skip
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with running(Server(command, clean_environment(), opens(port), folder / "store.log")):
        import boto3

        client = boto3.client(
            "s3", endpoint_url=address, region_name="us-east-1", aws_access_key_id="keeper",
            aws_secret_access_key=PASSWORD,
        )  # fmt: skip
        for bucket in buckets:
            client.create_bucket(Bucket=bucket)
        yield Store(address, keys)


@dataclass(frozen=True)
class Tracker:
    """MLflow's server.

    Attributes:
        environment: variables with which a member of the team uses it.
    """

    address: str
    server: Server
    environment: Mapping[str, str]


@contextmanager
def tracker(
    folder: Path, backend: str, artifacts: str, auth: str, more: Mapping[str, str]
) -> Iterator[Tracker]:
    """MLflow's server, as docs/TEAM.md starts it, with one member beside its keeper.

    Args:
        backend, auth: addresses of the databases of runs and of people.
        artifacts: where the server keeps files.
        more: variables of the server, such as the store's.
    """
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    config = folder / "people.ini"
    config.write_text(
        "[mlflow]\ndefault_permission = MANAGE\n"
        f"database_uri = {auth}\nadmin_username = {ADMIN}\nadmin_password = {PASSWORD}\n"
    )
    environment = clean_environment() | dict(more) | {
        "MLFLOW_AUTH_CONFIG_PATH": str(config), "MLFLOW_FLASK_SERVER_SECRET_KEY": PASSWORD,
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    }  # fmt: skip
    command = [
        sys.executable, "-m", "mlflow", "server", "--app-name", "basic-auth",
        "--backend-store-uri", backend, "--artifacts-destination", artifacts,
        "--host", "127.0.0.1", "--port", str(port), "--workers", "1",
    ]  # fmt: skip
    with running(Server(command, environment, says(f"{address}/health"), folder / "mlflow.log")) as server:
        _add_member(address)
        member = {"MLFLOW_TRACKING_USERNAME": MEMBER, "MLFLOW_TRACKING_PASSWORD": PASSWORD}
        yield Tracker(address, server, {"MLFLOW_TRACKING_URI": address, **member})


def _add_member(address: str) -> None:
    import requests

    body = {"username": MEMBER, "password": PASSWORD}
    made = requests.post(
        f"{address}/api/2.0/mlflow/users/create", json=body, auth=(ADMIN, PASSWORD), timeout=60
    )
    assert made.ok, made.text
