"""What the daemon writes: the keys, the levels, and nothing that is secret."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from costplan.cli.logs import Log, set_up_logs, tick_line
from costplan.cli.redact import REDACTED, Redactor
from costplan.planner.tick import ActionOutcome, Outcome, Terminate
from costplan.planner.types import Gap, Mode
from tests.cli import fleet_samples

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
HEX = "0123456789abcdef" * 4
MIXED = "aB3dE6gH9jK2mN5pQ8sT1vW4xY7zA0cD"


@pytest.fixture(autouse=True)
def _leave_logging_as_it_was() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:], root.level = handlers, level


def log_to(stream: io.StringIO, output: str = "json", **options: Any) -> Log:
    return set_up_logs(output=output, clock=lambda: NOW, stream=stream, **options)


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_one_line_a_tick_with_the_names_that_are_always_used() -> None:
    out = io.StringIO()
    plan = fleet_samples.plan()
    line = tick_line(
        tick_id="t-9",
        mode=Mode.FULL,
        gaps=(),
        plan=plan,
        actions=2,
        nodes=5,
        usd_per_hour=Decimal("1.25"),
        seconds=0.0123456,
    )
    log_to(out).tick(line)
    (said,) = lines(out)
    assert said.pop("at") == "2026-03-01T12:00:00.000Z"
    assert said == {
        "event": "tick",
        "level": "info",
        "tick_id": "t-9",
        "mode": "full",
        "moves": 3,
        "denied": 1,
        "expected_usd": "0.30",
        "do_nothing_usd": "0.40",
        "solver": "optimal",
        "gap": 0.2,
        "seconds": 0.0123,
        "actions": 2,
        "gaps": [],
        "nodes": 5,
        "usd_per_hour": "1.25",
    }


def test_a_tick_that_only_looked_in_hold_is_a_warning_without_figures_of_a_plan() -> None:
    out = io.StringIO()
    line = tick_line(
        tick_id="t-9",
        mode=Mode.HOLD,
        gaps=(Gap(kind="load", subject="scheduler", assumed="the last one is kept"),),
        plan=None,
        actions=0,
        nodes=5,
        usd_per_hour=Decimal(0),
        seconds=0.1,
    )
    log_to(out).tick(line)
    (said,) = lines(out)
    assert (said["level"], said["gaps"]) == ("warning", ["load: scheduler"])
    assert (said["expected_usd"], said["solver"], said["moves"]) == (None, None, 0)


def test_one_line_an_action_and_one_an_outcome() -> None:
    out = io.StringIO()
    log = log_to(out)
    action = Terminate(node_id="n-1", provider_id="i-1")
    log.action("t-1", action)
    log.outcome("t-1", ActionOutcome(action=action, outcome=Outcome.DONE, at=NOW), 0.2)
    refused = ActionOutcome(action=action, outcome=Outcome.THROTTLED, at=NOW, detail="wait")
    log.outcome("t-1", refused, 0.2)
    said = lines(out)
    assert [(each["event"], each["level"]) for each in said] == [
        ("action", "info"),
        ("outcome", "info"),
        ("outcome", "warning"),
    ]
    assert {each["tick_id"] for each in said} == {"t-1"}
    assert said[2]["outcome"] == "throttled"
    assert said[0]["node_ids"] == ["n-1"]


def test_money_is_text_and_instants_are_utc() -> None:
    out = io.StringIO()
    log_to(out).event("start", left_usd=Decimal("1E+1"), since=NOW)
    (said,) = lines(out)
    assert (said["left_usd"], said["since"]) == ("10.00", "2026-03-01T12:00:00Z")


def test_lines_of_libraries_take_the_same_way_and_lose_their_secrets() -> None:
    out = io.StringIO()
    log_to(out, secrets=("correct horse",))
    logging.getLogger("elsewhere").warning("GET failed with Bearer %s for correct horse", MIXED)
    logging.getLogger("httpx").info("every request")
    (said,) = lines(out)
    assert said["event"] == f"GET failed with Bearer {REDACTED} for {REDACTED}"


def test_an_error_is_told_with_its_story_and_without_the_token_in_it() -> None:
    out = io.StringIO()
    log = log_to(out)
    try:
        raise ValueError(f"token={HEX}")
    except ValueError as error:
        log.broken("tick failed", error, tick_id="t-1")
    (said,) = lines(out)
    assert "ValueError" in said["exception"]
    assert HEX not in out.getvalue()


def test_console_lines_are_text_without_secrets() -> None:
    out = io.StringIO()
    log = log_to(out, output="console")
    log.event("start", holder="host-1", **{"api_key": "abcd"})
    try:
        raise ValueError(f"token={HEX}")
    except ValueError as error:
        log.broken("tick failed", error)
    assert "host-1" in out.getvalue()
    assert "abcd" not in out.getvalue().replace(HEX, "")
    assert HEX not in out.getvalue()


@pytest.mark.parametrize(
    "text",
    [
        f"Authorization: Bearer {MIXED}",
        f"authorization: {MIXED}",
        f'{{"token": "{HEX[:20]}"}}',
        f"token={HEX[:9]}",
        f"password: {HEX[:9]}!x",
        f"https://user:{HEX[:9]}@host/path",
        "AKIAABCDEFGHIJKLMNOP",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2lnbmF0dXJl",
        "-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----",
        MIXED,
        HEX,
    ],
)
def test_what_looks_like_a_secret_is_replaced(text: str) -> None:
    said = Redactor().text(f"before {text} after")
    assert REDACTED in said
    assert said.startswith("before ")
    for secret in (HEX[:9], MIXED, "AKIAABCDEFGHIJKLMNOP", "MIIE", "eyJzdWIi"):
        assert secret not in said


@pytest.mark.parametrize(
    "text",
    [
        "spot m5.large in aws/us-east-1a",
        "/var/lib/costplan/state-of-the-cluster-0001.sqlite",
        "7d9f2c6e-1b1d-4a6e-9a49-0a3f1f9f2a11",
        "tcp://10.0.0.1:8786: no answer in 5 s",
        "drain node-0012 waits for 3 tasks of read-parquet-fused-assign-0123",
    ],
)
def test_ordinary_text_stays(text: str) -> None:
    assert Redactor().text(text) == text


def test_secrets_deep_in_an_event_are_replaced_and_ids_stay() -> None:
    event = {
        "plan_id": HEX,
        "headers": {"authorization": "anything"},
        "words": ["a", f"token={MIXED}"],
        "api_key": 5,
        "count": 3,
    }
    assert Redactor()(None, "info", event) == {
        "plan_id": HEX,
        "headers": {"authorization": REDACTED},
        "words": ["a", f"token={REDACTED}"],
        "api_key": REDACTED,
        "count": 3,
    }
