"""What runs at each moment and what is committed: in arrays as line by line, and in any order."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

from hypothesis import given, settings
from hypothesis import strategies as st

from costplan.planner.commitments import gcp
from costplan.planner.commitments.open import OWNER_FIRST, OpenLine, Pool, Profile, moments
from costplan.planner.commitments.packing import scale_of
from costplan.planner.commitments.values import Commitment, Kind, Owner, Product, Scope, Span, Usage

CORES = Product(provider="gcp", region="r", machine_series="n2", resource="vcpu")
ACCOUNTS = st.sampled_from(("", "a", "b"))
HUGE = 10**15 + 37
"""A number that takes seconds and units beyond 64 bits."""

PARTS = st.one_of(
    st.integers(1, 40).map(lambda n: Fraction(n, 7)),
    st.integers(1, 10**16).map(lambda n: Fraction(n, HUGE)),
)


@st.composite
def spans(draw: st.DrawFn) -> Span:
    first, length = draw(st.integers(0, 3000)), draw(st.integers(1, 600))
    end = first + Fraction(length, draw(st.integers(1, 3)))
    return Span(start_seconds=Fraction(first), end_seconds=end, count=draw(PARTS))


@st.composite
def usages(draw: st.DrawFn, name: str) -> Usage:
    parts = tuple(draw(st.lists(spans(), min_size=1, max_size=3)))
    return Usage(
        usage_id=name,
        product=CORES,
        quantity=sum((each.hours for each in parts), Fraction(0)),
        usd_per_unit=Fraction(draw(st.integers(1, 4))),
        owner=Owner(account=draw(ACCOUNTS)),
        spans=parts,
    )


@st.composite
def commitments(draw: st.DrawFn, name: str) -> Commitment:
    return Commitment(
        commitment_id=name,
        kind=Kind.RESOURCE_CUD,
        product=CORES,
        count=draw(PARTS),
        usd_per_hour=Fraction(1),
        owner=Owner(account=draw(ACCOUNTS)),
        scope=draw(st.sampled_from((Scope.SHARED, Scope.ACCOUNT))),
    )


@st.composite
def hours(draw: st.DrawFn) -> tuple[list[Usage], list[Commitment]]:
    used = [draw(usages(name)) for name in "uvwxyz"[: draw(st.integers(1, 6))]]
    held = [draw(commitments(name)) for name in "abcd"[: draw(st.integers(1, 4))]]
    return used, held


def line_by_line(lines: list[OpenLine], pools: list[Pool]) -> dict[str, Profile]:
    """The plain way: at each moment each line takes from each commitment what it can."""
    rest: dict[str, Profile] = {line.usage.usage_id: [] for line in lines}
    for start, end, running in moments({line.usage.usage_id: line.profile for line in lines}):
        free = [pool.commitment.capacity for pool in pools]
        for in_round in OWNER_FIRST:
            for line in lines:
                usage_id = line.usage.usage_id
                for place, pool in enumerate(pools):
                    units = min(running.get(usage_id, Fraction(0)), free[place])
                    if units and in_round(line, pool):
                        pool.cover(line, Fraction(1), units * (end - start) / 3600)
                        running[usage_id] -= units
                        free[place] -= units
        for usage_id, units in running.items():
            if units:
                rest[usage_id].append((start, end, units))
    return rest


def joined(profile: Profile) -> Profile:
    """Pieces that follow one another with the same units as one."""
    found: Profile = []
    for start, end, units in profile:
        if found and found[-1][1:] == (start, units):
            found[-1] = (found[-1][0], end, units)
        else:
            found.append((start, end, units))
    return found


@settings(max_examples=150, deadline=None)
@given(hours())
def test_in_arrays_as_line_by_line(hour: tuple[list[Usage], list[Commitment]]) -> None:
    used, held = hour
    order = sorted(used, key=lambda each: (-each.usd_per_unit, each.usage_id))
    lines, pools = [OpenLine(each) for each in order], [Pool(each) for each in held]
    fast, taken = [OpenLine(each) for each in order], [Pool(each) for each in held]
    rest = line_by_line(lines, pools)
    gcp.apply(fast, taken)
    assert [pool.left for pool in taken] == [pool.left for pool in pools]
    for plain, quick in zip(lines, fast, strict=True):
        assert quick.parts == plain.parts
        assert quick.left == plain.left
        assert joined(quick.profile) == joined(rest[plain.usage.usage_id])


def test_what_is_too_large_for_64_bits_is_counted_in_python_s_own_numbers() -> None:
    small: Profile = [(Fraction(0), Fraction(3600), Fraction(1, 7))]
    large: Profile = [(Fraction(0), Fraction(1, HUGE), Fraction(10**4, HUGE - 2))]
    assert scale_of([small], []).dtype is not object
    assert scale_of([large], []).dtype is object
    usage = Usage(
        usage_id="u", product=CORES, quantity=Fraction(1, HUGE), usd_per_unit=Fraction(1),
        spans=(Span(start_seconds=Fraction(0), end_seconds=Fraction(3600),
                    count=Fraction(1, HUGE)),),
    )  # fmt: skip
    lines = [OpenLine(usage), OpenLine(replace(usage, usage_id="v"))]
    pool = Pool(
        Commitment(
            commitment_id="c",
            kind=Kind.RESOURCE_CUD,
            product=CORES,
            count=Fraction(3, 2 * HUGE),
            usd_per_hour=Fraction(1),
        )
    )
    gcp.apply(lines, [pool])
    assert (lines[0].left, lines[1].left) == (0, Fraction(1, 2 * HUGE))
