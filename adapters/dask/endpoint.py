"""The daemon's side: a Dask cluster behind HTTP, as the planner's `Cluster` port.

The daemon holds cloud credentials, so it never reads Dask's own messages, which run code where
they are read. It reads JSON of bounded size, checks every field, follows no redirect, and says of
every failure that the cluster is unreachable: what it does is then unknown, never idle.
"""

from __future__ import annotations

import json
import ssl
import threading
import time
from collections.abc import Callable, Collection
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Self, TypeVar

import httpx
from pydantic import BaseModel, ValidationError

from costplan.adapters.clock import utc_now
from costplan.adapters.dask.endpoint_wire import (
    DRAIN_PATH,
    LOAD_PATH,
    MAX_ANSWER_BYTES,
    VERSION_HEADER,
    DrainAnswer,
    LoadAnswer,
    load_of_answer,
)
from costplan.adapters.dask.token_file import checked_token
from costplan.adapters.dask.work_wire import (
    RATES_PATH,
    WORK_PATH,
    WORK_VERSION,
    RatesAnswer,
    RatesBody,
    WorkAnswer,
    batch_of,
)
from costplan.planner.errors import ClusterUnreachable, InputError, InvariantBroken
from costplan.planner.load import Load
from costplan.planner.nodes import Retired
from costplan.planner.work import WorkBatch, WorkerRate

MAX_SKEW_SECONDS = 30.0
_LONGEST_PROBLEM = 300
_LONGEST_VERSION = 40
_Answer = TypeVar("_Answer", bound=BaseModel)
_PRELOAD = "--preload costplan.adapters.dask.preload --costplan-token-file FILE"


class DaskEndpoint:
    """The cluster whose scheduler serves HTTP at `url`. Thread-safe; raises ClusterUnreachable.

    `ca_file` is the CA of an https scheduler, where it is not one of the system's. A call takes
    at most `timeout_seconds`. Raises InputError where the address, the CA or the token is wrong.
    """

    def __init__(
        self,
        url: str,
        token: str,
        *,
        ca_file: Path | None = None,
        timeout_seconds: float = 5.0,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        self.url = _checked_url(url)
        self._clock, self._timeout = clock, timeout_seconds
        self._lock = threading.Lock()
        self._last: tuple[str, int] = ("", 0)
        self._has_answered = False
        self.dask_version = ""
        """The scheduler's, once it has answered; '' where it does not say."""
        self._client = httpx.Client(
            base_url=self.url,
            headers={"Authorization": f"Bearer {checked_token(token, 'token')}"},
            verify=_trust(ca_file) if self.url.startswith("https") else True,
            timeout=timeout_seconds,
            follow_redirects=False,
            trust_env=False,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Gives the connections back."""
        self._client.close()

    def load(self) -> Load:
        """What waits, what runs, and who holds what, of this moment by the scheduler's clock."""
        answer = self._ask("GET", LOAD_PATH, None, LoadAnswer)
        self._refuse_old(answer)
        try:
            load = load_of_answer(answer)
        except InvariantBroken as error:
            raise self._error(f"the answer contradicts itself: {error}") from None
        skew = (load.at - self._clock()).total_seconds()
        if abs(skew) > MAX_SKEW_SECONDS:
            way = "ahead of" if skew > 0 else "behind"
            raise self._error(
                f"its clock is {abs(skew):.0f} s {way} ours; run a time service on both"
            )
        return load

    def cordon(self, workers: Collection[str], token: str, *, force: bool = False) -> None:
        """Stops the intake of these workers; `force` also of those that a shuffle needs."""
        self._drain("cordon", workers, token, force=force)

    def uncordon(self, workers: Collection[str]) -> None:
        """These workers take tasks again."""
        self._drain("uncordon", workers, "")

    def retire(self, workers: Collection[str], token: str, *, force: bool = False) -> Retired:
        """Begins or goes on with removing workers. `force` also takes members of a collective or
        a shuffle, which then fails or starts again: for machines that end anyway."""
        return self._drain("retire", workers, token, force=force).retired()

    def work(self, after: int, scheduler_id: str) -> WorkBatch:
        """The windows of finished work with numbers above `after`, which is of that scheduler;
        of another one all that it still has."""
        batch = batch_of(self._ask("GET", f"{WORK_PATH}?after={after}", None, WorkAnswer))
        if after and batch.scheduler_id != scheduler_id:
            batch = batch_of(self._ask("GET", f"{WORK_PATH}?after=0", None, WorkAnswer))
        return batch

    def tell_rates(self, rates: Collection[WorkerRate], spent_usd: Decimal) -> None:
        """Tells what workers cost an hour, and what was spent in all, for people to see there."""
        body = RatesBody(
            version=WORK_VERSION,
            worker=[rate.worker for rate in rates],
            usd_per_hour=[f"{rate.usd_per_hour:f}" for rate in rates],
            spent_usd=f"{spent_usd:f}",
        )
        self._ask("POST", RATES_PATH, body.model_dump_json().encode(), RatesAnswer)

    def progress(self, workers: Collection[str]) -> Retired:
        """How far these workers are, without asking for anything."""
        return self._drain("status", workers, "").retired()

    def _drain(
        self, action: str, workers: Collection[str], token: str, *, force: bool = False
    ) -> DrainAnswer:
        if not workers:
            return DrainAnswer(version=1)
        body = {
            "version": 1,
            "action": action,
            "workers": sorted(set(workers)),
            "token": token,
            "force": force,
        }
        return self._ask("POST", DRAIN_PATH, json.dumps(body).encode(), DrainAnswer)

    def _ask(self, method: str, path: str, body: bytes | None, form: type[_Answer]) -> _Answer:
        """A checked answer."""
        try:
            content = self._fetch(method, path, body)
        except httpx.TimeoutException:
            raise self._error(f"no answer in {self._timeout:g} s") from None
        except (httpx.HTTPError, httpx.StreamError, ssl.SSLError, OSError) as error:
            raise self._error(self._why_not(error)) from None
        try:
            return form.model_validate_json(content)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            place = ".".join(str(part) for part in first["loc"])
            raise self._error(_shown(f"the answer is not one: {place}: {first['msg']}")) from None

    def _fetch(self, method: str, path: str, body: bytes | None) -> bytes:
        """The body of an answer, read no further than its limit and no longer than our patience."""
        until = time.monotonic() + self._timeout
        headers = {"Content-Type": "application/json"} if body is not None else {}
        with self._client.stream(method, path, content=body, headers=headers) as response:
            self._has_answered = True
            if response.status_code != httpx.codes.OK:
                raise self._error(_meaning(response))
            self.dask_version = _shown(response.headers.get(VERSION_HEADER, ""))[:_LONGEST_VERSION]
            content = bytearray()
            for chunk in response.iter_bytes():
                content += chunk
                if len(content) > MAX_ANSWER_BYTES:
                    raise self._error(f"the answer is larger than {MAX_ANSWER_BYTES} bytes")
                if time.monotonic() > until:
                    raise self._error(f"no whole answer in {self._timeout:g} s")
        return bytes(content)

    def _why_not(self, error: Exception) -> str:
        """Why nobody answered, and the way out where TLS on one side alone may be the reason."""
        said = str(error)
        if "CERTIFICATE_VERIFY_FAILED" in said:
            return f"its certificate is not believed: {_shown(said)}; name the CA of it as ca_file"
        if isinstance(error, ssl.SSLError) or "[SSL" in said:
            return f"no TLS there: {_shown(said)}; write http:// unless it is to serve https"
        is_cut = isinstance(error, httpx.RemoteProtocolError | httpx.ReadError)
        if is_cut and self.url.startswith("http:") and not self._has_answered:
            return f"no answer in HTTP: {_shown(said)}; write https:// where it serves that"
        return _shown(f"{type(error).__name__}: {said}")

    def _refuse_old(self, answer: LoadAnswer) -> None:
        """Raises where this sample was seen before, as from a cache in between."""
        with self._lock:
            scheduler, sample = self._last
            if answer.scheduler_id == scheduler and answer.sample <= sample:
                raise self._error("the answer is an old one; is there a cache in between?")
            self._last = (answer.scheduler_id, answer.sample)

    def _error(self, problem: str) -> ClusterUnreachable:
        return ClusterUnreachable(self.url, problem)


def _meaning(response: httpx.Response) -> str:
    """What a status other than 200 says, and the way out."""
    match response.status_code:
        case 401 | 403:
            return "it does not accept our token; both sides must read the same token file"
        case 404:
            return f"no costplan endpoint there; start the scheduler with {_PRELOAD}"
        case 413:
            return "it finds our request too large"
        case 429:
            return "it finds that we ask too often"
        case status if 300 <= status < 400:
            return f"it redirects (HTTP {status}), which is not followed; give its own address"
        case status:
            return f"it answers HTTP {status}"


def _shown(text: str) -> str:
    """A foreign text that may be logged: one printable line of some length."""
    return "".join(c if c.isprintable() else " " for c in text)[:_LONGEST_PROBLEM]


def _trust(ca_file: Path | None) -> Any:
    if ca_file is None:
        return True
    try:
        return ssl.create_default_context(cafile=str(ca_file))
    except (OSError, ssl.SSLError) as error:
        reason = error.strerror or "is no PEM file"
        raise InputError(
            str(ca_file), f"the CA cannot be read: {reason}", "name a PEM file"
        ) from None


def _checked_url(url: str) -> str:
    """A scheduler's HTTP address without a path; raises InputError where it is not one."""
    example = "write it like http://10.0.0.1:8787"
    try:
        parts = httpx.URL(url)
    except (httpx.InvalidURL, TypeError):
        raise InputError(repr(url)[:100], "is not an address", example) from None
    if parts.scheme not in ("http", "https") or not parts.host:
        raise InputError(_shown(url)[:100], "is not an http:// or https:// address", example)
    if parts.userinfo or parts.query or parts.fragment or parts.path not in ("", "/"):
        raise InputError(f"{parts.scheme}://{parts.host}", "is more than host and port", example)
    return f"{parts.scheme}://{parts.netloc.decode('ascii')}"
