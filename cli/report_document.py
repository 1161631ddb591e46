"""A report for programs: JSON with exact money, and its ledger entries as CSV."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from typing import Any

from costplan.adapters.instants import zulu_text
from costplan.planner.plan_document import money_or_none, money_text
from costplan.planner.report import Report, Row
from costplan.planner.wording import plain

SCHEMA_VERSION = 1

_HEADS = (
    "start", "end", "node_id", "provider", "region", "zone", "instance_type", "market",
    "workload", "use", "kind", "usd_per_hour", "usd", "busy_seconds", "thread_seconds",
    "is_estimate", "rate_source", "charge",
)  # fmt: skip


def report_text(report: Report) -> str:
    """The report as JSON text, version 1: may gain fields, never loses one."""
    return json.dumps(report_document(report), indent=2) + "\n"


def report_document(report: Report) -> dict[str, Any]:
    """The report as JSON values. Money is exact decimal text, shares are 0 to 1, instants are
    ISO 8601 UTC with Z."""
    split, total = report.split, report.total
    return {
        "schema_version": SCHEMA_VERSION,
        "cluster": report.cluster,
        "made_at": zulu_text(report.made_at),
        "start": zulu_text(report.start),
        "end": zulu_text(report.end),
        "entries": len(report.entries),
        "total": _row(total),
        "dollars_for": {
            "work_usd": money_text(split.work_usd),
            "recompute_usd": money_or_none(split.recompute_usd),
            "idle_usd": money_text(split.idle_usd),
            "boot_usd": money_text(split.boot_usd),
            "drain_usd": money_text(split.drain_usd),
            "waste_usd": money_text(split.waste_usd),
        },
        "by_market": _rows(report.by_market),
        "by_type": _rows(report.by_type),
        "by_workload": _rows(report.by_workload),
        "by_day": _rows(report.by_day),
        "by_rate_source": _rows(report.by_source),
        "by_charge": _rows(report.by_charge),
        "counterfactuals": [
            {
                "name": other.name,
                "words": other.words,
                "usd": money_or_none(other.usd),
                "paid_usd": money_text(other.paid_usd),
                "saved_usd": money_or_none(other.saved_usd),
                "is_estimate": other.is_estimate,
            }
            for other in report.counterfactuals
        ],
        "interruptions": {
            "noticed": report.interruptions.noticed,
            "emptied": report.interruptions.emptied,
            "reclaimed": report.interruptions.reclaimed,
            "lost": report.interruptions.lost,
            "failed": report.interruptions.failed,
        },
        "tasks": None
        if report.totals is None
        else {
            "finished": report.totals.finished_tasks,
            "erred": report.totals.erred_tasks,
            "recomputed": report.totals.recomputed_tasks,
            "restarted": report.totals.restarted_tasks,
            "recomputed_seconds": report.totals.recomputed_seconds,
        },
        "corrections": {"entries": report.corrections, "usd": money_text(report.corrections_usd)},
        "running_usd": money_text(report.running_usd),
        "gaps": [
            {"kind": gap.kind, "subject": gap.subject, "assumed": gap.assumed}
            for gap in report.gaps
        ],
    }


def entries_csv(report: Report) -> str:
    """The entries of the report; the column `usd` adds up to its total exactly."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(_HEADS)
    for entry in report.entries:
        key = entry.key
        writer.writerow(
            (
                zulu_text(entry.start),
                zulu_text(entry.end),
                *map(spreadsheet_text, (entry.node_id, key.provider, key.region, key.zone)),
                *map(spreadsheet_text, (key.instance_type, key.market, entry.workload)),
                entry.use.value,
                entry.kind,
                money_text(entry.usd_per_hour),
                money_text(entry.usd),
                repr(entry.busy_seconds),
                repr(entry.thread_seconds),
                str(entry.is_estimate).lower(),
                spreadsheet_text(entry.rate_source),
                entry.charge,
            )
        )
    return out.getvalue()


def spreadsheet_text(text: str) -> str:
    """A name that a spreadsheet does not take for a formula."""
    shown = plain(text)
    return f"'{shown}" if shown[:1] in ("=", "+", "-", "@") else shown


def _rows(rows: Sequence[Row]) -> list[dict[str, Any]]:
    return [{"name": row.name, **_row(row)} for row in rows]


def _row(row: Row) -> dict[str, Any]:
    return {
        "usd": money_text(row.usd),
        "estimated_usd": money_text(row.estimated_usd),
        "nodes": row.nodes,
        "node_seconds": float(row.node_seconds),
        "busy_seconds": row.busy_seconds,
        "thread_seconds": row.thread_seconds,
    }
