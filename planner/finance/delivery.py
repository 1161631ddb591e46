"""What is delivered of itself: reports by the clock, and alerts of budgets and unusual days."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import StrEnum

from costplan.planner.cron import fires
from costplan.planner.finance.anomalies import Anomaly
from costplan.planner.finance.budgets import Burn

FORMATS = (
    "html", "xlsx", "csv", "journal", "json", "md", "pdf", "focus-1.2", "focus-1.4",
)  # fmt: skip
THRESHOLDS = (Decimal("0.5"), Decimal("0.8"), Decimal(1))
PLACEHOLDERS = ("cluster", "month", "date")
_FIXED_TABLES = ("journal", "focus-1.2", "focus-1.4")
_ENDINGS = {"journal": "journal.csv", "focus-1.2": "focus-1.2.parquet",
            "focus-1.4": "focus-1.4.parquet"}  # fmt: skip
_FIRST_RETRY_SECONDS, _LAST_RETRY_SECONDS, _RETRY_FACTOR = 10, 3600, 3
NEWS_DAYS = 3
"""How old a day may be of which it is still told that it was unusual, or passed its budget: older
ones are in the report."""


class Month(StrEnum):
    """Which month a scheduled report is of, seen from when it is due."""

    CURRENT = "current"
    PREVIOUS = "previous"


class Channel(StrEnum):
    """How something is delivered."""

    FILE = "file"
    WEBHOOK = "webhook"
    EMAIL = "email"


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """Reports that are written when `cron` fires, in UTC, to a folder or an object store's URL."""

    cron: str
    month: Month
    formats: tuple[str, ...]
    by: tuple[str, ...]
    view: str
    to: str

    @property
    def key(self) -> str:
        """What tells it from others: a schedule that was changed is a new one."""
        parts = (self.cron, self.month, *self.formats, "|", *self.by, "|", self.view, self.to)
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True, kw_only=True)
class Secret:
    """Where a secret is read when it is needed: of these one is given, or none."""

    value: str = field(default="", repr=False)
    env: str = ""
    file: str = ""

    @property
    def is_given(self) -> bool:
        """True where there is one."""
        return bool(self.value or self.env or self.file)


@dataclass(frozen=True, slots=True, kw_only=True)
class Email:
    """A mail server and who writes to whom. `tls` is starttls, ssl or none."""

    host: str
    port: int
    tls: str
    sender: str
    to: tuple[str, ...]
    user: str = ""
    password: Secret = Secret()
    ca_file: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Alerts:
    """Where alerts go, and what there is an alert of. Thresholds are shares of a limit."""

    webhook: Secret = Secret()
    email: Email | None = None
    thresholds: tuple[Decimal, ...] = THRESHOLDS
    forecast: bool = True
    anomalies: bool = True

    @property
    def channels(self) -> tuple[Channel, ...]:
        """Where alerts go; nowhere by default."""
        found = [Channel.WEBHOOK] if self.webhook.is_given else []
        return (*found, Channel.EMAIL) if self.email is not None else tuple(found)


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One month of a schedule that is due, by a fire of its line."""

    fire: datetime
    month: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """What people are told once: `key` is the same for the same thing, whenever it is seen.

    `is_covered` is true of one that says less than another that is told at the same time.
    """

    key: str
    title: str
    text: str
    is_covered: bool = False


def runs(schedule: Schedule, after: datetime, until: datetime) -> tuple[Run, ...]:
    """What is due of a schedule in (after, until]: each month once, by its newest fire, however
    many were missed."""
    found = {}
    for fire in fires(schedule.cron, after, until):
        found[month_of_fire(schedule.month, fire)] = fire
    return tuple(Run(fire=fire, month=month) for month, fire in sorted(found.items()))


def month_of_fire(month: Month, fire: datetime) -> str:
    """The name of the month that a report of this instant is of."""
    if month is Month.CURRENT:
        return f"{fire:%Y-%m}"
    return f"{fire.replace(day=1) - timedelta(days=1):%Y-%m}"


def folder_of(schedule: Schedule, run: Run, cluster: str) -> str:
    """Where the files of a run go."""
    found = schedule.to
    for name, value in (
        ("cluster", cluster), ("month", run.month), ("date", f"{run.fire:%Y-%m-%d}"),
    ):  # fmt: skip
        found = found.replace("{" + name + "}", value)
    return found


def file_name(cluster: str, month: str, output: str) -> str:
    """The name of a report's file: 'fraud-2026-10.xlsx'."""
    return f"{cluster}-{month}.{_ENDINGS.get(output, output)}"


def tables_of(schedule: Schedule, output: str) -> str | None:
    """What `--by` says of a format, None where it has its own tables."""
    return None if output in _FIXED_TABLES or not schedule.by else ",".join(schedule.by)


def retry_seconds(attempts: int) -> int:
    """How long to wait after so many attempts that failed: 10 s, 30 s, 90 s ... an hour."""
    seconds = _FIRST_RETRY_SECONDS
    for _ in range(min(attempts - 1, 9)):
        seconds *= _RETRY_FACTOR
    return min(_LAST_RETRY_SECONDS, seconds)


def budget_alerts(cluster: str, burns: Iterable[Burn], alerts: Alerts) -> tuple[Alert, ...]:
    """Thresholds that are reached, and budgets that will be passed. A limit that is changed is a
    new one; of thresholds reached at once the highest is told."""
    found: list[Alert] = []
    for burn in burns:
        if burn.limit_usd is None:
            continue
        reached = [t for t in sorted(alerts.thresholds) if burn.burnt_usd >= t * burn.limit_usd]
        found += [_reached(cluster, burn, t, is_covered=t < reached[-1]) for t in reached]
        if alerts.forecast and burn.name == "month" and burn.will_pass and not burn.is_passed:
            found.append(_foretold(cluster, burn))
    return tuple(found)


def _reached(cluster: str, burn: Burn, threshold: Decimal, *, is_covered: bool) -> Alert:
    return Alert(
        key=f"{_period_key(burn)}/{threshold.normalize():f}",
        title=f"{cluster}: {_percent(threshold)} of the {burn.name}'s budget is spent",
        text=_burn_text(burn),
        is_covered=is_covered,
    )


def _foretold(cluster: str, burn: Burn) -> Alert:
    return Alert(
        key=f"{_period_key(burn)}/forecast",
        title=f"{cluster}: the {burn.name}'s budget is expected to be passed",
        text=_burn_text(burn),
    )


def _period_key(burn: Burn) -> str:
    limit = Decimal(0) if burn.limit_usd is None else burn.limit_usd
    return f"budget/{burn.name}/{burn.start:%Y-%m-%d}/{limit.normalize():f}"


def _burn_text(burn: Burn) -> str:
    limit = burn.limit_usd or Decimal(0)
    share = f" ({_percent(burn.burnt_usd / limit)})" if limit else ""
    said = [f"{_usd(burn.burnt_usd)} of {_usd(limit)}{share} since {burn.start:%Y-%m-%d}."]
    if burn.forecast_usd is not None and burn.low_usd is not None and burn.high_usd is not None:
        band = f"{_usd(burn.low_usd)} to {_usd(burn.high_usd)}"
        said.append(f"Forecast for its end: {_usd(burn.forecast_usd)} ({band}).")
    if burn.passed_on is not None:
        word = "was" if burn.is_passed else "will be"
        said.append(f"The limit {word} passed on {burn.passed_on:%Y-%m-%d}.")
    return " ".join(said)


def anomaly_alerts(cluster: str, found: Sequence[Anomaly], today: date) -> tuple[Alert, ...]:
    """Unusual days of the last three."""
    return tuple(
        Alert(
            key=f"anomaly/{odd.day.isoformat()}",
            title=f"{cluster}: {odd.day:%Y-%m-%d} cost {_more(odd)} than usual",
            text=_anomaly_text(odd),
        )
        for odd in found
        if today - timedelta(days=NEWS_DAYS) <= odd.day < today
    )


def _more(odd: Anomaly) -> str:
    return f"{_usd(abs(odd.off_usd))} {'more' if odd.off_usd > 0 else 'less'}"


def _anomaly_text(odd: Anomaly) -> str:
    band = f"{_usd(max(odd.low_usd, Decimal(0)))} to {_usd(odd.high_usd)}"
    said = [f"{_usd(odd.usd)}, where {odd.likes} have {_usd(odd.usual_usd)} ({band})."]
    if odd.cause is not None:
        cause = odd.cause
        name = f"{cause.dimension.replace('_', ' ')} {cause.name or 'unattributed'}"
        dollars = f"{_usd(cause.usd)} instead of {_usd(cause.usual_usd)}"
        said.append(f"{_percent(cause.share)} of it is {name}: {dollars}.")
    return " ".join(said)


def _usd(usd: Decimal) -> str:
    return f"${usd:,.2f}"


def _percent(share: Decimal) -> str:
    return f"{share * 100:.0f}%"
