"""Troubles of all kinds in any order: by seed, and as hypothesis finds and shrinks them."""

from __future__ import annotations

import random
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from costplan.adapters.sim.faults import Fault
from costplan.planner.nodes import LaunchRequest
from tests.sim.campaign import STEPS, Campaign
from tests.sim.loops import world_of
from tests.sim.mistakes import MISTAKES
from tests.sim.seeded import LAUNCH_FAULTS, NOTICES, RESULTS, TERMINATE_FAULTS, memory, world

FIRST, SECOND = range(100), range(100, 200)
"""Halves, so that two processes can share them."""
BROKEN_ONCE = (455, 10314, 300939, 310477, 800185)
"""A machine whose first price was a glitch of the feed; one that was ended with results on it:
the scheduler had been born again, and its worker was not back yet; a fleet that was exchanged in
the midst of its work, once that was known to be no burst; a worker that was taken for idle by a
look from before its cordon; machines that were ended as their scheduler was born again twice in
half a minute."""


def _worlds(seeds: Iterable[int]) -> None:
    for seed in seeds:
        world(seed)


class TestFirstWorlds:
    """The first hundred seeds."""

    @pytest.mark.parametrize("seed", FIRST)
    def test_it_is_survived(self, seed: int) -> None:
        assert world(seed)["worlds"] == 1


class TestOtherWorlds:
    """The next hundred."""

    @pytest.mark.parametrize("seed", SECOND)
    def test_it_is_survived(self, seed: int) -> None:
        assert world(seed)["worlds"] == 1


@pytest.mark.parametrize("seed", BROKEN_ONCE)
def test_what_was_broken_once_is_not_any_more(seed: int) -> None:
    assert world(seed)["worlds"] == 1


def test_equal_seeds_are_equal_worlds() -> None:
    assert world(3) == world(3)


class TestCampaignsNotice:
    """A campaign that finds nothing must be one that would have."""

    @pytest.mark.parametrize("what", MISTAKES)
    def test_mistakes_in_the_product(self, what: str, monkeypatch: pytest.MonkeyPatch) -> None:
        mistake = MISTAKES[what]
        for change in mistake.changes:
            old = getattr(change.owner, change.name)
            monkeypatch.setattr(change.owner, change.name, change.wrong(old))
        with pytest.raises(AssertionError, match=rf"{mistake.says}(.|\n)*--seed {mistake.seed}"):
            world(mistake.seed)

    def test_a_machine_launched_twice(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A cloud that does not know tokens starts another machine for the same request."""
        cloud = world_of().cloud.__class__
        start = cloud.launch

        def forgets(self: object, asked: LaunchRequest) -> object:
            self._by_token.clear()  # type: ignore[attr-defined]
            return start(self, asked)  # type: ignore[arg-type]

        monkeypatch.setattr(cloud, "launch", forgets)
        with pytest.raises(AssertionError, match=r"has 2 machines(.|\n)*again: .* --seed \d"):
            _worlds(range(15, 16))

    def test_a_stranger_that_is_ended(self, tmp_path: Path) -> None:
        made = Campaign(1, tmp_path)
        made.stranger()
        made.world.cloud.reclaim(made.strangers[0].machine_id)
        with pytest.raises(AssertionError, match="of somebody else was ended"):
            made.finish()
        made.close()

    def test_a_ledger_that_is_wrong(self, tmp_path: Path) -> None:
        made = Campaign(2, tmp_path)
        made.work(8, 15.0, 1)
        made.pass_time(8)
        for machine in made._alive():
            made.world.cloud.reclaim(machine.machine_id)
        # Nobody looks any more, so that their ends are in no entry.
        made.safety.broken.clear()
        with pytest.raises(AssertionError, match=r"ledger .*, bill"):
            made.finish()
        made.close()


KINDS: tuple[dict[str, object], ...] = ({}, {"floor": 3}, {"budget": "2.50"})


class Troubles(RuleBasedStateMachine):
    """Moves of a campaign as rules; in the end all must be well."""

    @initialize(
        seed=st.integers(0, 2**16), kind=st.sampled_from(({}, {"floor": 3}, {"budget": "2.50"}))
    )
    def begin(self, seed: int, kind: dict[str, object]) -> None:
        """A world with some work in it."""
        self.folder = tempfile.TemporaryDirectory(prefix="costplan-campaign-", dir=memory())
        self.made = Campaign(seed, Path(self.folder.name), **kind)  # type: ignore[arg-type]
        self.dice = random.Random(seed)  # noqa: S311 - not for secrets
        self.made.work(60, 15.0, 16)
        self.made.pass_time(6)

    @rule(ticks=st.integers(1, 8))
    def pass_time(self, ticks: int) -> None:
        self.made.pass_time(ticks)

    @rule(
        tasks=st.sampled_from((8, 60, 300)),
        seconds=st.sampled_from((2, 15, 60)),
        results=st.sampled_from(RESULTS),
    )
    def work(self, tasks: int, seconds: int, results: Mapping[str, Any]) -> None:
        self.made.work(tasks, seconds, **results)

    @rule(fault=st.sampled_from(LAUNCH_FAULTS), times=st.integers(1, 6))
    def launches(self, fault: Fault, times: int) -> None:
        self.made.answer("launch", fault, times)

    @rule(fault=st.sampled_from(TERMINATE_FAULTS), times=st.integers(1, 4))
    def terminations(self, fault: Fault, times: int) -> None:
        self.made.answer("terminate", fault, times)

    @rule(step=st.sampled_from(STEPS))
    def die(self, step: str) -> None:
        self.made.die(step)

    @rule(seconds=st.sampled_from((45.0, 300.0, 1800.0)))
    def sleep(self, seconds: float) -> None:
        self.made.sleep(seconds)

    @rule(seconds=st.sampled_from((-3600.0, -30.0, 0.0, 30.0, 3600.0)))
    def clock(self, seconds: float) -> None:
        self.made.skew_clock(seconds)

    @rule(kind=st.sampled_from(NOTICES), seconds=st.sampled_from((10.0, 120.0)))
    def notice(self, kind: str, seconds: float) -> None:
        self.made.notice(kind, seconds, self.dice)

    @rule()
    def late_notice(self) -> None:
        self.made.late_notice(self.dice)

    @rule(how=st.sampled_from(("reclaim", "fail", "hang")))
    def lose(self, how: str) -> None:
        self.made.lose(how, self.dice)

    @rule()
    def stranger(self) -> None:
        self.made.stranger()

    @rule(how=st.sampled_from(("nonsense", "nothing", "true")))
    def prices(self, how: str) -> None:
        self.made.prices(how, self.dice)

    @rule(how=st.sampled_from(("away", "stale", "restart")), seconds=st.sampled_from((20.0, 90.0)))
    def scheduler(self, how: str, seconds: float) -> None:
        self.made.scheduler(how, seconds)

    @rule(says=st.sampled_from(("pause", "resume", "drain")))
    def operator(self, says: str) -> None:
        self.made.operator(says, self.dice)

    def teardown(self) -> None:
        """All is well in the end."""
        if not hasattr(self, "made"):
            return
        try:
            if not self.made.safety.broken:
                self.made.recover()
        finally:
            self.made.close()
            self.folder.cleanup()


TestTroubles = Troubles.TestCase
TestTroubles.settings = settings(
    max_examples=20,
    stateful_step_count=10,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)
