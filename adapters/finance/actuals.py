"""Takes a provider's export in as one table, `actuals`, and refuses what cannot be trusted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from costplan.adapters.finance.actuals_checks import check_rows, check_texts, check_values
from costplan.adapters.finance.actuals_files import Opened, found_files, open_raw
from costplan.adapters.finance.actuals_sql import TYPED, staged
from costplan.adapters.finance.stage import Told
from costplan.planner.ledger_months import month_bounds

if TYPE_CHECKING:
    import duckdb


def import_actuals(
    duck: duckdb.DuckDBPyConnection,
    patterns: Sequence[str],
    month: str,
    *,
    form: str = "auto",
    progress: Told = lambda _: None,
) -> Opened:
    """Makes `actuals` of a connection: all rows of the files, with whether they are of the month.

    Raises InputError, and leaves no table, where a file is not what it must be.
    """
    start, end = (each.replace(tzinfo=None) for each in month_bounds(month))
    files = found_files(patterns)
    progress("looking at the actuals")
    opened = open_raw(duck, files, form)
    progress("reading the actuals")
    try:
        duck.execute(staged(opened.format))
        subject = str(files[0]) if len(files) == 1 else f"{len(files)} files of actuals"
        check_texts(duck, opened.format, subject)
        duck.execute(TYPED, [start, end])
        check_values(duck, opened.format, subject)
        progress("checking the actuals")
        check_rows(duck, opened.format, subject, month)
    except BaseException:
        duck.execute("DROP TABLE IF EXISTS actuals")
        raise
    finally:
        duck.execute("DROP TABLE IF EXISTS texts")
        duck.execute("DROP VIEW IF EXISTS raw")
    return opened
