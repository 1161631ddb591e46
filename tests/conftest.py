"""What tests of several folders share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The reference data folder, which is no part of the project; skips where it is absent."""
    beside = Path(__file__).parents[2] / "shared" / "data"
    folder = Path(os.environ.get("COSTPLAN_SHARED_DATA") or beside)
    if not folder.is_dir():
        pytest.skip("reference data folder ../shared/data is absent")
    return folder
