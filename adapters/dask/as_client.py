"""A Dask cluster of the user's own as somewhere to compute.

This speaks Dask's protocol, so only commands import it that a person starts, without a cloud's
credentials, towards an address that they name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import CancelledError
from contextlib import contextmanager
from functools import partial
from importlib.metadata import version
from typing import Any

from distributed import Client
from distributed.comm.addressing import get_address_host, parse_address
from distributed.scheduler import KilledWorker
from distributed.security import Security

from costplan.planner.errors import InputError

_CHUNKS_A_THREAD = 4
"""So many pieces of work for each thread of the cluster: some to wait for the last one less."""

Function = Callable[[int], Any]


@contextmanager
def connected(address: str) -> Iterator[Any]:
    """A client of the scheduler until the block ends; raises InputError where it is away."""
    _check(address)
    try:
        client: Any = Client(address, timeout="10s", set_as_default=False)  # type: ignore[no-untyped-call]
    except (OSError, ValueError) as error:
        said = str(error).partition("\n")[0]
        raise InputError(
            f"--scheduler {address}", f"cannot be reached: {said}", "is it running there?"
        ) from None
    with client:
        yield client


def check_versions(client: Any, address: str) -> None:
    """Returns where there are workers, and all run what runs here; raises InputError otherwise:
    with other versions the answer could differ."""
    ours = _versions()
    with _lost():
        theirs = client.run(_versions)
    if not theirs:
        way_out = "start some: dask worker ADDRESS"
        raise InputError(f"--scheduler {address}", "has no workers", way_out)
    for worker, found in sorted(theirs.items()):
        if found != ours:
            what = f"the worker {worker} has {found}, and {ours} runs here"
            raise InputError(f"--scheduler {address}", what, "install the same there")


def _versions() -> str:
    import numpy as np

    return f"costplan {version('costplan')} with numpy {np.__version__}"


@contextmanager
def _lost() -> Iterator[None]:
    """Raises InputError for what becomes of work whose cluster went away or cannot do it."""
    try:
        yield
    except (CancelledError, ImportError, KilledWorker, OSError, RuntimeError) as error:
        said = str(error).partition("\n")[0] or type(error).__name__
        way_out = "do its workers run, with costplan installed?"
        raise InputError("--scheduler", f"the cluster did not answer: {said}", way_out) from error


class ClusterMap:
    """`map` over the workers of a cluster: the answers in order, whoever was first.

    A function is a `partial`, whose arguments of a type in `shared` go to the workers once, however
    often they stand in one. The cluster must have the same version of costplan and numpy.
    """

    def __init__(self, client: Any, shared: tuple[type, ...]) -> None:
        self._client, self._shared = client, shared
        self._sent: dict[int, tuple[Any, Any]] = {}
        """By identity: the argument, kept so that nothing else gets it, and the future."""

    def __call__(self, function: Function, numbers: Iterable[int]) -> Sequence[Any]:
        """The answers for these numbers."""
        wanted = list(numbers)
        whole = function if isinstance(function, partial) else partial(function)
        arguments = [self._placed(each) for each in whole.args]
        threads = max(sum(self._client.nthreads().values()), 1)
        size = max(-(-len(wanted) // (threads * _CHUNKS_A_THREAD)), 1)
        chunks = [wanted[first : first + size] for first in range(0, len(wanted), size)]
        with _lost():
            running = [
                self._client.submit(
                    _answers, whole.func, whole.keywords, chunk, *arguments, pure=False
                )
                for chunk in chunks
            ]
            return [answer for found in self._client.gather(running) for answer in found]

    def _placed(self, argument: Any) -> Any:
        if not isinstance(argument, self._shared):
            return argument
        if id(argument) not in self._sent:
            with _lost():
                future = self._client.scatter(argument, broadcast=True, hash=False)
            self._sent[id(argument)] = (argument, future)
        return self._sent[id(argument)][1]


def _answers(
    function: Callable[..., Any],
    keywords: Mapping[str, Any],
    numbers: Sequence[int],
    *arguments: Any,
) -> list[Any]:
    """The answers for some of the numbers, on a worker."""
    return [function(*arguments, number, **keywords) for number in numbers]


def _check(address: str) -> None:
    """Returns where a client can try an address, since one that cannot leaves a traceback behind;
    raises InputError otherwise."""
    option, example = f"--scheduler {address}", "write it like tcp://10.0.0.5:8786"
    scheme = parse_address(address)[0]
    if scheme not in ("tcp", "tls"):
        raise InputError(option, "is not a tcp:// or tls:// address", example)
    try:
        get_address_host(address)
    except ValueError as error:
        raise InputError(option, f"is no address: {error}", example) from None
    security: Any = Security()  # type: ignore[no-untyped-call]
    if scheme == "tls" and not security.get_connection_args("client").get("ssl_context"):
        raise InputError(
            option, "needs TLS files", "name them in Dask's configuration, distributed.comm.tls"
        )
