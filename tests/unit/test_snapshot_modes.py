"""What may still be done with what is known: old, missing and jumping readings."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest

from costplan.planner.loop import tick
from costplan.planner.nodes import MachineState
from costplan.planner.settings import Cadence
from costplan.planner.snapshot import assemble, fresh_load, jumped, with_recent_list
from costplan.planner.tick import ActionOutcome, Outcome, Snapshot, State, Terminate
from costplan.planner.types import Gap, Mode, Phase
from tests.fleets import (
    NOON,
    after,
    does,
    key,
    load,
    machine,
    offers,
    quote,
    readings,
    rented,
    rules,
)

SETTINGS = rules(
    cadence=Cadence(load_stale_seconds=30, machines_stale_seconds=120, prices_stale_seconds=3600)
)
KNOWN: dict[str, Any] = {"load": load(), "machines": (), "quotes": (quote(key(), "1"),)}
GAP = {"subject": "something", "assumed": "nothing"}


def seen(seconds: float = 0.0, last: datetime | None = None, **more: Any) -> Snapshot:
    """The snapshot of what is read so long after noon, with everything known unless said."""
    return assemble(readings(seconds, **{**KNOWN, **more}), {}, State(at=last), SETTINGS)


def kinds(snapshot: Snapshot) -> list[str]:
    """What is not known."""
    return [gap.kind for gap in snapshot.gaps]


def test_with_everything_known_everything_may_be_done() -> None:
    assert (seen().mode, seen().gaps) == (Mode.FULL, ())


@pytest.mark.parametrize(
    ("missing", "kind"),
    [({"load": None}, "load"), ({"machines": None}, "machines"), ({"quotes": ()}, "prices")],
)
def test_what_is_missing_holds(missing: dict[str, Any], kind: str) -> None:
    found = seen(**missing)
    assert (found.mode, kinds(found)) == (Mode.HOLD, [kind])


@pytest.mark.parametrize(("seconds", "is_fresh"), [(0, True), (30, True), (30.001, False)])
def test_a_load_that_is_too_old_counts_as_none(seconds: float, is_fresh: bool) -> None:
    found = seen(seconds, last=after(seconds))
    assert (found.load is not None) == is_fresh
    assert found.mode is (Mode.FULL if is_fresh else Mode.HOLD)
    assert [gap.since for gap in found.gaps] == ([] if is_fresh else [NOON])


@pytest.mark.parametrize(("seconds", "is_recent"), [(0, True), (120, True), (120.001, False)])
def test_a_list_of_machines_that_took_too_long_counts_as_none(
    seconds: float, is_recent: bool
) -> None:
    """A tick makes nothing of a machine that it says has ended, and lets nobody go."""
    there = rented("a")
    ended = machine(there, MachineState.ENDED, ended_at=NOON)
    read = replace(
        readings(seconds, **{**KNOWN, "machines": (ended,), "load": load(at=after(seconds))}),
        machines_at=NOON,
    )
    found = tick(read, State(nodes={"a": there}, at=after(seconds)), SETTINGS, (), replan=False)
    assert (found.state.nodes["a"].phase is Phase.GONE) == is_recent
    assert found.snapshot.mode is (Mode.FULL if is_recent else Mode.HOLD)
    said = [(gap.kind, gap.subject, gap.since) for gap in found.snapshot.gaps]
    subject = "the list of machines took more than 2min to come"
    assert said == ([] if is_recent else [("machines", subject, NOON)])
    assert with_recent_list(replace(read, machines_at=None), SETTINGS).machines == (ended,)


def test_an_old_load_is_not_idleness() -> None:
    """The sample said that nothing runs; a minute later nobody knows."""
    idle = load(workers={"n-w-0": does()})
    assert fresh_load(readings(60, load=idle), SETTINGS) is None


@pytest.mark.parametrize(("seconds", "mode"), [(3600, Mode.FULL), (3601, Mode.HOLD)])
def test_prices_that_are_too_old_hold(seconds: float, mode: Mode) -> None:
    found = seen(seconds, load=load(at=after(seconds)), last=after(seconds))
    assert found.mode is mode


def test_one_new_price_is_news_of_the_market() -> None:
    fresh = (quote(key(), "1"), quote(key("b"), "2"))
    newest = (fresh[0], type(fresh[1])(**{**_fields(fresh[1]), "observed_at": after(3600)}))
    found = seen(7200, load=load(at=after(7200)), quotes=newest, last=after(7200))
    assert found.mode is Mode.FULL


def _fields(of: Any) -> dict[str, Any]:
    return {name: getattr(of, name) for name in of.__slots__}


@pytest.mark.parametrize("kind", ["load", "machines", "prices", "clock"])
def test_what_the_shell_could_not_read_holds_and_is_said_once(kind: str) -> None:
    missing = {"load": {"load": None}, "machines": {"machines": None}, "prices": {"quotes": ()}}
    found = seen(gaps=(Gap(kind=kind, **GAP),), **missing.get(kind, {}))
    assert (found.mode, kinds(found)) == (Mode.HOLD, [kind])


def test_a_gap_that_nothing_rests_on_does_not_hold() -> None:
    found = seen(gaps=(Gap(kind="notices", **GAP),))
    assert (found.mode, kinds(found)) == (Mode.FULL, ["notices"])


def test_who_is_rejected_only_looks() -> None:
    ended = ActionOutcome(
        action=Terminate(node_id="n", provider_id="i-n"), outcome=Outcome.CREDENTIALS, at=NOON
    )
    found = seen(outcomes=(ended,), load=None)
    assert found.mode is Mode.OBSERVE
    assert seen(gaps=(Gap(kind="credentials", **GAP),)).mode is Mode.OBSERVE


@pytest.mark.parametrize(
    ("moved", "is_jump"),
    [(-3600, True), (-1.5, True), (-1, False), (0, False), (5, False), (600, False), (601, True)],
)
def test_a_clock_that_jumps_holds_for_that_tick(moved: float, is_jump: bool) -> None:
    found = seen(0, last=after(-moved))
    assert (kinds(found) == ["clock"]) == is_jump
    assert found.mode is (Mode.HOLD if is_jump else Mode.FULL)
    if is_jump:
        assert f"went {'back' if moved < 0 else 'on'} by" in found.gaps[0].subject
    assert (jumped(after(-moved), NOON) is not None) == is_jump


def test_the_first_tick_of_all_does_not_jump() -> None:
    assert jumped(None, NOON) is None
    assert seen(last=None).mode is Mode.FULL


def test_the_digest_names_what_was_seen_and_nothing_else() -> None:
    same = seen(last=after(-5)).digest
    assert seen(last=after(-5)).digest == same
    others = [
        seen(1, last=after(-5)),
        seen(load=load(workers={"a": does()})),
        seen(quotes=(quote(key(), "1.01"),)),
        seen(offers=offers(("m.large",))),
        seen(gaps=(Gap(kind="notices", **GAP),)),
        assemble(readings(**KNOWN), {"n": rented("n")}, State(), SETTINGS),
    ]
    digests = [each.digest for each in others]
    assert same not in digests
    assert len(set(digests)) == len(others)
