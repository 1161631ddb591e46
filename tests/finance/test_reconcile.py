"""The ledger against bills of three clouds that were made from the same machines' lives."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from costplan.adapters.finance.actuals import import_actuals
from costplan.adapters.finance.book import Book
from costplan.adapters.finance.open_book import open_book
from costplan.adapters.finance.reconcile import pairs, reconcile
from costplan.planner.finance.actuals import (
    ActualKind,
    MatchState,
    Pair,
    Reconciliation,
    resource_key,
)
from costplan.planner.finance.terms import Terms
from costplan.planner.types import Market
from tests.finance.exports import (
    ACCOUNT,
    Life,
    Row,
    azure,
    cur,
    cur_row,
    focus,
    gcp,
    write_csv,
    write_json,
    write_parquet,
)
from tests.finance.ledgers import HOUR, KEY, OCTOBER, QUARTER, entry, write

MONTH = "2026-10"
LIVES = (
    Life(resource="i-n-1", start=OCTOBER, end=OCTOBER + 30 * HOUR, usd_per_hour="0.192"),
    Life(resource="i-n-2", start=OCTOBER + 5 * HOUR + QUARTER, end=OCTOBER + 9 * HOUR + QUARTER,
         usd_per_hour="0.0731", is_spot=True),
    Life(resource="i-n-3", start=OCTOBER + 700 * HOUR, end=OCTOBER + 744 * HOUR,
         usd_per_hour="0.192"),
)  # fmt: skip
STRANGER = Life(
    resource="i-other", start=OCTOBER, end=OCTOBER + 2 * HOUR, usd_per_hour="1.5",
    instance_type="p3.2xlarge",
)  # fmt: skip


def ledger_of(path: Path, lives: Iterable[Life], provider: str = "aws") -> Path:
    """A store whose ledger has these machines, by quarters."""
    entries = []
    for life in lives:
        market = Market.SPOT if life.is_spot else Market.ON_DEMAND
        key = replace(KEY, provider=provider, market=market, instance_type=life.instance_type)
        at = life.start
        while at < life.end:
            lasts = min(QUARTER, life.end - at)
            made = entry(life.resource.removeprefix("i-"), at, lasts=lasts, key=key,
                         usd_per_hour=life.usd_per_hour)  # fmt: skip
            entries.append(replace(made, account=life.account))
            at += lasts
    write(path, entries, OCTOBER + timedelta(days=32))
    return path


def against(
    path: Path, file: Path | str, terms: Terms | None = None
) -> tuple[Reconciliation, dict[tuple[str, int], Pair]]:
    """The reconciliation of October, and its pairs by machine and hour of the month."""
    with open_book(path, start=OCTOBER, end=OCTOBER + 31 * 24 * HOUR, terms=terms) as book:
        source = import_actuals(book.db, [str(file)], MONTH)
        made = reconcile(book, source, MONTH)
        found = {
            (pair.key, (pair.start - OCTOBER) // HOUR): pair
            for pair in pairs(book, only_differing=False)
        }
    assert made.untied_usd == 0
    causes = sum(
        (each.theirs_effective_usd - each.ours_effective_usd
         for each in made.states if each.state is not MatchState.FOREIGN), Decimal(0),
    )  # fmt: skip
    assert made.causes.total_usd == causes
    return made, found


Writer = Callable[[Path, list[Row]], Path]
FORMATS: dict[str, tuple[str, Callable[[Iterable[Life]], list[Row]], Writer, str]] = {
    "cur.csv.gz": ("aws", cur, write_csv, "hour"),
    "cur.parquet": ("aws", cur, write_parquet, "hour"),
    "focus.csv": ("aws", focus, write_csv, "hour"),
    "focus.parquet": ("aws", focus, write_parquet, "hour"),
    "export.jsonl": ("gcp", gcp, write_json, "hour"),
    "export.parquet": ("gcp", gcp, write_parquet, "hour"),
    "azure.csv": ("azure", azure, write_csv, "day"),
}


@pytest.mark.parametrize("name", FORMATS)
def test_a_bill_of_the_same_lives_agrees(tmp_path: Path, name: str) -> None:
    provider, made_by, written_by, grain = FORMATS[name]
    path = ledger_of(tmp_path / "s.db", LIVES, provider)
    rows = made_by([*LIVES, STRANGER])
    made, _ = against(path, written_by(tmp_path / name, rows))
    assert made.source.grain == grain
    assert {each.state for each in made.states} == {MatchState.MATCHED, MatchState.FOREIGN}
    alike, foreign = made.states
    assert alike.count == (30 + 5 + 44 if grain == "hour" else 2 + 1 + 2)
    hours = sum((life.end - life.start for life in LIVES), timedelta()) / HOUR
    assert abs(alike.theirs_hours - Decimal(hours)) < Decimal("1e-9")
    assert alike.ours_hours == Decimal(hours)
    usd = sum(Decimal(life.usd_per_hour) * ((life.end - life.start) // QUARTER) / 4
              for life in LIVES)  # fmt: skip
    assert abs(alike.theirs_usd - usd) < Decimal("1e-9")
    assert foreign.filed_usd == 3
    [stranger] = made.foreign
    assert (stranger.account, stranger.machines) == (ACCOUNT, 1)
    assert not made.differs


def test_what_is_no_machine_is_apart_and_ties(tmp_path: Path) -> None:
    path = ledger_of(tmp_path / "s.db", LIVES)
    rows = cur(LIVES)
    at = OCTOBER + HOUR
    rows += [
        cur_row(900, at, "USE1-DataTransfer-Out-Bytes", "i-n-1", Decimal(3), Decimal("0.27")),
        cur_row(901, at, "PublicIPv4:InUseAddress", "eni-1", Decimal(1), Decimal("0.005")),
        {**cur_row(902, at, "", "", Decimal(0), Decimal(-5)), "line_item_line_item_type": "Credit"},
        {**cur_row(903, at, "", "", Decimal(0), Decimal(29)),
         "line_item_product_code": "AWSSupportBusiness"},
        cur_row(904, OCTOBER - HOUR, "BoxUsage:m5.xlarge", "i-n-1", Decimal(1), Decimal("0.192")),
    ]  # fmt: skip
    made, _ = against(path, write_csv(tmp_path / "cur.csv", rows))
    assert {each.kind: each.filed_usd for each in made.kinds} == {
        ActualKind.DISK: Decimal("0.0123"), ActualKind.TAX: Decimal("0.77"),
        ActualKind.TRAFFIC: Decimal("0.27"), ActualKind.ADDRESS: Decimal("0.005"),
        ActualKind.CREDIT: Decimal(-5), ActualKind.SUPPORT: Decimal(29),
    }  # fmt: skip
    assert (made.source.other_months_rows, made.source.other_months_usd) == (1, Decimal("0.192"))
    assert made.source.filed_usd == sum(Decimal(r["line_item_unblended_cost"]) for r in rows)
    assert not made.differs


def test_each_difference_has_its_state_and_cause(tmp_path: Path) -> None:
    path = ledger_of(tmp_path / "s.db", LIVES)
    rows = cur(LIVES)
    by_hour = {(r["line_item_resource_id"], r["line_item_usage_start_date"][8:13]): r for r in rows}
    by_hour["i-n-1", "01T03"]["line_item_unblended_cost"] = "0.2"
    short = by_hour["i-n-1", "01T04"]
    short["line_item_usage_amount"], short["line_item_unblended_cost"] = "0.5", "0.1"
    by_hour["i-n-1", "01T05"]["line_item_usage_type"] = "BoxUsage:m5.2xlarge"
    by_hour["i-n-1", "01T05"]["line_item_unblended_cost"] = "0.384"
    by_hour["i-n-2", "01T06"]["line_item_unblended_cost"] = "0"
    rows.remove(by_hour["i-n-1", "01T07"])
    late = OCTOBER + 31 * HOUR
    rows.append(cur_row(999, late, "BoxUsage:m5.xlarge", "i-n-1", Decimal("0.25"),
                        Decimal("0.048")))  # fmt: skip
    made, found = against(path, write_csv(tmp_path / "cur.csv", rows))
    states = {hour: found["i-n-1", hour].state for hour in (2, 3, 4, 5, 7, 31)}
    assert states == {
        2: MatchState.MATCHED, 3: MatchState.PRICE, 4: MatchState.QUANTITY, 5: MatchState.MIX,
        7: MatchState.NOT_BILLED, 31: MatchState.MISSED,
    }  # fmt: skip
    assert found["i-n-2", 6].state is MatchState.INTERRUPTED
    causes = made.causes
    half = Decimal("0.096")
    assert causes.price_usd == Decimal("0.008") + (Decimal("0.1") - half)
    assert causes.quantity_usd == -half - Decimal("0.192") + Decimal("0.048")
    assert causes.mix_usd == Decimal("0.192")
    assert causes.interruption_usd == Decimal("-0.0731")
    assert causes.commitment_usd == 0
    assert made.differs


def test_commitments_are_a_cause_of_their_own(tmp_path: Path) -> None:
    path = ledger_of(tmp_path / "s.db", LIVES[:1])
    rows = cur(LIVES[:1])
    for row in rows[:4]:
        row["line_item_line_item_type"] = "SavingsPlanCoveredUsage"
        row["savings_plan_savings_plan_effective_cost"] = "0.12"
    rows.append({
        **cur_row(700, OCTOBER, "", "", Decimal(0), Decimal("-0.768")),
        "line_item_line_item_type": "SavingsPlanNegation",
    })  # fmt: skip
    reserved = rows[4]
    reserved |= {
        "line_item_line_item_type": "DiscountedUsage",
        "line_item_unblended_cost": "0",
        "pricing_public_on_demand_cost": "0.192",
        "reservation_effective_cost": "0.1",
    }
    made, _ = against(path, write_csv(tmp_path / "cur.csv", rows))
    assert [each.state for each in made.states] == [MatchState.MATCHED]
    assert made.causes.commitment_usd == 4 * Decimal("-0.072") + Decimal("-0.092")
    assert made.causes.total_usd == made.causes.commitment_usd


def test_azure_in_another_currency_has_its_dollars(tmp_path: Path) -> None:
    path = ledger_of(tmp_path / "s.db", LIVES[:1], "azure")
    rows = [
        {**row, "BillingCurrency": "EUR", "costInUsd": row["CostInBillingCurrency"],
         "CostInBillingCurrency": "1"}
        for row in azure(LIVES[:1])
    ]  # fmt: skip
    covered = rows[0]
    covered |= {"PricingModel": "Reservation", "ReservationId": "r-1", "costInUsd": "2"}
    made, _ = against(path, write_csv(tmp_path / "azure.csv", rows))
    assert not made.differs
    assert made.causes.commitment_usd == 2 - 24 * Decimal("0.192")


@pytest.mark.parametrize(
    ("more", "usd"),
    [({"pricingCurrency": "USD"}, "4.608"), ({"pricingCurrency": "EUR"}, "3"),
     ({"pricingCurrency": "EUR", "paygCostInUsd": "2.4"}, "2.4")],
)  # fmt: skip
def test_azures_prices_in_another_currency_are_not_dollars(
    tmp_path: Path, more: Row, usd: str
) -> None:
    """A day under a plan, of $3: at retail it costs $0.192 an hour, 0.192 € of which nobody says
    the dollars, or $2.40."""
    life = replace(LIVES[0], end=OCTOBER + 24 * HOUR)
    path = ledger_of(tmp_path / "s.db", [life], "azure")
    rows = [
        {**row, "BillingCurrency": "EUR", "costInUsd": "3", "PricingModel": "SavingsPlan", **more}
        for row in azure([life])
    ]
    _, found = against(path, write_csv(tmp_path / "azure.csv", rows))
    [pair] = found.values()
    assert pair.theirs_usd == Decimal(usd)


def test_machines_that_google_names_without_instance_are_machines(tmp_path: Path) -> None:
    """C2's SKUs are 'Compute optimized Core running in ...'."""
    life = replace(LIVES[0], instance_type="c2-standard-4")
    path = ledger_of(tmp_path / "s.db", [life], "gcp")
    rows = gcp([life])
    for row in rows:
        row["sku"]["description"] = f"Compute optimized {row['sku']['id']} running in Americas"
    made, found = against(path, write_json(tmp_path / "export.jsonl", rows))
    assert [each.state for each in made.states] == [MatchState.MATCHED]
    assert {pair.theirs_hours for pair in found.values()} == {Decimal(1)}


def test_hours_that_google_alone_has_are_those_of_the_machine(tmp_path: Path) -> None:
    """A machine of four cores ran on for an hour and a quarter that we have nothing of."""
    path = ledger_of(tmp_path / "s.db", LIVES[:1], "gcp")
    longer = replace(LIVES[0], end=LIVES[0].end + HOUR + QUARTER)
    made, found = against(path, write_json(tmp_path / "export.jsonl", gcp([longer])))
    assert [each.state for each in made.states] == [MatchState.MATCHED, MatchState.MISSED]
    assert [found["i-n-1", hour].theirs_hours for hour in (30, 31)] == [1, Decimal("0.25")]


def test_googles_credits_are_what_commitments_change(tmp_path: Path) -> None:
    path = ledger_of(tmp_path / "s.db", LIVES[:1], "gcp")
    rows = gcp(LIVES[:1])
    rows[0]["credits"] = [{"name": "CUD", "amount": -0.05}, {"name": "SUD", "amount": -0.001}]
    made, _ = against(path, write_json(tmp_path / "export.jsonl", rows))
    assert not made.differs
    assert made.causes.commitment_usd == Decimal("-0.051")


def test_a_field_that_only_a_late_row_has_is_read(tmp_path: Path) -> None:
    """Exports leave a field out where it is null."""
    life = Life(resource="i-n-1", start=OCTOBER, end=OCTOBER + 600 * HOUR, usd_per_hour="0.192")
    path = ledger_of(tmp_path / "s.db", [life], "gcp")
    rows = [{name: value for name, value in row.items() if name != "credits"}
            for row in gcp([life])]  # fmt: skip
    rows[-1]["credits"] = [{"name": "CUD", "amount": -0.05}]
    made, _ = against(path, write_json(tmp_path / "export.jsonl", rows))
    assert made.causes.commitment_usd == Decimal("-0.05")


def test_any_ledger_agrees_with_a_bill_of_itself(tmp_path: Path) -> None:
    dice = random.Random(7)  # noqa: S311 - made-up lives
    for number in range(4):
        lives = []
        for machine in range(8):
            start = OCTOBER + timedelta(seconds=dice.randrange(2_000_000), microseconds=machine)
            lasts = timedelta(microseconds=dice.randrange(60_000_000, 90_000_000_000))
            rate = f"{dice.randrange(1, 40_000_000) / 10_000_000:.7f}"
            lives.append(Life(resource=f"i-n-{machine}", start=start, end=start + lasts,
                              usd_per_hour=rate, is_spot=dice.random() < 0.5))  # fmt: skip
        path = ledger_of(tmp_path / f"{number}.db", lives)
        rows = dice.choice([cur, focus])(lives)
        made, _ = against(path, write_csv(tmp_path / f"{number}.csv", rows))
        assert [each.state for each in made.states] == [MatchState.MATCHED]
        assert abs(made.causes.total_usd) < Decimal("1e-9")


def test_months_in_parts_are_one(tmp_path: Path) -> None:
    path = ledger_of(tmp_path / "s.db", LIVES)
    rows = cur(LIVES)
    write_csv(tmp_path / "part-1.csv", rows[:20])
    write_csv(tmp_path / "part-2.csv", rows[20:])
    made, _ = against(path, str(tmp_path / "part-*.csv"))
    assert (made.differs, made.source.rows) == (False, len(rows))


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("i-0ABC", "i-0abc"),
        ("arn:aws:ec2:us-east-1:011122223333:instance/i-0abc", "i-0abc"),
        ("/subscriptions/S/resourceGroups/R/providers/x/virtualMachines/NODE-1", "node-1"),
    ],
)
def test_names_of_one_machine_have_one_key(name: str, key: str) -> None:
    assert resource_key(name) == key


TAGS = {
    "cur": '{"user_costplan_cluster":"trainer","user_team":"risk"}',
    "map": "{user_costplan:cluster=trainer, user_team=risk}",
    "gcp": '[{"key":"costplan-cluster","value":"trainer"}]',
    "azure": '"costplan-cluster": "trainer","team": "risk"',
    "other": '{"user_costplan_cluster":"trainer-2"}',
}


@pytest.mark.parametrize("name", TAGS)
def test_a_machine_that_the_ledger_never_saw_is_ours_by_its_tag(tmp_path: Path, name: str) -> None:
    path = ledger_of(tmp_path / "s.db", LIVES)
    rows = [{**row, "resource_tags": ""} for row in cur(LIVES)]
    leaked = cur_row(990, OCTOBER, "BoxUsage:m5.xlarge", "i-leak", Decimal(1), Decimal("0.192"))
    rows.append({**leaked, "resource_tags": TAGS[name]})
    file = write_csv(tmp_path / "cur.csv", rows)
    _, found = against(path, file, terms=Terms(cluster="trainer"))
    state = MatchState.FOREIGN if name == "other" else MatchState.MISSED
    assert found["i-leak", 0].state is state


def test_a_real_file_is_told_apart(shared_data: Path) -> None:
    """A thousand rows of real bills in FOCUS 1.0, whose descriptions say what each is."""
    file = shared_data / "billing_focus_1_0_sample.parquet"
    with Book() as book:
        import_actuals(book.db, [str(file)], "2024-09")
        [(rows, untied)] = book.rows(
            f"""SELECT count(*), (SELECT sum(BilledCost::DECIMAL(38,12)) FROM '{file}')
            - sum(filed_usd) FROM actuals"""  # noqa: S608 - ours
        )
        machines = book.rows(
            f"""SELECT count(*), sum(quantity) FROM actuals WHERE kind = 'machine'
            UNION ALL SELECT count(*), sum(ConsumedQuantity)::DECIMAL(38,12) FROM '{file}'
            WHERE regexp_matches(ChargeDescription, 'per (On Demand|Spot).*Instance Hour')"""  # noqa: S608
        )
    assert (rows, untied) == (1000, 0)
    assert machines[0] == machines[1]
