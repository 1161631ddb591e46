"""How long an hour of machines that all differ takes to bill.

    python -m tests.bench.bill [N ...]

N machines, no two of which start and end together, under two commitments which they share: of
resources on Google Cloud, of reserved capacity on AWS. Seconds of one processor.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from fractions import Fraction

from costplan.planner.commitments.bill import bill
from costplan.planner.commitments.metering import Run, hours_of
from costplan.planner.commitments.values import Commitment, Kind, Product, Rules

START = datetime(2026, 5, 4, 12, tzinfo=UTC)
RULES = Rules(sustained_use=False)
CASES = {
    "resource commitments on Google Cloud": (
        Kind.RESOURCE_CUD,
        Product(provider="gcp", region="r", machine_series="n2", resource="vcpu"),
        Fraction(1),
    ),
    "capacity reservations on AWS": (
        Kind.CAPACITY_RESERVATION,
        Product(provider="aws", service="ec2", region="r", zone="ra", instance_type="m5.large"),
        Fraction(1, 3),
    ),
}


def seconds(kind: Kind, product: Product, share: Fraction, count: int) -> float:
    """Seconds of a processor for the bill of an hour of so many machines."""
    runs = [
        Run(
            run_id=f"m{number}",
            product=product,
            start=START + timedelta(seconds=number % 3000, milliseconds=number),
            end=START + timedelta(seconds=3005 + number % 590),
            usd_per_hour=Fraction(number % 50 + 1, 1000),
        )
        for number in range(count)
    ]
    held = [
        Commitment(
            commitment_id=name, kind=kind, product=product, count=share * count / 2,
            usd_per_hour=Fraction(1, 100),
        )
        for name in ("one", "two")
    ]  # fmt: skip
    hours = hours_of(runs, held, RULES)
    began = time.process_time()
    bill(hours, RULES)
    return time.process_time() - began


def main(counts: Sequence[int]) -> None:
    """Prints a row for each kind and number of machines."""
    print("| bill of an hour | machines | s |\n|---|---:|---:|")
    for name, (kind, product, share) in CASES.items():
        for count in counts:
            print(f"| {name} | {count:,} | {seconds(kind, product, share, count):.2f} |")


if __name__ == "__main__":
    main([int(word) for word in sys.argv[1:]] or [300, 1000, 3000])
