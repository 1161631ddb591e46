"""Whose a `CostplanCluster` is where two want it at once, and where somebody cannot reach it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from distributed import Client

from costplan.adapters.cluster.folder import Folder
from costplan.adapters.dask.adaptive_options import ArgumentError
from tests.e2e.cluster_session import let_tasks_be_found, started
from tests.e2e.daemon_tasks import nap


@pytest.fixture(autouse=True)
def _tasks_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    let_tasks_be_found(monkeypatch)


def test_of_two_that_start_under_one_name_one_is_refused_and_the_other_lives(
    tmp_path: Path,
) -> None:
    async def use() -> None:
        late = started(tmp_path, "one", asynchronous=True)
        first = started(tmp_path, "one", asynchronous=True)
        second = started(tmp_path, "one", asynchronous=True)
        found = await asyncio.gather(first, second, return_exceptions=True)
        (cluster,) = [each for each in found if not isinstance(each, BaseException)]
        (error,) = [each for each in found if isinstance(each, BaseException)]
        async with cluster:
            assert isinstance(error, ArgumentError)
            assert "a cluster 'one' lives already" in str(error)
            with pytest.raises(ArgumentError, match="lives already"):
                await late
            async with Client(cluster, asynchronous=True) as client:
                assert await client.submit(nap, 0.1, 8) == 8
            assert cluster._is_ours()

    asyncio.run(use())
    assert not Folder(tmp_path, "one").is_living
