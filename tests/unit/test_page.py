"""The frame that all pages share."""

from __future__ import annotations

import re
from pathlib import Path

import jinja2
import pytest
from helpers import REPO

from deepfake.base.page import templates
from deepfake.base.text import percent

PAGES = [
    path
    for path in (REPO / "src/deepfake").rglob("*.html")
    if any(mark in path.read_text() for mark in ("<body", "block body", "block judged"))
]


def test_every_page_extends_the_frame() -> None:
    (frame,) = [path for path in PAGES if "<body" in path.read_text()]
    assert frame == REPO / "src/deepfake/base/page.html"
    others = {path.relative_to(REPO / "src/deepfake").as_posix() for path in PAGES} - {"base/page.html"}
    assert others == {
        "validate/validation_report.html", "report/page.html", "study/page.html", "monitor/page.html",
        "present/clip_report.html", "present/picture_report.html", "present/verdict_page.html",
    }  # fmt: skip
    for path in PAGES:
        if path != frame:
            judged = path.name in ("clip_report.html", "picture_report.html")
            above = "verdict_page.html" if judged else "base/page.html"
            assert path.read_text().startswith(f'{{% extends "{above}" %}}'), path


def test_a_page_is_escaped_loads_nothing_and_has_its_own_rules_before_print(tmp_path: Path) -> None:
    (tmp_path / "one.html").write_text(
        '{% extends "base/page.html" %}{% block title %}{{ name }}{% endblock %}'
        "{% block style %}.own { color: red; }{% endblock %}{% block body %}<p>{{ name }}</p>{% endblock %}"
    )
    page = templates(tmp_path).get_template("one.html").render(name="<script>")
    assert "<title>&lt;script&gt;</title>" in page and "<p>&lt;script&gt;</p>" in page
    assert "default-src 'none'" in page and not re.search(r"<script|<link|src=|url\(", page)
    assert page.index(".own") < page.index("@media print")


def test_a_misspelt_name_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "one.html").write_text(
        '{% extends "base/page.html" %}{% block body %}{{ nmae }}{% endblock %}'
    )
    with pytest.raises(jinja2.UndefinedError):
        templates(tmp_path).get_template("one.html").render(name="x")


@pytest.mark.parametrize(
    ("share", "digits", "words"),
    [
        (0.125, None, "12.5 %"), (0.2, None, "20 %"), (1.0, None, "100 %"), (0.12345, None, "12.35 %"),
        (0.2, 1, "20.0 %"), (0.126, 0, "13 %"), (0.0, 1, "0.0 %"), (None, None, "–"), (None, 1, "–"),
    ],
)  # fmt: skip
def test_shares_are_shown_in_one_way(share: float | None, digits: int | None, words: str) -> None:
    assert percent(share, digits) == words


def test_no_share_is_written_in_another_way() -> None:
    """Python's own `%` format has no space before the sign."""
    files = [*(REPO / "src/deepfake").rglob("*.py"), *(REPO / "app").rglob("*.py")]
    assert [str(file) for file in files if re.search(r":\.?\d*%}", file.read_text(encoding="utf-8"))] == []
