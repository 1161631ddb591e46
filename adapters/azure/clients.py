"""The clients of Azure's SDK, which is imported here, when it is needed, and nowhere else.

Every call has a time limit and is sent once: what is sent again, and when, is decided outside.
Long-running changes are begun and not waited for: machines are looked at by their name, so that
a process that died has nothing to remember.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping
from functools import cached_property
from threading import Lock
from typing import Any

from costplan.adapters.azure.settings import AzureSettings
from costplan.planner.errors import InputError

_PAGES_AT_MOST = 10_000
_TOKEN_RETRIES = 2


def sdk(name: str) -> Any:
    """A module of the SDK; raises InputError that says what to install where it is missing."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise InputError(
            "provider azure", f"the package of {name} is not installed",
            "pip install 'costplan[azure]'",
        ) from error  # fmt: skip


class Clients:
    """The client of one subscription, made at its first use and shared by threads.

    Without `credential` that of the surroundings is taken (environment, workload or managed
    identity, Azure CLI). `ca_file` says whom to trust instead of the usual authorities.
    """

    def __init__(
        self, settings: AzureSettings, *, credential: Any = None, ca_file: str | None = None
    ) -> None:
        sdk("azure.mgmt.compute")
        self._settings, self._given, self._ca_file = settings, credential, ca_file
        self._lock = Lock()
        self._made: Any = None

    @property
    def compute(self) -> Any:
        """Machines, sizes and quotas."""
        with self._lock:
            if self._made is None:
                self._made = self._make()
            return self._made

    def forget(self) -> None:
        """Looks for credentials anew with the next call: they may have changed since they were
        refused."""
        with self._lock:
            self._made = None

    def read(self, path: str, query: Mapping[str, str]) -> Any:
        """The answer to a GET under the cloud's endpoint; `path` may be a whole URL of it."""
        return self._sent(self.compute.send_request, "GET", path, params=dict(query)).json()

    def read_dated(self, path: str, query: Mapping[str, str]) -> tuple[Any, str]:
        """The same, and when the answer was written, '' where it does not say."""
        answer = self._sent(self.compute.send_request, "GET", path, params=dict(query))
        return answer.json(), str(answer.headers.get("Date", ""))

    def ask(self, path: str, query: Mapping[str, str], body: Any) -> Any:
        """The answer to a POST that changes nothing."""
        asked = {"params": dict(query), "json": body}
        return self._sent(self.compute.send_request, "POST", path, **asked).json()

    def pages(self, path: str, query: Mapping[str, str]) -> Iterator[Any]:
        """Each page of a list that says where the next one is."""
        page = self.read(path, query)
        for _ in range(_PAGES_AT_MOST):
            yield page
            if not page.get("nextLink"):
                return
            page = self.read(page["nextLink"], {})

    def public(self, url: str, query: Mapping[str, str]) -> Any:
        """The answer of a page that anybody may read: no token is sent along."""
        return self._sent(self._anonymous.send_request, "GET", url, params=dict(query)).json()

    @cached_property
    def _anonymous(self) -> Any:
        policies = sdk("azure.core.pipeline.policies")
        return sdk("azure.core").PipelineClient(
            self._settings.prices_endpoint,
            policies=[policies.UserAgentPolicy("costplan"), policies.ContentDecodePolicy()],
            **self._transport(),
        )

    @staticmethod
    def _sent(send: Any, method: str, url: str, **more: Any) -> Any:
        request = sdk("azure.core.rest").HttpRequest(method, url, **more)
        answer = send(request)
        answer.raise_for_status()
        return answer

    def _make(self) -> Any:
        settings = self._settings
        return sdk("azure.mgmt.compute").ComputeManagementClient(
            self._credential(),
            settings.subscription,
            base_url=settings.endpoint,
            credential_scopes=[f"{settings.endpoint}/.default"],
            retry_total=0,
            **self._transport(),
        )

    def _transport(self) -> dict[str, Any]:
        found: dict[str, Any] = {
            "connection_timeout": self._settings.connect_seconds,
            "read_timeout": self._settings.read_seconds,
        }
        return found if self._ca_file is None else found | {"connection_verify": self._ca_file}

    def _credential(self) -> Any:
        if self._given is not None:
            return self._given
        # Its own limits are five minutes a try, and ten tries.
        return sdk("azure.identity").DefaultAzureCredential(
            connection_timeout=self._settings.connect_seconds,
            read_timeout=self._settings.token_seconds,
            retry_total=_TOKEN_RETRIES,
        )
