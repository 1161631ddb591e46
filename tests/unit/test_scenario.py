"""Scenario files: what they mean, and that a wrong one says where, what and the way out."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from costplan.adapters.local import scenario_models
from costplan.adapters.local.prices import LocalPrices
from costplan.adapters.local.scenario import parse_scenario, read_scenario
from costplan.adapters.local.stage import Stage, open_stage, read_stage
from costplan.planner.config_section import Section
from costplan.planner.errors import InputError
from costplan.planner.types import Market, OfferKey, Resources
from costplan.planner.units import GIB
from tests.local_machines import catalogue as bundled
from tests.worlds import Row, catalogue

START = datetime(2026, 11, 1, tzinfo=UTC)
LISTED = catalogue(
    [
        Row(instance_type="m5.large", vcpu=2, gib=8, usd="0.096"),
        Row(instance_type="m5.large", market=Market.SPOT, usd="0.04", hazard=None),
        Row(instance_type="g4dn.xlarge", vcpu=4, gib=16, usd="0.526", gpus=1, gpu_kind="T4"),
        Row(instance_type="e2", provider="gcp", region="r1", zone="", usd="0.02"),
    ]
)
PLACE = "place: {provider: aws, region: us-east-1, zone: us-east-1a}"


def started(tmp_path: Path, *lines: str) -> Stage:
    """A scenario of these lines, started at START with the listed prices."""
    scenario = parse_scenario(
        "\n".join(("scenario: test", PLACE, *lines)), "scenario.yaml", folder=tmp_path
    )
    return open_stage(tmp_path / "state", scenario, LISTED, now=START)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def named(stage: Stage, instance_type: str, market: Market = Market.ON_DEMAND) -> OfferKey:
    (key,) = [k for k in stage.offers if (k.instance_type, k.market) == (instance_type, market)]
    return key


def test_what_is_not_said_comes_from_the_price_list(tmp_path: Path) -> None:
    stage = started(tmp_path, "offers: [{type: m5.large, markets: [on_demand, spot]}]")
    spot = stage.offers[named(stage, "m5.large", Market.SPOT)]
    assert spot.resources == Resources(vcpu_milli=2000, memory_bytes=8 * GIB)
    assert (spot.prices, spot.capacity) == (((0.0, Decimal("0.040000000000")),), ((0.0, None),))
    assert (spot.hazard_per_hour, spot.boot_seconds) == (None, 1.0)
    assert str(spot.key) == "aws/us-east-1a/m5.large/spot"


def test_a_regional_price_serves_every_zone(tmp_path: Path) -> None:
    stage = started(tmp_path, "offers: [{type: e2, provider: gcp, region: r1, zone: r1-b}]")
    (offer,) = stage.offers.values()
    assert (offer.key.zone, offer.prices[0][1]) == ("r1-b", Decimal("0.02"))


def test_what_is_said_wins(tmp_path: Path) -> None:
    stage = started(
        tmp_path,
        "boot: 3",
        "offers:",
        "  - {type: m5.large, vcpu: 1, memory: 1 GiB, usd_per_hour: 0.5, boot: 0.25}",
        "  - {type: own, vcpu: 4, memory: 2 GiB, usd_per_hour: 1, gpus: 2, gpu_kind: L4}",
    )
    small, own = (stage.offers[named(stage, name)] for name in ("m5.large", "own"))
    assert small.resources == Resources(vcpu_milli=1000, memory_bytes=GIB)
    assert (small.prices[0][1], small.boot_seconds, small.source) == (
        Decimal("0.5"),
        0.25,
        "scenario",
    )
    assert own.resources.gpus == 2
    assert (own.resources.gpu_kind, own.boot_seconds, own.arch) == ("L4", 3.0, "x86_64")


def test_gpus_are_there_only_where_the_scenario_says_so(tmp_path: Path) -> None:
    stage = started(
        tmp_path,
        "offers:",
        "  - {type: g4dn.xlarge}",
        "  - {type: g4dn.xlarge, zone: us-east-1b, gpus: 1, usd_per_hour: 1, gpu_kind: T4,"
        " vcpu: 1, memory: 1 GiB}",
    )
    by_zone = {key.zone: offer.resources for key, offer in stage.offers.items()}
    assert (by_zone["us-east-1a"].gpus, by_zone["us-east-1a"].gpu_kind) == (0, None)
    assert (by_zone["us-east-1b"].gpus, by_zone["us-east-1b"].gpu_kind) == (1, "T4")


def test_prices_change_when_they_are_said_to(tmp_path: Path) -> None:
    stage = started(
        tmp_path,
        "offers: [{type: m5.large, markets: [on_demand, spot]}]",
        "prices:",
        "  - {at: 60, offer: '*/spot', times: 2.5}",
        "  - {at: 2min, offer: m5.large/spot, usd_per_hour: 0.03}",
    )
    spot, plain = named(stage, "m5.large", Market.SPOT), named(stage, "m5.large")
    prices = [stage.price_at(spot, at(s)) for s in (-1, 0, 59.9, 60, 119, 120, 1e6)]
    assert [usd for _, usd in prices] == [
        Decimal(usd) for usd in ("0.04", "0.04", "0.04", "0.1", "0.1", "0.03", "0.03")
    ]
    assert [since for since, _ in prices[2:]] == [at(0), at(60), at(60), at(120), at(120)]
    assert stage.price_at(plain, at(1000)) == (at(0), Decimal("0.096"))

    for seconds, usd, observed in (
        (50, "0.04", 50),
        (90, "0.1", 60),
        (1019, "0.03", 120),
        (1020, "0.03", 1020),
    ):
        (quote,) = LocalPrices(stage, partial(at, seconds)).quotes([spot])
        assert (quote.usd_per_hour, quote.observed_at) == (Decimal(usd), at(observed))
    feed = LocalPrices(stage, partial(at, 90))
    history = [q for q in feed.history(at(30), at(120)) if q.key == spot]
    assert [(q.observed_at, q.usd_per_hour, q.valid_until) for q in history] == [
        (at(0), Decimal("0.04"), at(60)),
        (at(60), Decimal("0.1"), at(120)),
    ]


def test_capacity_changes_when_it_is_said_to(tmp_path: Path) -> None:
    stage = started(
        tmp_path,
        "offers: [{type: m5.large, markets: [on_demand, spot], capacity: 3}]",
        "capacity:",
        "  - {at: 10, offer: '*/spot', machines: 0}",
        "  - {at: 20, offer: '*/spot', machines: null}",
    )
    spot, plain = named(stage, "m5.large", Market.SPOT), named(stage, "m5.large")
    assert [stage.capacity_at(spot, at(s)) for s in (0, 9, 10, 19, 20)] == [3, 3, 0, 0, None]
    assert stage.capacity_at(plain, at(50)) == 3


def test_a_trace_is_capacity_over_time(tmp_path: Path) -> None:
    """Ticks of 600 s, 600 times as fast, from 1,200 s on: a tick is a second."""
    rows = [("other", 0, 9), ("zone-a", 0, 4), ("zone-a", 3, 2), ("zone-a", 5, 2), ("zone-a", 7, 3)]
    pq.write_table(
        pa.table(
            {
                "trace_id": [name for name, *_ in rows],
                "tick": [tick for _, tick, _ in rows],
                "gap_s": [600.0] * len(rows),
                "n_available": [machines for *_, machines in rows],
            }
        ),
        tmp_path / "traces.parquet",
    )
    stage = started(
        tmp_path,
        "offers: [{type: m5.large, markets: [spot]}]",
        "traces:",
        "  - {offer: m5.large/spot, file: traces.parquet, trace: zone-a, start: 1200, speed: 600}",
    )
    (offer,) = stage.offers.values()
    assert offer.capacity == ((0.0, 4), (1.0, 2), (5.0, 3))


def test_a_restart_goes_on_where_it_was(tmp_path: Path) -> None:
    lines = ("scenario: test", PLACE, "offers: [{type: m5.large}]")
    scenario = parse_scenario("\n".join(lines), "scenario.yaml", folder=tmp_path)
    first = open_stage(tmp_path / "state", scenario, LISTED, now=START)
    dearer = catalogue([Row(instance_type="m5.large", usd="9")])
    again = open_stage(tmp_path / "state", scenario, dearer, now=at(3600))
    assert again == first == read_stage(tmp_path / "state")
    other = parse_scenario("\n".join((*lines, "boot: 9")), "scenario.yaml", folder=tmp_path)
    with pytest.raises(InputError, match="was started with another scenario"):
        open_stage(tmp_path / "state", other, LISTED, now=at(3600))
    assert read_stage(tmp_path / "nowhere") is None


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["offers: []"], "offers: the list is empty"),
        ([], "offers: is missing; add offers: "),
        (["offers: [{typ: a}]"], r"offers\[0\].typ: 'typ' is not a key; did you mean 'type'"),
        (["offers: [{type: a, capacity: -1}]"], r"offers\[0\].capacity: -1 is not from 0"),
        (["offers: [{type: a, memory: 2 G}]"], r"offers\[0\].memory: 'G'"),
        (["offers: [{type: a, usd_per_hour: 0}]"], r"usd_per_hour: 0 is not above 0"),
        (["offers: [{type: a, markets: [spots]}]"], "'spots' is not a market"),
        (["offers: [{type: a, gpu_kind: T4}]"], r"offers\[0\].gpu_kind: a kind without GPUs"),
        (["offers: [{type: a}, {type: a}]"], r"offers\[1\]: aws/us-east-1a/a/on_demand is also"),
        (["boot: -1", "offers: [{type: a}]"], "boot: -1 is not 0 or more"),
        (["boot: soon", "offers: [{type: a}]"], "boot: 'soon' is not a duration; write it like"),
        (["boot: true", "offers: [{type: a}]"], "boot: true is not a time"),
        (
            ["offers: [{type: m5.large}]", "prices: [{at: 1, offer: m5.lrge/spot, times: 2}]"],
            r"prices\[0\].offer: 'm5.lrge/spot' means no offer; did you mean 'm5.large/on_demand'",
        ),
        (
            ["offers: [{type: a}]", "prices: [{at: 1, offer: '*', times: 2, usd_per_hour: 1}]"],
            r"prices\[0\]: a price change has one of",
        ),
        (["offers: [{type: a}]", "prices: [{at: 1, offer: '*', times: 0}]"], "not above 0"),
        (
            ["offers: [{type: a}]", "interruptions: [{at: 1, which: eldest}]"],
            r"interruptions\[0\].which: 'eldest' chooses no machine; write oldest",
        ),
        (["offers: [{type: a}]", "interruptions: [{at: 1, kind: x}]"], "valid are reclaim"),
        (["offers: [{type: a}]", "launches: [{launch: 1}]"], "neither boot nor outcome"),
        (["offers: [{type: a}]", "launches: [{launch: 0, boot: 1}]"], "0 is not from 1"),
        (
            ["offers: [{type: a}]", "launches: [{launch: 1, outcome: lost_anser}]"],
            "did you mean 'lost_answer'",
        ),
        (
            ["offers: [{type: m5.larg}]"],
            r"offers\[0\]: aws/us-east-1a/m5.larg/on_demand is not in the price list; "
            "did you mean 'm5.large'",
        ),
        (
            ["offers: [{type: a, gpus: 1, vcpu: 1, memory: 1 GiB, usd_per_hour: 1}]"],
            r"offers\[0\]: GPUs of no kind; add gpu_kind",
        ),
        (
            [
                "offers: [{type: m5.large}]",
                "traces: [{offer: '*', file: none.parquet, trace: a}]",
            ],
            "none.parquet: cannot be read: No such file",
        ),
    ],
)
def test_a_wrong_file_says_the_way_out(tmp_path: Path, lines: list[str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        started(tmp_path, *lines)


def test_every_problem_is_said_at_once(tmp_path: Path) -> None:
    with pytest.raises(InputError) as raised:
        started(tmp_path, "boot: x", "offers: [{type: a, vcpu: 0}]")
    assert str(raised.value).splitlines()[0] == "scenario.yaml: 2 problems"
    assert len(str(raised.value).splitlines()) == 3


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no such file"):
        read_scenario(tmp_path / "none.yaml")
    (tmp_path / "bytes.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="is not text in UTF-8"):
        read_scenario(tmp_path / "bytes.yaml")
    with pytest.raises(InputError, match="is a folder"):
        read_scenario(tmp_path)


ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "docs" / "local-provider.md").read_text()


@pytest.mark.parametrize("path", sorted((ROOT / "examples").glob("*/scenario.yaml")), ids=str)
def test_the_examples_can_be_started(tmp_path: Path, path: Path) -> None:
    stage = open_stage(tmp_path / "state", read_scenario(path), bundled(), now=START)
    assert len(stage.offers) > 1


def test_the_guide_shows_a_whole_scenario(tmp_path: Path) -> None:
    text = GUIDE.partition("```yaml")[2].partition("```")[0]
    stage = open_stage(
        tmp_path / "state", parse_scenario(text, "guide", folder=tmp_path), bundled(), now=START
    )
    gpu = stage.offers[named(stage, "g4dn.xlarge")]
    assert (gpu.resources.gpus, gpu.resources.gpu_kind, gpu.boot_seconds) == (1, "T4", 6.0)
    spot = named(stage, "m5.large", Market.SPOT)
    assert [stage.capacity_at(spot, at(s)) for s in (0, 90, 180)] == [4, 1, None]


def test_the_guide_names_every_key() -> None:
    sections = [model for model in vars(scenario_models).values() if is_section(model)]
    assert len(sections) > 8
    keys = {key for model in sections for key in model.model_fields}
    assert [key for key in sorted(keys) if f"`{key}`" not in GUIDE] == []


def is_section(model: object) -> bool:
    return isinstance(model, type) and issubclass(model, Section) and model is not Section


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("1.5", 1.5), ("1.5s", 1.5), ("500ms", 0.5), ("2min", 120), ("1h 30m", 5400), ("0", 0)],
)
def test_times_are_read(tmp_path: Path, text: str, seconds: float) -> None:
    stage = started(tmp_path, f"boot: {text}", "offers: [{type: m5.large}]")
    assert stage.offers[named(stage, "m5.large")].boot_seconds == seconds
