"""`costplan commitments list --store`: what a cluster's machines use of what is held."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from costplan.adapters.store.store import Store
from costplan.cli.commitments import app
from costplan.cli.commitments_use import Used
from costplan.cli.commitments_view import held_view
from costplan.cli.render import plain_text
from costplan.planner.commitments.file import parse_commitments
from costplan.planner.commitments.in_use import in_use
from costplan.planner.types import Market, OfferKey, Phase
from tests.cli import fleet_samples, store_samples

ROOT = Path(__file__).parents[2]
HELD = """
commitments:
  - {id: ri, kind: regional_ri, region: us-east-1, instance_type: m5.large, count: 1,
     usd_per_hour: 0.06}
  - {id: sp, kind: compute_sp, usd_per_hour: 2, term: 1y}
  - {id: over, kind: compute_sp, usd_per_hour: 9, end: 2026-01-01T00:00:00Z}
"""
AWS = OfferKey(
    provider="aws", region="us-east-1", zone="us-east-1a", instance_type="m5.large",
    market=Market.ON_DEMAND,
)  # fmt: skip


def run(*words: str) -> Result:
    return CliRunner().invoke(app, [*words], env={"COLUMNS": "110"})


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with commitments, and a store in which three machines have run for hours."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COSTPLAN_PRICES", "bundled")
    (tmp_path / "commitments.yaml").write_text(HELD)
    now = datetime.now(UTC)
    nodes = {}
    for number, (key, hours) in enumerate(
        ((AWS, 3), (AWS, 5), (replace(AWS, market=Market.SPOT), 4)), start=2
    ):
        made = fleet_samples.node(number, Phase.READY)
        launched = now - timedelta(hours=hours)
        nodes[made.node_id] = replace(made, key=key, launched_at=launched)
    state = replace(fleet_samples.state(), nodes=MappingProxyType(nodes), meters={})
    with Store.open(tmp_path / "costplan.db", clock=lambda: now) as store:
        store.acquire_lease("costplan", now - timedelta(minutes=1), 120)
        store_samples.commit(store, state, now, replan=False)
    return tmp_path


def listed(*words: str) -> dict[str, Any]:
    done = run("list", "--format", "json", *words)
    assert done.exit_code == 0, done.output
    return dict(json.loads(done.stdout))


def test_the_machines_of_a_store_use_what_is_held(folder: Path) -> None:
    found = listed("--store", "costplan.db")
    by_id = {one["id"]: one for one in found["commitments"]}
    assert by_id["ri"]["this_hour"] == {
        "used_quantity": "1", "unused_quantity": "0", "used_usd": "0.06", "unused_usd": "0.00",
        "used_share": "1",
    }  # fmt: skip
    assert by_id["ri"]["month"]["used_quantity"] != "0"
    assert (by_id["over"]["this_hour"], by_id["over"]["in_force"]) == (None, False)
    # The plan would cover the other machine on demand, but nobody knows at which rate.
    assert by_id["sp"]["use_unknown"] == "no rate of m5.large under compute_sp is known"
    assert by_id["sp"]["this_hour"] is None
    use = found["use"]
    assert (use["machines"], use["unpriced"]) == (3, [])
    assert 0 < float(use["month_coverage"]) < 1
    table = run("list", "--store", "costplan.db").stdout
    assert "2 commitments in force: $2.06 an hour" in table
    assert "3 machines running; as it goes, $0.00 of commitments stay idle" in table
    assert "The use of sp is not known: no rate of m5.large" in table


def test_a_plan_that_nothing_is_left_for_is_idle(folder: Path) -> None:
    file = folder / "commitments.yaml"
    file.write_text(file.read_text().replace("count: 1", "count: 4"))
    found = listed("--store", "costplan.db")
    by_id = {one["id"]: one for one in found["commitments"]}
    assert by_id["ri"]["this_hour"]["used_share"] == "0.5"
    assert by_id["sp"]["this_hour"]["unused_usd"] == "2.00"
    assert found["use"]["month_coverage"] == "1"
    table = run("list", "--store", "costplan.db").stdout
    assert "50 %" in table
    assert "3 machines running; as it goes, $2.12 of commitments stay idle" in table


def test_what_the_autoscalers_file_holds_is_listed_with_its_rates_and_owner(folder: Path) -> None:
    """One machine is reserved for account 1, which the file says is ours; the other is the plan's,
    at the rate that the file gives."""
    text = (ROOT / "docs/autoscaler-config.md").read_text().split("```yaml\n")[1].split("```")[0]
    held = (folder / "commitments.yaml").read_text()
    own = held.replace("id: ri,", "id: ri, account: '1', scope: account,")
    rates = (
        "commitment_rates:\n"
        "  - {provider: aws, instance_type: m5.large, rates: {compute_sp: 0.09}}\n"
        "  - {provider: aws, instance_type: m5.large, region: us-east-1,\n"
        "     rates: {compute_sp: 0.07}}\n"
    )
    config = folder / "costplan.yaml"
    config.write_text(f"{text}\n{own}{rates}commitments_owner: {{account: '1'}}\n")
    (folder / "commitments.yaml").unlink()
    words = ("--config", "costplan.yaml", "--store", "costplan.db")
    by_id = {one["id"]: one for one in listed(*words)["commitments"]}
    assert by_id["ri"]["this_hour"]["used_quantity"] == "1"
    assert by_id["sp"]["this_hour"]["used_usd"] == "0.07"
    config.write_text(config.read_text().replace("{account: '1'}", "{account: '2'}"))
    by_id = {one["id"]: one for one in listed(*words)["commitments"]}
    assert by_id["ri"]["this_hour"]["used_quantity"] == "0"
    assert by_id["sp"]["this_hour"]["used_usd"] == "0.14"
    config.write_text(text)
    bare = run("list", *words)
    assert bare.exit_code == 1
    assert "commitments.yaml: there is no such file" in bare.stderr


def test_without_a_store_the_use_is_not_known(folder: Path) -> None:
    found = listed()
    assert "use" not in found
    assert "this_hour" not in found["commitments"][0]
    assert "What of it is used is not known: name a store" in run("list").stdout
    stray = run("list", "--prices", "bundled")
    assert stray.exit_code == 1
    assert "--prices: is for what is used; add --store or --config" in stray.stderr
    absent = run("list", "--store", "nowhere.db")
    assert absent.exit_code == 1
    assert "nowhere.db: there is no store" in absent.stderr


def test_the_document_shows_the_use() -> None:
    """Eight machines on 29 November 2026: six m5.large for 24 days and two m6i.xlarge for ten."""
    now = datetime(2026, 11, 29, 14, 20, tzinfo=UTC)
    held = parse_commitments((ROOT / "examples/commitments/commitments.yaml").read_text(), "f")
    nodes = [
        replace(
            fleet_samples.node(number, Phase.READY),
            key=replace(AWS, instance_type=instance_type),
            launched_at=now - timedelta(days=days),
        )
        for number, (instance_type, days) in enumerate(
            [("m5.large", 24)] * 6 + [("m6i.xlarge", 10)] * 2, start=2
        )
    ]
    prices = {
        ("m5.large", Market.ON_DEMAND): "0.096", ("m6i.xlarge", Market.ON_DEMAND): "0.252",
        ("m5.large", Market.COMMITMENT_3Y): "0.05", ("m6i.xlarge", Market.COMMITMENT_3Y): "0.13",
    }  # fmt: skip

    def price_of(key: OfferKey) -> Fraction | None:
        usd = prices.get((key.instance_type, key.market))
        return None if usd is None else Fraction(usd)

    use = in_use(nodes, held, price_of, now)
    used = Used(use=use, source="costplan.db", unpriced=())
    text = plain_text(held_view(held, now, used), 100)
    assert (
        f"```text\n$ costplan commitments list --store costplan.db\n{text}```"
        in (ROOT / "docs/commitments.md").read_text()
    ), text
