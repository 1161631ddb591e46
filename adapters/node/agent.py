"""Watches over one Dask worker on a machine of a cloud: a worker preload, in one file.

    dask worker --preload costplan_agent.py

It asks the machine's metadata service for warnings. Where the machine will be taken away, the
worker takes no new tasks, its results are copied to others, tasks that run are waited for as long
as time allows, and then it leaves; nothing is done again that could have ended in time. Every
warning is also told to the scheduler, whose plugin tells the daemon.

Standard library and Dask only: it is sent to machines that need not have costplan.

    COSTPLAN_TYPE, COSTPLAN_MARKET, COSTPLAN_ZONE, COSTPLAN_USD_PER_HOUR
                         what the machine is and the worker costs, which the scheduler is told
    COSTPLAN_CLOUD       aws, gcp or azure; without it nothing is watched
    COSTPLAN_METADATA    address of the metadata service, where it is not the cloud's own
    COSTPLAN_NOTICE      seconds between a warning and the end where the cloud names no instant
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from email.utils import parsedate_to_datetime
from typing import Any

from tornado.httpclient import AsyncHTTPClient, HTTPClientError, HTTPError

logger = logging.getLogger("distributed.costplan")

TOPIC = "costplan-notice"
ADDRESSES = {
    "aws": "http://169.254.169.254",
    "gcp": "http://metadata.google.internal",
    "azure": "http://169.254.169.254",
}
NOTICE_SECONDS = {"aws": 120.0, "gcp": 30.0, "azure": 30.0}
CLAIMED = {
    "type": "COSTPLAN_TYPE",
    "market": "COSTPLAN_MARKET",
    "zone": "COSTPLAN_ZONE",
    "usd_per_hour": "COSTPLAN_USD_PER_HOUR",
}
POLL_SECONDS = 1.0
SLOW_SECONDS = 15.0
"""How often hints and maintenance are asked for."""
ASK_SECONDS = 3.0
_WAIT_SECONDS = 60.0
_STEP_SECONDS = 0.1
_SETTLE_SECONDS = 0.3
"""After this a heartbeat says for sure what a worker that takes no more tasks still runs."""
_COPY_BYTES_PER_SECOND = 0.3e9
_SECONDS_PER_KEY = 0.0003
_LEAVE_SECONDS = 2.5
_AGAIN_SECONDS = 1.0
_UTC = timezone.utc  # noqa: UP017 - machines may have an older Python


@dataclass(frozen=True)
class Warned:
    """What the cloud warns of: 'reclaim', 'rebalance' or 'maintenance', when, and its own id."""

    kind: str
    effective_at: datetime
    event_id: str = ""


class Metadata:
    """The metadata service of a machine."""

    def __init__(self, cloud: str, address: str, notice_seconds: float) -> None:
        self.cloud, self.address, self.notice_seconds = cloud, address.rstrip("/"), notice_seconds
        self._http = AsyncHTTPClient(force_instance=True)
        self._token = ""
        self._slow: list[Warned] = []
        self._slow_at = 0.0
        self._etag = "0"

    def close(self) -> None:
        """Gives its connections back."""
        self._http.close()

    async def warnings(self) -> list[Warned]:
        """The warnings in force. Raises OSError or tornado's HTTPError where nobody answers."""
        if self.cloud == "aws":
            return await self._aws()
        if self.cloud == "gcp":
            return await self._gcp()
        return await self._azure()

    async def acknowledge(self, warned: Warned) -> None:
        """Tells the cloud that nothing here is waited for any more, where it can be told."""
        if self.cloud == "azure" and warned.event_id:
            body = json.dumps({"StartRequests": [{"EventId": warned.event_id}]})
            await self._ask("/metadata/scheduledevents?api-version=2020-07-01",
                            {"Metadata": "true"}, method="POST", body=body)  # fmt: skip

    async def _ask(
        self, path: str, headers: dict[str, str], *, method: str = "GET", body: str | None = None,
        seconds: float = ASK_SECONDS,
    ) -> Any:  # fmt: skip
        return await self._http.fetch(
            self.address + path,
            method=method,
            headers=headers,
            body=body,
            allow_nonstandard_methods=True,
            connect_timeout=ASK_SECONDS,
            request_timeout=seconds,
            follow_redirects=False,
        )

    async def _text(self, path: str, headers: dict[str, str]) -> str | None:
        """An answer's text, None where there is nothing under that path."""
        try:
            answer = await self._ask(path, headers)
        except HTTPClientError as error:
            if error.code == 404:
                return None
            raise
        return str(answer.body.decode())

    async def _aws(self) -> list[Warned]:
        try:
            return await self._aws_with_token()
        except HTTPClientError as error:
            if error.code != 401:
                raise
            self._token = ""  # it is out of date
            return await self._aws_with_token()

    async def _aws_with_token(self) -> list[Warned]:
        if not self._token:
            ttl = {"X-aws-ec2-metadata-token-ttl-seconds": "21600"}
            answer = await self._ask("/latest/api/token", ttl, method="PUT")
            self._token = answer.body.decode()
        headers = {"X-aws-ec2-metadata-token": self._token}
        found = []
        action = await self._text("/latest/meta-data/spot/instance-action", headers)
        if action is not None:
            found.append(Warned("reclaim", _instant(json.loads(action)["time"])))
        now = asyncio.get_running_loop().time()
        if not self._slow_at or now - self._slow_at >= SLOW_SECONDS:
            self._slow, self._slow_at = await self._aws_slow(headers), now
        return found + self._slow

    async def _aws_slow(self, headers: dict[str, str]) -> list[Warned]:
        found = []
        hint = await self._text("/latest/meta-data/events/recommendations/rebalance", headers)
        if hint is not None:
            found.append(Warned("rebalance", _instant(json.loads(hint)["noticeTime"])))
        events = await self._text("/latest/meta-data/events/maintenance/scheduled", headers)
        for event in json.loads(events or "[]"):
            if event.get("State", "active") == "active":
                at = parsed_date(event["NotBefore"])
                found.append(Warned("maintenance", at, event.get("EventId", "")))
        return found

    async def _gcp(self) -> list[Warned]:
        """Waits in the service until something changes, or for a minute."""
        headers = {"Metadata-Flavor": "Google"}
        path = "/computeMetadata/v1/instance/preempted?wait_for_change=true"
        path += f"&timeout_sec={_WAIT_SECONDS:.0f}&last_etag={self._etag}"
        answer = await self._ask(path, headers, seconds=_WAIT_SECONDS + ASK_SECONDS)
        self._etag = answer.headers.get("ETag", "0")
        found = []
        if answer.body.decode().strip() == "TRUE":
            found.append(Warned("reclaim", self._soon()))
        upkeep = await self._text("/computeMetadata/v1/instance/maintenance-event", headers)
        if upkeep is not None and upkeep.startswith("TERMINATE"):
            found.append(Warned("maintenance", self._soon()))
        return found

    async def _azure(self) -> list[Warned]:
        path, headers = "/metadata/scheduledevents?api-version=2020-07-01", {"Metadata": "true"}
        body = await self._text(path, headers)
        events = json.loads(body or "{}").get("Events", [])
        own = os.environ.get("COSTPLAN_MACHINE", "")
        found = []
        for event in events:
            if own and own not in event.get("Resources", [own]):
                continue
            before = event.get("NotBefore") or ""
            at = parsed_date(before) if before else self._soon()
            kind = (
                "reclaim" if event.get("EventType") in ("Preempt", "Terminate") else "maintenance"
            )
            found.append(Warned(kind, at, event.get("EventId", "")))
        return found

    def _soon(self) -> datetime:
        return datetime.now(_UTC) + timedelta(seconds=self.notice_seconds)


def _instant(text: str) -> datetime:
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


def parsed_date(text: str) -> datetime:
    """An instant as 'Mon, 19 Sep 2016 18:29:47 GMT', '21 Jan 2019 09:00:43 GMT' or ISO has it."""
    at = _instant(text) if text[:4].isdigit() else parsedate_to_datetime(text)
    return at if at.tzinfo else at.replace(tzinfo=_UTC)


async def changes(
    look: Callable[[], Awaitable[list[Warned]]], pause_seconds: float
) -> AsyncIterator[Warned]:
    """Each warning once, as it comes; a service that does not answer, or with what is no answer,
    is asked again."""
    seen: set[tuple[str, str]] = set()
    silent = False
    while True:
        try:
            found = await look()
            silent = False
        except (HTTPError, OSError, ValueError, LookupError, TypeError, AttributeError) as error:
            if not silent:
                logger.warning("costplan: the metadata service does not answer: %s", error)
            silent, found = True, []
            await asyncio.sleep(POLL_SECONDS)
        for warned in found:
            name = (warned.kind, warned.event_id)
            if name not in seen:
                seen.add(name)
                yield warned
        await asyncio.sleep(pause_seconds)


class Agent:
    """The watch over one worker. `dask_setup` starts it, `dask_teardown` ends it."""

    def __init__(self, worker: Any, metadata: Metadata) -> None:
        self.worker, self.metadata = worker, metadata
        self._watch: asyncio.Task[None] | None = None
        self._drain: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begins to look."""
        self._watch = asyncio.get_running_loop().create_task(self._look())

    async def stop(self) -> None:
        """Stops looking. A drain is not cancelled: it is what ends the worker."""
        if self._watch is not None:
            self._watch.cancel()
        self.metadata.close()

    async def _look(self) -> None:
        pause = 0.0 if self.metadata.cloud == "gcp" else POLL_SECONDS
        async for warned in changes(self.metadata.warnings, max(pause, 0.05)):
            self._tell(warned)
            if warned.kind == "reclaim" and self._drain is None:
                # A task of its own: closing the worker ends this one.
                self._drain = asyncio.get_running_loop().create_task(self.drain(warned))

    def _tell(self, warned: Warned) -> None:
        logger.warning("costplan: %s at %s", warned.kind, warned.effective_at.isoformat())
        said = {"kind": warned.kind, "effective_at": warned.effective_at.timestamp(),
                "name": str(self.worker.name)}  # fmt: skip
        with contextlib.suppress(Exception):  # a scheduler that is away must not stop the drain
            self.worker.log_event(TOPIC, said)

    async def drain(self, warned: Warned) -> None:
        """Empties the worker before the machine goes, and ends it."""
        from distributed.core import Status

        worker, loop = self.worker, asyncio.get_running_loop()
        seconds = (warned.effective_at - datetime.now(_UTC)).total_seconds()
        end = loop.time() + max(0.0, seconds)
        worker.status = Status.closing_gracefully
        copying = loop.create_task(self._retire(remove=False))
        settled = loop.time() + _SETTLE_SECONDS
        opened = (Status.running, Status.paused)  # as the scheduler has it where it refuses
        while worker.status in (*opened, Status.closing_gracefully) and loop.time() < end:
            if worker.status in opened:
                worker.status = Status.closing_gracefully
            until = end - self._reserve()
            if loop.time() < (until if self._runs() else min(settled, until)):
                await asyncio.sleep(_STEP_SECONDS)
                continue
            await self._beat()
            if await self._retire(remove=True):
                break
            await asyncio.sleep(_AGAIN_SECONDS)  # somebody may come who takes what it holds
        copying.cancel()
        with contextlib.suppress(Exception):
            await self.metadata.acknowledge(warned)
        await worker.close(nanny=True, executor_wait=False, reason="costplan-notice")

    async def _beat(self) -> None:
        """Tells the scheduler that nothing runs here: tasks that wait here and never began, which
        go elsewhere, would seem to have been broken off."""
        if not self._runs():
            with contextlib.suppress(Exception):
                await asyncio.wait_for(self.worker.heartbeat(), ASK_SECONDS)

    def _runs(self) -> bool:
        state = self.worker.state
        return bool(state.executing_count or state.long_running)

    def _reserve(self) -> float:
        """Seconds that copying what the worker holds takes at most, and leaving."""
        held, keys = float(self.worker.state.nbytes), len(self.worker.data)
        return _LEAVE_SECONDS + held / _COPY_BYTES_PER_SECOND + keys * _SECONDS_PER_KEY

    async def _retire(self, *, remove: bool) -> bool:
        """True once the scheduler has copied what the worker alone holds (and let it go).

        False where it refuses, as it does while nobody can take that.
        """
        worker = self.worker
        try:
            done = await worker.scheduler.retire_workers(
                workers=[worker.address], close_workers=False, remove=remove
            )
        except Exception as error:  # without a scheduler there is nobody to copy to
            logger.warning("costplan: the scheduler cannot be asked: %s", error)
            return False
        return worker.address in done


def claim() -> dict[str, str]:
    """What the environment says of this machine, for the scheduler."""
    found = {name: os.environ.get(variable, "") for name, variable in CLAIMED.items()}
    return {name: value for name, value in found.items() if value}


async def dask_setup(worker: Any) -> None:
    """Dask calls this when the worker starts, before it registers."""
    worker.startup_information["costplan"] = lambda _: claim()
    cloud = os.environ.get("COSTPLAN_CLOUD", "")
    if cloud not in ADDRESSES:
        logger.info("costplan: COSTPLAN_CLOUD names no cloud, so no notice is watched for")
        return
    address = os.environ.get("COSTPLAN_METADATA") or ADDRESSES[cloud]
    notice = float(os.environ.get("COSTPLAN_NOTICE") or NOTICE_SECONDS[cloud])
    agent = Agent(worker, Metadata(cloud, address, notice))
    worker.costplan_agent = agent
    agent.start()


async def dask_teardown(worker: Any) -> None:
    """Dask calls this when the worker ends."""
    agent = getattr(worker, "costplan_agent", None)
    if agent is not None:
        await agent.stop()
