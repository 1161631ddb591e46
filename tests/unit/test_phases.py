"""Every step that a node may take and every one that it may not."""

from __future__ import annotations

import pytest

from costplan.planner.errors import InvariantBroken
from costplan.planner.phases import EDGES, enter
from costplan.planner.types import Phase
from tests.fleets import LONG_AGO, after, node

LIFE = """
intended:    requested gone
requested:   booting uncertain gone
uncertain:   booting gone
booting:     ready cordoned terminating lost gone
ready:       cordoned terminating lost gone
cordoned:    retiring ready terminating lost gone
retiring:    terminating ready lost gone
terminating: gone
lost:        gone
gone:
"""
"""Written again by hand from the picture of a life."""

STEPS = {
    Phase(line.split(":")[0]): {Phase(name) for name in line.split(":")[1].split()}
    for line in LIFE.strip().splitlines()
}


@pytest.mark.parametrize("start", list(Phase))
@pytest.mark.parametrize("end", list(Phase))
def test_a_step_is_taken_or_refused(start: Phase, end: Phase) -> None:
    before = node("n", phase=start)
    if end in STEPS[start]:
        done = enter(before, end, after(5), "a cause")
        assert (done.phase, done.phase_since) == (end, after(5))
        assert done.history == ((end, after(5), "a cause"),)
        assert before.phase is start
    else:
        with pytest.raises(InvariantBroken, match=f"n: {start} -> {end}"):
            enter(before, end, after(5), "a cause")


def test_a_step_that_is_none_tells_the_story_so_far() -> None:
    told = enter(node("n", phase=Phase.REQUESTED), Phase.GONE, after(61), "quota")
    with pytest.raises(InvariantBroken) as raised:
        enter(told, Phase.BOOTING, after(70), "listed")
    assert "gone -> booting (listed)" in str(raised.value)
    assert "gone@12:01:01(quota)" in str(raised.value)


def test_history_is_only_added_to() -> None:
    life = (Phase.REQUESTED, Phase.UNCERTAIN, Phase.BOOTING, Phase.READY, Phase.CORDONED,
            Phase.READY, Phase.CORDONED, Phase.RETIRING, Phase.TERMINATING, Phase.GONE)  # fmt: skip
    lived = node("n", phase=Phase.INTENDED, ready_at=LONG_AGO)
    for second, phase in enumerate(life):
        lived = enter(lived, phase, after(second), str(second))
    assert [phase for phase, _, _ in lived.history] == list(life)
    assert [at for _, at, _ in lived.history] == [after(n) for n in range(len(life))]


def reached(start: Phase) -> set[Phase]:
    """All phases that can follow, by walking."""
    found, ahead = set[Phase](), [start]
    while ahead:
        for phase in EDGES[ahead.pop()] - found:
            found.add(phase)
            ahead.append(phase)
    return found


def test_every_phase_is_somebodys_and_all_lives_end() -> None:
    assert set(EDGES) == set(Phase)
    assert reached(Phase.INTENDED) == set(Phase) - {Phase.INTENDED}
    assert all(Phase.GONE in reached(phase) for phase in Phase if phase is not Phase.GONE)
    assert reached(Phase.GONE) == set()
