"""All sections of params.yaml, for code that changes them: experiments, sweeps, studies, benchmarks.

A stage names only its own sections, so that it depends only on their modules.
"""

from __future__ import annotations

from pydantic import ConfigDict

from deepfake.base.parameters import Sections
from deepfake.params.audit import Audit
from deepfake.params.base import Base
from deepfake.params.clips import Clips
from deepfake.params.embed import Embed
from deepfake.params.evaluate import Evaluate
from deepfake.params.explain import Explain
from deepfake.params.ingest.ingest import Ingest
from deepfake.params.preprocess import Preprocess
from deepfake.params.register import Register
from deepfake.params.report import Report
from deepfake.params.stress import Stress
from deepfake.params.train import Train
from deepfake.params.validate import Validate


class Params(Sections):
    """Everything that `params.yaml` may hold: `base`, `audit` and one section per stage."""

    model_config = ConfigDict(extra="forbid")

    base: Base
    ingest: Ingest
    validate_: Validate
    audit: Audit
    preprocess: Preprocess
    embed: Embed
    train: Train
    evaluate: Evaluate
    clips: Clips
    stress: Stress
    explain: Explain
    report: Report
    register_: Register
