"""boto3's clients: made when they are first needed, with bounded waits and few retries."""

from __future__ import annotations

from threading import Lock
from typing import Any

from costplan.adapters.aws.settings import AwsSettings
from costplan.planner.errors import InputError

READ_ATTEMPTS = 2
"""A read may be sent once more by the SDK; a change never is, since a refusal for capacity
comes as HTTP 500, and a change without an answer must be looked for and not repeated."""

_HOME_REGION = {"pricing": "us-east-1", "savingsplans": "us-east-1"}
"""Services that answer for all regions from one."""

_POOL = 32


class Clients:
    """The clients of one account and region, shared by threads.

    Raises InputError where the SDK is not installed.
    """

    def __init__(self, settings: AwsSettings) -> None:
        self._boto3 = import_boto3()
        self._settings = settings
        self._lock = Lock()
        self._session: Any = None
        self._loader: Any = None
        self._made: dict[tuple[str, int], Any] = {}

    def reading(self, service: str) -> Any:
        """A client for calls that change nothing."""
        return self._client(service, READ_ATTEMPTS)

    def changing(self, service: str) -> Any:
        """A client whose calls are sent once."""
        return self._client(service, 1)

    def forget(self) -> None:
        """Reads the credentials anew with the next call: files and environment may have
        changed since they were refused."""
        with self._lock:
            self._session = None
            self._made.clear()

    def _client(self, service: str, attempts: int) -> Any:
        with self._lock:
            known = self._made.get((service, attempts))
            if known is None:
                known = self._made[service, attempts] = self._make(service, attempts)
            return known

    def _make(self, service: str, attempts: int) -> Any:
        from botocore.config import Config

        settings = self._settings
        if self._session is None:
            self._session = self._new_session()
        return self._session.client(
            service,
            region_name=_HOME_REGION.get(service, settings.region),
            endpoint_url=settings.endpoint_url or None,
            config=Config(
                connect_timeout=settings.connect_seconds,
                read_timeout=settings.look_seconds if attempts > 1 else settings.read_seconds,
                retries={"total_max_attempts": attempts, "mode": "standard"},
                max_pool_connections=_POOL,
                tcp_keepalive=True,
            ),
        )

    def _new_session(self) -> Any:
        """A session that reads the credentials anew and keeps the service models, which take
        most of the time to make a client."""
        import botocore.session

        core = botocore.session.Session(profile=self._settings.profile or None)
        if self._loader is None:
            self._loader = core.get_component("data_loader")
        else:
            core.register_component("data_loader", self._loader)
        return self._boto3.session.Session(botocore_session=core)


def import_boto3() -> Any:
    """The SDK; raises InputError that says how to install it where it is not there."""
    try:
        import boto3
    except ImportError as error:
        raise InputError(
            "provider aws", "boto3 is not installed", "pip install 'costplan[aws]'"
        ) from error
    return boto3
