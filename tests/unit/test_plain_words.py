"""Plain words: no text of the project has a long sentence or a turn that readers failed at."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator

import pytest
from helpers import REPO

LONGEST = 30  # words of a sentence without its brackets; a semicolon ends a sentence
TURNS = re.compile(
    r"\b(of which|the first being|but for|all but|for want of|save for|many an? \w+|and its like|likewise"
    r"|(?:where|there)(?:in|of|upon)|as (?:it|they) stands?|(?:is|are) told|unseen|left out|leaves? out)\b",
    re.IGNORECASE,
)


def python_texts(code: str) -> Iterator[str]:
    """The docstrings of a module, and its comments; lines of comment below each other are one text."""
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
            yield ast.get_docstring(node) or ""
    block: list[str] = []
    for token in tokenize.generate_tokens(io.StringIO(code).readline):
        if token.type == tokenize.COMMENT:
            block.append(token.string.lstrip("# "))
        elif block and token.type != tokenize.NL:
            yield "\n".join(block)
            block = []


def yaml_texts(code: str) -> Iterator[str]:
    """The comments at the ends of lines, and the blocks of comment lines."""
    yield from re.findall(r"\S +# (.*)", code)
    yield from re.sub(r"^(?! *#).*$", "", code, flags=re.MULTILINE).replace("#", " ").split("\n\n")


def markdown_texts(text: str) -> Iterator[str]:
    """Paragraphs and entries of lists; no code, no tables."""
    text = re.sub(r"```.*?```", "\n\n", text, flags=re.DOTALL)
    yield re.sub(r"^\|.*$", "", text, flags=re.MULTILINE)


def texts() -> Iterator[tuple[str, str]]:
    """Every text of the project for people, with its path."""
    for pattern, reader in (
        *((f"{room}/**/*.py", python_texts) for room in ("src", "pipelines", "app", "benchmarks", "tests")),
        ("docs/*.py", python_texts),
        ("params.yaml", yaml_texts),
        ("experiments/**/*.yaml", yaml_texts),
        ("*.md", markdown_texts),
        ("docs/*.md", markdown_texts),
    ):
        for path in sorted(REPO.glob(pattern)):
            for text in reader(path.read_text(encoding="utf-8")):
                yield path.relative_to(REPO).as_posix(), text


def sentences(text: str) -> Iterator[str]:
    """Sentences. A paragraph, an entry of a list or of `Args`, and a choice after `|` start a new one."""
    for part in re.split(r"\n\s*\n|\n\s*(?=[\w`, *]+: |[-*] )", text):
        plain = re.sub(r"\([^()]*\)|\[[^][]*\]", " ", re.sub(r"`[^`]*`", "code", part))
        yield from re.split(r"(?<=[.!?;])\**\s| \| ", re.sub(r"\s+", " ", plain).strip())


def too_long(text: str) -> list[str]:
    return [sentence for sentence in sentences(text) if len(sentence.split()) > LONGEST]


def test_every_sentence_is_short() -> None:
    assert [f"{path}: {sentence}" for path, text in texts() for sentence in too_long(text)] == []


def test_no_riddle_comes_back() -> None:
    found = [(path, hit.group()) for path, text in texts() for hit in TURNS.finditer(text)]
    assert [one for one in found if one[0] != "tests/unit/test_plain_words.py"] == []


def test_a_long_sentence_is_found() -> None:
    code = '"""Short. {}."""\n# A comment {}\n# {}.\n'.format("word " * 31, "goes " * 16, "on " * 15)
    assert [len(too_long(text)) for text in python_texts(code) if text] == [1, 1]
    assert too_long("A list: " + "one thing;\n" * 20) == []


@pytest.mark.parametrize(
    "text", ["a source, of which only one is", "All but models/", "fakes were left out"]
)
def test_a_riddle_is_found(text: str) -> None:
    assert TURNS.search(text)
