"""Lets accidents happen to a tiny pipeline, and writes what came of it into docs/RELIABILITY.md.

`make faults` runs it. FAULT_KILLS sets the kills of each stage, 20 if it is not set.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

PAGE = Path("docs/RELIABILITY.md")
BEGIN, END = "<!-- figures: `make faults` writes them -->", "<!-- end of figures -->"


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "figures.jsonl"
        command = [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-m",
            "long",
            "--numprocesses",
            "0",
            "tests/faults",
        ]
        code = subprocess.run(
            [*command, *sys.argv[1:]], env=os.environ | {"FAULT_FIGURES": str(file)}, check=False
        ).returncode
        lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    if lines:
        write_page([json.loads(line) for line in lines])
        print(f"{len(lines)} kinds of accident held; see {PAGE}")
    sys.exit(code)


def write_page(figures: list[dict[str, Any]]) -> None:
    """Put the table of what held into its page."""
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    after = rest.partition(END)[2]
    PAGE.write_text(f"{before}{BEGIN}\n{table(figures)}\n{END}{after}", encoding="utf-8")


def table(figures: list[dict[str, Any]]) -> str:
    """A table of Markdown, one accident a row."""
    rows = [
        f"| {one['fault']} | {one['where']} | {one['times']} | {_without_place(one['note'])} |"
        for one in figures
    ]
    return "\n".join(
        ["", "| accident | stage | times | what it said or did |", "| --- | --- | --- | --- |", *rows, ""]
    )


def _without_place(note: str) -> str:
    """A note without the folder of the test, which is another one in each run."""
    return re.sub(r"(/[\w.-]+)+/(?=clone/|small)", "", note).replace("clone/", "")


if __name__ == "__main__":
    main()
