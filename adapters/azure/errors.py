"""The one table by which errors of Azure's SDK, and of operations, become errors of the port.

nothing was sent (no connection)                    -> Unreachable
sent, and no whole answer came, or none to be read  -> OutcomeUnknown, of a read Unreachable
429, or another change of the same is under way     -> Throttled
401, 403, and no token to be had                    -> CredentialsRejected
QuotaExceeded, OperationNotAllowed for a quota      -> QuotaExceeded
AllocationFailed, SkuNotAvailable and relatives     -> CapacityUnavailable
another 4xx                                         -> RequestRejected
5xx                                                 -> as if no answer came
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from json import JSONDecodeError
from typing import Any

from costplan.adapters.azure.clients import sdk
from costplan.adapters.azure.settings import PROVIDER
from costplan.planner.errors import (
    CapacityUnavailable,
    CredentialsRejected,
    OutcomeUnknown,
    ProviderError,
    QuotaExceeded,
    RequestRejected,
    Throttled,
    Unreachable,
)

CAPACITY = frozenset({
    "AllocationFailed",
    "OverconstrainedAllocationRequest",
    "OverconstrainedZonalAllocationRequest",
    "SkuNotAvailable",
    "SubnetIsFull",
    "ZonalAllocationFailed",
})  # fmt: skip
"""This pool has none now, or the subnet no address."""

QUOTA = frozenset({"QuotaExceeded", "PublicIPCountLimitReached"})

BUSY = frozenset({
    "AnotherOperationInProgress",
    "OperationPreempted",
    "RetryableError",
    "TooManyRequests",
})  # fmt: skip

CREDENTIALS = frozenset({
    "AuthorizationFailed",
    "ExpiredAuthenticationToken",
    "InvalidAuthenticationToken",
    "LinkedAuthorizationFailed",
    "ReadOnlyDisabledSubscription",
})  # fmt: skip
"""Who we are, or what we may do."""

PASSING = frozenset({
    "InternalExecutionError",
    "InternalOperationError",
    "NetworkingInternalOperationError",
    "ServiceUnavailable",
    "VMStartTimedOut",
})  # fmt: skip
"""A creation is over and nothing came of it, for a reason that lies with the cloud."""

_QUOTA_WORDS = re.compile(r"\bquota\b", re.IGNORECASE)
_QUOTA_NAME = re.compile(r"exceeding (?:approved|quota limits? of)? ?(\S+) (?:\S+ )?quota", re.I)
_QUOTA_LIMIT = re.compile(r"Limit: ?(\d+)", re.I)


@contextmanager
def calling(operation: str, subject: str, *, token: str | None = None) -> Iterator[None]:
    """Raises what the SDK raises in the block as an error of the port.

    `token` is that of a change, whose outcome may stay unknown; a read has none.
    """
    try:
        yield
    except (sdk("azure.core.exceptions").AzureError, JSONDecodeError) as error:
        raise _translated(error, operation, subject, token) from error


def is_absent(error: ProviderError) -> bool:
    """True where the cloud says that there is no such thing."""
    return getattr(error.__cause__, "status_code", None) == 404


def is_there_already(error: ProviderError) -> bool:
    """True where a creation was refused because something has its name."""
    return getattr(error.__cause__, "status_code", None) == 412


def refusal(code: str, message: str, subject: str) -> ProviderError:
    """The error of a creation that failed by a code; nothing came of it."""
    if code in PASSING:
        return Unreachable(PROVIDER, "launch", subject, code)
    return _by_code(code, message, "launch", subject) or _rejected(code, message, "launch", subject)


def _translated(error: Any, operation: str, subject: str, token: str | None) -> ProviderError:
    exceptions = sdk("azure.core.exceptions")
    status = getattr(error, "status_code", None)
    if isinstance(error, exceptions.HttpResponseError) and status is not None:
        said = _of_status(error, status, operation, subject)
        if said is not None:
            return said
    elif isinstance(error, exceptions.ClientAuthenticationError):
        return CredentialsRejected(PROVIDER, operation, subject, _first_line(error))
    elif isinstance(error, exceptions.ServiceRequestError):
        return Unreachable(PROVIDER, operation, subject, "no connection")
    if token is None:
        return Unreachable(PROVIDER, operation, subject, _first_line(error))
    return OutcomeUnknown(PROVIDER, operation, subject, token)


def _of_status(error: Any, status: int, operation: str, subject: str) -> ProviderError | None:
    """What an HTTP status and its code mean; None where nobody knows what was done."""
    code = str(getattr(error.error, "code", None) or "")
    message = str(getattr(error.error, "message", None) or "")
    if status == 429:
        return Throttled(PROVIDER, operation, subject, _retry_after(error))
    known = _by_code(code, message, operation, subject)
    if known is not None:
        return known
    if status == 401 or (status == 403 and code != "RequestDisallowedByPolicy"):
        return CredentialsRejected(PROVIDER, operation, subject, f"{code or status}: {message}")
    if 400 <= status < 500 and status != 408:
        return _rejected(code or str(status), message, operation, subject)
    return None


def _by_code(code: str, message: str, operation: str, subject: str) -> ProviderError | None:
    """The error that a code stands for, None where the table does not have it."""
    if code in CAPACITY:
        return CapacityUnavailable(PROVIDER, operation, subject)
    if code in QUOTA or (code == "OperationNotAllowed" and _QUOTA_WORDS.search(message)):
        name, limit = _QUOTA_NAME.search(message), _QUOTA_LIMIT.search(message)
        quota = name[1] if name else code
        return QuotaExceeded(
            PROVIDER, operation, subject, quota, float(limit[1]) if limit else None
        )
    if code in BUSY:
        return Throttled(PROVIDER, operation, subject)
    if code in CREDENTIALS:
        return CredentialsRejected(PROVIDER, operation, subject, f"{code}: {message}")
    return None


def _rejected(code: str, message: str, operation: str, subject: str) -> RequestRejected:
    return RequestRejected(PROVIDER, operation, subject, f"{code}: {message}" if message else code)


def _retry_after(error: Any) -> int | None:
    text = str(error.response.headers.get("Retry-After", ""))
    return int(text) if text.isdecimal() else None


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)
