"""What a conformance check is given, and how it complains."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Protocol

from costplan.planner.nodes import LaunchRequest, MachineState, ProviderNode, WorkerSpec
from costplan.planner.ports import Provider
from costplan.planner.types import OfferKey


class ContractBroken(AssertionError):
    """A provider does not do what the port promises."""


class NotPossible(Exception):
    """This world has no way to show what a check looks at."""


class World(Protocol):
    """A provider's surroundings, which a test module makes for `cluster`.

    `keys` are at least two offers with room for 20 machines each. Instants are the provider's.
    What is said to happen to "the next launch" of an offer happens once. A method that this
    world cannot offer raises NotPossible.
    """

    cluster: str
    keys: tuple[OfferKey, ...]

    def make_provider(self) -> Provider:
        """A provider of this world; each call gives another one, as a restart would."""
        ...

    def make_unreachable(self) -> Provider:
        """A provider of this world that cannot reach what it provides."""
        ...

    def make_stranger(self) -> tuple[Provider, str]:
        """A provider of the same account for another cluster, and that cluster's name."""
        ...

    def workers(self, node_id: str) -> tuple[WorkerSpec, ...]:
        """The workers that a request for this node carries."""
        ...

    def now(self) -> datetime:
        """The provider's clock."""
        ...

    def wait_until(self, condition: Callable[[], bool], what: str) -> None:
        """Lets time go on until the condition holds; raises ContractBroken where it never does."""
        ...

    def sold_out(self) -> OfferKey:
        """An offer that is sold here and of which there is no machine to be had now."""
        ...

    def losing_answer(self) -> OfferKey:
        """An offer whose next launch is carried out, and the answer is lost."""
        ...

    def throttling(self) -> OfferKey:
        """An offer whose next launch is throttled."""
        ...

    def reclaim(self, provider_id: str, notice_seconds: float | None) -> None:
        """Takes a machine away after so many seconds of notice, at once without one for None."""
        ...

    def break_down(self, provider_id: str) -> None:
        """A machine ends by itself."""
        ...


def expect(condition: bool, message: str) -> None:
    """Raises ContractBroken with this message where the condition does not hold."""
    if not condition:
        raise ContractBroken(message)


@contextmanager
def expecting(error: type[Exception], when: str) -> Iterator[list[Exception]]:
    """Raises ContractBroken unless the block raises this error, which is then in the list."""
    caught: list[Exception] = []
    try:
        yield caught
    except error as raised:
        caught.append(raised)
    if not caught:
        raise ContractBroken(f"no {error.__name__} {when}")


def request_for(world: World, name: str, *keys: OfferKey) -> LaunchRequest:
    """A request for one machine: the first offer of the world where none is named."""
    return LaunchRequest(
        token=f"token-{name}",
        node_id=f"node-{name}",
        cluster=world.cluster,
        keys=keys or world.keys[:1],
        workers=world.workers(f"node-{name}"),
        tags={"owner": "conformance"},
    )


def of_token(provider: Provider, token: str) -> list[ProviderNode]:
    """The machines that are listed under a token."""
    return [node for node in provider.nodes() if node.token == token]


def one(provider: Provider, provider_id: str) -> ProviderNode:
    """The machine of an id, which must be listed once."""
    found = [node for node in provider.nodes() if node.provider_id == provider_id]
    expect(len(found) == 1, f"{provider_id} is listed {len(found)} times")
    return found[0]


def wait_for(world: World, provider: Provider, provider_id: str, state: MachineState) -> None:
    """Lets time go on until a machine is in a state."""
    world.wait_until(lambda: one(provider, provider_id).state is state, f"{provider_id} is {state}")
