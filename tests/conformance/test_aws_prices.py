"""The AWS price feed and quotas, over HTTP, against the rig's tables."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from moto.ec2.models.instance_types import INSTANCE_TYPES

from costplan.adapters import conformance
from costplan.adapters.aws.hazards import advisor_bands
from costplan.adapters.aws.machines import CLUSTER_TAG
from costplan.adapters.aws.prices import AwsPrices
from costplan.adapters.aws.quotas import QUOTAS, vcpu_quotas
from costplan.adapters.aws.requests import architecture
from costplan.adapters.feeds.snapshot_aws import machine_size
from costplan.planner.errors import CredentialsRejected, Throttled, Unreachable
from costplan.planner.types import Market, OfferKey
from costplan.policies.quota import falls_under
from tests.emulators.aws.account import ZONES, Account, key
from tests.emulators.aws.advisor import ADVISOR, advisor
from tests.emulators.aws.cloud import Fault
from tests.emulators.aws.fixtures import account, served

__all__ = ["account", "served"]

NOW = datetime(2026, 11, 29, 12, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
YEAR_SECONDS = 31_536_000


def feed(account: Account, **changes: Any) -> AwsPrices:
    settings = replace(account.settings, **changes)
    return AwsPrices(settings, lambda: NOW, account.clients)


def stock(account: Account) -> None:
    """Prices of two types: on demand, in two zones, and under a plan."""
    cloud = account.rig.cloud
    cloud.clock = lambda: NOW
    cloud.on_demand_prices = {"m5.large": "0.0960000000", "c5.large": "0.0850000000"}
    cloud.spot_prices = {
        ("m5.large", ZONES[0]): [(NOW - 30 * HOUR, "0.0300"), (NOW - 10 * HOUR, "0.0400")],
        ("m5.large", ZONES[1]): [(NOW - timedelta(minutes=5), "0.0350")],
        ("c5.large", ZONES[0]): [(NOW - 2 * HOUR, "0.0310")],
    }
    cloud.savings_rates = {
        ("m5.large", YEAR_SECONDS): "0.07",
        ("m5.large", 3 * YEAR_SECONDS): "0.05",
    }


def test_quotes_are_of_what_was_asked(account: Account) -> None:
    stock(account)
    keys = [
        key("m5.large"),
        key("m5.large", ZONES[1]),
        key("m5.large", market=Market.ON_DEMAND),
        key("c5.large", market=Market.ON_DEMAND),
        key("m5.large", market=Market.COMMITMENT_1Y),
    ]
    conformance.quotes_are_of_what_was_asked(feed(account), keys)


def test_each_market_has_its_own_price(account: Account) -> None:
    stock(account)
    markets = (Market.ON_DEMAND, Market.SPOT, Market.COMMITMENT_1Y, Market.COMMITMENT_3Y)
    quotes = feed(account).quotes([key("m5.large", market=market) for market in markets])
    assert {q.key.market: str(q.usd_per_hour) for q in quotes} == {
        Market.ON_DEMAND: "0.0960000000",
        Market.SPOT: "0.0400",
        Market.COMMITMENT_1Y: "0.07",
        Market.COMMITMENT_3Y: "0.05",
    }
    assert {q.source for q in quotes} == {
        "aws-price-list",
        "aws-spot-price-history",
        "aws-savings-plans",
    }


def test_a_spot_price_is_of_its_zone_and_a_fresh_one_is_dated_by_its_change(
    account: Account,
) -> None:
    stock(account)
    first, second = feed(account).quotes([key("m5.large"), key("m5.large", ZONES[1])])
    assert (first.usd_per_hour, first.observed_at) == (Decimal("0.0400"), NOW)
    assert second.usd_per_hour == Decimal("0.0350")
    assert second.observed_at == NOW - timedelta(minutes=5)


@pytest.mark.parametrize("nonsense", ["0.0000", "-1", "NaN", "free"])
def test_a_price_that_is_none_takes_no_other_with_it(account: Account, nonsense: str) -> None:
    stock(account)
    account.rig.cloud.spot_prices["m5.large", ZONES[1]] = [(NOW - HOUR, nonsense)]
    account.rig.cloud.savings_rates["m5.large", YEAR_SECONDS] = nonsense
    markets = (Market.SPOT, Market.ON_DEMAND, Market.COMMITMENT_1Y)
    asked = [key("m5.large", zone, market) for zone in ZONES[:2] for market in markets]
    found = [(q.key.zone, q.key.market) for q in feed(account).quotes(asked)]
    assert sorted(found) == [
        (ZONES[0], Market.ON_DEMAND), (ZONES[0], Market.SPOT), (ZONES[1], Market.ON_DEMAND),
    ]  # fmt: skip


def test_other_clouds_and_regions_have_no_price_here(account: Account) -> None:
    stock(account)
    strange = OfferKey(
        provider="gcp", region="us-east-1", zone=ZONES[0], instance_type="m5.large",
        market=Market.SPOT,
    )  # fmt: skip
    assert feed(account).quotes([strange, key("m5.large", region="eu-west-1")]) == ()
    assert account.rig.made() == {}


def test_history_begins_with_the_price_that_was_in_force(account: Account) -> None:
    stock(account)
    found = feed(account).history([key("m5.large")], NOW - 20 * HOUR, NOW)
    assert [(str(q.usd_per_hour), q.observed_at, q.valid_until) for q in found] == [
        ("0.0300", NOW - 30 * HOUR, NOW - 10 * HOUR),
        ("0.0400", NOW - 10 * HOUR, None),
    ]


def test_every_page_of_prices_is_read(account: Account) -> None:
    stock(account)
    account.rig.cloud.page_size = 1
    quotes = feed(account).quotes([key("m5.large"), key("m5.large", ZONES[1]), key("c5.large")])
    assert len(quotes) == 3
    assert account.rig.made()["ec2:DescribeSpotPriceHistory"] == 3


def test_many_types_are_read_from_the_list_of_the_region(account: Account) -> None:
    names = sorted(name for name in INSTANCE_TYPES if name.startswith(("m5.", "c5.")))[:12]
    account.rig.cloud.on_demand_prices = dict.fromkeys(names, "0.5")
    account.rig.cloud.page_size = 5
    quotes = feed(account).quotes([key(name, market=Market.ON_DEMAND) for name in names])
    assert len(quotes) == 12
    assert account.rig.made()["pricing:GetProducts"] == 3


def test_a_page_in_the_middle_that_fails_gives_no_prices(account: Account) -> None:
    stock(account)
    account.rig.cloud.page_size = 1
    account.rig.cloud.faults.append(
        Fault(
            operation="DescribeSpotPriceHistory",
            code="RequestLimitExceeded",
            status=503,
            passes=1,
            times=2,
        )
    )
    with pytest.raises(Throttled):
        feed(account).quotes([key("m5.large"), key("m5.large", ZONES[1])])


# Hazards.


def per_month(hazard_per_hour: float | None) -> float:
    assert hazard_per_hour is not None
    return hazard_per_hour * 730


def test_a_hazard_is_the_middle_of_its_types_band(account: Account) -> None:
    stock(account)
    with advisor(ADVISOR) as url:
        quotes = feed(account, advisor_url=url).quotes([key("m5.large"), key("c5.large")])
    hazards = {q.key.instance_type: per_month(q.hazard_per_hour) for q in quotes}
    assert hazards == {"c5.large": pytest.approx(0.25), "m5.large": pytest.approx(0.075)}


def test_a_placement_score_moves_a_hazard_within_its_band(account: Account) -> None:
    stock(account)
    # The zones' ids as moto has them; 10 is the best score.
    account.rig.cloud.placement_scores = {"use1-az6": 10, "use1-az1": 1}
    with advisor(ADVISOR) as url:
        quotes = feed(account, advisor_url=url).quotes([key("m5.large"), key("m5.large", ZONES[1])])
    zones = account.setup("ec2").describe_availability_zones()["AvailabilityZones"]
    ids = {zone["ZoneName"]: zone["ZoneId"] for zone in zones}
    expected = {"use1-az6": 0.0625, "use1-az1": 0.0875}
    assert {q.key.zone: per_month(q.hazard_per_hour) for q in quotes} == {
        zone: pytest.approx(expected[ids[zone]]) for zone in ZONES
    }


def test_without_an_advisor_the_hazard_is_unknown_and_never_zero(account: Account) -> None:
    stock(account)
    (quote,) = feed(account).quotes([key("m5.large")])
    assert quote.hazard_per_hour is None
    (on_demand,) = feed(account).quotes([key("m5.large", market=Market.ON_DEMAND)])
    assert on_demand.hazard_per_hour == 0.0


@pytest.mark.parametrize(
    ("document", "status"),
    [({}, 200), ([], 200), (ADVISOR, 500), ({**ADVISOR, "ranges": [{"index": 0}]}, 200)],
)
def test_an_advisor_that_makes_no_sense_is_unreachable(
    account: Account, document: object, status: int
) -> None:
    with advisor(document, status) as url, pytest.raises(Unreachable):
        advisor_bands(replace(account.settings, advisor_url=url))


# Quotas and types.


def test_quotas_are_limits_of_the_policy(account: Account) -> None:
    account.rig.cloud.quotas = {quota.code: 64.0 for quota in QUOTAS}
    found = vcpu_quotas(account.clients, account.settings)
    assert {quota.vcpu_milli for quota in found} == {64_000}
    (matched,) = [quota for quota in found if falls_under(key("m5.large"), quota)]
    assert matched.name == "the account's quota L-34B43A08 of 64 vCPU"


def test_what_others_of_the_account_use_is_taken_off(account: Account) -> None:
    """Two m5.large of strangers on demand, 4 vCPU; one of ours, and one that has ended."""
    cloud = account.rig.cloud
    cloud.quotas = {"L-1216C47A": 64.0, "L-34B43A08": 3.0}
    for tags in ({}, {CLUSTER_TAG: "theirs"}, {CLUSTER_TAG: account.settings.cluster}):
        account.foreign_machine(tags)
    gone = account.foreign_machine()
    account.setup("ec2").terminate_instances(InstanceIds=[gone])
    cloud.page_size = 1
    demand, spot = vcpu_quotas(account.clients, account.settings)
    assert (demand.vcpu_milli, spot.vcpu_milli) == (60_000, 3_000)
    assert demand.name == "the account's quota L-1216C47A of 64 vCPU less 4 of other machines"


def test_a_quota_that_others_have_used_up_leaves_nothing(account: Account) -> None:
    account.rig.cloud.quotas = {"L-1216C47A": 1.0}
    account.foreign_machine()
    (quota,) = vcpu_quotas(account.clients, account.settings)
    assert quota.vcpu_milli == 0


def test_a_quota_that_may_not_be_read_names_the_permission(account: Account) -> None:
    fault = Fault(operation="GetServiceQuota", code="AccessDeniedException", status=403)
    account.rig.cloud.faults.append(fault)
    with pytest.raises(CredentialsRejected, match="servicequotas:GetServiceQuota"):
        vcpu_quotas(account.clients, account.settings)


STANDARD = {"a", "c", "d", "h", "i", "im", "is", "m", "r", "t", "z"}


def test_each_type_falls_under_one_quota_of_a_market_or_under_none() -> None:
    limits = [quota.limit("us-east-1", 1) for quota in QUOTAS]
    for market in (Market.ON_DEMAND, Market.SPOT):
        for name in INSTANCE_TYPES:
            matched = [one for one in limits if falls_under(key(name, market=market), one)]
            head = re.match("[a-z]+", name)
            is_standard = head is not None and head[0] in STANDARD
            assert len(matched) <= 1, f"{name} falls under {matched}"
            assert not is_standard or matched, f"{name} falls under nothing"
            for limit in matched:
                assert is_standard == (limit.instance_types[0] == QUOTAS[0].instance_types[0])


def test_the_architecture_is_in_the_name_of_a_type() -> None:
    """Held against what AWS says of each of its types."""
    wrong = {
        name: size.arch
        for name, description in INSTANCE_TYPES.items()
        if (size := machine_size(description)) is not None and architecture(name) != size.arch
    }
    assert wrong == {}
