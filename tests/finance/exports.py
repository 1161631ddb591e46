"""Bills as the providers' exports write them, made from the lives of machines by code of their own.

Nothing here reads the ledger: a bill is made of lives, hour by hour, as the cloud would.
"""

from __future__ import annotations

import csv
import gzip
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
ACCOUNT = "011122223333"
"""Begins with a zero, which a number would lose."""
Row = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Life:
    """A machine that was billed in [start, end)."""

    resource: str
    start: datetime
    end: datetime
    usd_per_hour: str
    is_spot: bool = False
    instance_type: str = "m5.xlarge"
    account: str = ACCOUNT
    vcpu: int = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Used:
    """A machine in one hour or day of the clock."""

    life: Life
    start: datetime
    end: datetime
    hours: Decimal
    usd: Decimal


def used(lives: Iterable[Life], step: timedelta) -> Iterator[Used]:
    """The lives cut at the clock."""
    for life in lives:
        at = life.start.replace(minute=0, second=0, microsecond=0)
        if step == DAY:
            at = at.replace(hour=0)
        while at < life.end:
            first, last = max(at, life.start), min(at + step, life.end)
            hours = Decimal((last - first) // timedelta(microseconds=1)) / 3_600_000_000
            usd = round(hours * Decimal(life.usd_per_hour), 12)
            yield Used(life=life, start=at, end=at + step, hours=round(hours, 12), usd=usd)
            at += step


def cur(lives: Iterable[Life]) -> list[Row]:
    """CUR 2.0, hourly, with a tax and a volume."""
    rows = []
    for each in used(lives, HOUR):
        life = each.life
        meter = ("SpotUsage:" if life.is_spot else "BoxUsage:") + life.instance_type
        rows.append(
            cur_row(len(rows), each.start, meter, life.resource, each.hours, each.usd, life.account)
        )
    first = rows[0]["line_item_usage_start_date"] if rows else "2026-10-01T00:00:00Z"
    at = datetime.fromisoformat(str(first))
    number = len(rows)
    volume = cur_row(number, at, "EBS:VolumeUsage.gp3", "vol-0a", Decimal(1), Decimal("0.0123"))
    tax = cur_row(number + 1, at, "", "", Decimal(0), Decimal("0.77"))
    return [*rows, volume, {**tax, "line_item_line_item_type": "Tax"}]


def cur_row(  # noqa: PLR0917 - the columns that differ
    number: int,
    at: datetime,
    meter: str,
    resource: str,
    hours: Decimal,
    usd: Decimal,
    account: str = ACCOUNT,
) -> Row:
    """A row of usage."""
    return {
        "identity_line_item_id": f"line{number}",
        "bill_payer_account_id": ACCOUNT,
        "line_item_usage_account_id": account,
        "line_item_line_item_type": "Usage",
        "line_item_usage_start_date": f"{at:%Y-%m-%dT%H:%M:%SZ}",
        "line_item_usage_end_date": f"{at + HOUR:%Y-%m-%dT%H:%M:%SZ}",
        "line_item_product_code": "AmazonEC2",
        "line_item_usage_type": meter,
        "line_item_resource_id": resource,
        "line_item_usage_amount": f"{hours:f}",
        "line_item_currency_code": "USD",
        "line_item_unblended_cost": f"{usd:f}",
        "pricing_public_on_demand_cost": "",
        "savings_plan_savings_plan_effective_cost": "",
        "savings_plan_savings_plan_a_r_n": "",
        "reservation_effective_cost": "",
    }


def focus(lives: Iterable[Life], provider: str = "AWS") -> list[Row]:
    """FOCUS 1.2, hourly."""
    rows = []
    for each in used(lives, HOUR):
        life = each.life
        rows.append({
            "BilledCost": f"{each.usd:f}",
            "EffectiveCost": f"{each.usd:f}",
            "ContractedCost": f"{each.usd:f}",
            "ListCost": f"{each.usd:f}",
            "BillingAccountId": life.account,
            "SubAccountId": life.account,
            "BillingCurrency": "USD",
            "ChargeCategory": "Usage",
            "ChargePeriodStart": f"{each.start:%Y-%m-%dT%H:%M:%SZ}",
            "ChargePeriodEnd": f"{each.end:%Y-%m-%dT%H:%M:%SZ}",
            "ConsumedQuantity": f"{each.hours:f}",
            "ConsumedUnit": "Hours",
            "PricingCategory": "Dynamic" if life.is_spot else "Standard",
            "ProviderName": provider,
            "ResourceId": f"arn:aws:ec2:us-east-1:{life.account}:instance/{life.resource}",
            "ServiceCategory": "Compute",
            "ServiceName": "Amazon Elastic Compute Cloud",
            "SkuPriceDetails": json.dumps({"InstanceType": life.instance_type}),
            "CommitmentDiscountId": "",
        })  # fmt: skip
    return rows


def gcp(lives: Iterable[Life]) -> list[Row]:
    """Google's detailed export: cores and memory are rows of their own, two thirds and the rest."""
    rows: list[Row] = []
    for each in used(lives, HOUR):
        life = each.life
        kind = "Spot Preemptible " if life.is_spot else ""
        cores = round(each.usd * 2 / 3, 12)
        seconds = each.hours * 3600 * life.vcpu
        for what, usd, amount, unit in (
            ("Core", cores, seconds, "seconds"),
            ("Ram", each.usd - cores, each.hours * 3600 * 2**34, "byte-seconds"),
        ):
            rows.append({
                "billing_account_id": "01AB-CD",
                "service": {"id": "6F81", "description": "Compute Engine"},
                "sku": {"id": what, "description": f"{kind}N2 Instance {what} running in Iowa"},
                "usage_start_time": f"{each.start:%Y-%m-%d %H:%M:%S} UTC",
                "usage_end_time": f"{each.end:%Y-%m-%d %H:%M:%S} UTC",
                "project": {"id": life.account, "number": "123456789012"},
                "resource": {
                    "name": f"projects/123/instances/{life.resource}",
                    "global_name": f"//compute.googleapis.com/projects/p/instances/{life.vcpu}",
                },
                "cost": float(usd),
                "currency": "USD",
                "usage": {"amount": float(amount), "unit": unit},
                "credits": [],
                "cost_type": "regular",
            })  # fmt: skip
    return rows


def azure(lives: Iterable[Life]) -> list[Row]:
    """Azure's cost details, by day; resource ids in capitals."""
    rows = []
    for each in used(lives, DAY):
        life = each.life
        rows.append({
            "SubscriptionId": life.account,
            "Date": f"{each.start:%m/%d/%Y}",
            "ResourceId": "/subscriptions/0/resourceGroups/RG/providers/Microsoft.Compute/"
            f"virtualMachines/{life.resource.upper()}",
            "MeterCategory": "Virtual Machines",
            "MeterName": "D4s v5 Spot" if life.is_spot else "D4s v5",
            "Quantity": f"{each.hours:f}",
            "UnitOfMeasure": "1 Hour",
            "CostInBillingCurrency": f"{each.usd:f}",
            "BillingCurrency": "USD",
            "ChargeType": "Usage",
            "PricingModel": "Spot" if life.is_spot else "OnDemand",
            "PayGPrice": life.usd_per_hour,
            "ReservationId": "",
            "AdditionalInfo": json.dumps({"ServiceType": life.instance_type}),
        })  # fmt: skip
    return rows


def write_csv(file: Path, rows: Sequence[Mapping[str, Any]]) -> Path:
    """A CSV file, packed where its name says so."""
    opened: Callable[..., Any] = gzip.open if file.suffix == ".gz" else open
    with opened(file, "wt", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return file


def write_json(file: Path, rows: Sequence[Mapping[str, Any]]) -> Path:
    """JSON lines."""
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return file


def write_parquet(file: Path, rows: Sequence[Mapping[str, Any]]) -> Path:
    """Parquet with the types that a provider's has: doubles, and times with zone."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    typed = [{name: _typed(name, value) for name, value in row.items()} for row in rows]
    pq.write_table(pa.Table.from_pylist(typed), file)
    return file


def _typed(name: str, value: Any) -> Any:
    if not isinstance(value, str):
        return value
    if name.endswith(("_cost", "_amount", "Cost", "Quantity")):
        return float(value) if value else None
    if name.endswith(("_date", "_time", "PeriodStart", "PeriodEnd")):
        return datetime.fromisoformat(value.replace(" UTC", "Z")).astimezone(UTC)
    return value or None
