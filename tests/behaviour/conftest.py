"""Parameters to vary."""

from __future__ import annotations

import pytest
from helpers import tiny_params

from deepfake.params import Params, parse_params


@pytest.fixture
def make_params():
    def make(**overrides: object) -> Params:
        return parse_params(tiny_params(**overrides), origin="test")

    return make
