"""`costplan commitments advise` and `renewals` as a person types them."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from costplan.adapters.clock import utc_now
from costplan.cli.commitments import app
from tests.cli.forecast_samples import parts, write_store

EXAMPLES = Path(__file__).parents[2] / "examples/commitments"
DEMAND = str(EXAMPLES / "demand.yaml")
FEW = ("--scenarios", "8")


def run(*words: str) -> Result:
    return CliRunner().invoke(app, [*words], env={"COLUMNS": "100"})


def test_the_advice_says_what_to_buy_within_the_budget(tmp_path: Path) -> None:
    page = tmp_path / "advice.html"
    words = ("advise", "--demand", DEMAND, "--budget-upfront", "2000", *FEW)
    result = run(*words, "--format", "json", "--html", str(page))
    assert result.exit_code == 0, result.stderr
    made = json.loads(result.stdout)
    upfront = sum(float(each["upfront_usd"]) for each in made["buy"])
    assert 0 < upfront <= 2000
    saving = made["saving"]
    assert float(saving["p10_usd"]) <= float(saving["p50_usd"]) <= float(saving["p90_usd"])
    assert float(made["advised"]["mean_usd"]) < float(made["nothing"]["mean_usd"])
    assert [each["name"] for each in made["others"]] == ["provider", "break-even rule"]
    text = page.read_text()
    assert "<svg" in text
    assert "<script" not in text
    table = run(*words)
    assert table.exit_code == 0
    assert table.stdout.startswith("Buy ")


def test_nothing_is_advised_without_offers_that_pay(tmp_path: Path) -> None:
    file = tmp_path / "demand.json"
    usage = {"id": "a", "provider": "aws", "on_demand_usd": 1, "hours": [1] * 48}
    file.write_text(json.dumps({"start": "2026-01-01T00:00:00Z", "usage": [usage]}))
    result = run("advise", "--demand", str(file), *FEW)
    assert result.exit_code == 0, result.stderr
    assert result.stdout.startswith("Buy nothing: no offer is expected to pay")


def test_nothing_is_advised_where_the_budget_allows_nothing() -> None:
    """The same offers are advised with a budget."""
    words = ("--budget-upfront", "0", "--budget-monthly", "0")
    result = run("advise", "--demand", DEMAND, *words, *FEW)
    assert result.exit_code == 0, result.stderr
    said = "Buy nothing: no offer that the budget allows is expected to pay"
    assert result.stdout.startswith(said)


def listed(path: Path) -> str:
    """A price list of one machine on Google Cloud, on demand and for a year."""
    head = (
        "provider,region,zone,instance_type,market,arch,vcpu,memory_bytes,gpus,gpu_kind,"
        "usd_per_hour,hazard_per_hour,observed_at,source"
    )
    rows = [
        f"gcp,us-central1,,e2-standard-16,{market},x86_64,16,68719476736,0,,{usd},0,"
        "2026-01-01T00:00:00Z,test"
        for market, usd in (("on_demand", 0.536), ("commitment_1y", 0.3376))
    ]
    path.write_text("\n".join([head, *rows]) + "\n")
    return str(path)


def test_prices_of_a_list_become_offers(tmp_path: Path) -> None:
    prices = listed(tmp_path / "prices.csv")
    file = tmp_path / "demand.json"
    usage = {
        "id": "a",
        "provider": "gcp",
        "region": "us-central1",
        "instance_type": "e2-standard-16",
        "hours": [3] * 48,
    }
    file.write_text(json.dumps({"start": "2026-01-01T00:00:00Z", "usage": [usage]}))
    result = run("advise", "--demand", str(file), "--prices", prices, "--format", "json", *FEW)
    assert result.exit_code == 0, result.stderr
    (bought,) = json.loads(result.stdout)["buy"]
    assert (bought["kind"], bought["amount"], bought["term"]) == ("resource_cud", "3", "1y")


def test_demand_of_a_store_is_machines_of_the_price_list(tmp_path: Path) -> None:
    """8 to 35 workers of a cluster; at least what runs by night pays."""
    store = tmp_path / "costplan.db"
    write_store(store, parts())
    prices = listed(tmp_path / "prices.csv")
    result = run("advise", "--store", str(store), "--prices", prices, "--format", "json", *FEW)
    assert result.exit_code == 0, result.stderr
    (bought,) = json.loads(result.stdout)["buy"]
    assert bought["covers"] == "e2 e2-standard-16 in us-central1"
    assert float(bought["amount"]) >= 1


def test_renewals_say_what_to_let_go(tmp_path: Path) -> None:
    end = utc_now() + timedelta(days=30)
    held = tmp_path / "held.yaml"
    held.write_text(
        "commitments:\n"
        "  - {id: old, kind: regional_ri, region: us-east-1, instance_type: m5.large, count: 60,\n"
        f"     usd_per_hour: 0.06, end: {end:%Y-%m-%dT%H:%M:%SZ}}}\n"
    )
    words = ("renewals", "--demand", DEMAND, "--commitments", str(held), *FEW)
    assert run(*words, "--ending", "20d").stdout.startswith("Nothing")
    assert run(*words).stdout.startswith("1 commitment within 90 days")
    result = run(*words, "--format", "json")
    assert result.exit_code == 0, result.stderr
    (found,) = json.loads(result.stdout)["renewals"]
    # About 8 of the 60 run all the time.
    assert 0 < found["renew_share"] <= 0.25
    assert found["renew_share"] + found["let_go_share"] == 1
    assert float(found["loss_usd"]) < 0 < float(found["saving_usd"])


@pytest.mark.parametrize(
    ("words", "answer"),
    [
        (("advise",), "--demand: has no demand to go by; give one"),
        (("advise", "--demand", "none.yaml"), "none.yaml: there is no such file"),
        (("advise", "--demand", DEMAND, "--risk", "1"), "--risk 1.0: is out of range; write from"),
        (("advise", "--demand", DEMAND, "--horizon", "9y"), "--horizon 9y: is out of range"),
        (("advise", "--demand", DEMAND, "--format", "xml"), "--format xml: is not known"),
        (("advise", "--demand", DEMAND, "--store", "x"), "--demand and --store: say both"),
        (("renewals", "--demand", DEMAND), "renewals: there is nothing held"),
    ],
)
def test_a_wrong_command_line_is_answered_with(words: tuple[str, ...], answer: str) -> None:
    result = run(*words)
    assert result.exit_code == 1
    assert answer in result.stderr
