"""The examples as programs and as notebooks, and what has to stand in what they print."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from itertools import pairwise
from pathlib import Path

from tests.printed_costs import amount, spans, table

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
SECONDS = 300.0
"""For one of them, on a busy computer."""


def boosted(said: str) -> None:
    """XGBoost: the model has learnt what there is, and each stage has its dollars."""
    assert right(said) > 0.75  # a tenth of the answers is turned, half are right by chance
    found = spans(said)
    assert set(found) == {"features", "train", "judge", "idle"}
    assert found["train"] > 0
    assert "210,000 rows, $" in said


def searched(said: str) -> None:
    """dask-ml: the search found something, and shared what candidates have in common."""
    assert right(said) > 0.8
    found = spans(said)
    assert set(found) == {"search", "judge", "idle"}
    assert found["search"] > 0
    assert "Nystroem was fitted 12 times for 16 x 3 folds" in said
    steps = table(said, "by step")
    assert len(steps) == 4
    assert sum(steps.values()) <= found["search"] + found["judge"]


def transformed(said: str) -> None:
    """The ETL: no order is lost between its steps, and dollars are for a million rows."""
    (rows,) = re.findall(r"written +96 rows of revenue from ([\d,]+) orders", said)
    found = spans(said)
    assert set(found) == {"join", "sum up", "idle"}
    assert "800,000 rows, $" in said
    assert f"{rows} rows, $" in said


def checkpointed(said: str) -> None:
    """All rounds are there; with notice none is done twice, without it those since the last
    checkpoint are, and the ledger is the machines' own record."""
    assert len(re.findall(r"all 2 spot machines are taken", said)) == 2
    assert len(re.findall(r"^taken .* without notice; noticed after", said, re.MULTILINE)) == 2
    assert len(re.findall(r"^taken .* with 5 s of notice; ", said, re.MULTILINE)) == 2
    members = re.findall(r"from round (\d+) of 60 on with 2 members", said)
    assert len(members) >= 3
    marks = re.findall(r"round (\d+) was reached, and (\d+) rounds are saved", said)
    # A gang that did not come together, on a busy computer, has done nothing and cost nothing.
    done_by = [mark for before, mark in pairwise([("0", "0"), *marks]) if mark != before]
    (warned, kept), (killed, saved), (last, done) = [(int(a), int(b)) for a, b in done_by]
    assert warned == kept >= 6
    assert killed >= 43
    assert saved % 10 == 0
    assert killed - saved < 10
    assert last == done == 60
    (twice,) = re.findall(r"^rounds +60, and (\d+) of them done twice", said, re.MULTILINE)
    assert int(twice) == killed - saved
    assert right(said) > 0.75
    total = amount(said, r"(?m)^cost +")
    assert total == amount(said, "by the ledger, ")
    purposes = table(said, "cost")
    assert sum(purposes.values()) == total
    assert purposes["recompute"] > 0
    assert total < amount(said, r"(?m)^on demand +")
    assert 0 < amount(said, r"(?m)^given back +") < total


def right(said: str) -> float:
    """The share of unseen rows that the model gets right."""
    (share,) = re.findall(r"^model +([\d.]+)% of [\d,]+ rows right", said, re.MULTILINE)
    return float(share) / 100


CHECKS: Mapping[str, Callable[[str], None]] = {
    "checkpointed_training": checkpointed,
    "dataframe_etl": transformed,
    "hyperparameter_search": searched,
    "xgboost_training": boosted,
}
