"""Backtests over a real Dask cluster: the same answers as at home."""

from __future__ import annotations

import pytest
from distributed import LocalCluster

from costplan.adapters.backtest.spread import Run, spread
from costplan.planner.errors import InputError
from tests.sim.test_backtest import STEADY, backtest, job


def test_a_dask_cluster_gives_the_same_outcomes() -> None:
    steady, short = backtest(STEADY[:6]), backtest([job(0, 600, 2)], hours=1)
    runs = [
        Run(backtest=steady, seed=0, policies=("costplan", "foresight")),
        Run(backtest=steady, seed=1, policies=("dask-adaptive",)),
        Run(backtest=short, seed=1, policies=("dask-adaptive",)),
    ]
    seen: list[tuple[int, str, float]] = []
    with LocalCluster(
        n_workers=1, threads_per_worker=1, host="127.0.0.1", dashboard_address=":0"
    ) as cluster:
        there = spread(
            runs,
            processes=None,
            scheduler=cluster.scheduler_address,
            progress=lambda *what: seen.append(what),
        )
    here = spread(runs, processes=1, scheduler=None, progress=lambda *_: None)
    assert there == here
    assert sorted(seen) == [
        (0, "costplan", 1.0),
        (0, "foresight", 1.0),
        (1, "dask-adaptive", 1.0),
        (2, "dask-adaptive", 1.0),
    ]


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("tcp://127.0.0.1:9", "127.0.0.1:9: cannot be reached"),
        ("localhost", "is no address: missing port number"),
        ("http://127.0.0.1:9", "is not a tcp:// or tls:// address"),
        ("tls://127.0.0.1:9", "needs TLS files"),
    ],
)
def test_a_scheduler_that_cannot_be_asked_is_said(address: str, said: str) -> None:
    run = Run(backtest=backtest(STEADY[:1]), seed=0, policies=("foresight",))
    with pytest.raises(InputError, match=said):
        spread([run], processes=None, scheduler=address, progress=lambda *_: None)
