"""What a person may do to a ledger: close a month, and charge time anew at better prices."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path

from costplan.adapters.finance.stage import Told
from costplan.adapters.store.database import connect, told
from costplan.adapters.store.entries import Known, Recording, next_id, read_blocks, write_entries
from costplan.adapters.store.ledger import read_recorded
from costplan.adapters.store.months import MonthRow, charged_from, close_month, read_months
from costplan.adapters.store.ticks import read_state
from costplan.planner.commitments.metering import hour_start
from costplan.planner.errors import InputError
from costplan.planner.ledger_months import month_bounds
from costplan.planner.reprice import BetterPrice, Repriced, repriced
from costplan.planner.types import Phase

LATE_NEWS = timedelta(hours=1)
"""So long after a machine is gone its end may still be learnt anew."""
_MOST_TRIES = 5


def months_of(path: Path) -> tuple[MonthRow, ...]:
    """All months of a store's ledger; raises StoreError."""
    with closing(connect(path, read_only=True)) as db, told(path):
        return read_months(db)


def issued_from(path: Path, month: str) -> datetime | None:
    """From which whole hour on there is time that is issued in a month, None where nothing is;
    raises StoreError. Commitments are by the hour: what it has of one is judged by all of it."""
    with closing(connect(path, read_only=True)) as db, told(path):
        first = charged_from(db, month)
    return None if first is None else hour_start(first)


def close(path: Path, month: str, now: datetime) -> MonthRow:
    """Closes a month of the store at `path`, for good.

    Raises InputError where it has not been over for an hour, is closed, one before it is open, or
    machines of it are not accounted for; StoreError where the store cannot be written.
    """
    end = month_bounds(month)[1]
    if now < end + LATE_NEWS:
        problem = "has not ended" if now < end else "ended less than an hour ago"
        way_out = f"close it from {end + LATE_NEWS:%Y-%m-%d %H:%M} UTC on"
        raise InputError(f"month {month}", problem, way_out)
    with closing(connect(path, read_only=False)) as db, told(path):
        db.execute("BEGIN IMMEDIATE")
        try:
            state = read_state(db)
            late = [
                name
                for name, node in sorted(state.nodes.items())
                if node.launched_at is not None
                and node.launched_at < end
                and ((meter := state.meters.get(name)) is None
                     or (meter.ended_at is None and meter.until < end))
                and (node.phase is not Phase.GONE or meter is None)
            ]  # fmt: skip
            if late:
                names = ", ".join(late[:3]) + (" and more" if len(late) > 3 else "")
                problem = f"is not accounted for to its end: {names}"
                way_out = "let `costplan run` look once (and have a price), then close it"
                raise InputError(f"month {month}", problem, way_out)
            row = close_month(db, month, now)
            db.execute("COMMIT")
        except BaseException:
            db.execute("ROLLBACK")
            raise
        return row


def reprice(
    path: Path, prices: Sequence[BetterPrice], now: datetime, *, is_dry: bool,
    progress: Told = lambda _: None,
) -> Repriced:  # fmt: skip
    """Charges time anew at better prices, or says what that would change. Safe beside a daemon.

    Raises StoreError where the store cannot be read or written.
    """
    if not prices:
        return Repriced(entries=(), pieces=0, usd=Decimal(0))
    start, end = min(each.start for each in prices), max(each.end for each in prices)
    for _ in range(_MOST_TRIES):
        with closing(connect(path, read_only=True)) as db, told(path):
            db.execute("BEGIN")
            progress("reading the ledger")
            seen = next_id(db)
            made = repriced(read_recorded(db, path, start, end), prices)
        if is_dry or not made.entries or _added(path, made, (seen, start, end), now):
            return made
    raise InputError(str(path), "is written to all the time", "stop the daemon, and try again")


def _added(path: Path, made: Repriced, read: tuple[int, datetime, datetime], now: datetime) -> bool:
    """Adds the corrections, unless the ledger of that time has changed since it was read."""
    seen, start, end = read
    with closing(connect(path, read_only=False)) as db, told(path):
        db.execute("BEGIN IMMEDIATE")
        try:
            if any(block.first_id >= seen for block in read_blocks(db, start, end)):
                db.execute("ROLLBACK")
                return False
            said = Recording(at=now, reason="better prices")
            write_entries(db, made.entries, said, Known())
            db.execute("COMMIT")
        except BaseException:
            db.execute("ROLLBACK")
            raise
    return True
