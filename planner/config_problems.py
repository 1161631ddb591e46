"""What pydantic finds wrong with a file, in the words of the file."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NoReturn

from pydantic_core import ErrorDetails

from costplan.planner.config_fields import shown, suggestion
from costplan.planner.config_models import keys_of
from costplan.planner.config_section import Section
from costplan.planner.errors import InputError

_WORD = re.compile(r"[A-Za-z0-9_-]{1,60}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Grammar:
    """The kinds of section of a file by their path, and an example of each key that is needed.

    `by_kind` is what stands where a section may be one of several kinds, by the place's path.
    """

    sections: Mapping[str, type[Section]]
    examples: Mapping[str, str]
    by_kind: Mapping[str, str] = field(default_factory=dict)


def raise_all(subject: str, problems: Sequence[InputError]) -> NoReturn:
    """Never returns: one problem is raised as it is, several as one error with a line each."""
    if len(problems) == 1:
        raise problems[0]
    lines = "".join(f"\n  {str(problem).removeprefix(f'{subject}: ')}" for problem in problems)
    raise InputError(subject, f"{len(problems)} problems{lines}")


def problem(grammar: Grammar, name: str, details: ErrorDetails, within: str = "") -> InputError:
    """The problem that pydantic found, in the words of the file."""
    places, kind = details["loc"], details["type"]
    if kind == "invalid_key" or (kind == "refused" and places[-1:] == ("[key]",)):
        places = places[:-1]
    words = [place for place in places if isinstance(place, str)]
    outer = ".".join([within, *words[:-1]] if within else words[:-1])
    generic = f"{outer}.{words[-1]}".lstrip(".") if words else within
    path = "".join(_step(place) for place in _written(grammar, places)).lstrip(".")
    subject = f"{name}: {path}" if path else name
    value, context = details["input"], details.get("ctx", {})
    if value is None and kind not in ("extra_forbidden", "invalid_key"):
        return InputError(subject, "has no value", "write one, or remove the key")
    match kind:
        case "refused":
            said = context["problem"], context["remedy"]
        case "extra_forbidden":
            said = unknown_key(words[-1], keys_of(grammar.sections[outer]))
        case "invalid_key":
            said = f"the key {shown(value)} is not text", "put it in quotes"
        case "missing":
            said = "is missing", f"add {grammar.examples[generic]}"
        case "tuple_type":
            said = f"{shown(value)} is not a list", "write it in [ ]"
        case "dict_type":
            example = grammar.examples.get(generic, "{aws: [us-east-1]}")
            said = f"{shown(value)} is not a mapping", f"write it like {example}"
        case "union_tag_invalid" | "union_tag_not_found" | "model_attributes_type":
            return _without_kind(grammar, subject, generic, details)
        case "model_type":
            keys = keys_of(grammar.sections[generic])
            said = f"{shown(value)} is not a mapping", f"its keys are {', '.join(keys)}"
        case _:
            said = f"{shown(value)} is not valid", details["msg"]
    return InputError(subject, *said)


def _without_kind(
    grammar: Grammar, subject: str, generic: str, details: ErrorDetails
) -> InputError:
    """The problem of a section that may be one of several and does not say which."""
    match details["type"]:
        case "union_tag_invalid":
            context = details["ctx"]
            said = f"{shown(context['tag'])} is not {grammar.by_kind[generic]}"
            known = context["expected_tags"].replace("'", "")
            return InputError(f"{subject}.kind", said, f"known are {known}")
        case "union_tag_not_found":
            example = grammar.examples[f"{generic}.kind"]
            return InputError(f"{subject}.kind", "is missing", f"add {example}")
        case _:
            said = f"{shown(details['input'])} is not a mapping"
            return InputError(subject, said, f"write {grammar.examples[generic]}")


def _written(grammar: Grammar, places: Sequence[str | int]) -> list[str | int]:
    """A path as the file has it: without the kind by which one of several sections was chosen,
    which pydantic puts into it."""
    return [
        place
        for number, place in enumerate(places)
        if isinstance(place, int)
        or _words(places[:number]) not in grammar.by_kind
        or _words(places[: number + 1]) not in grammar.sections
    ]


def _words(places: Sequence[str | int]) -> str:
    """A path without its numbers."""
    return ".".join(place for place in places if isinstance(place, str))


def _step(place: str | int) -> str:
    """One step of a path; a key that is no plain word is shown in quotes and in short."""
    if isinstance(place, int):
        return f"[{place}]"
    return f".{place}" if _WORD.fullmatch(place) else f".{shown(place)}"


def unknown_key(key: str, valid: Iterable[str]) -> tuple[str, str]:
    """The problem and the way out of a key that is none of the valid ones."""
    listed = list(valid)
    way_out = f"{suggestion(key, listed)} valid keys are {', '.join(listed)}".strip()
    return f"{shown(key)} is not a key", way_out
