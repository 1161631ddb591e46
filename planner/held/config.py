"""The keys of a file about commitments as values; files that they name are read by others."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from types import MappingProxyType

from costplan.planner.commitments.file import (
    commitment_examples,
    mapping_of,
    refuse,
    section_of,
    twice,
)
from costplan.planner.commitments.file_models import (
    CommitmentsSection,
    HeldSection,
    MachineRateSection,
)
from costplan.planner.commitments.file_values import commitment_of
from costplan.planner.commitments.values import Commitment, Owner
from costplan.planner.config_fields import shown, suggestion
from costplan.planner.errors import InputError
from costplan.planner.held.values import Held, MachineRate

EXAMPLES: Mapping[str, str] = MappingProxyType(
    commitment_examples(HeldSection)
    | {
        "commitment_rates.provider": "provider: aws",
        "commitment_rates.instance_type": "instance_type: m5.large",
        "commitment_rates.rates": "{compute_sp: 0.07}",
        "commitments_used": "{ri-1: 3}",
        "commitments_owner.account": 'account: "123456789012"',
    }
)
BY_KIND: Mapping[str, str] = MappingProxyType({"commitments": "a kind of commitment"})


def held_of(file: HeldSection) -> Held:
    """What a file holds itself, and where the rest of it is."""
    owner = file.commitments_owner
    return Held(
        commitments=tuple(map(commitment_of, file.commitments)),
        rates=_rates(file.commitment_rates),
        owner=Owner()
        if owner is None
        else Owner(account=owner.account, resource_group=owner.resource_group or ""),
        used=MappingProxyType({k: Fraction(v) for k, v in file.commitments_used.items()}),
        file=file.commitments_file or "",
        ledger=file.commitments_ledger or "",
    )


def held_contradictions(file: HeldSection) -> Iterator[tuple[str, str, str]]:
    """Path, problem and way out of what each key allows and all keys together do not."""
    yield from twice("commitments", [each.id for each in file.commitments])
    if file.commitments_file is None:
        yield from _unknown_used(file.commitments_used, [each.id for each in file.commitments])
    if not file.commitments and file.commitments_file is None and file.commitments_ledger:
        problem = "is given, but there are no commitments to share"
        yield "commitments_ledger", problem, "add commitments or commitments_file, or drop it"


def _unknown_used(used: Iterable[str], known: Sequence[str]) -> Iterator[tuple[str, str, str]]:
    for name in used:
        if name not in known:
            way_out = (
                suggestion(name, known) or f"known are {', '.join(dict.fromkeys(known)) or 'none'}"
            )
            yield f"commitments_used.{name}", f"{shown(name)} is no commitment here", way_out


def parse_held(text: str, name: str) -> Held:
    """What a file of commitments holds; raises InputError that lists every problem found."""
    file = section_of(CommitmentsSection, mapping_of(text, name), name)
    refuse(name, twice("commitments", [each.id for each in file.commitments]))
    held = tuple(map(commitment_of, file.commitments))
    return Held(commitments=held, rates=_rates(file.commitment_rates))


def joined(own: Held, more: Held, name: str) -> Held:
    """What both hold; `name` is the file's of the second. Raises InputError where one id is in
    both, or others are said to use what is in neither."""
    known = {each.commitment_id for each in own.commitments}
    for each in more.commitments:
        if each.commitment_id in known:
            problem = f"{shown(each.commitment_id)} is held already"
            raise InputError(f"{name}: commitments", problem, "give each its own id, or drop one")
    commitments = (*own.commitments, *more.commitments)
    names = [each.commitment_id for each in commitments]
    refuse(name, _unknown_used(own.used, names))
    return replace(own, commitments=commitments, rates=(*own.rates, *more.rates), file="")


def _rates(sections: Sequence[MachineRateSection]) -> tuple[MachineRate, ...]:
    return tuple(
        MachineRate(
            provider=each.provider,
            instance_type=each.instance_type,
            region=each.region or "",
            rates=MappingProxyType({name: Fraction(usd) for name, usd in each.rates.items()}),
        )
        for each in sections
    )


def ids(commitments: Iterable[Commitment]) -> tuple[str, ...]:
    """Their names, in order."""
    return tuple(sorted(each.commitment_id for each in commitments))
