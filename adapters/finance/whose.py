"""For whom lines are: owners by time, labels of work, and who bears what is nobody's."""

from __future__ import annotations

import json
import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any

from costplan.adapters.finance.lines_sql import LABELS
from costplan.adapters.finance.share_sql import DAYS, WORKED
from costplan.adapters.store.entries import micros
from costplan.adapters.store.owners import read_owners
from costplan.planner.finance.dimensions import OWN_TAGS
from costplan.planner.finance.lines import Owner
from costplan.planner.finance.sharing import Method, Sharing
from costplan.planner.finance.terms import Terms

if TYPE_CHECKING:
    import duckdb

_ALWAYS = (-(2**62), 2**62)
_NAMES = tuple(each.name for each in fields(Owner))
_OF_WORKLOAD = ("team", "project", "cost_center", "environment")


@dataclass(frozen=True, slots=True)
class Label:
    """What work was told of: the owner fields that it says, and its other tags."""

    said: Mapping[str, str]
    tags: Mapping[str, str]


@dataclass(slots=True)
class People:
    """All owners and labels by their numbers; owners that are found later get the next."""

    owners: list[tuple[str, Owner, Mapping[str, str]]]
    labels: Mapping[int, Label]
    _payers: dict[Owner, int] = field(default_factory=dict)

    def of(self, who: int) -> tuple[str, Owner, Mapping[str, str]]:
        """Cluster, owner and tags of a line."""
        cluster, owner, tags = self.owners[who // LABELS - 1]
        label = self.labels.get(who % LABELS)
        if label is None:
            return cluster, owner, tags
        return cluster, replace(owner, **label.said), {**tags, **label.tags}

    def payer(self, owner: Owner, cluster: str) -> int:
        """The number of an owner who bears a part of what is shared."""
        if owner not in self._payers:
            self.owners.append((cluster, owner, {}))
            self._payers[owner] = len(self.owners)
        return self._payers[owner]


def read_people(duck: duckdb.DuckDBPyConnection, db: sqlite3.Connection, terms: Terms) -> People:
    """Makes `owners` (whose a workload is since when), and reads the labels of work.

    What was noted when it was spent counts; where nothing was, what the terms say now.
    """
    noted: dict[str, list[Any]] = defaultdict(list)
    for each in read_owners(db):
        noted[each.owner.workload].append(each)
    workloads = [w for (w,) in duck.execute("SELECT DISTINCT workload FROM items").fetchall()]
    owners: list[tuple[str, Owner, Mapping[str, str]]] = []
    rows = []
    for workload in sorted({*workloads, ""}):
        history = noted.get(workload, [])
        default = terms.owner if workload else Owner()
        if not history:
            owners.append((terms.cluster, replace(default, workload=workload), terms.tags))
            rows.append((len(owners), workload, *_ALWAYS))
        for place, each in enumerate(history):
            begin = _ALWAYS[0] if place == 0 else micros(each.since)
            is_last = place == len(history) - 1
            end = _ALWAYS[1] if is_last else micros(history[place + 1].since)
            said = {n: getattr(each.owner, n) or getattr(default, n) for n in _OF_WORKLOAD}
            owner = replace(each.owner, **said)
            owners.append((each.cluster, owner, json.loads(each.tags)))
            rows.append((len(owners), workload, begin, end))
    duck.execute(
        "CREATE TABLE owners (owner BIGINT, workload VARCHAR, since_us BIGINT, until_us BIGINT)"
    )
    duck.executemany("INSERT INTO owners VALUES (?, ?, ?, ?)", [list(row) for row in rows])
    return People(owners, _labels(db))


def _labels(db: sqlite3.Connection) -> Mapping[int, Label]:
    found = {}
    for number, prefix, span, tags_text in db.execute(
        "SELECT id, prefix, span, tags FROM work_labels"
    ):
        tags = {str(key): str(value) for key, value in json.loads(tags_text).items()}
        said = {name: tags.pop(name) for name in OWN_TAGS if tags.get(name)}
        found[number] = Label({**said, "prefix": prefix, "span": "/".join(json.loads(span))}, tags)
    return found


def make_payers(
    duck: duckdb.DuckDBPyConnection, people: People, sharing: Sharing, effective: str
) -> None:
    """Makes `payers`: by whom what is shared is borne, each day, and at which weight."""
    rows: list[tuple[int, int, int]] = []
    if sharing.method is Method.FIXED:
        rows = list(_fixed(duck, people, sharing))
    else:
        spent: dict[tuple[int, int], int] = defaultdict(int)
        for day, owner, label, pico in duck.execute(WORKED.format(effective=effective)).fetchall():
            cluster, who, _ = people.of(owner * LABELS + label)
            payer = people.payer(replace(who, user="", run="", span="", prefix=""), cluster)
            spent[day, payer] += pico
        is_even = sharing.method is Method.EVEN
        rows = [(day, payer, 1 if is_even else pico) for (day, payer), pico in spent.items()]
    duck.execute("CREATE TABLE payers (day BIGINT, payer BIGINT, weight BIGINT)")
    if rows:
        duck.executemany("INSERT INTO payers VALUES (?, ?, ?)", [list(row) for row in sorted(rows)])


def _fixed(
    duck: duckdb.DuckDBPyConnection, people: People, sharing: Sharing
) -> Iterable[tuple[int, int, int]]:
    """The agreed shares on every day; what they leave is payer 0's."""
    parts = [
        (people.payer(each.owner, people.owners[0][0]), int(each.share * 10**12))
        for each in sharing.shares
    ]
    rest = 10**12 - sum(weight for _, weight in parts)
    for (day,) in duck.execute(DAYS).fetchall():
        yield from ((day, payer, weight) for payer, weight in parts)
        if rest:
            yield day, 0, rest


def make_whose(duck: duckdb.DuckDBPyConnection, people: People) -> None:
    """Makes `whose`: the owner of every line, in words."""
    import pyarrow as pa

    numbers = [n for (n,) in duck.execute("SELECT DISTINCT who FROM facts ORDER BY 1").fetchall()]
    found = [people.of(number) for number in numbers]
    columns: dict[str, Any] = {
        "who": pa.array(numbers, pa.int64()),
        "cluster": pa.array([cluster for cluster, _, _ in found], pa.string()),
    }
    for name in _NAMES:
        columns[name] = pa.array([getattr(owner, name) for _, owner, _ in found], pa.string())
    texts = [json.dumps(dict(tags), sort_keys=True, ensure_ascii=False) for *_, tags in found]
    columns["tags"] = pa.array(texts, pa.string())
    duck.register("batch", pa.table(columns))
    duck.execute("CREATE TABLE whose AS SELECT * FROM batch")
    duck.unregister("batch")
