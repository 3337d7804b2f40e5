"""Model card and data card, in Markdown, from the same figures as the page."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from deepfake.base.stage import read_json
from deepfake.base.text import plain
from deepfake.params.train import Train
from deepfake.pretrained.wheels import wheel_facts
from deepfake.report.limits import DATA, EVALUATION, limits
from deepfake.report.page import environment


def model_card(facts: Mapping[str, Any], name: str, train: Train, detector: Path) -> str:
    """The model card (Mitchell et al. 2019, "Model Cards for Model Reporting").

    Args:
        facts: of the page; they include those of evaluation and data.
        name: of the registered model.
        train: the section of params.
        detector: folder of the trained model.
    """
    return _render(
        "model_card.md",
        facts,
        name=name,
        architecture=read_json(detector / "architecture.json"),
        augmentation=read_json(detector / "augmentation.json"),
        train=train,
        pretrained=wheel_facts(train.model, train.branches, train.backbone_weights),
    )


def data_card(facts: Mapping[str, Any]) -> str:
    """The data card (after Gebru et al. 2021, "Datasheets for Datasets"); same `facts` as `model_card`."""
    return _render("data_card.md", facts)


def _render(template: str, facts: Mapping[str, Any], **more: Any) -> str:
    pages = environment(autoescape=False)
    pages.filters["plain"] = plain
    content = {"table": facts[EVALUATION], "data": facts[DATA], "limits": limits(facts)}
    return pages.get_template(template).render(**content, **more)
