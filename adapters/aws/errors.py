"""The one table by which errors of botocore become errors of the port.

What AWS refuses by a code has not happened. What it answers with a fault of its own, or not at
all, may have: then a change raises OutcomeUnknown, and a read Unreachable.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from costplan.adapters.aws.settings import PROVIDER
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

_Make = Callable[[str, str, str], ProviderError]

CAPACITY = frozenset({
    "InsufficientCapacity",
    "InsufficientFreeAddressesInSubnet",
    "InsufficientHostCapacity",
    "InsufficientInstanceCapacity",
    "InsufficientReservedInstanceCapacity",
    "ReservationCapacityExceeded",
    "SpotMaxPriceTooLow",
    "UnfulfillableCapacity",
    "Unsupported",
})  # fmt: skip
"""This pool has none now. InsufficientInstanceCapacity comes with HTTP 500; Unsupported says
that a zone does not have the type."""

QUOTA = frozenset({
    "FleetLimitExceeded",
    "InstanceLimitExceeded",
    "LaunchTemplateLimitExceeded",
    "MaxFleetCountExceeded",
    "MaxSpotFleetRequestCountExceeded",
    "MaxSpotInstanceCountExceeded",
    "VcpuLimitExceeded",
    "VolumeLimitExceeded",
})  # fmt: skip

THROTTLING = frozenset({
    "EC2ThrottledException",
    "PriorRequestNotComplete",
    "RequestLimitExceeded",
    "RequestThrottled",
    "RequestThrottledException",
    "SlowDown",
    "Throttling",
    "ThrottlingException",
    "ThrottledException",
    "TooManyRequestsException",
})  # fmt: skip

CREDENTIALS = frozenset({
    "AccessDenied",
    "AccessDeniedException",
    "AuthFailure",
    "Blocked",
    "ExpiredToken",
    "ExpiredTokenException",
    "IncompleteSignature",
    "InvalidAccessKeyId",
    "InvalidClientTokenId",
    "InvalidSignatureException",
    "MissingAuthenticationToken",
    "OptInRequired",
    "PendingVerification",
    "RequestExpired",
    "SignatureDoesNotMatch",
    "UnauthorizedOperation",
    "UnrecognizedClientException",
})  # fmt: skip
"""Who we are, or what we may do; RequestExpired is a clock of ours that is far off."""


def _quota(operation: str, subject: str, code: str) -> ProviderError:
    return QuotaExceeded(PROVIDER, operation, subject, code)


TABLE: tuple[tuple[frozenset[str], _Make], ...] = (
    (CAPACITY, lambda operation, subject, _: CapacityUnavailable(PROVIDER, operation, subject)),
    (QUOTA, _quota),
    (THROTTLING, lambda operation, subject, _: Throttled(PROVIDER, operation, subject)),
    (CREDENTIALS, lambda *about: CredentialsRejected(PROVIDER, *about)),
)
"""Codes and what they mean; any other code with HTTP 4xx is a request that is wrong."""

NEVER_SENT = (
    "ConnectTimeoutError",
    "EndpointConnectionError",
    "ProxyConnectionError",
    "SSLError",
)
"""Exceptions of botocore that are raised before a request is on its way."""

NO_CREDENTIALS = (
    "CredentialRetrievalError",
    "NoAuthTokenError",
    "NoCredentialsError",
    "PartialCredentialsError",
    "ProfileNotFound",
    "SSOError",
    "TokenRetrievalError",
)
NOT_VALID = ("ParamValidationError",)


def by_code(operation: str, subject: str, code: str) -> ProviderError:
    """The error that a code stands for, RequestRejected where the table does not have it."""
    for codes, make in TABLE:
        if code in codes:
            return make(operation, subject, code)
    return RequestRejected(PROVIDER, operation, subject, code)


@contextmanager
def mapped(operation: str, subject: str, token: str | None = None) -> Iterator[None]:
    """Raises errors of the port for those of botocore; `token` is set for a change, whose
    outcome may be unknown."""
    from botocore.exceptions import BotoCoreError, ClientError
    from botocore.parsers import ResponseParserError

    try:
        yield
    except ClientError as error:
        raise _answered(error, operation, subject, token) from error
    except (BotoCoreError, ResponseParserError) as error:
        raise _unanswered(error, operation, subject, token) from error


def _answered(error: Any, operation: str, subject: str, token: str | None) -> ProviderError:
    code = error.response.get("Error", {}).get("Code", "")
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    found = by_code(operation, subject, code)
    if not isinstance(found, RequestRejected):
        return found
    if 400 <= status < 500:
        message = error.response["Error"].get("Message", "")
        return RejectedByCode(operation, subject, code, message)
    return _unclear(operation, subject, token, f"{code} with HTTP {status}")


def _unanswered(error: Any, operation: str, subject: str, token: str | None) -> ProviderError:
    # By name, over the ancestors: botocore subclasses these, and older ones lack some.
    names = {kind.__name__ for kind in type(error).__mro__}
    if names & {*NO_CREDENTIALS}:
        return CredentialsRejected(PROVIDER, operation, subject, str(error))
    if names & {*NOT_VALID}:
        return RejectedByCode(operation, subject, type(error).__name__, str(error))
    if names & {*NEVER_SENT}:
        return Unreachable(PROVIDER, operation, subject, str(error))
    return _unclear(operation, subject, token, str(error))


def _unclear(operation: str, subject: str, token: str | None, detail: str) -> ProviderError:
    if token is None:
        return Unreachable(PROVIDER, operation, subject, detail)
    return OutcomeUnknown(PROVIDER, operation, subject, token)


class RejectedByCode(RequestRejected):
    """A request that AWS finds wrong: its code, and what it says in words."""

    def __init__(self, operation: str, subject: str, code: str, message: str) -> None:
        super().__init__(PROVIDER, operation, subject, f"{code}: {message}" if message else code)
        self.code = code
