"""Parameters that tests can change."""

from __future__ import annotations

import pytest
from helpers import tiny_params

from deepfake.base.parameters import parse_params
from deepfake.params.whole import Params


@pytest.fixture
def make_params():
    def make(**overrides: object) -> Params:
        return parse_params(Params, tiny_params(**overrides), origin="test")

    return make
