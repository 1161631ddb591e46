"""Deliveries as blocks for a terminal, and as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from costplan.adapters.instants import zulu_text
from costplan.adapters.store.outbox import WAITING, Delivery
from costplan.cli.view import Block, Column, Facts, Grid, Line, View
from costplan.cli.wording import plain, span_text
from costplan.planner.delivered import Deliveries


def deliveries_view(found: Sequence[Delivery], now: datetime) -> View:
    """A row each, newest first, and why those failed that did."""
    if not found:
        return View(title="Deliveries", blocks=(Line("None.", "plain"),))
    rows = tuple(
        (
            str(each.delivery_id), f"{each.made_at:%Y-%m-%d %H:%M}", plain(each.title),
            each.channel, _state(each, now), str(each.attempts),
        )
        for each in found
    )  # fmt: skip
    blocks: list[Block] = [
        Grid(
            columns=(
                Column(head="id", is_number=True),
                Column(head="made (UTC)"),
                Column(head="what"),
                Column(head="by"),
                Column(head="state"),
                Column(head="tries", is_number=True),
            ),
            rows=rows,
            styles=tuple("change" if each.problem else "plain" for each in found),
        )
    ]
    said = [(str(each.delivery_id), (plain(each.problem or each.receipt),)) for each in found
            if each.problem or each.receipt]  # fmt: skip
    if said:
        blocks.append(Facts(tuple(said)))
    return View(title="Deliveries", blocks=tuple(blocks))


def _state(delivery: Delivery, now: datetime) -> str:
    if delivery.state != WAITING:
        return delivery.state
    seconds = (delivery.due_at - now).total_seconds()
    when = f"in {span_text(seconds)}" if seconds >= 1 else "now"
    return f"failed, tried again {when}" if delivery.problem else "waits"


def deliveries_text(found: Sequence[Delivery]) -> str:
    """The same as JSON text, version 1: may gain fields, never loses one."""
    rows = [_document(each) for each in found]
    return json.dumps({"schema_version": 1, "deliveries": rows}, indent=2) + "\n"


def _document(each: Delivery) -> dict[str, Any]:
    return {
        "id": each.delivery_id,
        "key": each.key,
        "kind": each.kind,
        "channel": each.channel,
        "title": each.title,
        "state": each.state,
        "made_at": zulu_text(each.made_at),
        "due_at": zulu_text(each.due_at) if each.state == WAITING else None,
        "ended_at": None if each.ended_at is None else zulu_text(each.ended_at),
        "attempts": each.attempts,
        "problem": each.problem,
        "receipt": each.receipt,
        "to": each.body.get("to"),
    }


def deliveries_count(number: int) -> str:
    """'1 delivery', '2 deliveries'."""
    return "1 delivery" if number == 1 else f"{number:,} deliveries"


def summary_facts(found: Deliveries, now: datetime) -> Iterable[tuple[str, tuple[str, ...]]]:
    """What `costplan status` says of them; nothing where there is nothing to say."""
    if not found.waiting:
        return
    said = [f"{deliveries_count(found.waiting)} to be sent"]
    if found.failing and found.next_try_at is not None:
        seconds = (found.next_try_at - now).total_seconds()
        when = f"in {span_text(seconds)}" if seconds >= 1 else "now"
        said.append(
            f"{found.failing} failed: {plain(found.failing_title)}: {plain(found.problem)}; "
            f"tried again {when}"
        )
    yield "deliveries", tuple(said)


def summary_document(found: Deliveries) -> dict[str, Any]:
    """The same as JSON values."""
    return {
        "waiting": found.waiting,
        "failing": found.failing,
        "problem": found.problem,
        "next_try_at": None if found.next_try_at is None else zulu_text(found.next_try_at),
        "last_sent_at": None if found.last_sent_at is None else zulu_text(found.last_sent_at),
    }
