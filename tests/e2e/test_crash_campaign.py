"""The daemon is killed in the middle of launch, drain and terminate, and nothing comes of it.

These are representatives; `python -m tests.bench.crash` kills it at every place there is.
"""

from __future__ import annotations

from pathlib import Path

from tests.crash_points import representative
from tests.crash_run import files, live
from tests.daemon_cluster import scheduler_cluster


def test_a_daemon_that_dies_again_and_again_loses_and_doubles_nothing(tmp_path: Path) -> None:
    """Each course dies six times: no orphan, no double, no lost result, exact books."""
    with scheduler_cluster(tmp_path, **files()) as cluster:
        ends = [live(cluster, deaths) for deaths in representative()]
    assert [end.broken for end in ends] == [[], []]
    assert sum(end.died for end in ends) >= 12
    assert [end.machines for end in ends] == [2, 2]
    assert all(end.bill_usd > 0 for end in ends)
