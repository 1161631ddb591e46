"""Stores with real ticks in them, at a fixed instant."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import pytest

from costplan.cli import cluster_store
from tests.cli import store_samples
from tests.cli.fleet_samples import NOW


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> datetime:
    monkeypatch.setattr(cluster_store, "utc_now", lambda: NOW)
    return NOW


@pytest.fixture
def store(tmp_path: Path, now: datetime) -> Path:
    """A store whose daemon is this process, alive for 20 s more."""
    path = tmp_path / "fraud.db"
    store_samples.write_store(path)
    return path


@pytest.fixture
def dead(tmp_path: Path, now: datetime) -> Path:
    """A store whose daemon went a minute ago."""
    path = tmp_path / "fraud.db"
    store_samples.write_store(path, lease_until=NOW - timedelta(seconds=1))
    return path
