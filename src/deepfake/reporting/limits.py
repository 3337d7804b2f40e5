"""What a reader must know in ten seconds: what the model cannot do, in sentences, from the figures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def limits(facts: Mapping[str, Any]) -> list[str]:
    """Sentences for the top of the page, from the facts of every section; the most serious first."""
    return [sentence for found in facts.values() for sentence in found.get("limits", ())]
