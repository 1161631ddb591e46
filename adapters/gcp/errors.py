"""The one way in which an exception of Google's SDK, or an error in an operation, gets out.

nothing was sent (no connection, no token)          -> Unreachable
sent, and no whole answer came, or none to be read  -> OutcomeUnknown, of a read Unreachable
429, or 403 with rateLimitExceeded                  -> Throttled
401, 403                                            -> CredentialsRejected
quotaExceeded, QUOTA_EXCEEDED in an operation       -> QuotaExceeded
ZONE_RESOURCE_POOL_EXHAUSTED and its relatives      -> CapacityUnavailable
another 4xx, or code in an operation                -> RequestRejected
5xx                                                 -> as if no answer came
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from costplan.adapters.gcp.clients import sdk
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

NAME = "gcp"
NO_CAPACITY = frozenset(
    {
        "ZONE_RESOURCE_POOL_EXHAUSTED",
        "ZONE_RESOURCE_POOL_EXHAUSTED_WITH_DETAILS",
        "REGION_RESOURCE_POOL_EXHAUSTED",
        "RESOURCE_POOL_EXHAUSTED",
        "STOCKOUT",
        "VM_MIN_COUNT_NOT_REACHED",
    }
)
QUOTA = frozenset({"QUOTA_EXCEEDED", "quotaExceeded", "QUOTA_LIMIT_EXCEEDED"})
RATE = frozenset(
    {
        "rateLimitExceeded",
        "userRateLimitExceeded",
        "RATE_LIMIT_EXCEEDED",
        "resourceNotReady",
        "RESOURCE_NOT_READY",
        "RESOURCE_OPERATION_RATE_EXCEEDED",
        "operationRateExceeded",
    }
)
PASSING = frozenset({"INTERNAL_ERROR", "BACKEND_ERROR", "SERVICE_UNAVAILABLE"})
"""The operation is over and nothing came of it, for a reason that lies with the cloud."""
_SLOW_DOWN_SECONDS = 10
_UNSENT = ("NewConnectionError", "ConnectTimeoutError", "NameResolutionError", "SSLError")


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """What an operation says of why it failed."""

    code: str
    message: str = ""
    quota: str = ""
    limit: float | None = None

    @property
    def may_pass(self) -> bool:
        """True where the same may be asked for again."""
        return self.code in RATE or self.code in PASSING


@contextmanager
def calling(operation: str, subject: str, *, token: str | None = None) -> Iterator[None]:
    """Raises what the SDK raises in the block as an error of the port.

    `token` is that of a change, whose outcome may stay unknown; a read has none.
    """
    try:
        yield
    except ProviderError:
        raise
    except _foreign() as error:
        raise _translated(error, operation, subject, token) from error


def is_not_found(error: BaseException) -> bool:
    """True where the cloud says that there is no such thing."""
    return isinstance(error, sdk("google.api_core.exceptions").NotFound)


def has_timed_out(error: BaseException) -> bool:
    """True where the answer did not come within the time limit."""
    return isinstance(error, sdk("requests.exceptions").ReadTimeout)


def refusal(failure: Failure, subject: str) -> ProviderError:
    """The error of a launch whose operation failed; nothing came of it."""
    if failure.code in NO_CAPACITY:
        return CapacityUnavailable(NAME, "launch", subject)
    if failure.code in QUOTA:
        return QuotaExceeded(NAME, "launch", subject, failure.quota or "unnamed", failure.limit)
    if failure.code in RATE:
        return Throttled(NAME, "launch", subject, _SLOW_DOWN_SECONDS)
    if failure.code in PASSING:
        return Unreachable(NAME, "launch", subject, failure.code)
    return RequestRejected(NAME, "launch", subject, f"{failure.code}: {failure.message}")


def _foreign() -> tuple[type[Exception], ...]:
    return (
        sdk("google.api_core.exceptions").GoogleAPIError,
        sdk("google.auth.exceptions").GoogleAuthError,
        sdk("requests.exceptions").RequestException,
        sdk("google.protobuf.json_format").ParseError,
    )


def _translated(error: Exception, operation: str, subject: str, token: str | None) -> ProviderError:
    if isinstance(error, sdk("google.auth.exceptions").GoogleAuthError):
        if isinstance(error, sdk("google.auth.exceptions").TransportError) or getattr(
            error, "retryable", False
        ):
            return Unreachable(NAME, operation, subject, f"no access token: {error}")
        return CredentialsRejected(NAME, operation, subject, str(error))
    if isinstance(error, sdk("google.api_core.exceptions").GoogleAPICallError):
        said = _of_status(error, operation, subject)
        if said is not None:
            return said
    elif _was_not_sent(error):
        return Unreachable(NAME, operation, subject, "no connection")
    if token is None:
        return Unreachable(NAME, operation, subject, str(error))
    return OutcomeUnknown(NAME, operation, subject, token)


def _of_status(error: Any, operation: str, subject: str) -> ProviderError | None:
    """What an HTTP status and its reason mean; None where nobody knows what was done."""
    details = getattr(error, "errors", None) or ()
    reasons = {one.get("reason", "") for one in details if isinstance(one, dict)}
    status = int(error.code or 0)
    if reasons & RATE or status == 429:
        return Throttled(NAME, operation, subject, _retry_after(error))
    if reasons & QUOTA:
        return QuotaExceeded(NAME, operation, subject, str(error.message))
    if reasons & NO_CAPACITY:
        return CapacityUnavailable(NAME, operation, subject)
    if status in (401, 403):
        return CredentialsRejected(NAME, operation, subject, str(error.message))
    if 400 <= status < 500 and status != 408:
        reason = next(iter(sorted(reasons)), str(status))
        return RequestRejected(NAME, operation, subject, f"{reason}: {error.message}")
    return None


def _retry_after(error: Any) -> int:
    headers = getattr(getattr(error, "response", None), "headers", None) or {}
    text = str(headers.get("Retry-After", ""))
    return int(text) if text.isdecimal() else _SLOW_DOWN_SECONDS


def _was_not_sent(error: Exception) -> bool:
    """True where no connection came about: urllib3 names the reason inside of requests' error."""
    if isinstance(error, sdk("requests.exceptions").ConnectTimeout):
        return True
    inner = error.args[0] if error.args else None
    reason = getattr(inner, "reason", inner)
    return type(reason).__name__ in _UNSENT
