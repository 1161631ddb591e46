"""Health and figures of the daemon over HTTP, in its own event loop and on loopback by default.

    /healthz   200 while the loop turns, 503 where it is stuck
    /readyz    200 while ticks are fresh, the store can be written and the lease is held
    /metrics   Prometheus' text format

Nothing here changes anything, and nothing tells of tokens, tasks or machines by name.
"""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import uvicorn
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from costplan.cli.metrics import Metrics
from costplan.planner.errors import InputError

_STOP_SECONDS = 0.5
"""How long open requests may take to end; every answer is made in a moment."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """How the daemon is. Ages are by a clock that no one sets; None is never.

    A beat is the loop having come round, also where a tick failed. `store_problem` is why the
    store cannot be written, '' where it can.
    """

    seconds_since_beat: float
    beat_limit_seconds: float
    seconds_since_tick: float | None
    tick_limit_seconds: float
    lease_held: bool
    store_problem: str = ""
    stopping: bool = False

    @property
    def stuck(self) -> tuple[str, ...]:
        """Why it does not count as alive; empty where it does."""
        if self.seconds_since_beat <= self.beat_limit_seconds:
            return ()
        return (f"the loop has not come round for {self.seconds_since_beat:.0f} s",)

    @property
    def unready(self) -> tuple[str, ...]:
        """Why it does not do its work now; empty where it does."""
        problems = list(self.stuck)
        if self.seconds_since_tick is None:
            problems.append("no tick yet")
        elif self.seconds_since_tick > self.tick_limit_seconds:
            problems.append(f"the last tick is {self.seconds_since_tick:.0f} s old")
        if not self.lease_held:
            problems.append("the lease is not held")
        if self.store_problem:
            problems.append(f"the store cannot be written: {self.store_problem}")
        if self.stopping:
            problems.append("it is stopping")
        return tuple(problems)


class _Server(uvicorn.Server):
    """A server that leaves signals to the daemon and says when it answers."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.answers = asyncio.Event()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """The daemon owns the signals."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.answers.set()


class HttpService:
    """The service: `start` it, `stop` it within a second; both in the daemon's loop."""

    def __init__(
        self, host: str, port: int, *, health: Callable[[], Health], metrics: Metrics
    ) -> None:
        self._host, self._asked_port = host, port
        self._health, self._metrics = health, metrics
        self._server: _Server | None = None
        self._task: asyncio.Task[None] | None = None
        self.port: int | None = None
        """Where it answers; of use where port 0 let the system choose."""

    async def start(self) -> None:
        """Returns once requests are answered.

        Raises InputError where the address cannot be had, so a daemon with a typo in its file
        does not run unobserved.
        """
        listening = _listen(self._host, self._asked_port)
        self.port = listening.getsockname()[1]
        config = uvicorn.Config(
            Starlette(routes=self._routes()),
            http="h11",
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_keep_alive=5,
            limit_concurrency=64,
        )
        self._server = _Server(config)
        self._task = asyncio.create_task(self._server.serve(sockets=[listening]))
        answers = asyncio.create_task(self._server.answers.wait())
        try:
            await asyncio.wait({self._task, answers}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            answers.cancel()
        if self._task.done():
            listening.close()
            await self._task

    async def stop(self) -> None:
        """Returns once the port is free; safe to call again, or before `start`."""
        if self._server is None or self._task is None:
            return
        self._server.should_exit = True
        done, _ = await asyncio.wait({self._task}, timeout=_STOP_SECONDS)
        if not done:
            self._server.force_exit = True
            done, _ = await asyncio.wait({self._task}, timeout=_STOP_SECONDS / 2)
        if not done:
            self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task
        self._server = self._task = None

    def _routes(self) -> list[Route]:
        async def healthz(_: Request) -> Response:
            return _verdict(self._health().stuck, "alive")

        async def readyz(_: Request) -> Response:
            return _verdict(self._health().unready, "ready")

        async def metrics(_: Request) -> Response:
            return Response(self._metrics.text(), media_type=CONTENT_TYPE_LATEST)

        return [
            Route("/healthz", healthz, methods=["GET"]),
            Route("/readyz", readyz, methods=["GET"]),
            Route("/metrics", metrics, methods=["GET"]),
        ]


def _verdict(problems: tuple[str, ...], good: str) -> Response:
    body = {"status": f"not {good}" if problems else good, "problems": list(problems)}
    return JSONResponse(body, status_code=503 if problems else 200)


def _listen(host: str, port: int) -> socket.socket:
    """A socket that listens at host and port; raises InputError with the way out otherwise."""
    subject = f"service {host}:{port}"
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listening = socket.socket(family, kind, protocol)
    except OSError as error:
        raise InputError(subject, f"is no address: {error.strerror}", "use 127.0.0.1") from error
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(64)
        listening.setblocking(False)
    except OSError as error:
        listening.close()
        raise InputError(subject, *_why_not(error, port)) from error
    return listening


def _why_not(error: OSError, port: int) -> tuple[str, str]:
    match error.errno:
        case errno.EADDRINUSE:
            return f"port {port} is in use", "is another daemon running? else choose another port"
        case errno.EACCES:
            return f"port {port} may not be used", "choose one above 1023"
        case _:
            return f"cannot be listened on: {error.strerror}", "use 127.0.0.1 and a free port"
