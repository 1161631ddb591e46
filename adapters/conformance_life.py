"""Checks of machines that live and end: ordered, reclaimed, failed, somebody else's."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

from costplan.adapters.conformance_world import (
    World,
    expect,
    expecting,
    of_token,
    one,
    request_for,
    wait_for,
)
from costplan.planner.errors import RequestRejected, Unreachable
from costplan.planner.nodes import MachineState


def a_terminated_machine_ends(world: World) -> None:
    """It is billed until its end, and listed as ended for a while after."""
    provider = world.make_provider()
    launched = provider.launch(request_for(world, "a"))
    wait_for(world, provider, launched.provider_id, MachineState.RUNNING)
    ordered = world.now()
    provider.terminate([launched.provider_id])
    state = one(provider, launched.provider_id).state
    expect(state in (MachineState.STOPPING, MachineState.ENDED), f"it is {state} after the order")
    wait_for(world, provider, launched.provider_id, MachineState.ENDED)
    ended = one(provider, launched.provider_id)
    expect(ended.end_cause == "terminated", f"it ended as {ended.end_cause}")
    expect(ended.ended_at is not None and ended.ended_at.utcoffset() == timedelta(0), "not UTC")
    expect(
        ended.ended_at is not None and ordered <= ended.ended_at <= world.now(),
        f"ordered at {ordered}, ended at {ended.ended_at}",
    )
    expect(one(world.make_provider(), launched.provider_id) == ended, "another end elsewhere")


def a_machine_that_boots_can_be_terminated(world: World) -> None:
    """Without waiting for it to run."""
    provider = world.make_provider()
    launched = provider.launch(request_for(world, "a"))
    provider.terminate([launched.provider_id])
    wait_for(world, provider, launched.provider_id, MachineState.ENDED)


def terminating_again_changes_nothing(world: World) -> None:
    """Ids that ended, that never were, and none at all are success."""
    provider = world.make_provider()
    launched = provider.launch(request_for(world, "a"))
    for _ in range(2):
        provider.terminate([launched.provider_id, "no-such-machine", "../../etc"])
    wait_for(world, provider, launched.provider_id, MachineState.ENDED)
    before = one(provider, launched.provider_id)
    provider.terminate([launched.provider_id])
    provider.terminate([])
    expect(one(provider, launched.provider_id) == before, "an ended machine has changed")


def only_what_was_named_is_terminated(world: World) -> None:
    """Its neighbours go on."""
    provider = world.make_provider()
    first, second = (provider.launch(request_for(world, name)) for name in "ab")
    provider.terminate([first.provider_id])
    wait_for(world, provider, first.provider_id, MachineState.ENDED)
    wait_for(world, provider, second.provider_id, MachineState.RUNNING)


def an_ended_machine_is_not_launched_again(world: World) -> None:
    """The request that led to it is answered with it, or rejected."""
    provider = world.make_provider()
    request = request_for(world, "a")
    launched = provider.launch(request)
    provider.terminate([launched.provider_id])
    wait_for(world, provider, launched.provider_id, MachineState.ENDED)
    try:
        again = provider.launch(request)
    except RequestRejected:
        pass
    else:
        expect(again.provider_id == launched.provider_id, "another machine came of it")
    states = {node.state for node in of_token(provider, request.token)}
    expect(states == {MachineState.ENDED}, f"after its end it is {states}")


def other_clusters_are_not_touched(world: World) -> None:
    """A machine without our tag is neither listed, nor terminated, nor warned of."""
    stranger, cluster = world.make_stranger()
    request = request_for(world, "s")
    theirs = stranger.launch(replace(request, cluster=cluster))
    provider = world.make_provider()
    ours = provider.launch(request)
    expect(ours.provider_id != theirs.provider_id, "two clusters share a machine")
    expect([node.provider_id for node in provider.nodes()] == [ours.provider_id], "theirs is ours")
    provider.terminate([theirs.provider_id, ours.provider_id])
    wait_for(world, provider, ours.provider_id, MachineState.ENDED)
    wait_for(world, stranger, theirs.provider_id, MachineState.RUNNING)
    world.reclaim(theirs.provider_id, 3600.0)
    world.wait_until(lambda: bool(stranger.notices()), "the stranger is warned")
    expect(not provider.notices(), "we are warned of their machine")


def a_notice_is_in_force_until_the_end(world: World) -> None:
    """It says which machine and when, in time, and the machine is gone then."""
    provider = world.make_provider()
    first, second = (provider.launch(request_for(world, name)) for name in "ab")
    for node in (first, second):
        wait_for(world, provider, node.provider_id, MachineState.RUNNING)
    expect(not provider.notices(), "warned without a reason")
    world.reclaim(first.provider_id, 2.0)
    world.wait_until(lambda: bool(provider.notices()), "a warning")
    (notice,) = provider.notices()
    expect(notice.provider_id == first.provider_id, "warned of another machine")
    expect(notice.kind == "reclaim", f"a {notice.kind}")
    expect(notice.observed_at <= world.now(), "observed in the future")
    ahead = notice.effective_at - notice.observed_at
    expect(timedelta(0) < ahead <= timedelta(seconds=3), f"warned {ahead} ahead")
    expect(world.make_provider().notices() == (notice,), "another warning elsewhere")
    wait_for(world, provider, first.provider_id, MachineState.ENDED)
    ended = one(provider, first.provider_id)
    expect(ended.end_cause == "reclaimed", f"it ended as {ended.end_cause}")
    expect(ended.ended_at is not None and ended.ended_at >= notice.effective_at, "ended before it")
    expect(one(provider, second.provider_id).state is MachineState.RUNNING, "took another too")
    expect(not provider.notices(), "warned of a machine that is gone")


def a_machine_may_be_reclaimed_without_notice(world: World) -> None:
    """Then it is listed as ended, and by whom."""
    provider = world.make_provider()
    launched = provider.launch(request_for(world, "a"))
    wait_for(world, provider, launched.provider_id, MachineState.RUNNING)
    world.reclaim(launched.provider_id, None)
    wait_for(world, provider, launched.provider_id, MachineState.ENDED)
    cause = one(provider, launched.provider_id).end_cause
    expect(cause == "reclaimed", f"it ended as {cause}")


def a_machine_that_breaks_down_is_seen(world: World) -> None:
    """It is listed as ended, and its billing is over."""
    provider = world.make_provider()
    launched = provider.launch(request_for(world, "a"))
    wait_for(world, provider, launched.provider_id, MachineState.RUNNING)
    world.break_down(launched.provider_id)
    wait_for(world, provider, launched.provider_id, MachineState.ENDED)
    ended = one(provider, launched.provider_id)
    expect(ended.end_cause == "failed", f"it ended as {ended.end_cause}")
    expect(ended.ended_at is not None and ended.ended_at >= launched.launched_at, "ended before")


def what_is_left_of_a_machine_can_be_ended(world: World) -> None:
    """Its machine ended when it did, and by what: terminating its remains changes neither."""
    provider = world.make_provider()
    launched = provider.launch(request_for(world, "a"))
    wait_for(world, provider, launched.provider_id, MachineState.RUNNING)
    world.break_down(launched.provider_id)
    wait_for(world, provider, launched.provider_id, MachineState.ENDED)
    ended = one(provider, launched.provider_id)
    provider.terminate([launched.provider_id])
    world.wait_until(lambda: not one(provider, launched.provider_id).remains, "nothing is left")
    wait_for(world, provider, launched.provider_id, MachineState.ENDED)
    after = one(provider, launched.provider_id)
    expect((after.ended_at, after.end_cause) == (ended.ended_at, ended.end_cause), "another end")


def nothing_known_is_not_nothing_there(world: World) -> None:
    """Where the provider cannot be reached, every verb raises, and none does anything."""
    provider = world.make_provider()
    launched = provider.launch(request_for(world, "a"))
    cut_off = world.make_unreachable()
    for read in (cut_off.nodes, cut_off.offers, cut_off.notices):
        with expecting(Unreachable, f"of {read.__name__} where the provider is unreachable"):
            read()
    with expecting(Unreachable, "of a launch where the provider is unreachable"):
        cut_off.launch(request_for(world, "b"))
    with expecting(Unreachable, "of a terminate where the provider is unreachable"):
        cut_off.terminate([launched.provider_id])
    wait_for(world, provider, launched.provider_id, MachineState.RUNNING)
    expect(len(provider.nodes()) == 1, "something came of it")


def reading_changes_nothing(world: World) -> None:
    """Two looks at a world that stands still see the same."""
    provider = world.make_provider()
    for name in "ab":
        launched = provider.launch(request_for(world, name))
        wait_for(world, provider, launched.provider_id, MachineState.RUNNING)
    for read in ("nodes", "offers", "notices"):
        first = getattr(provider, read)()
        expect(getattr(provider, read)() == first, f"{read} changes by being read")
        expect(getattr(world.make_provider(), read)() == first, f"{read} differ by provider")


def machines_outlive_the_provider(world: World) -> None:
    """A provider made anew finds what an earlier one left."""
    launched = [world.make_provider().launch(request_for(world, name)) for name in "ab"]
    found = {node.provider_id for node in world.make_provider().nodes()}
    expect(found == {node.provider_id for node in launched}, "other machines are found")


def all_verbs_may_be_called_at_once(world: World) -> None:
    """While machines are launched and ended, every list has each machine there is."""
    provider = world.make_provider()
    answered: list[str] = []
    over = threading.Event()

    def look() -> str | None:
        while not over.is_set():
            due = list(answered)
            listed = {node.provider_id for node in provider.nodes()}
            if not set(due) <= listed:
                return f"{sorted(set(due) - listed)} missing from a list"
            provider.offers()
            provider.notices()
        return None

    def live(number: int) -> None:
        node = provider.launch(request_for(world, str(number), world.keys[number % 2]))
        answered.append(node.provider_id)
        if number % 3 == 0:
            provider.terminate([node.provider_id])

    with ThreadPoolExecutor(6) as threads:
        looking = [threads.submit(look) for _ in range(2)]
        try:
            list(threads.map(live, range(12)))
        finally:
            over.set()
        complaints = [found for look_ in looking if (found := look_.result()) is not None]
    expect(not complaints, "; ".join(complaints))
    expect(len(set(answered)) == 12 == len(provider.nodes()), "not every launch made a machine")
