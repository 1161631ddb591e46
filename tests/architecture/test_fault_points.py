"""Every place where the code can be made to die is one that the campaign knows."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from fnmatch import fnmatchcase

from tests.architecture.sources import PACKAGES, files, tree
from tests.crash_points import (
    OF_A_MACHINE,
    OF_A_RESTATEMENT,
    OF_DELIVERIES,
    OF_THE_LEDGER,
    ONLY_SIMULATED,
    PLACES,
    campaign,
    representative,
)


def in_the_code() -> list[str]:
    """The first argument of every call of `reach`; '*' stands for what is filled in."""
    return [_pattern(call) for path in files(*PACKAGES) for call in _reached(tree(path))]


def _reached(module: ast.AST) -> Iterator[ast.expr]:
    for node in ast.walk(module):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "reach":
            yield node.args[0]


def _pattern(name: ast.expr) -> str:
    parts = name.values if isinstance(name, ast.JoinedStr) else [name]
    return "".join(str(part.value) if isinstance(part, ast.Constant) else "*" for part in parts)


def test_the_list_has_every_place_of_the_code_and_no_other() -> None:
    patterns = in_the_code()
    assert len(patterns) == len(set(patterns)), "a place has one line of the code"
    unlisted = [p for p in patterns if not any(fnmatchcase(place, p) for place in PLACES)]
    gone = [place for place in PLACES if not any(fnmatchcase(place, p) for p in patterns)]
    assert (unlisted, gone) == ([], [])


def test_the_campaign_kills_at_every_place_of_the_daemon() -> None:
    faults = [fault for deaths in campaign() for fault in deaths.faults]
    tried = {fault.partition(":")[0].partition("@")[0] for fault in faults}
    assert tried == set(PLACES) - {
        *OF_A_MACHINE,
        *OF_A_RESTATEMENT,
        *OF_THE_LEDGER,
        *OF_DELIVERIES,
        *ONLY_SIMULATED,
    }
    assert len(set(faults)) >= 50


def test_the_short_campaign_has_a_dozen_of_them() -> None:
    assert len({fault for deaths in representative() for fault in deaths.faults}) >= 12
