"""Whose a `CostplanCluster` is where two want it at once, and where somebody cannot reach it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import psutil
import pytest
from distributed import Client

from costplan.adapters.cluster import starting
from costplan.adapters.cluster.folder import Folder, Owner
from costplan.adapters.cluster.starting import ClusterFailed, Place, read_file
from costplan.adapters.dask import CostplanCluster
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


def test_changes_that_are_made_at_once_are_all_made(tmp_path: Path) -> None:
    async def use() -> None:
        async with started(tmp_path, "two", asynchronous=True) as cluster:
            other = await CostplanCluster.from_name("two", folder=tmp_path, asynchronous=True)
            await asyncio.gather(
                cluster.scale(2),
                cluster.adapt(usd_per_hour=3),
                other.adapt(usd_per_day=5),
                cluster.scale(1),
            )
            file = read_file(Folder(tmp_path, "two"))
            assert (file["workers"][0]["minimum"], file["workers"][0]["maximum"]) == (1, 1)
            assert file["budget"] == {"usd_per_hour": "3", "usd_per_day": "5"}
            await other.close()

    asyncio.run(use())


class Cut(CostplanCluster):
    """Somebody whose way to the scheduler is cut."""

    async def _connect(self, place: Place) -> None:
        raise OSError(f"{place.address} does not answer")


def test_who_cannot_reach_a_cluster_does_not_end_it(tmp_path: Path) -> None:
    folder = Folder(tmp_path, "three")
    with started(tmp_path, "three") as cluster, Client(cluster) as client:
        for owner in (folder.owner(), Owner(state="detached")):
            assert owner is not None
            folder.give_to(owner)
            with pytest.raises(OSError, match="does not answer"):
                Cut.from_name("three", folder=tmp_path, take_over=True)
            assert folder.owner() == owner
        assert client.submit(nap, 0.1, 8).result(timeout=60) == 8
        cluster.close(shutdown=True)
    assert not folder.is_living


def test_a_scheduler_that_does_not_answer_is_told_and_its_cluster_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = Folder(tmp_path, "four")
    with started(tmp_path, "four") as cluster:
        notes = folder.notes()
        assert notes is not None
        assert notes.scheduler is not None
        scheduler = psutil.Process(notes.scheduler.pid)
        scheduler.suspend()
        try:
            monkeypatch.setattr(starting, "CONNECT_SECONDS", 1.0)
            with pytest.raises(ClusterFailed, match=r"four: the scheduler at .* does not answer"):
                CostplanCluster.from_name("four", folder=tmp_path)
        finally:
            scheduler.resume()
        with Client(cluster) as client:
            assert client.submit(nap, 0.1, 8).result(timeout=60) == 8
