"""What goes over the wire of finished work and of rates, field by field, on both sides.

Windows are columns: `worker` and `work` are places in lists of names, so that each name is sent
once. Checked as strictly as `endpoint_wire.py` has it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Final, Literal

import orjson
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from costplan.adapters.dask.endpoint_wire import MAX_WORKERS
from costplan.adapters.dask.span_marks import MOST_DEPTH, MOST_TAGS, MOST_TEXT, Label
from costplan.adapters.dask.wire_types import (
    Count,
    InstantMs,
    Name,
    instant,
    printable,
)
from costplan.adapters.dask.work_book import Window
from costplan.planner.units import pico_from_usd
from costplan.planner.work import Reported, WorkBatch, WorkerWindow, WorkWindow

WORK_PATH = "/costplan/v1/work"
RATES_PATH = "/costplan/v1/rates"
WORK_VERSION: Final = 1
MAX_RATES_BYTES = 4 * 2**20
MAX_CELLS = 200_000
MOST_CELLS_AN_ANSWER = 100_000
MAX_WINDOWS = 300


def _amount(text: str) -> str:
    """Dollars as text: not below zero, and not more than any machine costs."""
    try:
        pico = pico_from_usd(text)
    except (ValueError, ArithmeticError):
        raise ValueError("is no amount of dollars") from None
    if not 0 <= pico <= 10**24:
        raise ValueError("is no amount that machines cost")
    return text


_Text = Annotated[str, Field(min_length=1, max_length=MOST_TEXT), AfterValidator(printable)]
_Path = Annotated[list[_Text], Field(max_length=MOST_DEPTH)]
_Tags = Annotated[dict[_Text, _Text], Field(max_length=MOST_TAGS)]
_Places = Annotated[list[Count], Field(max_length=MAX_CELLS)]
_Usd = Annotated[str, Field(max_length=40), AfterValidator(_amount)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class WireWindow(_Strict):
    """One window: a row for each worker, span and prefix, and rows reported by span."""

    number: Count
    start_ms: InstantMs
    end_ms: InstantMs
    worker: _Places
    label: _Places
    prefix: _Places
    busy_us: _Places
    tasks: _Places
    rows_label: _Places = []
    rows: _Places = []


class WorkAnswer(_Strict):
    """The body of an answer to `GET /costplan/v1/work`."""

    version: Literal[1]
    scheduler_id: Name
    is_more: bool
    missed: Count
    workers: Annotated[list[Name], Field(max_length=MAX_WORKERS)]
    prefixes: Annotated[list[Name], Field(max_length=MAX_CELLS)]
    spans: Annotated[list[_Path], Field(max_length=MAX_CELLS)]
    tags: Annotated[list[_Tags], Field(max_length=MAX_CELLS)]
    windows: Annotated[list[WireWindow], Field(max_length=MAX_WINDOWS)]

    @model_validator(mode="after")
    def _fits(self) -> WorkAnswer:
        if len(self.spans) != len(self.tags):
            raise ValueError("spans and tags differ in length")
        sizes = {
            "worker": len(self.workers), "label": len(self.spans), "prefix": len(self.prefixes),
            "rows_label": len(self.spans),
        }  # fmt: skip
        last = 0
        for window in self.windows:
            if window.number <= last or window.end_ms < window.start_ms:
                raise ValueError("windows are not one after the other")
            last = window.number
            for name, size in sizes.items():
                column = getattr(window, name)
                if column and max(column) >= size:
                    raise ValueError(f"{name} names a place that is none")
                own = window.rows if name == "rows_label" else window.tasks
                if len(column) != len(own):
                    raise ValueError(f"{name} differs in length from what it is of")
            if len(window.busy_us) != len(window.tasks):
                raise ValueError("busy_us and tasks differ in length")
        return self


class RatesBody(_Strict):
    """The body of a `POST /costplan/v1/rates`: dollars an hour by worker, in one order, and the
    ledger's sum."""

    version: Literal[1]
    worker: Annotated[list[Name], Field(max_length=MAX_WORKERS)]
    usd_per_hour: Annotated[list[_Usd], Field(max_length=MAX_WORKERS)]
    spent_usd: _Usd | None = None

    @model_validator(mode="after")
    def _fits(self) -> RatesBody:
        if len(self.worker) != len(self.usd_per_hour):
            raise ValueError("usd_per_hour and worker differ in length")
        return self


class RatesAnswer(_Strict):
    """That rates were taken."""

    version: Literal[1]


class _Names:
    """Things by the place in a list that each gets when it is first named."""

    def __init__(self) -> None:
        self.places: dict[Any, int] = {}

    def place(self, thing: Any) -> int:
        """Where it stands."""
        return self.places.setdefault(thing, len(self.places))

    def listed(self, shown: Callable[[Any], Any]) -> list[Any]:
        """All of them, in order."""
        return [shown(thing) for thing in self.places]


def encoded(windows: list[Window], scheduler_id: str, *, is_more: bool, missed: int) -> bytes:
    """An answer, as bytes."""
    workers, prefixes, labels = _Names(), _Names(), _Names()
    told = []
    for window in windows:
        told.append(
            {
                "number": window.number,
                "start_ms": int(window.start * 1000),
                "end_ms": int(window.end * 1000),
                "worker": [workers.place(cell[0]) for cell in window.cells],
                "prefix": [prefixes.place(cell[1]) for cell in window.cells],
                "label": [labels.place(cell[2]) for cell in window.cells],
                "busy_us": [cell[3] for cell in window.cells],
                "tasks": [cell[4] for cell in window.cells],
                "rows_label": [labels.place(label) for label in window.rows],
                "rows": list(window.rows.values()),
            }
        )

    def path(label: Label) -> list[str]:
        return list(label.path)

    return orjson.dumps(
        {
            "version": WORK_VERSION,
            "scheduler_id": scheduler_id,
            "is_more": is_more,
            "missed": missed,
            "workers": workers.listed(str),
            "prefixes": prefixes.listed(str),
            "spans": labels.listed(path),
            "tags": labels.listed(lambda label: dict(label.tags)),
            "windows": told,
        }
    )


def batch_of(answer: WorkAnswer) -> WorkBatch:
    """What an answer amounts to."""
    spans = [tuple(path) for path in answer.spans]
    return WorkBatch(
        scheduler_id=answer.scheduler_id,
        is_more=answer.is_more,
        missed=answer.missed,
        windows=tuple(
            WorkWindow(
                number=window.number,
                start=instant(window.start_ms),
                end=instant(window.end_ms),
                work=tuple(
                    WorkerWindow(
                        worker=answer.workers[worker],
                        prefix=answer.prefixes[prefix],
                        span=spans[label],
                        tags=answer.tags[label],
                        busy_seconds=busy_us / 1e6,
                        tasks=tasks,
                    )
                    for worker, prefix, label, busy_us, tasks in zip(
                        window.worker,
                        window.prefix,
                        window.label,
                        window.busy_us,
                        window.tasks,
                        strict=True,
                    )
                ),
                reported=tuple(
                    Reported(span=spans[label], tags=answer.tags[label], rows=rows)
                    for label, rows in zip(window.rows_label, window.rows, strict=True)
                ),
            )
            for window in answer.windows
        ),
    )
