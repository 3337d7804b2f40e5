"""Asks which packages of the locks have known vulnerabilities, and says so when it could not ask.

`make advisories` runs it. Exit codes: 0, none is known; 1, some are; 3, the data base was not reached, so
nothing is known. pip-audit itself ends with 0 where an index has no advisories.
"""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.util import find_spec
from typing import Any

LOCKS = ("requirements.lock", "requirements-dev.lock")
KNOWN, OFFLINE = 1, 3  # exit codes


def main() -> None:
    if find_spec("pip_audit") is None:
        sys.exit("error: pip-audit is not installed: run `make env-dev` first")
    codes = []
    for lock in LOCKS:
        code, words = verdict(lock, _ask(lock))
        print(words, flush=True)
        codes.append(code)
    # One known vulnerability is worse than an audit that did not happen.
    sys.exit(KNOWN if KNOWN in codes else max(codes))


def _ask(lock: str) -> str:
    """What pip-audit answers as JSON; without an answer, the last line of what it says."""
    command = [
        sys.executable, "-m", "pip_audit", "--requirement", lock, "--require-hashes", "--disable-pip",
        "--format", "json", "--progress-spinner", "off", "--timeout", "15",
    ]  # fmt: skip
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    return done.stdout.strip() or done.stderr.strip()


def verdict(lock: str, answer: str) -> tuple[int, str]:
    """Exit code and words for one lock."""
    try:
        packages: list[dict[str, Any]] = json.loads(answer)["dependencies"]
    except ValueError:
        last = answer.splitlines()[-1] if answer else "no answer"
        return OFFLINE, f"{lock}: not audited, the data base of advisories could not be reached: {last}"
    skipped = [one for one in packages if "skip_reason" in one]
    known = [one for one in packages if one.get("vulns")]
    if known:
        lines = [
            f"  {one['name']} {one['version']}: {vulnerability['id']}, "
            f"fixed in {', '.join(vulnerability['fix_versions']) or 'no version yet'}"
            for one in known
            for vulnerability in one["vulns"]
        ]
        return KNOWN, "\n".join(
            [f"{lock}: {len(known)} of {len(packages)} packages have known flaws", *lines]
        )
    if skipped or not packages:
        return OFFLINE, (
            f"{lock}: not audited. {len(skipped)} of {len(packages)} packages had no answer, since the "
            "data base of advisories could not be reached. Run this again with a network"
        )
    return 0, f"{lock}: {len(packages)} packages, no known vulnerability"


if __name__ == "__main__":
    main()
