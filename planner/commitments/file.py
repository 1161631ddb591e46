"""Files of usage and commitments as values, or every problem of a file in one error."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from fractions import Fraction
from itertools import chain
from typing import Any, TypeVar

from pydantic import ValidationError

from costplan.planner.commitments.file_models import (
    BillSection,
    CommitmentSection,
    CommitmentsSection,
)
from costplan.planner.commitments.file_values import (
    commitment_of,
    hour_of,
    price_of,
    rules_of,
    run_of,
    start_of,
)
from costplan.planner.commitments.metering import hours_of
from costplan.planner.commitments.values import Commitment, Hour, Kind, Rules
from costplan.planner.config_fields import shown
from costplan.planner.config_models import keys_of, sections
from costplan.planner.config_problems import Grammar, problem, raise_all
from costplan.planner.config_section import Section
from costplan.planner.config_yaml import mapping_from_yaml
from costplan.planner.errors import InputError

GUIDE = "docs/commitments.md"
MOST_HOURS = 3 * 366 * 24
"""Hours that machines by the second may reach over: three years."""

_MOST_USD = 10**9
_EXAMPLES = {
    "id": "id: fleet",
    "provider": "provider: aws",
    "quantity": "quantity: 4",
    "start": "start: 2026-05-04T12:00:00Z",
    "end": "end: 2026-05-04T12:45:30Z",
    "kind": "kind: compute_sp",
    "usd_per_hour": "usd_per_hour: 2.00",
    "family": "family: m5",
    "region": "region: us-east-1",
    "zone": "zone: us-east-1a",
    "instance_type": "instance_type: m5.large",
    "count": "count: 2",
    "amount": "amount: 8",
    "machine_series": "machine_series: n2",
    "resource": "resource: vcpu",
    "on_demand_usd": "on_demand_usd: 0.096",
    "commitments": "commitments: [{id: sp, kind: compute_sp, usd_per_hour: 2.00}]",
    "rates": "{compute_sp: 0.70}",
    "usage": "usage: [{id: web, provider: aws, instance_type: m5.large, hours: [3, 4]}]",
    "hours": "hours: [3, 3.5, 4]",
    "term": "term: 1y",
}
"""An example of each key, which means the same in every section."""

_S = TypeVar("_S", bound=Section)


@dataclass(frozen=True, slots=True, kw_only=True)
class BillFile:
    """What is to be billed, and by which rules."""

    hours: tuple[Hour, ...]
    rules: Rules


def parse_bill(text: str, name: str) -> BillFile:
    """The hours that YAML or JSON text describes; `name` is the file's name for messages.

    Raises InputError that lists every problem found.
    """
    file = section_of(BillSection, mapping_of(text, name), name)
    found = (_twice_in_bill(file), _too_long(file), _in_other_hours(file), _too_dear(file))
    refuse(name, chain.from_iterable(found))
    held = tuple(map(commitment_of, file.commitments))
    rules = rules_of(file.rules)
    if file.machines:
        hours = hours_of(tuple(map(run_of, file.machines)), held, rules, file.start, file.end)
    else:
        hours = tuple(hour_of(hour, held, rules) for hour in file.hours)
    return BillFile(hours=hours, rules=rules)


def parse_commitments(text: str, name: str) -> tuple[Commitment, ...]:
    """The commitments that YAML or JSON text lists; raises InputError as `parse_bill` does."""
    file = section_of(CommitmentsSection, mapping_of(text, name), name)
    refuse(name, twice("commitments", [each.id for each in file.commitments]))
    return tuple(map(commitment_of, file.commitments))


def mapping_of(text: str, name: str) -> dict[str, Any]:
    """What the text holds: JSON is read as such, for YAML takes long over many hours."""
    if text.lstrip().startswith("{"):
        try:
            return dict(json.loads(text, object_pairs_hook=_no_key_twice))
        except (json.JSONDecodeError, RecursionError):
            pass  # Braces are YAML's as well; it says what is wrong with them.
    return mapping_from_yaml(text, name, GUIDE, "so much is read as JSON only")


def _no_key_twice(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    """The pairs; what YAML refuses is refused here, with its line, by reading it as YAML."""
    if len({key for key, _ in pairs}) < len(pairs):
        raise json.JSONDecodeError("a key is given twice", "", 0)
    return dict(pairs)


def section_of(form: type[_S], data: Mapping[str, Any], name: str) -> _S:
    """The section that a file holds; raises InputError that lists every problem found."""
    try:
        return form.model_validate(dict(data))
    except ValidationError as error:
        grammar = _grammar(form)
        raise_all(
            name, [problem(grammar, name, details) for details in error.errors(include_url=False)]
        )


def _grammar(form: type[Section]) -> Grammar:
    return Grammar(
        sections=sections(form),
        examples=commitment_examples(form),
        by_kind=dict.fromkeys(_lists(form), "a kind of commitment"),
    )


def commitment_examples(form: type[Section]) -> dict[str, str]:
    """An example of each key of a file; it is the same wherever the key stands."""
    examples = {}
    for path, section in sections(form).items():
        for key in keys_of(section):
            if key in _EXAMPLES:
                examples[f"{path}.{key}".lstrip(".")] = _EXAMPLES[key]
    for path in _lists(form):
        examples |= {path: _EXAMPLES["commitments"], f"{path}.kind": _EXAMPLES["kind"]}
    return examples


def _lists(form: type[Section]) -> set[str]:
    """Where the file has lists of commitments."""
    return {
        path.rpartition(".")[0] for path in sections(form) if path.rpartition(".")[2] in set(Kind)
    }


def refuse(name: str, problems: Iterable[tuple[str, str, str]]) -> None:
    found = [InputError(f"{name}: {path}", *said) for path, *said in problems]
    if found:
        raise_all(name, found)


def twice(path: str, names: Sequence[str]) -> Iterator[tuple[str, str, str]]:
    for name, count in Counter(names).items():
        if count > 1:
            places = [f"[{place}]" for place, each in enumerate(names) if each == name]
            said = f"{shown(name)} is also {path}{places[0]}"
            yield f"{path}{places[1]}.id", said, "give each its own id"


def _twice_in_bill(file: BillSection) -> Iterator[tuple[str, str, str]]:
    held = [each.id for each in file.commitments]
    yield from twice("commitments", held)
    yield from twice("machines", [each.id for each in file.machines])
    for place, hour in enumerate(file.hours):
        yield from twice(f"hours[{place}].usage", [each.id for each in hour.usage])
        own = [each.id for each in hour.commitments]
        yield from twice(f"hours[{place}].commitments", own)
        for number, name in enumerate(own):
            if name in held:
                path = f"hours[{place}].commitments[{number}].id"
                yield path, f"{shown(name)} is also in commitments", "give each its own id"


def _too_long(file: BillSection) -> Iterator[tuple[str, str, str]]:
    if file.machines:
        starts = [each.start for each in file.machines] + [file.start or file.machines[0].start]
        ends = [each.end for each in file.machines] + [file.end or file.machines[0].end]
        hours = (max(ends) - min(starts)).total_seconds() / 3600
        if hours > MOST_HOURS:
            yield "machines", f"reach over {hours:,.0f} hours", f"at most {MOST_HOURS:,} at a time"


def _in_other_hours(file: BillSection) -> Iterator[tuple[str, str, str]]:
    for place, hour in enumerate(file.hours):
        begin = start_of(hour)
        for number, usage in enumerate(hour.usage):
            if begin is None or usage.start is None or usage.end is None:
                continue
            if usage.start < begin or usage.end > begin + timedelta(hours=1):
                path = f"hours[{place}].usage[{number}]"
                said = f"is not within the hour of {begin:%Y-%m-%dT%H:%M:%SZ}"
                yield path, said, "write it under machines, which are cut into hours"


def _too_dear(file: BillSection) -> Iterator[tuple[str, str, str]]:
    """Amounts of which twelve decimal places cannot be written are a slip of the pen."""
    yield from _dear_commitments("commitments", file.commitments)
    for place, hour in enumerate(file.hours):
        yield from _dear_commitments(f"hours[{place}].commitments", hour.commitments)
        for number, usage in enumerate(hour.usage):
            quantity = usage.count if usage.quantity is None else usage.quantity
            yield from _dear(
                f"hours[{place}].usage[{number}]", Fraction(quantity) * price_of(usage)
            )
    for place, machine in enumerate(file.machines):
        yield from _dear(f"machines[{place}]", Fraction(machine.count) * price_of(machine))


def _dear_commitments(
    path: str, held: Sequence[CommitmentSection]
) -> Iterator[tuple[str, str, str]]:
    for place, section in enumerate(held):
        bought = commitment_of(section)
        idle = bought.capacity * (bought.usd_per_hour or 0)
        yield from _dear(f"{path}[{place}]", max(bought.hourly_usd, Fraction(idle)))


def _dear(path: str, usd: Fraction) -> Iterator[tuple[str, str, str]]:
    if usd > _MOST_USD:
        yield path, f"costs ${float(usd):,.0f} an hour", "correct the quantity or the price of each"
