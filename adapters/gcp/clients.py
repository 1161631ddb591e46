"""The clients of Google's SDK, which is imported here, when it is needed, and nowhere else.

Every call has a time limit and is sent once: what is sent again, and when, is decided outside.
Long-running changes use the `*_unary` calls: the SDK's own way to wait for an operation asks
another endpoint than the one it was given, and forgets the operation when the process dies.
"""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable
from contextlib import suppress
from functools import cached_property
from threading import Lock
from typing import Any

from costplan.planner.errors import InputError

FORGET_SECONDS = 30.0
"""Looking for credentials may start `gcloud` or ask the machine's metadata, so not each second."""
_SCOPES = ("https://www.googleapis.com/auth/cloud-platform",)


def sdk(name: str) -> Any:
    """A module of the SDK; raises InputError that says what to install where it is missing."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise InputError(
            "provider gcp", f"the package of {name} is not installed", "pip install 'costplan[gcp]'"
        ) from error


class Clients:
    """The services that are used, each client made at its first use.

    Without `credentials` those of the surroundings are taken (a service account of the machine,
    GOOGLE_APPLICATION_CREDENTIALS, gcloud), and looked for anew once they are refused. `endpoint`
    replaces Google's.
    """

    def __init__(
        self, *, timeout_seconds: float, credentials: Any = None, endpoint: str | None = None
    ) -> None:
        self.timeout_seconds = timeout_seconds
        self.compute = sdk("google.cloud.compute_v1")
        self.endpoint = endpoint
        self._is_ours_to_find = credentials is None
        self._lock = Lock()
        self._forgotten_at = -FORGET_SECONDS
        self.credentials = _default_credentials() if credentials is None else credentials

    @property
    def identity(self) -> str:
        """Who we are there, as far as the credentials say."""
        for name in ("service_account_email", "signer_email", "account"):
            found = getattr(self.credentials, name, None)
            if isinstance(found, str) and found not in {"", "default"}:
                return found
        return f"somebody with {type(self.credentials).__name__}"

    @cached_property
    def instances(self) -> Any:
        """Machines."""
        return self._client(self.compute.InstancesClient)

    @cached_property
    def zone_operations(self) -> Any:
        """Changes in one zone."""
        return self._client(self.compute.ZoneOperationsClient)

    @cached_property
    def operations(self) -> Any:
        """Changes everywhere."""
        return self._client(self.compute.GlobalOperationsClient)

    @cached_property
    def zones(self) -> Any:
        """Zones, up or down."""
        return self._client(self.compute.ZonesClient)

    @cached_property
    def regions(self) -> Any:
        """Regions and their quotas."""
        return self._client(self.compute.RegionsClient)

    @cached_property
    def machine_types(self) -> Any:
        """What is sold in a zone."""
        return self._client(self.compute.MachineTypesClient)

    @cached_property
    def accelerator_types(self) -> Any:
        """GPUs that are sold in a zone."""
        return self._client(self.compute.AcceleratorTypesClient)

    @cached_property
    def commitments(self) -> Any:
        """Committed use, by region."""
        return self._client(self.compute.RegionCommitmentsClient)

    @cached_property
    def reservations(self) -> Any:
        """Capacity that is kept free, by zone."""
        return self._client(self.compute.ReservationsClient)

    @cached_property
    def advice(self) -> Any:
        """What is known of spot capacity; None where the SDK is older than that."""
        kind = getattr(self.compute, "AdviceClient", None)
        return self._client(kind) if hasattr(kind, "capacity_history") else None

    @cached_property
    def billing(self) -> Any:
        """The messages of the price list."""
        return sdk("google.cloud.billing_v1")

    @cached_property
    def catalogue(self) -> Any:
        """The public price list."""
        return self._client(self.billing.CloudCatalogClient)

    def call(self, method: Callable[..., Any], request: Any, seconds: float | None = None) -> Any:
        """The answer to a request that is sent once."""
        limit = self.timeout_seconds if seconds is None else seconds
        try:
            return method(request=request, timeout=limit, retry=None)
        except _refused():
            self._forget()
            raise

    def _forget(self) -> None:
        """Looks for the credentials of the surroundings anew: a key was changed, or somebody has
        logged in again. What is found is used from the next call on; without any, the old ones."""
        now = time.monotonic()
        with self._lock:
            if not self._is_ours_to_find or now - self._forgotten_at < FORGET_SECONDS:
                return
            self._forgotten_at = now
            with suppress(InputError):
                self.credentials = _default_credentials()
            for name, kind in vars(Clients).items():
                if isinstance(kind, cached_property):
                    self.__dict__.pop(name, None)

    def _client(self, kind: Any) -> Any:
        options: dict[str, Any] = {}
        if self.endpoint is not None:
            options["client_options"] = {"api_endpoint": self.endpoint}
        return kind(credentials=self.credentials, transport="rest", **options)


def _refused() -> tuple[type[Exception], ...]:
    """What is raised where no token is to be had with the credentials, or theirs is not taken."""
    return (
        sdk("google.auth.exceptions").RefreshError,
        sdk("google.api_core.exceptions").Unauthorized,
    )


def anonymous() -> Any:
    """No credentials, for an address that is not Google's and not encrypted."""
    return sdk("google.auth.credentials").AnonymousCredentials()


def _default_credentials() -> Any:
    auth = sdk("google.auth")
    try:
        credentials, _ = auth.default(scopes=list(_SCOPES))
    except auth.exceptions.DefaultCredentialsError as error:
        raise InputError(
            "provider gcp",
            "there are no credentials here",
            "run 'gcloud auth application-default login', or see docs/clouds/gcp.md",
        ) from error
    return credentials
