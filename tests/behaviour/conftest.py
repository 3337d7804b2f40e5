"""A runtime on the CPU, and parameters to vary."""

from __future__ import annotations

import pytest
from helpers import tiny_params

from deepfake.params import Params, parse_params
from deepfake.runtime import Runtime, configure


@pytest.fixture(scope="session")
def runtime() -> Runtime:
    return configure(parse_params(tiny_params(**{"base.device": "cpu"}), origin="test").base)


@pytest.fixture
def make_params():
    def make(**overrides: object) -> Params:
        return parse_params(tiny_params(**overrides), origin="test")

    return make
