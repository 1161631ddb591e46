"""`costplan report --format focus-1.2|focus-1.4`: a book as FOCUS files, and its sums."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from costplan.cli.errors import note

if TYPE_CHECKING:
    from costplan.adapters.finance.book import Book
    from costplan.planner.commitments.values import Commitment

FORMATS = ("focus-1.2", "focus-1.4")
_FILES = (".parquet", ".csv")


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """What is written: `month` of the book, or all of it; `places` are 12, or 9 for tools that
    have no more; `closed` months, and the commitments that are held."""

    output: str
    month: str | None
    places: int = 12
    closed: frozenset[str] = frozenset()
    commitments: tuple[Commitment, ...] = ()


def check_out(output: str, out: Path | None) -> None:
    """Raises InputError where FOCUS files cannot go: to a file of Parquet or CSV, or to a folder,
    which is made where its parent is."""
    from costplan.cli import out_file
    from costplan.planner.errors import InputError

    if out is None:
        way_out = f"name a folder or a file: --out {output}, or --out charges.parquet"
        raise InputError(f"--format {output}", "is written to files", way_out)
    if out.suffix.lower() in _FILES:
        out_file.check_out(out)
    elif out.is_file():
        raise InputError(f"--out {out}", "is a file", "name a folder, or a .parquet or .csv file")
    elif not out.resolve().parent.is_dir():
        problem = f"there is no folder {out.resolve().parent}"
        raise InputError(f"--out {out}", problem, "make it first")


def write_report(book: Book, asked: Exported, out: Path) -> None:
    """Writes the files and says on standard error where they are and what they add up to."""
    from costplan.adapters.finance.focus import Wanted, write_focus
    from costplan.planner.finance.focus_columns import Version
    from costplan.planner.wording import counted

    wanted = Wanted(
        version=Version(asked.output.removeprefix("focus-")),
        month=asked.month,
        kind="csv" if out.suffix.lower() == ".csv" else "parquet",
        places=asked.places,
        closed=asked.closed,
        commitments=asked.commitments,
    )
    written = write_focus(book, wanted, out)
    totals = written.totals
    note(f"written to {written.files[0]}, and what belongs to it beside")
    note(
        f"{counted(totals.row_count, 'row')}; billed {_usd(totals.of('BilledCost'))},"
        f" effective {_usd(totals.of('EffectiveCost'))}; never add the two"
    )
    if written.lines_without_account:
        note(
            f"note: the account of {counted(written.lines_without_account, 'row')} is not known;"
            " FOCUS wants one, so it is written as 'unknown'"
        )


def _usd(amount: object) -> str:
    return f"${amount:f}"
