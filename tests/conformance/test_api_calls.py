"""How often the daemon's reading calls a cloud: little where nothing changes, less where it is told
that it was too often."""

from __future__ import annotations

import pytest

from tests.bench.api_calls import CLOUDS, MOST_QUIET, calls_of, reading
from tests.emulators.aws.cloud import Bucket


@pytest.mark.parametrize("cloud", CLOUDS)
def test_a_quiet_tick_makes_few_calls(cloud: str) -> None:
    """At 1,000 nodes it is the same but for pages; `tests.bench.api_calls` has the table."""
    with CLOUDS[cloud](1) as site:
        found = calls_of(site)
    assert 0 < found["quiet"].total() <= MOST_QUIET
    # What Azure says of warnings is remembered for some seconds.
    assert found["a look for warnings"].total() <= 2
    lists = found["lists due"] - found["quiet"]
    assert lists
    # Google's advice, of which a little is asked for at a time, is remembered for longer.
    assert lists <= found["first"]


def test_a_list_that_is_throttled_is_not_asked_for_by_each_tick() -> None:
    """Of 31 ticks a second apart those after 0, 2, 6, 14 and 30 s ask, for machines and warnings,
    and the SDK asks once more each time."""
    with CLOUDS["aws"](1) as site, reading(site) as reader:
        reader.read(())
        site.rig.cloud.buckets["DescribeInstances"] = Bucket(size=0.0, per_second=0.0)
        before = site.made()
        for second in range(1, 32):
            site.clock.ahead = float(second)
            kinds = {gap.kind for gap in reader.read(()).gaps}
            assert kinds >= {"machines", "notices"}
        asked = (site.made() - before)["ec2:DescribeInstances"]
        assert 4 <= asked <= 5 * 2 * 2
        site.rig.cloud.buckets.clear()
        site.clock.ahead += 60.0
        assert {gap.kind for gap in reader.read(()).gaps} == {"load"}
