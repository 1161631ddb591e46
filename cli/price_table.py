"""Writes prices out: a table for the terminal, Markdown, CSV or JSON."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np
from rich.console import Console

from costplan.adapters.feeds.price_file import PriceList
from costplan.cli.price_query import Pool
from costplan.cli.render import fitted
from costplan.cli.view import Column, Grid
from costplan.planner.catalogue import MARKETS, Catalogue
from costplan.planner.units import memory_text, usd_text

NARROWEST = 150
"""Columns of a table that goes to a file or a pipe, so that nothing in it is cut."""

_BELOW = {"zones": "region", "market": "type"}
_SMALL_USD = 0.01
_MANY_ZONES = 4


def records(catalogue: Catalogue, found: Sequence[Pool]) -> list[dict[str, Any]]:
    """One flat record a pool; money is exact decimal text, unknown is None."""
    result = []
    for pool in found:
        row = pool.row
        pico, gpus = int(catalogue.price_pico[row]), int(catalogue.gpus[row])
        vcpu_milli = int(catalogue.vcpu_milli[row])
        hazard = float(catalogue.hazard_per_hour[row])
        record = {
            "provider": catalogue.provider[row],
            "region": catalogue.region[row],
            "zones": list(pool.zones),
            "instance_type": catalogue.instance_type[row],
            "market": str(MARKETS[int(catalogue.market[row])]),
            "arch": catalogue.arch[row],
            "vcpu": vcpu_milli / 1000,
            "memory_bytes": int(catalogue.memory_bytes[row]),
            "gpus": gpus,
            "gpu_kind": catalogue.gpu_kind[row] or None,
            "usd_per_hour": usd_text(pico),
            "usd_per_vcpu_hour": usd_text(round(pico * 1000 / vcpu_milli)),
            "usd_per_gpu_hour": usd_text(round(pico / gpus)) if gpus else None,
            "hazard_per_hour": None if np.isnan(hazard) else hazard,
            "observed_at": _instant(int(catalogue.observed_at[row])).isoformat(),
            "source": catalogue.source[row],
            "is_estimate": bool(catalogue.is_estimate[row]),
        }
        result.append(record)
    return result


def _instant(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def as_json(prices: PriceList, found: Sequence[Pool], total: int) -> str:
    """The records with where they come from and how many there are in all."""
    seen = prices.catalogue.observed_at[[pool.row for pool in found]] if found else ()
    document = {
        "prices": {
            "source": prices.name,
            "digest": prices.digest,
            "oldest_observed_at": _instant(int(min(seen))).isoformat() if found else None,
            "newest_observed_at": _instant(int(max(seen))).isoformat() if found else None,
        },
        "total": total,
        "shown": len(found),
        "rows": records(prices.catalogue, found),
    }
    return json.dumps(document, indent=2)


def as_csv(prices: PriceList, found: Sequence[Pool]) -> str:
    """The records as CSV; zones are separated by blanks, unknown is empty."""
    rows = records(prices.catalogue, found)
    out = io.StringIO()
    if rows:
        writer = csv.DictWriter(out, rows[0].keys(), lineterminator="\n")
        writer.writeheader()
        writer.writerows({**row, "zones": " ".join(row["zones"])} for row in rows)
    return out.getvalue().rstrip("\n")


def zones_text(region: str, zones: Sequence[str]) -> str:
    """Zones as short as they stay clear: 'a,b,c', '6 zones', or 'any' where prices have none."""
    if not zones:
        return "any"
    if len(zones) >= _MANY_ZONES:
        return f"{len(zones)} zones"
    return ",".join(zone.removeprefix(region).lstrip("-") or zone for zone in zones)


def age_text(observed_at: datetime, now: datetime) -> str:
    """How long ago a price was seen: '5 h', '12 d', '20 months', '6.2 years'."""
    hours = (now - observed_at).total_seconds() / 3600
    if hours < 48:
        return f"{max(hours, 0):.0f} h"
    days = hours / 24
    if days < 90:
        return f"{days:.0f} d"
    return f"{days / 30.4:.0f} months" if days < 1000 else f"{days / 365.25:.1f} years"


def header(prices: PriceList, found: Sequence[Pool], now: datetime) -> str:
    """Where the prices shown come from and how old they are."""
    if not found:
        return prices.name
    catalogue = prices.catalogue
    rows = [pool.row for pool in found]
    sources = sorted({catalogue.source[row].removeprefix("estimate: ") for row in rows})
    seen = [_instant(int(second)) for second in catalogue.observed_at[rows]]
    oldest, newest = min(seen), max(seen)
    span = f"{oldest:%Y-%m-%d} ({age_text(oldest, now)} old)"
    if newest.date() != oldest.date():
        span += f" to {newest:%Y-%m-%d} ({age_text(newest, now)} old)"
    return f"{prices.name}, seen {span}\nsources: {', '.join(sources)}"


def cells(prices: PriceList, found: Sequence[Pool]) -> tuple[list[str], list[list[str]]]:
    """The heads and the cells of the table, the last columns being numbers."""
    catalogue = prices.catalogue
    rows = records(catalogue, found)
    with_gpu = any(row["gpus"] for row in rows)
    heads = ["cloud", "region", "zones", "type", "market", "seen", "vCPU", "memory"]
    heads += ["GPUs"] * with_gpu + ["$/h", "$/vCPU-h"] + ["$/GPU-h"] * with_gpu
    smallest = min((float(row["usd_per_vcpu_hour"]) for row in rows), default=1.0)
    digits = 4 if smallest >= _SMALL_USD else 5
    body = []
    for row in rows:
        line = [row["provider"], row["region"], zones_text(row["region"], row["zones"])]
        line += [row["instance_type"], row["market"].replace("_", "-"), row["observed_at"][:10]]
        line += [f"{row['vcpu']:g}", memory_text(row["memory_bytes"])]
        if with_gpu:
            line.append(f"{row['gpus']} {row['gpu_kind']}" if row["gpus"] else "")
        mark = "~" if row["is_estimate"] else ""
        for unit in ("usd_per_hour", "usd_per_vcpu_hour", "usd_per_gpu_hour")[: 2 + with_gpu]:
            line.append(f"{mark}{float(row[unit]):.{digits}f}" if row[unit] else "")
        body.append(line)
    return heads, body


def footer(prices: PriceList, found: Sequence[Pool], total: int) -> list[str]:
    """How many are shown, what '~' means, and what the list does not know."""
    lines = [f"shown {len(found):,} of {total:,}"]
    if prices.catalogue.is_estimate[[pool.row for pool in found]].any():
        lines.append("~ estimate: derived, not read from a price list")
    lines.extend(f"not in the list: {gap.subject} ({gap.assumed})" for gap in prices.gaps)
    return lines


def as_markdown(prices: PriceList, found: Sequence[Pool], total: int, now: datetime) -> str:
    """The table in Markdown."""
    heads, body = cells(prices, found)
    first_number = heads.index("vCPU")
    rule = ["---" if index < first_number else "---:" for index in range(len(heads))]
    lines = ["| " + " | ".join(line) + " |" for line in (heads, rule, *body)]
    return "\n\n".join(
        (header(prices, found, now), "\n".join(lines), "\n".join(footer(prices, found, total)))
    )


def print_table(prices: PriceList, found: Sequence[Pool], total: int, now: datetime) -> None:
    """Print the table to the terminal, header above and notes below."""
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=NARROWEST)
    console.print(header(prices, found, now), style="dim")
    heads, body = cells(prices, found)
    rows = tuple(map(tuple, body))
    grid = Grid(columns=_columns(heads), rows=rows, styles=tuple("plain" for _ in rows))
    console.print(fitted(grid, console))
    for note in footer(prices, found, total):
        console.print(note, style="dim")


def _columns(heads: Sequence[str]) -> tuple[Column, ...]:
    """What is left out, and what goes below what, where the terminal is too narrow for all."""
    left_out = {"seen", "$/vCPU-h"} if "GPUs" in heads else {"seen"}
    first_number = heads.index("vCPU")
    return tuple(
        Column(
            head=head,
            is_number=place >= first_number,
            optional=head in left_out,
            under=_BELOW.get(head),
        )
        for place, head in enumerate(heads)
    )
