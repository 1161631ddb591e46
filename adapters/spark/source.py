"""A Spark application as a `LoadSource`: its executors and stages over REST, and no more.

Spark's own allocation starts and ends executors, and only its driver can be asked to; so this
source looks, and what it says is for the machines under the executors. Answers are bounded in
size and time, redirects are not followed, and a token goes to the named address only.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote, urlsplit

import httpx
from pydantic import TypeAdapter, ValidationError

from costplan.adapters.clock import utc_now
from costplan.adapters.dask.token_file import read_token
from costplan.adapters.spark.answers import (
    Application,
    Environment,
    Executor,
    Seen,
    Stage,
    sample_of,
)
from costplan.planner.errors import InputError
from costplan.planner.load_source import Capabilities, Sample
from costplan.planner.nodes import Retired

MAX_ANSWER_BYTES = 64 * 2**20
"""A stage's answer carries its call stack, some 10 kB; this is six thousand of them."""

_EXAMPLE = "write it like http://driver:4040"
_TIMEOUT_SECONDS = 30.0  # a driver under load has paused for more than 15
_MOST_NAMED = 5
_T = TypeVar("_T")

_APPLICATIONS = TypeAdapter(list[Application])
_EXECUTORS: TypeAdapter[Sequence[Executor]] = TypeAdapter(list[Executor])
_STAGES: TypeAdapter[Sequence[Stage]] = TypeAdapter(list[Stage])
_ENVIRONMENT = TypeAdapter(Environment)


@dataclass(frozen=True, slots=True, kw_only=True)
class SparkSource:
    """The Spark application whose driver's web interface is at `url`.

    `app_id` says which, where the address knows several. `ca_file` is the CA of an https address
    that is not one of the system's. All methods raise InputError where it cannot be asked.
    """

    url: str
    app_id: str | None = None
    token_file: Path | None = None
    ca_file: Path | None = None
    clock: Callable[[], datetime] = utc_now

    @property
    def capabilities(self) -> Capabilities:
        """It says how long tasks take, and cannot be told anything."""
        return Capabilities(work_estimate=True, gangs=False, drain=False, resize=False)

    def sample(self) -> Sample:
        """Stages that run and wait, and executors."""
        with self._client() as client:
            app = self._app(client)
            base = f"applications/{quote(app, safe='')}/"
            stages = base + "stages?details=false&status="
            return sample_of(
                Seen(
                    at=self.clock(),
                    executors=self._ask(client, base + "executors", _EXECUTORS),
                    active=self._ask(client, stages + "active", _STAGES),
                    pending=self._ask(client, stages + "pending", _STAGES),
                    environment=self._ask(client, base + "environment", _ENVIRONMENT),
                )
            )

    def drain(self, ids: Collection[str], deadline: datetime) -> Retired:
        """Refuses each, as only Spark's own driver can drain executors. A machine that ends tells
        them itself, where spark.decommission.enabled is set."""
        why = f"Spark at {self.url} can only be looked at; set spark.decommission.enabled there"
        return Retired(done=(), refused=dict.fromkeys(ids, f"{why}, due {deadline:%FT%TZ}"))

    def _client(self) -> httpx.Client:
        headers = {"Accept": "application/json"}
        if self.token_file is not None:
            headers["Authorization"] = f"Bearer {read_token(self.token_file)}"
        url = _checked_url(self.url)
        return httpx.Client(
            base_url=f"{url}/api/v1/",
            headers=headers,
            verify=_trust(self.ca_file, url),
            timeout=_TIMEOUT_SECONDS,
            follow_redirects=False,
            trust_env=False,
        )

    def _app(self, client: httpx.Client) -> str:
        """The id of the application to look at."""
        found = self._ask(client, "applications", _APPLICATIONS)
        running = [app for app in found if app.runs]
        named = ", ".join(f"{app.id} ({app.name})" for app in running[:_MOST_NAMED]) or "none"
        if self.app_id is not None:
            if all(app.id != self.app_id for app in running):
                problem = f"no application {self.app_id!r} runs there"
                raise InputError(self.url, problem, f"these do: {named}")
            return self.app_id
        if not running:
            raise InputError(self.url, "no application runs there", "name its driver's address")
        if len(running) > 1:
            problem = f"{len(running)} applications run there"
            raise InputError(self.url, problem, f"choose with --spark-app: {named}")
        return running[0].id

    def _ask(self, client: httpx.Client, path: str, kind: TypeAdapter[_T]) -> _T:
        status, body = self._get(client, path)
        if status in (401, 403):
            way_out = "name a file with a token that may look, with --token-file"
            raise InputError(self.url, f"refuses us (HTTP {status})", way_out)
        if 300 <= status < 400:
            way_out = "name the address that it leads to"
            raise InputError(self.url, f"leads elsewhere (HTTP {status})", way_out)
        if status != 200:
            raise InputError(self.url, f"is no Spark driver (HTTP {status} at {path})", _EXAMPLE)
        try:
            return kind.validate_json(body)
        except ValidationError as error:
            first: Any = error.errors(include_url=False, include_input=False)[0]
            place = ".".join(map(str, first["loc"]))
            problem = f"is no Spark driver: {path}: {place}: {first['msg']}".replace(": :", ":")
            raise InputError(self.url, problem[:300], _EXAMPLE) from None

    def _get(self, client: httpx.Client, path: str) -> tuple[int, bytes]:
        body = bytearray()
        try:
            with client.stream("GET", path) as answer:
                for chunk in answer.iter_bytes():
                    body += chunk
                    if len(body) > MAX_ANSWER_BYTES:
                        problem = f"an answer is larger than {MAX_ANSWER_BYTES} bytes"
                        raise InputError(self.url, problem)
                return answer.status_code, bytes(body)
        except httpx.TimeoutException:
            raise InputError(self.url, "no answer in time", "is the driver overloaded?") from None
        except (httpx.HTTPError, OSError) as error:
            said = str(error) or type(error).__name__
            way_out = "is the driver up, and the port right?"
            if "CERTIFICATE" in said.upper():
                way_out = "name its CA with --tls-ca"
            raise InputError(self.url, f"cannot be reached: {said}", way_out) from None


def _checked_url(url: str) -> str:
    """The address without a slash at its end; raises InputError where it is not one."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
        (host or "").encode("idna")
        httpx.URL(url)
    except (ValueError, httpx.InvalidURL):  # a UnicodeError of a name such as 'a..b', too
        raise InputError(url, "is not an address", _EXAMPLE) from None
    if parts.scheme not in ("http", "https") or not host:
        raise InputError(url, "is not an http:// or https:// address", _EXAMPLE)
    if parts.username or parts.password:
        shown = f"{parts.scheme}://{host}"
        raise InputError(shown, "holds a name or password", "use --token-file")
    if parts.query or parts.fragment:
        raise InputError(url, "is more than an address", _EXAMPLE)
    return url.rstrip("/")


def _trust(ca_file: Path | None, url: str) -> ssl.SSLContext | bool:
    if ca_file is None:
        return True
    if not url.startswith("https"):
        raise InputError(url, "does not use the CA given", "write https://, or drop --tls-ca")
    try:
        return ssl.create_default_context(cafile=str(ca_file))
    except (OSError, ssl.SSLError) as error:
        problem = f"is no CA file: {error.strerror or 'not PEM'}"
        raise InputError(str(ca_file), problem, "name a PEM file") from None
