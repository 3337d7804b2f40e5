"""All benches, into one file of figures and one page: `make bench [IMAGES="14000 140000"]`.

Each figure is a ratio to a limit that is measured in the same run, since times depend on the machine
more than on the code. build/bench.json has the figures, build/bench.html shows them. A bench that fails is
named there, and the command ends with exit code 1.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from markupsafe import Markup, escape

from deepfake.base.page import templates
from deepfake.base.stage import write_json

HERE, BUILD = Path(__file__).parent, Path("build")
SECTIONS = {
    "data": ("Data: many pictures through the first stages, and DVC", "bench_data.py"),
    "stages": ("Single steps, in one process", "bench_stages.py"),
    "train": ("The input pipeline of training", "bench_train.py"),
    "serve": ("Verdicts through every way in, and cold starts", "bench_serve.py"),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("images", nargs="*", default=["14000"], help="sizes for the section data")
    parser.add_argument("--only", choices=SECTIONS, nargs="+", default=list(SECTIONS))
    options = parser.parse_args()
    sections = []
    for name in options.only:
        title, script = SECTIONS[name]
        print(f"== {title}", flush=True)
        code, figures = _run([script, *(options.images if name == "data" else [])])
        sections.append({"name": name, "title": title, "exit_code": code, "figures": figures})
    content = {"machine": machine(), "sections": sections}
    write_json(BUILD / "bench.json", content)
    write_page(content, BUILD / "bench.html")
    print(f"figures: {BUILD / 'bench.json'}; page: {BUILD / 'bench.html'}")
    sys.exit(any(section["exit_code"] for section in sections))


def _run(command: list[str]) -> tuple[int, list[dict[str, Any]]]:
    """Run one bench: its exit code, and the figures that it kept."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "figures.jsonl"
        environment = os.environ | {"BENCH_FIGURES": str(file)}
        done = subprocess.run(
            [sys.executable, str(HERE / command[0]), *command[1:]], env=environment, check=False
        )
        lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    return done.returncode, [json.loads(line) for line in lines]


def machine() -> dict[str, Any]:
    """What the figures depend on. A load above the number of cores makes times noise."""
    return {
        "cores": len(os.sched_getaffinity(0)),
        "load": round(os.getloadavg()[0], 1),
        "python": platform.python_version(),
        "system": platform.machine(),
    }


def write_page(content: dict[str, Any], path: Path) -> None:
    """The figures as a page; the limits are explained once."""
    limits = {
        one["limit"]: one["why"] for part in content["sections"] for one in part["figures"] if one["limit"]
    }
    pages = templates(HERE)
    pages.filters["code"] = _code
    page = pages.get_template("bench.html").render(**content, limits=limits)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(page, encoding="utf-8")


def _code(text: str) -> Markup:
    """Words between backticks as code."""
    return Markup("").join(  # every second part is between backticks
        Markup("<code>{}</code>").format(part) if number % 2 else escape(part)
        for number, part in enumerate(text.split("`"))
    )


if __name__ == "__main__":
    main()
