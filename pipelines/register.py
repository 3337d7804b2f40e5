"""Stage register: check the gates, then write the model and its run to MLflow."""

from __future__ import annotations

from pathlib import Path

from deepfake.base.parameters import load_params
from deepfake.base.runtime import configure
from deepfake.base.stage import run_stage, write_json
from deepfake.registry.release import ReleaseParams, release


def main() -> None:
    params = load_params(ReleaseParams)
    configure(params.base)
    result = release(params)
    write_json(Path("reports/register/gates.json"), result.gates)
    print(f"version {result.version}; in production: {result.in_production}; gates: {result.gates}")


if __name__ == "__main__":
    run_stage(main)
