"""Kill -9 at random moments of promote, rollback and register: never a half state, and nothing is lost."""

from __future__ import annotations

from pathlib import Path

import pytest
from faults import Person, at, check_consistent, moments, with_past
from registry_helpers import NAME, publication

from deepfake.registry.aliases import CHALLENGER
from deepfake.registry.publishing import publish
from deepfake.registry.versions import resolve

pytestmark = pytest.mark.long


@pytest.mark.parametrize("act", ["promote", "rollback"])
def test_a_killed_move_is_whole_or_has_not_begun(repo: Path, act: str) -> None:
    with_past(repo)
    before = len(check_consistent())
    targets = iter([3, 1] * 20)
    longest = Person(repo, act, next(targets)).seconds()
    done = len(check_consistent())
    assert done == before + 1
    for moment in moments(longest):
        Person(repo, act, next(targets) if act == "promote" else 1).kill_after(moment)
        now = len(check_consistent())
        assert now in (done, done + 1)
        done = now
    print(f"{act}: {done - before - 1} of the killed acts had begun and were finished by the next command")
    Person(repo, act, 2).seconds()
    check_consistent()


def test_a_killed_registration_is_made_good_by_the_next_one(repo: Path) -> None:
    with_past(repo)
    longest = Person(repo, "register", 4).seconds()
    check_consistent()
    for number, moment in enumerate(moments(longest), start=5):
        Person(repo, "register", number).kill_after(moment)
        version = publish(publication(repo, f"w{number}", f"b{number}"))
        assert str(version.version) == str(number) == at(CHALLENGER)
        assert (resolve(f"models:/{NAME}/{number}")[0] / "detector.json").is_file()
        check_consistent()
