"""One frame for all pages: every room's templates extend `base/page.html`."""

from __future__ import annotations

from pathlib import Path

import jinja2

from deepfake.base.text import percent, visible

_HERE = Path(__file__).parent


def templates(folder: Path, autoescape: bool = True) -> jinja2.Environment:
    """The templates of a folder. A name in a template that does not exist is an error.

    Args:
        folder: the room's folder; its pages begin with `{% extends "base/page.html" %}`.
        autoescape: True for HTML, False for Markdown.
    """
    own = jinja2.FileSystemLoader(folder, encoding="utf-8")
    shared = jinja2.PrefixLoader({"base": jinja2.FileSystemLoader(_HERE, encoding="utf-8")})
    made = jinja2.Environment(
        loader=jinja2.ChoiceLoader([shared, own]),
        autoescape=autoescape,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    made.filters |= {"visible": visible, "thousands": "{:,}".format, "percent": percent}
    return made
