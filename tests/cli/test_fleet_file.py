"""What runs now, read from files of all kinds."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from costplan.cli.fleet_file import fleet_from_json, read_fleet
from costplan.planner.errors import InputError
from costplan.planner.plan import Running
from costplan.planner.plan_document import document_text
from costplan.planner.types import Market
from tests.cli import samples

ROW = {
    "provider": "aws",
    "region": "us-east-1",
    "zone": "us-east-1a",
    "instance_type": "m5.large",
    "market": "spot",
    "nodes": 3,
}
RUNNING = (Running(key=samples.key("m5.large"), nodes=3),)


def without(name: str) -> dict[str, object]:
    return {key: value for key, value in ROW.items() if key != name}


@pytest.mark.parametrize("data", [[ROW], {"fleet": [ROW]}])
def test_a_list_and_a_fleet_are_the_same(data: object) -> None:
    assert fleet_from_json(json.dumps(data), "f.json") == RUNNING


@pytest.mark.parametrize("zone", [{}, {"zone": None}, {"zone": ""}])
def test_a_zone_may_be_missing(zone: dict[str, object]) -> None:
    row = {**without("zone"), **zone, "market": "on-demand"}
    (running,) = fleet_from_json(json.dumps([row]), "f.json")
    assert running.key == samples.key("m5.large", Market.ON_DEMAND, zone="")


def test_nothing_may_run() -> None:
    assert fleet_from_json("[]", "f.json") == ()


def test_a_plan_of_ours_is_a_fleet(tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    path.write_text(document_text(samples.plan()))
    expected = sorted((each.pool.key, each.pool.nodes) for each in samples.plan().pools)
    assert [(each.key, each.nodes) for each in read_fleet(path)] == expected


BROKEN = [
    ("", "f.json: line 1, column 1: is not JSON: Expecting value; write it like [{"),
    ('[{"provider" "aws"}]', "f.json: line 1, column 14: is not JSON"),
    ("[" * 100_000, "f.json: is not JSON that describes a fleet"),
    ("9" * 5_000, "f.json: is not JSON that describes a fleet"),
    ("3", "f.json: holds 3, not a fleet"),
    ("null", "f.json: holds no value, not a fleet"),
    ({}, "f.json: has no key 'fleet'; a fleet is a list of pools"),
    ({"fleet": [], "name": 1}, "f.json: 'name' is not a key"),
    ({"fleet": {}}, "f.json: fleet: a mapping is not a list"),
    ({"schema_version": 2, "fleet": []}, "f.json: is a plan of schema version 2; this costplan"),
    ({"schema_version": 1, "status": "infeasible"}, "status 'infeasible', so it has no fleet"),
    (["m5.large"], "f.json: fleet[0]: 'm5.large' is not a pool; write it like"),
    ([ROW, without("region")], "f.json: fleet[1]: has no region; write it like"),
    ([{**ROW, "instance": "x"}], "fleet[0]: 'instance' is not a key; did you mean 'instance_type'"),
    ([{**ROW, "provider": ""}], "f.json: fleet[0].provider: '' is not a name"),
    ([{**ROW, "zone": 3}], "f.json: fleet[0].zone: 3 is not a name"),
    ([{**ROW, "market": "spt"}], "fleet[0].market: 'spt' is not a market; did you mean 'spot'"),
    ([{**ROW, "market": None}], "f.json: fleet[0].market: no value is not a market"),
    ([{**ROW, "nodes": 0}], "f.json: fleet[0].nodes: 0 is not a number of nodes; use 1 to"),
    ([{**ROW, "nodes": 2.0}], "f.json: fleet[0].nodes: 2.0 is not a number of nodes"),
    ([{**ROW, "nodes": "3"}], "f.json: fleet[0].nodes: '3' is not a number of nodes"),
    ([{**ROW, "nodes": True}], "f.json: fleet[0].nodes: true is not a number of nodes"),
    ([{**ROW, "nodes": 10**9}], "f.json: fleet[0].nodes: 1000000000 is not a number of nodes"),
    (json.dumps([ROW])[:-2] + ', "nodes": 5}]', "f.json: the key 'nodes' is given twice"),
    ('{"fleet": [], "fleet": []}', "f.json: the key 'fleet' is given twice"),
    (
        [ROW, {**ROW, "nodes": 1}],
        "f.json: fleet[1]: aws/us-east-1a/m5.large/spot is also fleet[0]; put the nodes of both",
    ),
]


@pytest.mark.parametrize(("data", "message"), BROKEN, ids=range(len(BROKEN)))
def test_a_broken_fleet_is_refused_in_words(data: object, message: str) -> None:
    text = data if isinstance(data, str) else json.dumps(data)
    with pytest.raises(InputError) as caught:
        fleet_from_json(text, "f.json")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no such file"):
        read_fleet(tmp_path / "none.json")
    with pytest.raises(InputError, match="is a folder"):
        read_fleet(tmp_path)
    (tmp_path / "latin.json").write_bytes(b'["\xe9"]')
    with pytest.raises(InputError, match="is not text in UTF-8"):
        read_fleet(tmp_path / "latin.json")
