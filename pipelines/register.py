"""Stage register: the model with its run goes to MLflow, then its gates are asked."""

from __future__ import annotations

from pathlib import Path

from deepfake.base.parameters import load_params
from deepfake.base.stage import run_stage, write_json
from deepfake.bundle.gates.check import summary
from deepfake.registry.release import ReleaseParams, release


def main() -> None:
    params = load_params(ReleaseParams)
    result = release(params)
    gates = {name: check.to_json() for name, check in result.checks.items()}
    write_json(Path("reports/register/gates.json"), gates)
    print(f"version {result.version}; in production: {result.in_production}; {summary(result.checks)}")


if __name__ == "__main__":
    run_stage(main)
