"""What `costplan reconcile` shows in a terminal."""

from __future__ import annotations

from decimal import Decimal

from costplan.adapters.finance.issuing import SinceIssued
from costplan.cli.view import Block, Column, Facts, Grid, Line, Style, View
from costplan.planner.finance.actuals import (
    ActualKind,
    Causes,
    MatchState,
    Pair,
    Reconciliation,
    StateSum,
)
from costplan.planner.finance.restate import Restated
from costplan.planner.wording import counted

_NOT_METERED = (ActualKind.TRAFFIC, ActualKind.OTHER)
_STYLES: dict[MatchState, Style] = {
    MatchState.MATCHED: "plain",
    MatchState.FOREIGN: "quiet",
    MatchState.NOT_BILLED: "change",
}


def reconcile_view(made: Reconciliation) -> View:
    """All of a reconciliation but single hours, of which the largest differences are shown."""
    source = made.source
    title = f"{made.month} against {source.format}, by machine and {source.grain}"
    blocks: list[Block] = [Line(verdict(made), "strong"), _states(made)]
    if made.causes.total_usd or made.differs:
        blocks.append(Facts(pairs=cause_pairs(made.causes)))
    if made.kinds or source.other_months_rows:
        blocks += [_kinds(made)]
    if made.foreign:
        blocks += [Line("machines that are not the cluster's, not judged"), _foreign(made)]
    if made.worst:
        blocks += [Line("the largest differences"), _worst(made)]
    blocks.append(Facts(pairs=tie_pairs(made)))
    return View(title=title, blocks=tuple(blocks))


def verdict(made: Reconciliation) -> str:
    """How it came out, in a sentence."""
    known = [each for each in made.states if each.state is not MatchState.FOREIGN]
    if not known:
        return "neither the ledger nor the actuals have a machine of ours"
    count = sum(each.count for each in known)
    alike = made.state(MatchState.MATCHED)
    same = 0 if alike is None else alike.count
    unit = f"machine-{made.source.grain}s"
    if same == count:
        return f"all {count:,} {unit} of ours agree"
    usd = sum((each.theirs_effective_usd - each.ours_effective_usd for each in known), Decimal(0))
    more = "more" if usd >= 0 else "less"
    return (
        f"{same:,} of {count:,} {unit} of ours agree; "
        f"the bill is ${money(abs(usd))} {more} than the ledger"
    )


def state_row(each: StateSum) -> tuple[str, ...]:
    """A state with its figures, as text."""
    return (
        each.state.value,
        f"{each.count:,}",
        f"{each.ours_hours:,.2f}",
        f"{each.theirs_hours:,.2f}",
        money(each.ours_usd),
        money(each.theirs_usd),
        money(each.theirs_usd - each.ours_usd),
    )


def state_heads(grain: str) -> tuple[str, ...]:
    """What the figures of a state are."""
    return ("state", f"machine-{grain}s", "hours: ledger", "bill", "$: ledger", "bill", "apart")


def cause_pairs(causes: Causes) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """The difference after commitments by its causes, in parts that add up."""
    named = (
        ("price", causes.price_usd),
        ("quantity", causes.quantity_usd),
        ("mix", causes.mix_usd),
        ("commitment", causes.commitment_usd),
        ("interruption", causes.interruption_usd),
        ("in all", causes.total_usd),
    )
    return tuple((name, (signed(usd) if usd else "$0.00",)) for name, usd in named)


def kind_rows(made: Reconciliation) -> tuple[tuple[str, ...], ...]:
    """What the bill has beside machines, and what the ledger has of it."""
    rows = []
    for each in made.kinds:
        said = "not metered" if each.kind in _NOT_METERED else ""
        ours = said if each.ours_usd is None else money(each.ours_usd)
        rows.append((each.kind.value, f"{each.rows:,}", money(each.filed_usd), ours))
    source = made.source
    if source.other_months_rows:
        rows.append(
            ("of other months", f"{source.other_months_rows:,}", money(source.other_months_usd), "")
        )
    return tuple(rows)


def tie_pairs(made: Reconciliation) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Where the file's total is: parts that add up to it."""
    source = made.source
    ours = sum(
        (each.filed_usd for each in made.states if each.state is not MatchState.FOREIGN),
        Decimal(0),
    )
    foreign = made.state(MatchState.FOREIGN)
    rest = sum((each.filed_usd for each in made.kinds), Decimal(0)) + source.other_months_usd
    return (
        ("total", (f"{exact(source.filed_usd)} in {counted(source.rows, 'row')}",)),
        ("ours", (f"{exact(ours)}",)),
        ("foreign", (f"{exact(foreign.filed_usd if foreign else Decimal(0))}",)),
        ("the rest", (f"{exact(rest)}",)),
        ("rounding", (f"{exact(source.rounding_usd)}",)),
        ("untied", (f"{exact(made.untied_usd)}",)),
        ("files", (", ".join(source.files[:3]) + (" ..." if len(source.files) > 3 else ""),)),
        ("sha256", (source.sha256,)),
    )


def worst_row(pair: Pair) -> tuple[str, ...]:
    """A machine's hour, as text."""
    apart = (pair.theirs_usd or Decimal(0)) - (pair.ours_usd or Decimal(0))
    return (
        f"{pair.start:%Y-%m-%d %H:%M}",
        pair.node_id or pair.key,
        pair.state.value,
        "-" if pair.ours_usd is None else money(pair.ours_usd),
        "-" if pair.theirs_usd is None else money(pair.theirs_usd),
        money(apart),
    )


WORST_HEADS = ("from (UTC)", "machine", "state", "$: ledger", "bill", "apart")
KIND_HEADS = ("beside machines", "rows", "$: bill", "ledger")
FOREIGN_HEADS = ("account", "type", "machines", "hours", "$")


def foreign_rows(made: Reconciliation) -> tuple[tuple[str, ...], ...]:
    """Machines of others, by account and type."""
    return tuple(
        (
            each.account,
            each.instance_type or "-",
            f"{each.machines:,}",
            f"{each.hours:,.2f}",
            money(each.filed_usd),
        )
        for each in made.foreign
    )


def _states(made: Reconciliation) -> Grid:
    heads = state_heads(made.source.grain)
    return Grid(
        columns=tuple(Column(head=head, is_number=place > 0) for place, head in enumerate(heads)),
        rows=tuple(state_row(each) for each in made.states),
        styles=tuple(_STYLES.get(each.state, "change") for each in made.states),
    )


def _kinds(made: Reconciliation) -> Grid:
    return _grid(KIND_HEADS, kind_rows(made), words=1)


def _foreign(made: Reconciliation) -> Grid:
    return _grid(FOREIGN_HEADS, foreign_rows(made), words=2)


def _worst(made: Reconciliation) -> Grid:
    return _grid(WORST_HEADS, tuple(worst_row(pair) for pair in made.worst), words=3)


def _grid(heads: tuple[str, ...], rows: tuple[tuple[str, ...], ...], *, words: int) -> Grid:
    styles: tuple[Style, ...] = tuple("plain" for _ in rows)
    columns = tuple(Column(head=head, is_number=place >= words) for place, head in enumerate(heads))
    return Grid(columns=columns, rows=rows, styles=styles)


def restated_text(found: Restated) -> str:
    """What a restatement adds."""
    left = f"; {counted(found.left, 'time')} cannot be restated" if found.left else ""
    if not found.entries:
        return f"the ledger agrees: nothing to restate{left}"
    more = "more" if found.usd >= 0 else "less"
    return (
        f"{counted(found.changed, 'time')} of machines, in all ${money(abs(found.usd))} {more}: "
        f"{counted(len(found.entries), 'correction')}{left}"
    )


def since_lines(since: SinceIssued) -> list[str]:
    """What a month's charges changed by since its report went out."""
    issued = since.issued
    head = f"since the report issued {issued.at:%Y-%m-%d %H:%M} UTC"
    if not since.billed_usd and not since.effective_usd and not since.by_team:
        return [f"{head}: nothing changed"]
    lines = [
        f"{head}: billed {signed(since.billed_usd)}, amortised {signed(since.effective_usd)}, "
        f"on ${issued.billed_usd} billed"
    ]
    lines += [f"  {team or 'unattributed'}: {signed(usd)}" for team, usd in since.by_team[:10]]
    return lines


def money(usd: Decimal) -> str:
    """Dollars to the cent, or finer where a cent would show nothing."""
    if usd and abs(usd) < Decimal("0.01"):
        return f"{usd:.6f}"
    return f"{usd:,.2f}"


def exact(usd: Decimal) -> str:
    """Dollars to the last place: twelve, or as many more as say something."""
    whole, _, places = f"{usd:f}".partition(".")
    return f"${whole}.{places.rstrip('0'):0<12}"


def signed(usd: Decimal) -> str:
    """A change in dollars."""
    return f"{'+' if usd >= 0 else '-'}${money(abs(usd))}"
