"""The errors of the planner.

    CostplanError
    ├─ InputError(subject, problem, remedy)      what a person wrote or handed over is wrong
    ├─ InvariantBroken                           a bug of ours; carries the object's story
    ├─ ClusterUnreachable(endpoint, problem)     the scheduler does not answer -> a gap, never idle
    ├─ StoreError(path, problem, remedy)         the store cannot be trusted or written -> stop
    └─ ProviderError(provider, operation, subject)
       ├─ CapacityUnavailable(retry_after_seconds)  the market has none -> another offer
       ├─ QuotaExceeded(quota, limit)               our account may not -> tell a human
       ├─ RequestRejected(code)                     our request is wrong -> never retried
       ├─ CredentialsRejected                       cannot act -> observe only
       ├─ Throttled(retry_after_seconds)            slow down -> next tick
       ├─ Unreachable                               nothing sent, or a read failed -> next tick
       └─ OutcomeUnknown(token)                     no answer -> look for the token, no new launch

An infeasible workload, a denied or a deferred move are values, not errors.
"""

from __future__ import annotations


class CostplanError(Exception):
    """The root of every error that costplan raises on purpose."""


class InputError(CostplanError):
    """What a person wrote is wrong: says where, what, and the way out.

    `subject` names the place (file and field, or file and row), `problem` the value and what
    is wrong with it, `remedy` what to do; the message is all three in one line.
    """

    def __init__(self, subject: str, problem: str, remedy: str = "") -> None:
        self.subject, self.problem, self.remedy = subject, problem, remedy
        message = f"{subject}: {problem}"
        super().__init__(f"{message}; {remedy}" if remedy else message)


class InvariantBroken(CostplanError):
    """A bug of ours: a value that must hold does not. Carries what led to it."""


class ClusterUnreachable(CostplanError):
    """The scheduler cannot be asked, or says what cannot be trusted: what it does is unknown."""

    def __init__(self, endpoint: str, problem: str) -> None:
        self.endpoint, self.problem = endpoint, problem
        super().__init__(f"{endpoint}: {problem}")


class StoreError(CostplanError):
    """The store cannot be opened, trusted or written. Carries the path and the way out."""

    def __init__(self, path: str, problem: str, remedy: str) -> None:
        self.path, self.problem, self.remedy = path, problem, remedy
        super().__init__(f"{path}: {problem}; {remedy}")


class ProviderError(CostplanError):
    """A cloud said no, or said nothing. Carries who, at what, and about which thing."""

    def __init__(self, provider: str, operation: str, subject: str, detail: str = "") -> None:
        self.provider, self.operation, self.subject = provider, operation, subject
        super().__init__(f"{provider} {operation} {subject}{': ' + detail if detail else ''}")


class CapacityUnavailable(ProviderError):
    """The market has none of this offer now; another offer may do."""

    def __init__(
        self, provider: str, operation: str, subject: str, retry_after_seconds: int | None = None
    ) -> None:
        self.retry_after_seconds = retry_after_seconds
        super().__init__(provider, operation, subject, "no capacity")


class QuotaExceeded(ProviderError):
    """The account may not have more; only a human can change that."""

    def __init__(
        self, provider: str, operation: str, subject: str, quota: str, limit: float | None = None
    ) -> None:
        self.quota, self.limit = quota, limit
        super().__init__(provider, operation, subject, f"quota {quota} is {limit}")


class RequestRejected(ProviderError):
    """The request itself is wrong; sending it again cannot help."""

    def __init__(self, provider: str, operation: str, subject: str, code: str) -> None:
        self.code = code
        super().__init__(provider, operation, subject, code)


class CredentialsRejected(ProviderError):
    """The cloud does not accept who we are, or what we may do."""


class Throttled(ProviderError):
    """Too many calls; wait for `retry_after_seconds`."""

    def __init__(
        self, provider: str, operation: str, subject: str, retry_after_seconds: int | None = None
    ) -> None:
        self.retry_after_seconds = retry_after_seconds
        super().__init__(provider, operation, subject, "throttled")


class Unreachable(ProviderError):
    """Nothing was sent, or a read failed: the world is as it was."""


class OutcomeUnknown(ProviderError):
    """A change was sent and no answer came: look for `token`, never send under a new one."""

    def __init__(self, provider: str, operation: str, subject: str, token: str) -> None:
        self.token = token
        super().__init__(provider, operation, subject, f"outcome of {token} unknown")
