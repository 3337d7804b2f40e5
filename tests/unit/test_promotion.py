"""Promotion as one step: gates decide, a kill leaves no half state, and the history tells all of it."""

from __future__ import annotations

import contextlib
import getpass
from collections.abc import Callable
from pathlib import Path

import mlflow
import pytest
from registry_helpers import GOOD, NAME, REGISTER, publication

from deepfake.base.errors import RegistryError
from deepfake.bundle.gates.check import FAILED, MISSING, Check
from deepfake.bundle.move import Move
from deepfake.registry import promotion
from deepfake.registry.aliases import CHALLENGER, PREVIOUS, PRODUCTION, alias_version
from deepfake.registry.journal import history, settle
from deepfake.registry.promotion import promote, rollback
from deepfake.registry.publishing import publish
from deepfake.registry.tracking.store import connect

BAD = {
    **GOOD,
    "smoke_scores": Check(MISSING, "no pictures", "the same"),
    "caught": Check(FAILED, 0.1, "at least 0.3"),
}


@pytest.fixture
def repo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two versions of photographs, none in production; all gates pass."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(promotion, "_judge", lambda *_: GOOD)
    for number in (1, 2):
        publish(publication(tmp_path, f"w{number}", f"b{number}"))
    return tmp_path


@pytest.fixture
def say(monkeypatch: pytest.MonkeyPatch) -> Callable[[dict[str, Check]], None]:
    """Makes the gates say something else."""
    return lambda checks: monkeypatch.setattr(promotion, "_judge", lambda *_: checks)


def at(alias: str) -> str | None:
    version = alias_version(NAME, alias)
    return None if version is None else str(version.version)


def tags(version: str) -> dict[str, str]:
    return dict(connect().get_model_version(NAME, version).tags)


def test_promote_and_rollback_move_and_sign_the_aliases(repo: Path) -> None:
    assert promote(REGISTER, "1", "first").replaced is None
    assert promote(REGISTER, "02", "better on swaps") == promotion.Promotion(
        "2", changed=True, replaced="1", page=repo / "reports/register/version-2.md"
    )
    assert (at(PRODUCTION), at(PREVIOUS)) == ("2", "1")
    found = tags("2")
    assert found["promoted_why"] == "better on swaps" and found["promoted_by"] and found["promoted_at"]
    assert found["promoted_gates"] == "1 of 1 gates passed" and found["promoted_forced"] == "false"
    assert rollback(NAME, "too many alarms").version == "1"
    assert (at(PRODUCTION), at(PREVIOUS)) == ("1", "2")
    assert tags("2")["rolled_back_why"] == "too many alarms"
    assert [(move.number, move.act, move.version, move.replaced, move.why) for move in history(NAME)] == [
        (1, "promoted", "1", None, "first"),
        (2, "promoted", "2", "1", "better on swaps"),
        (3, "rolled back", "1", "2", "too many alarms"),
    ]


def test_what_is_in_production_already_changes_nothing(repo: Path) -> None:
    for version in ("1", "2"):
        promote(REGISTER, version, "x")
    before = tags("2"), history(NAME)
    assert not promote(REGISTER, "002", "again").changed
    assert (tags("2"), history(NAME)) == before
    assert (at(PRODUCTION), at(PREVIOUS)) == ("2", "1")  # the target of a rollback is still there


def test_gates_that_say_no_are_named_and_nothing_changes(
    repo: Path, say: Callable[[dict[str, Check]], None]
) -> None:
    promote(REGISTER, "1", "x")
    say(BAD)
    with pytest.raises(RegistryError) as refused:
        promote(REGISTER, "2", "y")
    caught = "caught (failed: 0.1; required: at least 0.3)"
    for words in ("version 2 is not promoted", "smoke_scores (missing: no pictures", caught, "FORCE=1"):
        assert words in str(refused.value)
    assert "auc" not in str(refused.value)
    assert at(PRODUCTION) == "1" and at(PREVIOUS) is None and len(history(NAME)) == 1


def test_force_goes_past_and_is_written_down(repo: Path, say: Callable[[dict[str, Check]], None]) -> None:
    say(BAD)
    promote(REGISTER, "2", "the test pictures are wrong", force=True)
    found = tags("2")
    assert at(PRODUCTION) == "2" and found["promoted_forced"] == "true"
    assert found["promoted_gates"] == "1 of 3 gates passed; not smoke_scores, caught"
    (move,) = history(NAME)
    assert move.forced and "FORCED" in str(move) and "the test pictures are wrong" in str(move)
    say(GOOD)
    promote(REGISTER, "1", "x", force=True)
    assert tags("1")["promoted_forced"] == "false"  # there was nothing to force


def test_the_table_is_a_file_an_artefact_tags_and_on_the_page(
    repo: Path, say: Callable[[dict[str, Check]], None]
) -> None:
    say(BAD)
    with pytest.raises(RegistryError):
        promote(REGISTER, "2", "y")
    page = (repo / "reports/register/version-2.md").read_text()
    row = "| caught | 0.1 | at least 0.3 | failed |"
    assert row in page
    client = connect()
    version = client.get_model_version(NAME, "2")
    assert version.tags["gate.caught"] == "failed: 0.1; required: at least 0.3"
    assert version.description.startswith("test\n\n## Gates") and row in version.description
    sent = Path(client.download_artifacts(version.run_id, "register/version-2.md"))
    assert sent.read_text() == page
    publish(publication(repo, "w2", "b2"))
    assert client.get_model_version(NAME, "2").description == version.description
    say(GOOD)
    promote(REGISTER, "2", "y")
    assert client.get_model_version(NAME, "2").description.count("## Gates") == 1


def test_rendered_pictures_never_replace_photographs_not_even_by_force(
    repo: Path, say: Callable[[dict[str, Check]], None]
) -> None:
    publish(publication(repo, "w3", "b3", rendered=True))
    promote(REGISTER, "3", "nothing else is there")
    promote(REGISTER, "1", "photographs")
    with pytest.raises(RegistryError, match="never replaces one that has seen photographs"):
        rollback(NAME, "x")
    say({**GOOD, "photographs": Check(FAILED, "trained only on rendered pictures", "never")})
    with pytest.raises(RegistryError, match="even with FORCE"):
        promote(REGISTER, "3", "x", force=True)
    assert (at(PRODUCTION), at(PREVIOUS), len(history(NAME))) == ("1", "3", 2)


def test_errors_say_what_to_do(repo: Path) -> None:
    with pytest.raises(RegistryError, match="no previous"):
        rollback(NAME, "x")
    with pytest.raises(RegistryError, match=r"no version 9: choose one of \[1, 2\]"):
        promote(REGISTER, "9", "x")
    with pytest.raises(RegistryError, match="'two' is not a version: give a number"):
        promote(REGISTER, "two", "x")


CALLS = (
    "set_registered_model_alias",
    "set_model_version_tag",
    "set_registered_model_tag",
    "delete_registered_model_tag",
)


class Killed(BaseException):
    """As a kill: nothing catches it."""


@pytest.mark.parametrize("survived", range(12))
def test_a_kill_between_any_two_writes_leaves_no_half_state(
    repo: Path, monkeypatch: pytest.MonkeyPatch, survived: int
) -> None:
    promote(REGISTER, "1", "first")
    left = [survived]

    def dying(real: Callable[..., object]) -> Callable[..., object]:
        def call(*args: object, **kwargs: object) -> object:
            if left[0] == 0:
                raise Killed
            left[0] -= 1
            return real(*args, **kwargs)

        return call

    with monkeypatch.context() as patch:
        for name in CALLS:
            patch.setattr(mlflow.MlflowClient, name, dying(getattr(mlflow.MlflowClient, name)))
        patch.setattr(promotion, "write_table", lambda *_: repo)
        with contextlib.suppress(Killed):
            promote(REGISTER, "2", "second")
    settle(NAME)
    done = survived > 0  # the first write is the one that counts
    assert (at(PRODUCTION), at(PREVIOUS)) == (("2", "1") if done else ("1", None))
    assert [move.version for move in history(NAME)] == (["1", "2"] if done else ["1"])
    assert ("promoted_why" in tags("2")) == done
    assert settle(NAME) is None


def test_somebody_elses_promotion_meanwhile_is_noticed(repo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def judge(*_: object) -> dict[str, Check]:
        monkeypatch.setattr(promotion, "_judge", lambda *_: GOOD)
        promote(REGISTER, "1", "faster")
        return GOOD

    monkeypatch.setattr(promotion, "_judge", judge)
    with pytest.raises(RegistryError, match="another command just put version 1 in production"):
        promote(REGISTER, "2", "slower")
    assert (at(PRODUCTION), at(PREVIOUS)) == ("1", None)
    assert [move.why for move in history(NAME)] == ["faster"]


@pytest.mark.parametrize("error", [KeyError("uid not found"), OSError("no user")])
def test_a_user_without_a_name_is_told_by_number(
    repo: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def nobody() -> str:
        raise error

    monkeypatch.setattr(getpass, "getuser", nobody)
    promote(REGISTER, "1", "x")
    assert history(NAME)[0].by.startswith("user ")


def test_a_broken_version_is_not_promoted(repo: Path) -> None:
    promote(REGISTER, "1", "x")
    promote(REGISTER, "2", "x")
    for file in (repo / "mlruns/artifacts/models").rglob("detector.json"):
        file.write_text("{}")
    with pytest.raises(RegistryError, match=r"files of version 1 .* were changed after it was registered"):
        rollback(NAME, "x")
    assert (at(PRODUCTION), at(PREVIOUS), at(CHALLENGER)) == ("2", "1", "2")


def test_moves_are_read_back_as_they_were_written(repo: Path) -> None:
    promote(REGISTER, "1", 'because of <b>"quotes"</b> and\nlines')
    assert isinstance(history(NAME)[0], Move) and history(NAME)[0].why.endswith("\nlines")
