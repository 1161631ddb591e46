"""The time to empty a node for whatever it holds."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from costplan.planner.drain import drain_seconds, drain_usd, node_drain_seconds
from costplan.planner.load import WorkerLoad
from tests.fleets import does

SIZES = st.integers(0, 10**12)
KEYS = st.integers(0, 10**6)
HOLDERS = st.lists(
    st.builds(
        lambda size, keys, executing: does(executing, sole_bytes=size, sole_keys=keys),
        SIZES,
        KEYS,
        st.integers(0, 3),
    ),
    max_size=5,
)


@given(SIZES, SIZES, KEYS, KEYS)
def test_more_to_copy_never_takes_less(size: int, more: int, keys: int, others: int) -> None:
    assert 3.0 <= drain_seconds(size, keys) <= drain_seconds(size + more, keys + others)


@given(HOLDERS, st.decimals("0.001", 100, places=3), st.floats(0, 3600))
def test_the_price_is_the_rate_over_the_time(
    workers: list[WorkerLoad], usd_per_hour: Decimal, running_seconds: float
) -> None:
    usd, seconds = drain_usd(workers, usd_per_hour, running_seconds)
    assert abs(float(usd) - float(usd_per_hour) * seconds / 3600) < 1e-9 * (1 + float(usd))
    waits = seconds - node_drain_seconds(workers)
    runs = sum(worker.executing for worker in workers)
    assert -1e-6 < waits <= running_seconds + 1e-6
    assert abs(waits * (runs + 1) - running_seconds * runs) < 1e-6 * (1 + runs)


@given(HOLDERS)
def test_a_node_takes_as_long_as_its_slowest_worker_at_least(workers: list[WorkerLoad]) -> None:
    """All of them in one call take no longer than one after the other, but for copies that are
    quick alone and slow together: those are ordered again."""
    alone = [drain_seconds(worker.sole_bytes, worker.sole_keys) for worker in workers]
    assert max(alone, default=3.0) <= node_drain_seconds(workers) + 1e-9
    assert node_drain_seconds(workers) <= sum(alone, 3.0) * 1.5
