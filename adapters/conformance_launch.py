"""Checks of what is sold, and of launches: accepted, refused, unclear, repeated."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
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
from costplan.planner.errors import (
    CapacityUnavailable,
    OutcomeUnknown,
    RequestRejected,
    Throttled,
)
from costplan.planner.nodes import MachineState
from costplan.planner.types import Market, OfferKey


def offers_are_all_that_is_sold(world: World) -> None:
    """Every offer is there once, with a size; what cannot be had now is marked, not left out."""
    sold_out = world.sold_out()
    offers = {offer.key: offer for offer in world.make_provider().offers()}
    expect(len(offers) == len(world.make_provider().offers()), "an offer is listed twice")
    expect({*world.keys, sold_out} <= set(offers), "an offer is missing")
    for key in world.keys:
        offer = offers[key]
        expect(offer.available and offer.headroom != 0, f"{key} is not available")
        expect(offer.resources.vcpu_milli > 0, f"{key} has no vCPU")
        expect(offer.resources.memory_bytes > 0, f"{key} has no memory")
    expect(
        not offers[sold_out].available or offers[sold_out].headroom in (0, None),
        f"{sold_out} is sold out and shown as available",
    )


def a_launch_is_answered_before_the_boot(world: World) -> None:
    """The answer carries our names, the offer, and when it was accepted."""
    provider = world.make_provider()
    before, request = world.now(), request_for(world, "a")
    node = provider.launch(request)
    expect(bool(node.provider_id), "the machine has no id")
    expect((node.node_id, node.token) == (request.node_id, request.token), "our names are lost")
    expect(node.key == request.keys[0], f"launched as {node.key}")
    expect(node.state in (MachineState.PENDING, MachineState.RUNNING), f"it is {node.state}")
    expect(node.ended_at is None and node.end_cause is None, "a new machine has ended")
    expect(before <= node.launched_at <= world.now(), "launched at another time than now")
    expect(node.launched_at.utcoffset() == timedelta(0), "the instant is not UTC")


def a_machine_boots_and_stays(world: World) -> None:
    """It runs after a while, as what it was launched, and its billing does not move."""
    provider = world.make_provider()
    launched = provider.launch(request_for(world, "a"))
    wait_for(world, provider, launched.provider_id, MachineState.RUNNING)
    running = one(provider, launched.provider_id)
    for name in ("key", "node_id", "token", "launched_at"):
        expect(getattr(running, name) == getattr(launched, name), f"{name} has changed")


def the_same_request_gives_the_same_machine(world: World) -> None:
    """Sent again, also by a provider made anew, also once the machine runs."""
    provider = world.make_provider()
    request = request_for(world, "a")
    first = provider.launch(request)
    again = [provider.launch(request), world.make_provider().launch(request)]
    wait_for(world, provider, first.provider_id, MachineState.RUNNING)
    again.append(world.make_provider().launch(request))
    expect({node.provider_id for node in again} == {first.provider_id}, "there are several")
    expect({node.launched_at for node in again} == {first.launched_at}, "billing starts anew")
    expect(len(of_token(provider, request.token)) == 1, "several are listed")


def the_same_request_at_once_gives_one_machine(world: World) -> None:
    """Sent by many threads and two providers at the same time."""
    providers = [world.make_provider(), world.make_provider()]
    request = request_for(world, "a")
    with ThreadPoolExecutor(8) as threads:
        nodes = list(threads.map(lambda n: providers[n % 2].launch(request), range(16)))
    expect(len({node.provider_id for node in nodes}) == 1, "there are several")
    expect(len(providers[0].nodes()) == 1, "several are listed")


def different_tokens_give_different_machines(world: World) -> None:
    """Every machine that was launched is listed, with our names, once."""
    provider = world.make_provider()
    requests = [request_for(world, str(n), world.keys[n % 2]) for n in range(4)]
    launched = {provider.launch(request).provider_id: request for request in requests}
    expect(len(launched) == 4, "two tokens led to one machine")
    listed = {node.provider_id: node for node in provider.nodes()}
    expect(set(listed) == set(launched), "other machines are listed than were launched")
    for provider_id, request in launched.items():
        node = listed[provider_id]
        expect((node.node_id, node.token) == (request.node_id, request.token), "names are lost")
        expect(node.key == request.keys[0], f"{node.key} instead of {request.keys[0]}")


def a_token_is_for_one_request(world: World) -> None:
    """Another request under a token that was used is rejected, and changes nothing."""
    provider = world.make_provider()
    first = provider.launch(request_for(world, "a"))
    other = request_for(world, "a", world.keys[1])
    with expecting(RequestRejected, "for another request under a used token"):
        provider.launch(other)
    expect([node.provider_id for node in provider.nodes()] == [first.provider_id], "it did more")


def what_nobody_sells_is_rejected(world: World) -> None:
    """An offer that does not exist is our mistake, and no lack of capacity."""
    provider = world.make_provider()
    key = world.keys[0]
    unknown = OfferKey(
        provider=key.provider,
        region=key.region,
        zone=key.zone,
        instance_type="no.such.type",
        market=Market.ON_DEMAND,
    )
    with expecting(RequestRejected, "for an offer that does not exist"):
        provider.launch(request_for(world, "a", unknown))
    expect(not provider.nodes(), "a machine came of it")


def a_lack_of_capacity_is_said(world: World) -> None:
    """Where there is none of any acceptable offer, and no machine is left behind."""
    sold_out, provider = world.sold_out(), world.make_provider()
    with expecting(CapacityUnavailable, "where an offer is sold out"):
        provider.launch(request_for(world, "a", sold_out))
    expect(not provider.nodes(), "a machine came of it")


def the_next_offer_is_taken_after_a_refusal(world: World) -> None:
    """Of the acceptable offers the first that can be had is launched."""
    sold_out, provider = world.sold_out(), world.make_provider()
    node = provider.launch(request_for(world, "a", sold_out, world.keys[1], world.keys[0]))
    expect(node.key == world.keys[1], f"launched {node.key}")
    expect(len(provider.nodes()) == 1, "more than one machine came of it")


def an_unclear_answer_stops_the_launch(world: World) -> None:
    """No other offer is tried; the token finds the machine, and asking again makes no second."""
    losing, provider = world.losing_answer(), world.make_provider()
    request = request_for(world, "a", losing, world.keys[0])
    with expecting(OutcomeUnknown, "where the answer is lost") as caught:
        provider.launch(request)
    unclear = caught[0]
    expect(isinstance(unclear, OutcomeUnknown) and unclear.token == request.token, "what token?")
    world.wait_until(lambda: bool(of_token(provider, request.token)), "the token is found")
    (found,) = of_token(provider, request.token)
    expect(found.key == losing, f"{found.key} was launched after an unclear answer")
    again = world.make_provider().launch(request)
    expect(again.provider_id == found.provider_id, "asking again made another machine")
    expect(len(provider.nodes()) == 1, "several are listed")


def a_throttled_launch_can_be_sent_again(world: World) -> None:
    """Throttled means that nothing has happened."""
    throttling, provider = world.throttling(), world.make_provider()
    request = request_for(world, "a", throttling)
    with expecting(Throttled, "where the provider throttles"):
        provider.launch(request)
    expect(not provider.nodes(), "a machine came of it")
    expect(provider.launch(request).key == throttling, "launched something else")
