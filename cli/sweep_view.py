"""What scenarios under several seeds came to, as a table for people and as JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal

from costplan.adapters.backtest.outcome import KINDS, PICO, PolicyOutcome
from costplan.cli.simulate_sweep import Swept
from costplan.cli.simulate_view import (
    VERSION,
    bound_of,
    document,
    money_grid,
    notes_of,
    regret_of,
    service_grid,
    undone_notes,
    wait_text,
)
from costplan.cli.view import Block, Column, Facts, Grid, Line, View
from costplan.planner.wording import counted, percent, plain

FIGURES = (
    "wait_p50_seconds",
    "wait_p95_seconds",
    "missed_deadlines",
    "interruptions",
    "scale_events",
    "unfinished_jobs",
    "restarted_tasks",
    "recomputed_tasks",
)


_LEAST = Column(head="least", is_number=True, optional=True)
_MOST = Column(head="most", is_number=True, optional=True)
"""What a narrow terminal does without, as names that are cut in two help nobody."""


@dataclass(frozen=True, slots=True)
class Span:
    """A figure over seeds."""

    mean: float
    least: float
    most: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """A policy over the seeds of a scenario: dollars (mean, least, most), mean dollars by kind,
    and its other figures by name. `regret` is None where a seed has none."""

    policy: str
    usd: tuple[Decimal, Decimal, Decimal]
    usd_by_kind: dict[str, Decimal]
    figures: dict[str, Span]
    regret: Span | None


def summaries(swept: Swept) -> tuple[Summary, ...]:
    """A line for each policy, in the order in which they ran."""
    bounds = [bound_of(ran.prepared, ran.found) for ran in swept.runs]
    by_policy = zip(*(ran.found for ran in swept.runs), strict=True)
    return tuple(_summary(each, bounds) for each in by_policy)


def _summary(each: Sequence[PolicyOutcome], bounds: Sequence[Decimal]) -> Summary:
    usd = [one.usd for one in each]
    regrets = [regret_of(one, bound) for one, bound in zip(each, bounds, strict=True)]
    known = [more for more in regrets if more is not None]
    return Summary(
        policy=each[0].policy,
        usd=(_mean_usd(usd), min(usd), max(usd)),
        usd_by_kind={kind: _mean_usd([one.usd_by_kind[kind] for one in each]) for kind in KINDS},
        figures={name: _span([float(getattr(one, name)) for one in each]) for name in FIGURES},
        regret=_span(known) if len(known) == len(regrets) else None,
    )


def _mean_usd(usd: Sequence[Decimal]) -> Decimal:
    return (sum(usd, Decimal(0)) / len(usd)).quantize(PICO)


def _span(values: Sequence[float]) -> Span:
    return Span(sum(values) / len(values), min(values), max(values))


def sweep_view(swept: Sequence[Swept]) -> View:
    """Each scenario by policy: over its seeds in the mean, at least and at most; and what all of
    that rests on."""
    runs = sum(len(one.runs) for one in swept)
    blocks: list[Block] = []
    rests: list[tuple[str, tuple[str, ...]]] = []
    for one in swept:
        first = one.runs[0]
        jobs = counted(first.found[0].jobs if first.found else 0, "job")
        seeds = ", ".join(str(ran.seed) for ran in one.runs)
        word = "seed" if len(one.runs) == 1 else "seeds"
        blocks.append(Line(f"{plain(one.name)}: {jobs}, {word} {seeds}", "strong"))
        if len(one.runs) == 1:
            bound = bound_of(first.prepared, first.found)
            blocks += [money_grid(first.found, bound), service_grid(first.found)]
        else:
            found = summaries(one)
            blocks += [_money(found), _service(found)]
        rests.append((plain(one.name), tuple(map(plain, notes_of_all(one)))))
    blocks.append(Facts(tuple(rests)))
    return View(
        title=f"{counted(len(swept), 'scenario')}, {counted(runs, 'run')}, simulated",
        blocks=tuple(blocks),
    )


def notes_of_all(swept: Swept) -> tuple[str, ...]:
    """What a scenario rests on, which is the same under every seed, and what one seed has."""
    if len(swept.runs) == 1:
        return notes_of(swept.runs[0].prepared, swept.runs[0].found)
    undone = [f"seed {ran.seed}: {note}" for ran in swept.runs for note in undone_notes(ran.found)]
    return (*swept.runs[0].prepared.notes, *undone)


def _money(found: Sequence[Summary]) -> Grid:
    heads = ("$, mean", "least", "most", "over foresight, mean", _LEAST, _MOST)
    rows = tuple(
        (one.policy, *(f"{usd:,.2f}" for usd in one.usd), *regret_cells(one)) for one in found
    )
    return _grid(heads, rows)


def regret_cells(one: Summary) -> tuple[str, str, str]:
    """How much dearer than the bound: in the mean, at least and at most."""
    if one.policy == "foresight":
        return ("the bound", "", "")
    if one.regret is None:
        return ("undone" if one.figures["unfinished_jobs"].most else "–", "", "")
    span = one.regret
    return (regret_share(span.mean), regret_share(span.least), regret_share(span.most))


def regret_share(more: float) -> str:
    """'+12 %', '-3 %'."""
    return f"+{percent(more)}" if more >= 0 else f"-{percent(-more)}"


def _service(found: Sequence[Summary]) -> Grid:
    heads = ("wait p50, mean", "p95, mean", _LEAST, _MOST, "late, mean", _LEAST, _MOST,
             "interrupted, mean")  # fmt: skip
    rows = tuple(
        (
            one.policy,
            wait_text(one.figures["wait_p50_seconds"].mean),
            *_cells(one.figures["wait_p95_seconds"], wait_text),
            *_cells(one.figures["missed_deadlines"], count_text),
            count_text(one.figures["interruptions"].mean),
        )
        for one in found
    )
    return _grid(heads, rows)


def _cells(span: Span, text: Callable[[float], str]) -> tuple[str, str, str]:
    return text(span.mean), text(span.least), text(span.most)


def count_text(number: float) -> str:
    """'1,234', '0.4': whole where it is."""
    return f"{number:,.0f}" if number == int(number) else f"{number:,.1f}"


def _grid(heads: Sequence[str | Column], rows: tuple[tuple[str, ...], ...]) -> Grid:
    columns = (
        Column(head="policy"),
        *(h if isinstance(h, Column) else Column(head=h, is_number=True) for h in heads),
    )
    return Grid(columns=columns, rows=rows, styles=tuple("plain" for _ in rows))


def sweep_text(swept: Sequence[Swept]) -> str:
    """The sweep as JSON: each run as it is by itself, and each policy over the seeds."""
    found = {"version": VERSION, "sweep": [_scenario(one) for one in swept]}
    return json.dumps(found, indent=2, ensure_ascii=False) + "\n"


def _scenario(one: Swept) -> dict[str, object]:
    return {
        "simulate": one.name,
        "seeds": [ran.seed for ran in one.runs],
        "summary": [_summed(each) for each in summaries(one)],
        "runs": [document(ran.name, ran.prepared, ran.found) for ran in one.runs],
    }


def _summed(one: Summary) -> dict[str, object]:
    mean, least, most = (f"{usd:f}" for usd in one.usd)
    return {
        "policy": one.policy,
        "usd": {"mean": mean, "least": least, "most": most},
        "usd_by_kind": {kind: f"{one.usd_by_kind[kind]:f}" for kind in KINDS},
        **{name: _rounded(span, 3) for name, span in one.figures.items()},
        "regret": None if one.regret is None else _rounded(one.regret, 6),
    }


def _rounded(span: Span, digits: int) -> dict[str, float]:
    return {
        "mean": round(span.mean, digits),
        "least": round(span.least, digits),
        "most": round(span.most, digits),
    }
