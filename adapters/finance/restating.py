"""Writes what makes the ledger agree with a bill: all of it or nothing, and nothing twice."""

from __future__ import annotations

import json
from contextlib import closing
from datetime import datetime
from pathlib import Path

from costplan.adapters.faults import reach
from costplan.adapters.finance.stage import Told
from costplan.adapters.store.database import connect, told
from costplan.adapters.store.entries import Known, Recording, next_id, read_blocks, write_entries
from costplan.adapters.store.ledger import read_recorded
from costplan.adapters.store.reconciled import ReconciledRow, read_reconciled, write_reconciled
from costplan.planner.errors import InputError
from costplan.planner.finance.actuals import Reconciliation, WantedByKey
from costplan.planner.finance.restate import Restated, restated
from costplan.planner.ledger_months import month_bounds

REASON = "actuals"
"""Why such entries were written; see the audit, which lets them stand where a machine was not
known to run."""
_MOST_TRIES = 5


def restate(
    path: Path,
    made: Reconciliation,
    wanted: WantedByKey,
    now: datetime,
    *,
    is_dry: bool,
    progress: Told = lambda _: None,
) -> Restated:
    """Corrections of the month that `made` is of, and notes which bill they are by. Safe beside a
    daemon: entries of that month that came since are told by their numbers.

    Raises StoreError where the store cannot be read or written.
    """
    start, end = month_bounds(made.month)
    source = f"bill: {made.source.format}"
    for _ in range(_MOST_TRIES):
        with closing(connect(path, read_only=True)) as db, told(path):
            db.execute("BEGIN")
            progress("reading the ledger")
            seen = next_id(db)
            found = restated(read_recorded(db, path, start, end), wanted, source)
            noted = read_reconciled(db, made.month)
        last = noted[-1] if noted else None
        is_noted = last is not None and (last.sha256, last.billed_usd) == (
            made.source.sha256,
            made.billed_usd,
        )
        if is_dry or (not found.entries and is_noted):
            return found
        progress("adding corrections")
        if _added(path, made, found, (seen, start, end), now):
            return found
    raise InputError(str(path), "is written to all the time", "stop the daemon, and try again")


def _added(
    path: Path,
    made: Reconciliation,
    found: Restated,
    read: tuple[int, datetime, datetime],
    now: datetime,
) -> bool:
    seen, start, end = read
    source = made.source
    with closing(connect(path, read_only=False)) as db, told(path):
        db.execute("BEGIN IMMEDIATE")
        try:
            if any(block.first_id >= seen for block in read_blocks(db, start, end)):
                db.execute("ROLLBACK")
                return False
            first = next_id(db) if found.entries else 0
            write_entries(db, found.entries, Recording(at=now, reason=REASON), Known())
            reach("ledger.restate.written")
            row = ReconciledRow(
                month=made.month,
                at=now,
                format=source.format,
                sha256=source.sha256,
                files=json.dumps(source.files),
                filed_usd=source.filed_usd,
                first_id=first,
                entries=len(found.entries),
                usd=found.usd,
                billed_usd=made.billed_usd,
            )
            write_reconciled(db, row)
            reach("ledger.restate.noted")
            db.execute("COMMIT")
        except BaseException:
            db.execute("ROLLBACK")
            raise
    return True
