"""A backtest over a real Dask cluster: the same answer as at home."""

from __future__ import annotations

import pytest
from distributed import LocalCluster

from costplan.adapters.backtest.spread import spread
from costplan.planner.errors import InputError
from tests.sim.test_backtest import STEADY, backtest


def test_a_dask_cluster_gives_the_same_outcomes() -> None:
    run, names = backtest(STEADY[:6]), ("costplan", "foresight")
    seen: list[tuple[str, float]] = []
    with LocalCluster(
        n_workers=1, threads_per_worker=1, host="127.0.0.1", dashboard_address=None
    ) as cluster:
        there = spread(
            run,
            names,
            processes=None,
            scheduler=cluster.scheduler_address,
            progress=lambda *what: seen.append(what),
        )
    here = spread(run, names, processes=1, scheduler=None, progress=lambda *_: None)
    assert there == here
    assert seen == [("costplan", 1.0), ("foresight", 1.0)]


def test_a_scheduler_that_is_away_is_said() -> None:
    with pytest.raises(InputError, match=r"127\.0\.0\.1:9: cannot be reached"):
        spread(
            backtest(STEADY[:1]),
            ("foresight",),
            processes=None,
            scheduler="tcp://127.0.0.1:9",
            progress=lambda *_: None,
        )
