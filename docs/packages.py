"""What the locks hold: a bill of materials (CycloneDX) with licences and hashes for each, and a table.

`make sbom` runs it. It writes build/sbom/ and the table of docs/LICENCES.md. Licences come from the
metadata of the installed packages, so the environment must hold what the locks name.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections import defaultdict
from importlib.metadata import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from packaging.utils import canonicalize_name

LOCKS = ("requirements.lock", "requirements-dev.lock")
FOLDER, PAGE = Path("build/sbom"), Path("docs/LICENCES.md")
BEGIN, END = "<!-- table: `make sbom` writes it -->", "<!-- end of table -->"
# SPDX's identifiers for what some packages call their licence.
_SPDX = {
    "License :: OSI Approved :: BSD License": "BSD (version not stated)",
    "License :: OSI Approved :: Apache Software License": "Apache-2.0",
    "License :: OSI Approved :: MIT License": "MIT",
    "License :: OSI Approved :: Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "License :: OSI Approved :: Zope Public License": "ZPL-2.1",
    "License :: OSI Approved": "not stated",
    "Apache License 2.0": "Apache-2.0",
    "Apache 2.0": "Apache-2.0",
    "BSD": "BSD (version not stated)",
    "2-clause BSD License": "BSD-2-Clause",
    "3-Clause BSD License": "BSD-3-Clause",
}
Component = dict[str, Any]


def main() -> None:
    if find_spec("cyclonedx_py") is None:
        sys.exit("error: cyclonedx-bom is not installed: run `make env-dev` first")
    FOLDER.mkdir(parents=True, exist_ok=True)
    installed = {_key(part): part for part in _cyclonedx("environment", sys.executable)["components"]}
    used: dict[str, dict[str, str]] = {}
    for lock in LOCKS:
        bill = _cyclonedx("requirements", lock)
        missing = [_key(part) for part in bill["components"] if _key(part) not in installed]
        if missing:
            names = ", ".join("==".join(key) for key in sorted(missing))
            sys.exit(f"error: the environment lacks packages of {lock}: {names}. Run `make env-dev` first")
        for part in bill["components"]:
            part["licenses"] = installed[_key(part)].get("licenses") or _in_own_words(part["name"])
            part.pop("description", None)  # lines of the lock; the hashes are in externalReferences
        file = FOLDER / f"{Path(lock).stem}.cdx.json"
        file.write_text(json.dumps(bill, indent=1, sort_keys=True) + "\n", encoding="utf-8")
        used[lock] = {part["name"]: _licence(part) for part in bill["components"]}
        unstated = sum(licence == "not stated" for licence in used[lock].values())
        print(f"{file}: {len(used[lock])} packages, {unstated} do not state a licence")
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    after = rest.partition(END)[2]
    PAGE.write_text(f"{before}{BEGIN}\n\n{table(used)}\n\n{END}{after}", encoding="utf-8")


def table(used: dict[str, dict[str, str]]) -> str:
    """A table of Markdown, one licence a row; names where a licence has few packages.

    Args:
        used: lock -> name of a package -> its licence.
    """
    packages: dict[str, set[str]] = defaultdict(set)
    for lock in used.values():
        for name, licence in lock.items():
            packages[licence].add(name)
    rows = ["| licence | " + " | ".join(f"in {lock}" for lock in used) + " | packages |"]
    rows.append("| --- " * (len(used) + 2) + "|")
    for licence, names in sorted(packages.items(), key=lambda pair: (-len(pair[1]), pair[0])):
        counts = [sum(licence == other for other in lock.values()) for lock in used.values()]
        few = ", ".join(sorted(names)) if len(names) <= 12 else "many"
        rows.append(f"| {licence} | " + " | ".join(map(str, counts)) + f" | {few} |")
    return "\n".join(rows)


def _cyclonedx(*arguments: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "cyclonedx_py", *arguments, "--output-reproducible", "--of", "JSON"]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def _key(part: Component) -> tuple[str, str]:
    return canonicalize_name(part["name"]), part["version"]


def _in_own_words(name: str) -> list[Component]:
    """The licence of a package that states none in the terms of SPDX or of PyPI."""
    words = str(metadata(name).get("License", "")).strip()
    return [] if words in ("", "UNKNOWN") else [{"license": {"name": words.splitlines()[0]}}]


def _licence(part: Component) -> str:
    """One licence in words: an expression of SPDX, else its identifiers, else what the package says."""
    stated = []
    for entry in part["licenses"]:
        one = entry.get("license", {})
        words = entry.get("expression") or one.get("id") or _SPDX.get(one.get("name"), one.get("name"))
        stated.append(words if len(words) < 40 else words[:37] + "...")
    # A classifier says less than the identifier beside it.
    exact = [words for words in stated if "::" not in words and "not stated" not in words] or stated
    return " and ".join(dict.fromkeys(exact)) or "not stated"


if __name__ == "__main__":
    main()
