"""YAML as people mean it: no key twice, and numbers as YAML 1.2 reads them.

YAML 1.1 reads 6:00 as 360, 010 as 8 and 1e-2 as text; the last two change what a plan costs
without a word, so numbers follow the core schema of YAML 1.2 (section 10.3.2).
"""

from __future__ import annotations

import re
from typing import Any

import yaml

from costplan.planner.config_fields import shown
from costplan.planner.errors import InputError

_MAX_CHARACTERS = 2_000_000
_MAX_DIGITS = 30
_NUMBER_TAGS = ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float")
_STRING_TAG = "tag:yaml.org,2002:str"
_MERGE_TAG = "tag:yaml.org,2002:merge"


class _Loader(yaml.SafeLoader):
    """The safe loader, with the numbers of YAML 1.2 and without repeated keys."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        """The mapping of a node; raises where a key stands twice or is not text."""
        seen: set[str] = set()
        for key, _ in node.value:
            if key.tag == _MERGE_TAG:
                continue
            if key.tag != _STRING_TAG:
                text = shown(getattr(key, "value", None))
                raise _mistake(f"the key {text} is not text", "put it in quotes", key.start_mark)
            if key.value in seen:
                raise _mistake(f"{key.value!r} is given twice", "keep one", key.start_mark)
            seen.add(key.value)
        return super().construct_mapping(node, deep)


def _mistake(problem: str, remedy: str, mark: Any) -> yaml.MarkedYAMLError:
    return yaml.MarkedYAMLError(problem=problem, problem_mark=mark, note=remedy)


def _float(loader: _Loader, node: Any) -> float:
    return float(
        loader.construct_scalar(node).lower().replace(".inf", "inf").replace(".nan", "nan")
    )


def _int(loader: _Loader, node: Any) -> int | str:
    """The whole number of a node; text where it is too long to be one that anybody means."""
    text: str = loader.construct_scalar(node)
    return int(text) if len(text) <= _MAX_DIGITS else text


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag not in _NUMBER_TAGS]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:int", re.compile(r"[-+]?[0-9]+$"), list("-+0123456789")
)
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(
        r"(?:[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?"
        r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$"
    ),
    list("-+.0123456789"),
)
_Loader.add_constructor("tag:yaml.org,2002:int", _int)
_Loader.add_constructor("tag:yaml.org,2002:float", _float)


def mapping_from_yaml(
    text: str,
    name: str,
    guide: str = "docs/workload.md",
    too_long: str = "a workload file is short",
) -> dict[str, Any]:
    """The mapping that YAML text holds; raises InputError with line and column otherwise.

    `guide` is the document that shows how such a file looks, `too_long` what is said to a text of
    millions of characters.
    """
    example = f"see {guide} for an example"
    if len(text) > _MAX_CHARACTERS:
        raise InputError(name, f"the file has {len(text)} characters", too_long)
    try:
        data = yaml.load(text, Loader=_Loader)  # noqa: S506 - a subclass of the safe loader
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f"{name}: line {mark.line + 1}, column {mark.column + 1}" if mark else name
        raise InputError(
            place, error.problem or error.context or "not YAML", error.note or "correct the YAML"
        ) from None
    except yaml.YAMLError as error:
        raise InputError(name, f"not YAML: {str(error).splitlines()[0]}", example) from None
    except (ValueError, RecursionError) as error:
        raise InputError(name, f"not readable as YAML: {error}", example) from None
    if data is None:
        raise InputError(name, "the file is empty", example)
    if not isinstance(data, dict):
        raise InputError(name, f"the file holds {shown(data)}, not keys and values", example)
    return data
