"""How many workers an adapted cluster should have and who leaves, by hand-computed cases."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest

from costplan.planner.adaptive import (
    Aim,
    Asked,
    Machine,
    Terms,
    asked_by_work,
    demand_text,
    limit_of,
    target_seconds,
    wanted_workers,
    with_boots,
    with_load,
)
from costplan.planner.adaptive_leave import decide, soonest_end_seconds, to_shrink, window_seconds
from costplan.planner.learnt import Learnt
from costplan.planner.load import Load, TaskGroup, WorkerLoad
from costplan.planner.settings import Scaling, WorkerKind
from costplan.planner.types import Resources

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
GIB = 2**30
KIND = WorkerKind(
    name="worker", need=Resources(vcpu_milli=0, memory_bytes=GIB), threads=1, resources={}
)
TERMS = Terms(kind=KIND, scaling=Scaling(target_seconds=5), boot_guess_seconds=6.0)
ANY = 10**9


def group(queued: int = 0, running: int = 0, mean: float | None = 1.0, **more: Any) -> TaskGroup:
    return TaskGroup(
        prefix=more.pop("prefix", "f"),
        need=more.pop("need", {}),
        queued=queued,
        running=running,
        mean_task_seconds=mean,
        observed_tasks=0 if mean is None else 10,
        **more,
    )


def worker(idle: float | None = None, **more: Any) -> WorkerLoad:
    """A worker that has been idle for so long, or runs a task."""
    return WorkerLoad(
        **{
            "threads": 1,
            "memory_bytes": GIB,
            "resources": {},
            "executing": int(idle is None),
            "processing": int(idle is None),
            "managed_bytes": 0,
            "idle_since": None if idle is None else NOW - timedelta(seconds=idle),
            **more,
        }
    )


def load(groups: Sequence[TaskGroup] = (), clients: int = 1, **workers: WorkerLoad) -> Load:
    return Load(
        at=NOW,
        window_seconds=0.0,
        groups=tuple(groups),
        workers=workers,
        clients=clients,
        clients_gone_since=None if clients else NOW,
    )


def machine(name: str, *, ready: bool = True, age: float = 100.0, **more: Any) -> Machine:
    return Machine(
        **{
            "names": (name,),
            "workers": (name,) if ready else (),
            "size": 1,
            "asked_at": NOW - timedelta(seconds=age),
            "number": 1,
            **more,
        }
    )


def left(  # noqa: PLR0917 - each has its own default
    seen: Load,
    machines: Sequence[Machine],
    wanted: int = 0,
    useful: int = 0,
    limit: int | None = None,
    learnt: Learnt = Learnt(),  # noqa: B008 - a frozen value
    recently: int = ANY,
    terms: Terms = TERMS,
) -> list[str]:
    """Names of those that leave, in order."""
    aim = Aim(wanted=wanted, useful=useful, recently=recently, limit=limit)
    decision = decide(seen, machines, learnt, terms, aim, NOW)
    return [m.names[0] for m in (*decision.leave, *decision.cancel)]


def test_work_is_sized_as_by_the_daemon() -> None:
    """40 tasks of 0.5 s, nobody here, boots of 6 s and a target of 5 s: 4 workers of 5 s each."""
    asked = asked_by_work(load([group(queued=40, mean=0.5)]), (), Learnt(), TERMS, NOW)
    assert asked.wanted == 4
    assert asked.waiting == ()


def test_a_guess_that_grows_with_age_is_followed_in_doublings() -> None:
    """64 tasks like none before: the first has run for so long, so it takes twice that at least."""
    here, asked = 1, []
    for age in range(1, 60):
        tasks = group(queued=64 - here, running=here, mean=None, longest_running_seconds=age)
        machines = [machine(f"m-{number}") for number in range(here)]
        found = asked_by_work(load([tasks]), machines, Learnt(), TERMS, NOW)
        if found.wanted > here:
            here = found.wanted
            asked.append(here)
        elif here < 64:
            assert found.reason.endswith(f"once that makes {min(2 * here, 64)} workers")
    assert len(asked) <= 5
    assert asked[-1] == 64
    assert all(later >= 2 * before for before, later in pairwise(asked[:-1]))


def test_what_is_known_is_asked_for_at_once() -> None:
    machines = [machine(f"m-{number}") for number in range(4)]
    tasks = group(queued=46, running=4, longest_running_seconds=0.5)
    assert asked_by_work(load([tasks]), machines, Learnt(), TERMS, NOW).wanted == 5


def test_a_machine_on_its_way_counts_and_a_boot_that_is_learnt_replaces_the_guess() -> None:
    coming = [machine(str(at), ready=False, age=3.0) for at in range(4)]
    asked = asked_by_work(load([group(queued=40, mean=0.5)]), coming, Learnt(), TERMS, NOW)
    assert asked.wanted == 4
    quick = with_boots(Learnt(), [0.5, 0.5, 0.5])
    asked = asked_by_work(load([group(queued=40, mean=0.5)]), (), quick, TERMS, NOW)
    assert asked.wanted == 5  # 4.5 s are left: 9 tasks a worker, 40 / 9


def test_a_deadline_makes_fewer_do() -> None:
    """3,600 s of work within an hour: 0.8 x 3600 - 6 = 2874 s, so 2 workers and not hundreds."""
    terms = replace(TERMS, deadline=NOW + timedelta(hours=1))
    assert target_seconds(terms, 6.0, NOW) == pytest.approx(2874.0)
    work = load([group(queued=3600)])
    assert asked_by_work(work, (), Learnt(), terms, NOW).wanted == 2
    assert asked_by_work(work, (), Learnt(), TERMS, NOW).wanted > 20
    late = replace(TERMS, deadline=NOW - timedelta(hours=1))
    assert target_seconds(late, 6.0, NOW) == 5.0


def test_tasks_that_no_worker_serves_buy_nothing_and_are_said() -> None:
    gpu = group(queued=8, unrunnable=8, need={"GPU": 1.0}, prefix="train")
    asked = asked_by_work(load([gpu]), (), Learnt(), TERMS, NOW)
    assert (asked.wanted, [w.tasks for w in asked.waiting]) == (0, [8])
    assert "no GPU=1" in asked.waiting[0].reason
    assert "worker_resources" in asked.waiting[0].reason
    served = replace(gpu, unrunnable=0)  # a worker that somebody added has one
    assert asked_by_work(load([served]), (), Learnt(), TERMS, NOW).waiting == ()


def test_results_keep_one_worker_whatever_its_memory() -> None:
    terms = replace(TERMS, kind=replace(KIND, need=Resources(vcpu_milli=0, memory_bytes=2**60)))
    seen = load(a=worker(idle=1.0, managed_bytes=224))
    assert asked_by_work(seen, (), Learnt(), terms, NOW).wanted == 1


@pytest.mark.parametrize(
    ("terms", "here", "limit"),
    [
        ({}, 0, None),
        ({"cap_usd_per_hour": Decimal("0.35")}, 0, 3),
        ({"cap_usd_per_hour": Decimal("0.30")}, 0, 3),
        # 11 s of a worker cost 0.1 x 11 / 3600 = 0.000306: a cent pays for 32 of them
        ({"usd_left": Decimal("0.01")}, 2, 32),
        ({"usd_left": Decimal("0.0004")}, 5, 5),  # who is here may stay, nobody may come
        ({"usd_left": Decimal("0")}, 5, 0),
    ],
)
def test_dollars_limit_workers(terms: dict[str, Any], here: int, limit: int | None) -> None:
    asked = replace(TERMS, usd_per_hour=Decimal("0.1"), **terms)
    assert limit_of(here, asked, Learnt(), load())[0] == limit


def test_a_price_that_is_not_known_limits_nothing() -> None:
    terms = replace(TERMS, cap_usd_per_hour=Decimal(1), kind=replace(KIND, maximum=7))
    assert limit_of(0, terms, Learnt(), None)[0] == 7


def test_a_gang_is_wanted_whole_where_there_is_work() -> None:
    terms = replace(TERMS, gang=4, kind=replace(KIND, minimum=1))
    assert [wanted_workers(n, terms, None) for n in (0, 1, 9)] == [1, 4, 9]
    assert wanted_workers(9, terms, 3) == 3


def test_what_a_limit_took_is_said() -> None:
    asked = Asked(wanted=9, useful=9, reason="90 s of work")
    assert demand_text(asked, 3, "the cap of 1 USD/h", 3) == (
        "3 workers: 90 s of work; 9 would do, the cap of 1 USD/h allows 3"
    )


def test_what_is_short_is_asked_for_and_nobody_leaves() -> None:
    aim = Aim(wanted=5, useful=5, recently=0, limit=None)
    decision = decide(load(a=worker(idle=99.0)), [machine("a")], Learnt(), TERMS, aim, NOW)
    assert (decision.short, decision.leave) == (4, ())


def test_idle_workers_are_kept_for_about_a_boot_and_a_half() -> None:
    """A boot of 6 s: half of them go after 9 ln(1 + 0.5 (e - 1)) = 5.6 s, all after 9 s."""
    first, last = machine("a", number=1), machine("b", number=2)  # shares 0.38 and 0.76
    for idle, gone in ((5.0, []), (6.0, ["a"]), (9.1, ["a", "b"])):
        seen = load(a=worker(idle=idle), b=worker(idle=idle))
        assert left(seen, [first, last]) == gone, idle


def test_pauses_that_were_seen_say_how_long() -> None:
    """After pauses of 20 s nothing is worth keeping, after pauses of 4 s all is."""
    seen = load(a=worker(idle=3.0))
    assert left(seen, [machine("a")], learnt=Learnt(idle_gaps=(20.0, 20.0))) == ["a"]
    seen = load(a=worker(idle=5.0))
    assert left(seen, [machine("a")], learnt=Learnt(idle_gaps=(4.0, 4.0))) == []


@pytest.mark.parametrize(
    ("idle", "gaps", "stay"),
    [
        (1.0, (10.0, 10.0), 2),  # two do a burst of 20 s in the time that four new ones take
        (12.4, (10.0, 10.0), 2),  # a quarter more than the pauses seen
        (12.6, (10.0, 10.0), 0),
        (1.0, (13.0, 13.0), 0),  # 13 s of keeping, or 12 s of boots for each
        (9.1, (), 2),  # before any pause the others are gone by now
        (12.1, (), 0),
    ],
)
def test_a_few_stay_through_pauses_that_all_would_not(
    idle: float, gaps: tuple[float, ...], stay: int
) -> None:
    learnt = Learnt(idle_gaps=gaps, bursts=(20.0, 20.0), idle_since=NOW - timedelta(seconds=idle))
    seen = load(**{name: worker(idle=idle) for name in "abcd"})
    machines = [machine(name, number=at) for at, name in enumerate("abcd")]
    assert 4 - len(left(seen, machines, learnt=learnt)) == stay


def test_nobody_there_wants_nothing() -> None:
    seen = load(clients=0, a=worker(idle=0.1))
    terms = replace(TERMS, least_hold_seconds=60.0)
    machines = [machine("a"), machine("b", ready=False)]
    assert left(seen, machines, terms=terms) == ["a", "b"]
    assert left(load(a=worker(idle=10.0)), [machine("a")], terms=terms) == []


def test_a_long_task_lets_the_idle_ones_go_early() -> None:
    """One task of a kind that nobody has seen end has run for 8 s: 2 s idle and as long again are
    more than a boot and its delay are worth."""
    tail = group(running=1, mean=None, longest_running_seconds=8.0)
    assert soonest_end_seconds(load([tail])) == 8.0
    seen = load([tail], a=worker(idle=2.0), b=worker())
    machines = [machine("a", number=2), machine("b", number=4)]
    assert left(seen, machines, wanted=1, useful=1) == ["a"]
    short = load([replace(tail, longest_running_seconds=3.0)], a=worker(idle=2.0), b=worker())
    assert left(short, machines, wanted=1, useful=1) == []


def test_the_soonest_end_counts() -> None:
    groups = [
        group(running=2, mean=30.0, longest_running_seconds=10.0, prefix="slow"),
        group(running=1, mean=5.0, longest_running_seconds=1.0, prefix="quick"),
    ]
    assert soonest_end_seconds(load(groups)) == 4.0
    assert soonest_end_seconds(load([*groups, group(queued=1)])) == 0.0


def test_a_trickle_over_many_workers_does_not_keep_them_all() -> None:
    """Each gets a task now and then, so none is idle for long; but three were always enough."""
    names = "abcdef"
    seen = load([group(running=2)], **{n: worker(idle=None if n in "ab" else 2.0) for n in names})
    machines = [machine(n, number=2) for n in names]
    assert left(seen, machines, wanted=2, useful=2, recently=ANY) == []
    assert left(seen, machines, wanted=2, useful=2, recently=3) == ["c", "d", "e"]
    # The window has just begun to forget a burst: all go a little later, and at once.
    assert left(seen, machines, wanted=2, useful=2, recently=5) == []
    assert window_seconds(TERMS) == 5.0


def test_a_lower_limit_takes_the_cheapest_to_empty_and_no_member_of_a_gang() -> None:
    seen = load(
        a=worker(gang="xgboost"),
        b=worker(sole_bytes=10**9, sole_keys=5, managed_bytes=10**9, recompute_seconds=50.0),
        c=worker(),
        d=worker(idle=0.5),
        e=worker(shuffling=True),
    )
    machines = [machine(n) for n in "abcde"]
    assert left(seen, machines, limit=3) == ["d", "c"]
    assert left(seen, machines, limit=0) == ["d", "c", "b"]
    shrunk = to_shrink(seen, machines, Learnt(), TERMS, 2, NOW)
    assert [m.names[0] for m in shrunk] == ["d", "c"]


def test_who_refused_and_whose_entry_is_unknown_stays() -> None:
    seen = load(a=worker(idle=99.0), b=worker(idle=99.0))
    machines = [machine("a", stays="it refused to leave"), machine("b")]
    assert left(seen, machines) == ["b"]


def test_several_that_leave_together_leave_no_fewer_than_wanted() -> None:
    seen = load(**{n: worker(idle=99.0) for n in "abcd"})
    pairs = [
        machine("ab", names=("a", "b"), workers=("a", "b"), size=2),
        machine("cd", names=("c", "d"), workers=("c", "d"), size=2),
    ]
    assert left(seen, pairs, wanted=1) == ["a"]
    assert left(seen, pairs, wanted=3) == []


def test_a_surplus_of_busy_workers_leaves_after_a_while() -> None:
    """Four workers of one thread with a task each where two threads a worker would do."""
    names = "abcd"
    kind = replace(KIND, threads=2)
    terms = replace(TERMS, kind=kind)
    seen = load([group(running=4)], **{n: worker(threads=2) for n in names})
    machines = [machine(n, number=2) for n in names]
    asked = Asked(wanted=2, useful=2, reason="")
    learnt = with_load(Learnt(), seen, asked, 4, NOW - timedelta(seconds=20))
    assert left(seen, machines, 2, 2, learnt=learnt, terms=terms) == ["a", "b"]
    fresh = with_load(Learnt(), seen, asked, 4, NOW)
    assert left(seen, machines, 2, 2, learnt=fresh, terms=terms) == []
