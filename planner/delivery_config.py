"""Scheduled reports and alerts in the autoscaler's file.

The address of a webhook is a secret: no message shows it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Annotated

from pydantic import BeforeValidator, Field

from costplan.planner.config_fields import (
    Filled,
    Flag,
    Text,
    finite_number,
    one_of,
    plain_text,
    refusal,
    shown,
    whole_from,
)
from costplan.planner.config_section import Section
from costplan.planner.cron import check_cron
from costplan.planner.daemon_config_fields import FilePath
from costplan.planner.errors import InputError
from costplan.planner.finance.delivery import (
    FORMATS,
    PLACEHOLDERS,
    THRESHOLDS,
    Alerts,
    Email,
    Month,
    Schedule,
    Secret,
)
from costplan.planner.finance.dimensions import LINE, dimensions
from costplan.planner.finance.statement import View
from costplan.planner.provider_config import absolute

EXAMPLES = {
    "reports.schedule.cron": 'cron: "0 6 3 * *"',
    "reports.schedule.formats": "formats: [xlsx, html]",
    "reports.schedule.to": "to: s3://our-bucket/costplan/{month}/",
    "alerts.email.host": "host: smtp.example.com",
    "alerts.email.from": "from: costplan@example.com",
    "alerts.email.to": "to: [finops@example.com]",
}
STORES = ("s3", "gs", "abfs", "abfss", "az")
_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://(.*)")
_WEBHOOK = re.compile(r"https://[^\s/@]+(/\S*)?|http://(localhost|127\.0\.0\.1|\[::1\])(:\d+)?/\S*")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_MAILBOX = re.compile(r"[^\s@<>,;:\"()]+@[^\s@<>,;:\"()]+")
_MAIL_HOST = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\]")
_MOST_THRESHOLD = 10


def _cron(value: object) -> str:
    try:
        return check_cron(plain_text(value))
    except InputError as error:
        raise refusal(f"{shown(value)} {error.problem}", error.remedy) from None


def _by(value: object) -> str:
    name = plain_text(value)
    try:
        (found,) = dimensions(name)
    except InputError as error:
        raise refusal(error.problem, error.remedy) from None
    except ValueError:
        raise refusal(f"{shown(name)} names several", "write a list: [team, workload]") from None
    if found == LINE:
        raise refusal(f"{shown(name)} is nothing to report by", "focus-1.2 has every line")
    return found


def _to(value: object) -> str:
    text = plain_text(value)
    unknown = [w for w in re.findall(r"\{([^{}]*)\}", text) if w not in PLACEHOLDERS]
    if unknown:
        known = ", ".join("{" + name + "}" for name in PLACEHOLDERS)
        raise refusal(f"{shown('{' + unknown[0] + '}')} stands for nothing", f"there are {known}")
    if text.startswith("~"):
        raise refusal(f"{shown(text)} starts with '~'", "write the whole path")
    match = _URL.fullmatch(text)
    if match is None:
        return text
    scheme, rest = match.groups()
    if scheme not in (*STORES, "file"):
        known = ", ".join(f"{name}://" for name in STORES)
        raise refusal(f"{scheme}:// is no place for reports", f"write a folder or one of {known}")
    if "@" in rest.split("/")[0] and scheme not in ("abfs", "abfss"):
        raise refusal("the address holds a user", "credentials come from the environment")
    if scheme == "file" and not rest.startswith("/"):
        raise refusal(f"{shown(text)} is no whole path", "write file:///FOLDER")
    if scheme != "file" and not rest.split("/")[0]:
        raise refusal(f"{shown(text)} names no bucket", f"write {scheme}://BUCKET/FOLDER/")
    return text


def _webhook(value: object) -> str:
    if not isinstance(value, str) or _WEBHOOK.fullmatch(value) is None:
        raise refusal("is not an https:// address", "copy the address of the incoming webhook")
    return value


def _variable(value: object) -> str:
    name = plain_text(value)
    if _VARIABLE.fullmatch(name) is None:
        # What stands here may well be the secret itself.
        raise refusal("is not the name of an environment variable", "write it like SMTP_PASSWORD")
    return name


def _threshold(value: object) -> Decimal:
    remedy = "write shares of the budget, such as [0.5, 0.8, 1]"
    share = Decimal(repr(finite_number(value, remedy)))
    if share > _MOST_THRESHOLD:
        raise refusal(f"{shown(value)} is above {_MOST_THRESHOLD}", remedy)
    if share <= 0:
        raise refusal(f"{shown(value)} is not above 0", remedy)
    return share


def _match(pattern: re.Pattern[str], what: str, remedy: str) -> BeforeValidator:
    def check(value: object) -> str:
        text = plain_text(value)
        if pattern.fullmatch(text) is None:
            raise refusal(f"{shown(text)} is not {what}", remedy)
        return text

    return BeforeValidator(check)


CronLine = Annotated[str, BeforeValidator(_cron)]
MonthName = Annotated[str, BeforeValidator(one_of(tuple(Month), "a month to report", {}))]
FormatName = Annotated[
    str, BeforeValidator(one_of(FORMATS, "a format", {"excel": "xlsx", "focus": "focus-1.2"}))
]
ViewName = Annotated[str, BeforeValidator(one_of(tuple(View), "a view of dollars", {}))]
By = Annotated[str, BeforeValidator(_by)]
To = Annotated[str, BeforeValidator(_to)]
WebhookUrl = Annotated[str, BeforeValidator(_webhook)]
Variable = Annotated[str, BeforeValidator(_variable)]
Threshold = Annotated[Decimal, BeforeValidator(_threshold)]
Mailbox = Annotated[str, _match(_MAILBOX, "a mail address", "write it like finops@example.com")]
MailHost = Annotated[str, _match(_MAIL_HOST, "a host", "write it like smtp.example.com")]
MailPort = Annotated[int, BeforeValidator(whole_from(1, 65535, "587 is usual for starttls"))]
MailTls = Annotated[
    str, BeforeValidator(one_of(("starttls", "ssl", "none"), "a way to encrypt mail", {}))
]


class ScheduleSection(Section):
    """Reports by the clock."""

    cron: CronLine
    month: MonthName = Month.PREVIOUS.value
    formats: Annotated[tuple[FormatName, ...], Filled]
    by: tuple[By, ...] = ()
    view: ViewName = View.AMORTISED.value
    to: To


class EmailSection(Section):
    """A mail server."""

    host: MailHost
    port: MailPort = 587
    tls: MailTls = "starttls"
    ca_file: FilePath | None = None
    user: Text | None = None
    password_env: Variable | None = None
    password_file: FilePath | None = None
    sender: Annotated[Mailbox, Field(alias="from")]
    to: Annotated[tuple[Mailbox, ...], Filled]


class AlertsSection(Section):
    """Alerts, and where they go."""

    webhook: WebhookUrl | None = None
    webhook_env: Variable | None = None
    webhook_file: FilePath | None = None
    email: EmailSection | None = None
    budget_thresholds: tuple[Threshold, ...] = THRESHOLDS
    forecast: Flag = True
    anomalies: Flag = True


def delivery_contradictions(
    schedule: tuple[ScheduleSection, ...], alerts: AlertsSection
) -> Iterator[tuple[str, str, str]]:
    """Path, problem and way out of what keys allow and all together do not."""
    for place, each in enumerate(schedule):
        for key in ("formats", "by"):
            names = getattr(each, key)
            if len(set(names)) < len(names):
                problem = f"{', '.join(names)}: one twice"
                yield f"reports.schedule[{place}].{key}", problem, "name each once"
        if len(each.by) > 4:
            yield f"reports.schedule[{place}].by", f"names {len(each.by)}", "name at most 4"
    given = [k for k in ("webhook", "webhook_env", "webhook_file") if getattr(alerts, k)]
    for key in given[1:]:
        yield f"alerts.{key}", f"is given, and alerts.{given[0]} too", "keep one of them"
    email = alerts.email
    if email is None:
        return
    given = [k for k in ("password_env", "password_file") if getattr(email, k)]
    if len(given) > 1:
        problem = "is given, and alerts.email.password_env too"
        yield "alerts.email.password_file", problem, "keep one of them"
    if given and email.user is None:
        yield f"alerts.email.{given[0]}", "is given, but there is no user", "add user: NAME"
    if email.user is not None and not given:
        way_out = "add password_file: FILE or password_env: NAME"
        yield "alerts.email.user", "is given, but there is no password", way_out
    if email.user is not None and email.tls == "none":
        yield "alerts.email.tls", "is none, but there is a password", "write starttls or ssl"


def schedules_of(sections: tuple[ScheduleSection, ...], base: str) -> tuple[Schedule, ...]:
    """The sections as the core has them; relative folders start at `base`."""
    return tuple(
        Schedule(
            cron=each.cron,
            month=Month(each.month),
            formats=each.formats,
            by=each.by,
            view=each.view,
            to=each.to if _URL.fullmatch(each.to) else absolute(base, each.to),
        )
        for each in sections
    )


def alerts_of(section: AlertsSection, base: str) -> Alerts:
    """The section as the core has it; relative paths start at `base`."""
    return Alerts(
        webhook=Secret(
            value=section.webhook or "",
            env=section.webhook_env or "",
            file=absolute(base, section.webhook_file) if section.webhook_file else "",
        ),
        email=None if section.email is None else _email_of(section.email, base),
        thresholds=tuple(sorted(set(section.budget_thresholds))),
        forecast=section.forecast,
        anomalies=section.anomalies,
    )


def _email_of(section: EmailSection, base: str) -> Email:
    return Email(
        host=section.host.strip("[]"),
        port=section.port,
        tls=section.tls,
        sender=section.sender,
        to=section.to,
        user=section.user or "",
        password=Secret(
            env=section.password_env or "",
            file=absolute(base, section.password_file) if section.password_file else "",
        ),
        ca_file=absolute(base, section.ca_file) if section.ca_file else "",
    )
