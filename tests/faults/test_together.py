"""Two people do the same thing at the same time: one registry, one history, no lost move."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from faults import Person, at, check_consistent, with_past
from helpers import clean_environment, tiny_params
from registry_helpers import NAME
from starter_helpers import stand_in

from deepfake.registry.aliases import PRODUCTION
from deepfake.registry.tracking.store import connect

pytestmark = pytest.mark.long


def together(*people: Person) -> list[tuple[int | None, str]]:
    return [person.wait() for person in people]


def test_two_promotions_at_once_are_two_moves_or_one_and_a_sentence(repo: Path) -> None:
    with_past(repo)
    before = len(check_consistent())
    said = together(Person(repo, "promote", 1), Person(repo, "promote", 3))
    moves = check_consistent()
    winners = [code for code, _ in said if code == 0]
    assert len(moves) - before == len(winners) >= 1
    for code, text in said:
        assert "Traceback" not in text and (code == 0 or "another command just put version" in text)


def test_two_rollbacks_at_once_are_two_swaps_or_one_and_a_sentence(repo: Path) -> None:
    with_past(repo)
    before = len(check_consistent())
    said = together(Person(repo, "rollback"), Person(repo, "rollback"))
    winners = [code for code, _ in said if code == 0]
    assert len(check_consistent()) - before == len(winners) >= 1
    assert not any("Traceback" in text for _, text in said)


def test_two_registrations_of_one_model_are_one_version(repo: Path) -> None:
    said = together(Person(repo, "register", 1), Person(repo, "register", 1))
    assert [code for code, _ in said] == [0, 0], said
    check_consistent()
    assert len(connect().search_model_versions(f"name = '{NAME}'")) == 1


def test_two_first_commands_on_an_empty_registry_both_answer(repo: Path, tmp_path: Path) -> None:
    stand_in(repo / "models/starter", tmp_path / "work")
    (repo / "params.yaml").write_text(yaml.safe_dump(tiny_params()))
    (repo / "dvc.yaml").touch()
    command = [sys.executable, "-m", "deepfake.cli", "predict", str(repo / "params.yaml")]
    both = [
        subprocess.Popen(
            command, cwd=repo, env=clean_environment(), text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )
        for _ in range(2)
    ]  # fmt: skip
    said = [one.communicate(timeout=600) for one in both]
    assert [one.returncode for one in both] == [3, 3], said  # a text file is no picture
    assert sum("registered the starter as version 1" in error for _, error in said) == 1
    assert at(PRODUCTION) == "1" and len(check_consistent()) == 1
