"""The leaf values of the autoscaler's file that a workload file does not have."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated

from pydantic import BeforeValidator

from costplan.planner.calendar import DAYS
from costplan.planner.config_fields import (
    MAX_WORKERS,
    finite_number,
    one_of,
    plain_text,
    refusal,
    shown,
    usd_pico,
    whole_from,
)
from costplan.planner.units import parse_seconds

_DAY_SECONDS = 86400.0
_LEAST_RUN_SECONDS = 60
_MOST_AMOUNT = 1e15
_MOST_FACTOR = 100.0
_RESERVED_TAGS = "costplan"
_SUB_SECONDS = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|sec|seconds?)")
_CLOCK = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)")
_LABEL = r"[A-Za-z0-9_-]{1,63}"  # what no resolver takes, such as 'a..b', ends in a UnicodeError
_HOST = rf"(\[[0-9A-Fa-f:.]+\]|(?=[A-Za-z0-9]){_LABEL}(?:\.{_LABEL})*(?<=[A-Za-z0-9]))"
_PORT = r":(\d{1,5})"
_ENDPOINT = re.compile(rf"(https?)://{_HOST}{_PORT}/?")
_ADDRESS = re.compile(rf"(tcp|tls)://{_HOST}{_PORT}")
_LISTEN = re.compile(rf"{_HOST}{_PORT}")
_MOST_PORT = 65535


def _short_seconds(least: float) -> Callable[[object], float]:
    remedy = "write it like 500ms, 5s or 1min"

    def check(value: object) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            raise refusal(f"{shown(value)} is not a duration", remedy)
        if not isinstance(value, str):
            seconds = float(finite_number(value, remedy))
        elif match := _SUB_SECONDS.fullmatch(value.strip()):
            seconds = float(match.group(1)) / (1000 if match.group(2) == "ms" else 1)
        else:
            try:
                seconds = float(parse_seconds(value))
            except ValueError as error:
                raise refusal(str(error).partition("; ")[0], remedy) from None
        if not least <= seconds <= _DAY_SECONDS:
            raise refusal(f"{shown(value)} is not from {least * 1000:g}ms to 1 day", remedy)
        return seconds

    return check


def _minute(most: int) -> Callable[[object], int]:
    def check(value: object) -> int:
        remedy = 'write a time of day in UTC like "22:00"'
        match = _CLOCK.fullmatch(plain_text(value))
        minute = int(match.group(1)) * 60 + int(match.group(2)) if match else 24 * 60
        if minute > most or (match is None and value != "24:00"):
            raise refusal(f"{shown(value)} is not a time of day", remedy)
        return minute

    return check


def _run_seconds(value: object) -> int:
    remedy = "write it like 45min or 3h"
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise refusal(f"{shown(value)} is not a duration", remedy)
    try:
        seconds = parse_seconds(value)
    except ValueError as error:
        raise refusal(str(error).partition("; ")[0], remedy) from None
    if not _LEAST_RUN_SECONDS <= seconds <= _DAY_SECONDS:
        raise refusal(f"{shown(value)} is not from 1min to 1 day", remedy)
    return seconds


def _place(pattern: re.Pattern[str], what: str, remedy: str, least: int) -> Callable[[object], str]:
    def check(value: object) -> str:
        if isinstance(value, bool) or not isinstance(value, str):
            raise refusal(f"{shown(value)} is not {what}", remedy)
        text = plain_text(value)
        match = pattern.fullmatch(text)
        if match is None:
            raise refusal(f"{shown(text)} is not {what}", remedy)
        if not least <= int(match.groups()[-1]) <= _MOST_PORT:
            raise refusal(f"{shown(text)} has no port from {least} to {_MOST_PORT}", remedy)
        return text.removesuffix("/")

    return check


def _path(value: object) -> str:
    path = plain_text(value)
    if path.startswith("~"):
        raise refusal(f"{shown(path)} starts with '~'", "write the whole path")
    return path


def _amount(value: object) -> float:
    remedy = "write how much of it one worker offers, such as 1"
    amount = float(finite_number(value, remedy))
    if not 0 < amount <= _MOST_AMOUNT:
        raise refusal(f"{shown(value)} is not above 0", remedy)
    return amount


def _factor(remedy: str) -> Callable[[object], float]:
    def check(value: object) -> float:
        factor = float(finite_number(value, remedy))
        if not 1 < factor <= _MOST_FACTOR:
            raise refusal(f"{shown(value)} is not above 1 and at most {_MOST_FACTOR:g}", remedy)
        return factor

    return check


def _tag(value: object) -> str:
    name = plain_text(value)
    if name.lower().startswith(_RESERVED_TAGS):
        raise refusal(f"{shown(name)} is a tag of costplan's own", "choose another name")
    return name


ShortSeconds = Annotated[float, BeforeValidator(_short_seconds(0.05))]
"""A duration that may be parts of a second, at most a day."""

TaskSeconds = Annotated[float, BeforeValidator(_short_seconds(0.001))]
StartMinute = Annotated[int, BeforeValidator(_minute(24 * 60 - 1))]
DayName = Annotated[
    str,
    BeforeValidator(
        one_of(
            DAYS,
            "a day of the week",
            {
                "monday": "mon",
                "tuesday": "tue",
                "wednesday": "wed",
                "thursday": "thu",
                "friday": "fri",
                "saturday": "sat",
                "sunday": "sun",
            },
        )
    ),
]
RunSeconds = Annotated[int, BeforeValidator(_run_seconds)]
"""How long a job of the calendar takes: a minute to a day, in whole seconds."""

EndMinute = Annotated[int, BeforeValidator(_minute(24 * 60))]
Endpoint = Annotated[
    str,
    BeforeValidator(
        _place(_ENDPOINT, "where a scheduler serves HTTP", "write it like http://host:8787", 1)
    ),
]
Address = Annotated[
    str,
    BeforeValidator(
        _place(_ADDRESS, "an address that workers join", "write it like tcp://host:8786", 1)
    ),
]
Listen = Annotated[
    str,
    BeforeValidator(_place(_LISTEN, "an address to listen on", "write it like 127.0.0.1:9464", 0)),
]
FilePath = Annotated[str, BeforeValidator(_path)]
LogFormat = Annotated[
    str, BeforeValidator(one_of(("console", "json"), "a format of log lines", {"text": "console"}))
]
LogLevel = Annotated[
    str,
    BeforeValidator(one_of(("debug", "info", "warning", "error"), "a level", {"warn": "warning"})),
]
ShortageFactor = Annotated[
    float,
    BeforeValidator(_factor("write how many times its price a missing worker costs, such as 2")),
]
PriceFactor = Annotated[
    float, BeforeValidator(_factor("write how many times the usual a price may be, such as 10"))
]
Amount = Annotated[float, BeforeValidator(_amount)]
TagName = Annotated[str, BeforeValidator(_tag)]
ThreadCount = Annotated[
    int, BeforeValidator(whole_from(1, 100_000, "write how many tasks one worker runs at once"))
]
LeastWorkers = Annotated[
    int, BeforeValidator(whole_from(0, MAX_WORKERS, "write how many workers always stay"))
]
MostWorkers = Annotated[
    int, BeforeValidator(whole_from(0, MAX_WORKERS, "leave it out for no limit"))
]
JobWorkers = Annotated[
    int, BeforeValidator(whole_from(1, MAX_WORKERS, "write how many workers the job asks for"))
]
MostLaunches = Annotated[
    int, BeforeValidator(whole_from(1, MAX_WORKERS, "write how many machines may start at once"))
]
PicoPerDay = Annotated[int, BeforeValidator(usd_pico("dollars a day"))]
PicoPerMonth = Annotated[int, BeforeValidator(usd_pico("dollars a month"))]
