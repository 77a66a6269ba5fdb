"""The Lava environment for tests, or a loud skip; a failure where SNN2HW_REQUIRE names lava."""

from __future__ import annotations

import os

import pytest

from snn2hw.errors import BackendError
from snn2hw.targets.lava.environment import LavaEnvironment, ensure


@pytest.fixture(scope="session")
def lava() -> LavaEnvironment:
    try:
        return ensure()
    except BackendError as error:
        words = f"NOT VERIFIED AGAINST LAVA: {error}"
        if "lava" in os.environ.get("SNN2HW_REQUIRE", "").split(","):
            pytest.fail(words)
        pytest.skip(words)
