"""What FOCUS files of a million lines take, and who catches which defect.

    python -m tests.bench.focus                     a million lines, all formats
    python -m tests.bench.focus --lines 10000000
    python -m tests.bench.focus --referees          also each defect before the other programs;
                                                    ten minutes, less with --every 3

Seconds are of the clock and of CPU of a process of its own for each file, memory is the most that
it had; the lines come from a Parquet file. The defects are those of the tests, each in a file by
itself: the official validator judges those of 1.2 as Parquet, the linter those of 1.4 as CSV.
"""

from __future__ import annotations

import argparse
import hashlib
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from costplan.adapters.finance.book import Book
from costplan.adapters.finance.focus import Wanted, write_focus
from costplan.adapters.finance.focus_check import check_focus
from costplan.adapters.finance.focus_files import arrow_schema
from costplan.planner.finance.focus_columns import X_COLUMNS, Version, columns_of
from tests.finance.books import month_lines
from tests.finance.focus_defects import DEFECTS, ONLY_1_4, Defect, Rows, read, save, written
from tests.finance.referees import judge, official, toolkit

GOAL_SECONDS = 10.0
"""Of CPU time, to write a million lines as Parquet."""
_MB = 1e6


def main() -> int:
    """Prints the figures; 1 where one is above its goal."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--lines", type=int, default=1_000_000)
    asked.add_argument("--referees", action="store_true")
    asked.add_argument("--every", type=int, default=1, help="the official one has each so-manyth")
    asked.add_argument("--case", nargs=3, help=argparse.SUPPRESS)
    words = asked.parse_args()
    if words.case:
        _case(*words.case)
        return 0
    with tempfile.TemporaryDirectory(prefix="costplan-bench-") as folder:
        is_slow = _speed(Path(folder), words.lines)
        if words.referees:
            _defects(Path(folder), words.every)
    return int(is_slow)


def _speed(folder: Path, lines: int) -> bool:
    source = folder / "lines.parquet"
    made = _make(source, lines)
    print(f"{made:,} lines")
    print("| | seconds | CPU seconds | most MB | file MB |")
    print("|---|---|---|---|---|")
    worst = 0.0
    for version in Version:
        for kind in ("parquet", "csv"):
            out = folder / f"{version}.{kind}"
            for what in ("write", "check"):
                done = subprocess.run(
                    [sys.executable, "-m", "tests.bench.focus", "--case", what, str(source),
                     str(out)],
                    capture_output=True, text=True, check=True,
                )  # fmt: skip
                seconds, cpu, most = done.stdout.split()
                size = out.stat().st_size / _MB
                print(f"| {what} {version} {kind} | {seconds} | {cpu} | {most} | {size:,.0f} |")
                if (what, kind) == ("write", "parquet"):
                    worst = max(worst, float(cpu) / made * 1e6)
            out.unlink()
    print(f"a million lines as Parquet: {worst:.1f} s of CPU; the goal is {GOAL_SECONDS:.0f} s")
    return worst > GOAL_SECONDS


def _make(path: Path, lines: int) -> int:
    """A month of two clouds, many times over, as a Parquet file."""
    with Book() as book:
        book.add(month_lines(nodes=20, hours=200))
        [(count, last)] = book.rows("SELECT count(*), max(line_id) FROM lines")
        times = -(-lines // count)
        book.db.execute(
            f"COPY (SELECT lines.* REPLACE (line_id + {last + 1} * time AS line_id)"  # noqa: S608
            f" FROM range({times}) every (time), lines) TO '{path}' (FORMAT parquet)"
        )
        return int(count) * times


def _case(what: str, source: str, out: str) -> None:
    """One file, in this process alone."""
    path = Path(out)
    began, busy = time.perf_counter(), time.process_time()
    if what == "check":
        checked = check_focus(path)
        assert not checked.findings, checked.findings
    else:
        with Book() as book:
            book.open_parquet(Path(source))
            kind = path.suffix.removeprefix(".")
            version = Version(path.name.removesuffix(path.suffix))
            write_focus(book, Wanted(version=version, kind=kind), path)
    [peak] = re.findall(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    most = int(peak) * 1024 / _MB
    seconds, cpu = time.perf_counter() - began, time.process_time() - busy
    print(f"{seconds:.1f} {cpu:.1f} {most:.0f}")


def _defects(folder: Path, every: int) -> None:
    """Who catches which one-defect file; the official validator is asked of each `every`-th."""
    right = {version: read(written(folder / f"right-{version}", version)) for version in Version}
    defects = (*DEFECTS, *ONLY_1_4)
    with ThreadPoolExecutor(2) as pool:
        ours, linter = zip(*pool.map(lambda d: _judged(folder, right, d), defects), strict=True)
    print("\n| one defect each | caught by costplan focus check | by the linter of 1.4 |")
    print("|---|---|---|")
    print(f"| {len(defects)} files of 1.4 | {sum(ours)} | {sum(linter)} |")
    clean = _official(folder, "right", right[Version.V1_2])
    chosen = DEFECTS[::every]
    with ThreadPoolExecutor(2) as pool:
        official_says = list(
            pool.map(lambda d: bool(_official_of(folder, right, d) - clean), chosen)
        )
    either = [
        said or linter[defects.index(d)] for d, said in zip(chosen, official_says, strict=True)
    ]
    print("\n| one defect each | by the official validator, as 1.2 | by it or the linter |")
    print("|---|---|---|")
    print(f"| {len(chosen)} of the {len(DEFECTS)} that 1.2 knows | {sum(official_says)}"
          f" | {sum(either)} |")  # fmt: skip
    missed = [d.name for d, said in zip(chosen, either, strict=True) if not said]
    print("\nneither of the two catches: " + "; ".join(missed))


def _judged(folder: Path, right: Mapping[Version, Rows], defect: Defect) -> tuple[bool, bool]:
    """Whether our check and the linter catch it in a file of 1.4."""
    path = folder / f"{_digest(defect)}.csv"
    save(path, defect.make([dict(row) for row in right[Version.V1_4]]))
    words = ("--supports", "SupportsUnitPricing", "--supports",
             "SupportsMultiplePricingCategories")  # fmt: skip
    said = toolkit("validate", "--dataset", "cost-and-usage", *words, str(path))
    return bool(check_focus(path, Version.V1_4).findings), said.returncode != 0


def _official_of(folder: Path, right: Mapping[Version, Rows], defect: Defect) -> frozenset[str]:
    rows = defect.make([dict(row) for row in right[Version.V1_2]])
    return _official(folder, _digest(defect), rows)


def _digest(defect: Defect) -> str:
    return hashlib.sha256(defect.name.encode()).hexdigest()[:16]


def _official(folder: Path, name: str, rows: Rows) -> frozenset[str]:
    """The rules that a file breaks, as Parquet: columns that can be of their type are."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    fields = {field.name: field for field in arrow_schema((*columns_of(Version.V1_2), *X_COLUMNS))}
    arrays = {}
    for column in rows[0]:
        text = pa.array([None if not row[column] else row[column].strip("\0") for row in rows])
        text = text.cast(pa.string())
        try:
            wanted = fields[column].type if pa.types.is_decimal(fields[column].type) else None
            arrays[column] = text if wanted is None else text.cast(wanted)
        except (pa.ArrowInvalid, KeyError):
            arrays[column] = text
    path = folder / f"official-{name}.parquet"
    pq.write_table(pa.table(arrays), path)
    return judge(official(), path).failed


if __name__ == "__main__":
    sys.exit(main())
