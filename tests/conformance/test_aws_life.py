"""EC2 machines that live and end, warnings, credentials and what is called, over HTTP, against
the rig."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from costplan.adapters.aws import notices as notices_module
from costplan.adapters.aws.clients import Clients
from costplan.adapters.aws.machines import PAGE
from costplan.adapters.aws.prices import AwsPrices
from costplan.adapters.aws.provider import AwsProvider
from costplan.adapters.aws.quotas import QUOTAS, vcpu_quotas
from costplan.adapters.clock import utc_now
from costplan.planner.errors import CredentialsRejected, OutcomeUnknown, Throttled, Unreachable
from costplan.planner.nodes import LaunchRequest, MachineState
from costplan.planner.types import Market, OfferKey
from tests.emulators.aws.account import REGION, ZONES, Account, key, startup
from tests.emulators.aws.advisor import ADVISOR, advisor
from tests.emulators.aws.cloud import Fault
from tests.emulators.aws.documents import IMPLIED, needed, permitted
from tests.emulators.aws.fixtures import account, served
from tests.emulators.aws.server import PRODUCT_KEY, SETUP_KEY

__all__ = ["account", "served"]


def request(name: str, *keys: OfferKey, cluster: str = "ours") -> LaunchRequest:
    return LaunchRequest(
        token=f"token-{name}",
        node_id=f"node-{name}",
        cluster=cluster,
        keys=keys or (key("m5.large"),),
        workers=(),
        tags={},
    )


# Lists.


def test_a_list_is_complete_over_its_pages(account: Account) -> None:
    provider = account.provider()
    launched = {provider.launch(request(str(n))).provider_id for n in range(5)}
    account.rig.cloud.page_size = 2
    assert {node.provider_id for node in account.provider().nodes()} == launched
    assert account.rig.made()["ec2:DescribeInstances"] == 3


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ({"code": "RequestLimitExceeded", "status": 503}, Throttled),
        ({"code": "InternalError", "status": 500}, Unreachable),
        ({"is_lost": True}, Unreachable),
    ],
)
def test_a_page_in_the_middle_that_fails_gives_no_list(
    account: Account, fault: dict[str, Any], error: type[Exception]
) -> None:
    provider = account.provider()
    for n in range(3):
        provider.launch(request(str(n)))
    account.rig.cloud.page_size = 1
    attempts = 2
    account.rig.cloud.faults.append(
        Fault(operation="DescribeInstances", passes=1, times=attempts, **fault)
    )
    with pytest.raises(error):
        provider.nodes()
    assert len(provider.nodes()) == 3


def test_offers_are_complete_over_their_pages(account: Account) -> None:
    whole = account.provider().offers()
    account.rig.cloud.page_size = 3
    assert account.provider().offers() == whole
    account.rig.cloud.faults.append(
        Fault(operation="DescribeInstanceTypes", passes=1, times=2, code="Throttling", status=503)
    )
    with pytest.raises(Throttled):
        account.provider().offers()


def test_offers_are_of_the_configured_zones_types_and_images(account: Account) -> None:
    settings = replace(account.settings, instance_types=("m5.large", "g4dn.x*", "m6g.large"))
    offers = account.provider(settings).offers()
    assert {offer.key.instance_type for offer in offers} == {"m5.large", "g4dn.xlarge"}
    assert {offer.key.zone for offer in offers} <= set(ZONES)
    gpu = next(offer for offer in offers if offer.key.instance_type == "g4dn.xlarge")
    assert (gpu.resources.gpus, gpu.resources.gpu_kind) == (1, "T4")
    both = replace(settings, images={**settings.images, "arm64": "ami-arm"})
    assert "arm64" in {offer.arch for offer in account.provider(both).offers()}


def test_a_quiet_tick_makes_few_calls(account: Account) -> None:
    """As many for a thousand machines, which one page of EC2 holds."""
    tags = [{"Key": "costplan:cluster", "Value": "ours"}]
    account.setup("ec2").run_instances(
        ImageId=account.settings.images["x86_64"],
        InstanceType="m5.large",
        Placement={"AvailabilityZone": ZONES[0]},
        MinCount=60,
        MaxCount=60,
        TagSpecifications=[{"ResourceType": "instance", "Tags": tags}],
    )
    provider = account.provider(account.with_queue(account.make_queue("ours")))
    assert len(provider.nodes()) == 60
    assert provider.notices() == ()
    assert PAGE >= 1000
    assert account.rig.made() == {"ec2:DescribeInstances": 2, "sqs:ReceiveMessage": 1}


# Strangers.


def test_machines_without_our_tag_are_neither_seen_nor_touched(account: Account) -> None:
    strangers = [
        account.foreign_machine(),
        account.foreign_machine({"Name": "node-a"}),
        account.foreign_machine({"costplan:cluster": "theirs"}),
        account.foreign_machine({"costplan:token": "token-a"}),
    ]
    settings = account.with_queue(account.make_queue("ours"))
    provider = account.provider(settings)
    launched = provider.launch(request("a", key("m5.large"), key("c5.large")))
    assert launched.provider_id not in strangers
    assert [node.provider_id for node in provider.nodes()] == [launched.provider_id]
    for stranger in strangers:
        account.rig.cloud.interrupt(stranger, 3600.0)
    assert provider.notices() == ()
    provider.terminate(strangers)
    assert account.rig.made()["ec2:TerminateInstances"] == 0
    for stranger in strangers:
        assert account.raw(stranger)["State"]["Name"] in ("pending", "running")
        assert not [tag for tag in account.raw(stranger).get("Tags", ()) if "notice" in tag["Key"]]


def test_an_order_to_end_whose_answer_is_lost_is_unclear(account: Account) -> None:
    provider = account.provider()
    launched = provider.launch(request("a"))
    account.rig.cloud.faults.append(Fault(operation="TerminateInstances", is_lost=True))
    with pytest.raises(OutcomeUnknown):
        provider.terminate([launched.provider_id])
    provider.terminate([launched.provider_id])
    (node,) = provider.nodes()
    assert node.state in (MachineState.STOPPING, MachineState.ENDED)


def test_unknown_ids_are_no_error_beside_known_ones(account: Account) -> None:
    provider = account.provider()
    launched = provider.launch(request("a"))
    provider.nodes()
    provider.terminate(["i-0123456789abcdef0", "i-xyz", "", launched.provider_id])
    assert account.raw(launched.provider_id)["State"]["Name"] in ("shutting-down", "terminated")


# Ends.


def ended(account: Account, end: Callable[[str], None]) -> tuple[Any, AwsProvider]:
    """A machine that has ended so, and the provider that has seen it."""
    account.rig.cloud.stopping_seconds = 0.0
    provider = account.provider()
    launched = provider.launch(request("a"))
    end(launched.provider_id)
    (node,) = provider.nodes()
    return node, provider


@pytest.mark.parametrize(
    ("end", "cause"), [("reclaim", "reclaimed"), ("fail", "failed"), ("shut_down", "failed")]
)
def test_why_a_machine_ended(account: Account, end: str, cause: str) -> None:
    node, _ = ended(account, getattr(account.rig.cloud, end))
    assert (node.state, node.end_cause) == (MachineState.ENDED, cause)


def test_an_end_that_ec2_does_not_date_is_when_it_was_first_seen(account: Account) -> None:
    node, provider = ended(account, account.rig.cloud.shut_down)
    assert node.ended_at is not None
    assert abs(utc_now() - node.ended_at) < timedelta(seconds=10)
    assert provider.nodes() == (node,)


@pytest.mark.parametrize("ahead", [timedelta(days=-2), timedelta(days=2)])
def test_instants_are_ec2s_and_not_those_of_a_clock_that_is_wrong(
    account: Account, ahead: timedelta
) -> None:
    account.rig.cloud.stopping_seconds = 0.0
    settings = account.with_queue(account.make_queue("ours"))
    provider = account.provider(settings, clock=lambda: utc_now() + ahead)
    first, second = provider.launch(request("a")), provider.launch(request("b"))
    account.rig.cloud.interrupt(second.provider_id, 3600.0)
    provider.terminate([first.provider_id])
    nodes = {node.node_id: node for node in provider.nodes()}
    (notice,) = provider.notices()
    found = (
        nodes["node-a"].launched_at,
        nodes["node-a"].ended_at,
        notice.observed_at,
    )
    assert all(at is not None and abs(utc_now() - at) < timedelta(minutes=1) for at in found)


# Warnings.


def warned(account: Account) -> tuple[AwsProvider, str, str]:
    """A provider with a queue, a machine of its, and the queue."""
    queue = account.make_queue("ours")
    provider = account.provider(account.with_queue(queue))
    return provider, provider.launch(request("a")).provider_id, queue


def left_in(account: Account, queue: str) -> int:
    """How many messages a queue has, hidden ones included."""
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    answer = account.setup("sqs").get_queue_attributes(QueueUrl=queue, AttributeNames=names)
    return sum(int(answer["Attributes"][name]) for name in names)


def test_a_warning_comes_two_minutes_ahead(account: Account) -> None:
    provider, machine, queue = warned(account)
    account.rig.cloud.interrupt(machine, 120.0)
    (notice,) = provider.notices()
    assert (notice.provider_id, notice.kind) == (machine, "reclaim")
    assert notice.effective_at - notice.observed_at == timedelta(seconds=120)
    assert left_in(account, queue) == 0
    assert provider.notices() == (notice,)


def test_recommendations_and_maintenance_are_warnings_of_their_kind(account: Account) -> None:
    provider, machine, _ = warned(account)
    starts = datetime(2027, 1, 2, 3, 4, 5, tzinfo=UTC)
    account.rig.cloud.recommend_rebalance(machine)
    account.rig.cloud.schedule_maintenance(machine, starts)
    found = {notice.kind: notice for notice in provider.notices()}
    assert set(found) == {"rebalance", "maintenance"}
    assert found["maintenance"].effective_at == starts
    later = starts + timedelta(days=1)
    account.rig.cloud.clock = lambda: utc_now() + timedelta(seconds=5)
    account.rig.cloud.schedule_maintenance(machine, later)
    found = {notice.kind: notice for notice in provider.notices()}
    assert found["maintenance"].effective_at == later


def test_many_warnings_are_taken_in_at_once(account: Account) -> None:
    provider, machine, queue = warned(account)
    machines = [machine, *(provider.launch(request(str(n))).provider_id for n in range(12))]
    for one in machines:
        account.rig.cloud.interrupt(one, 3600.0)
    assert {notice.provider_id for notice in provider.notices()} == set(machines)
    assert left_in(account, queue) == 0


def test_a_message_stays_until_its_warning_was_taken_in(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notices_module, "_HIDDEN_SECONDS", 0)
    provider, machine, queue = warned(account)
    account.rig.cloud.faults.append(
        Fault(operation="CreateTags", code="RequestLimitExceeded", status=503)
    )
    account.rig.cloud.interrupt(machine, 3600.0)
    with pytest.raises(Throttled):
        provider.notices()
    assert left_in(account, queue) == 1
    assert [notice.provider_id for notice in provider.notices()] == [machine]
    assert left_in(account, queue) == 0


def test_a_message_about_nobody_of_ours_is_dropped_after_a_few_looks(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notices_module, "_HIDDEN_SECONDS", 0)
    provider, _, queue = warned(account)
    stranger = account.foreign_machine()
    account.rig.cloud.interrupt(stranger, 3600.0)
    assert provider.notices() == ()
    assert left_in(account, queue) == 0
    assert account.rig.made()["sqs:ReceiveMessage"] == 4


def test_what_is_no_warning_is_dropped(account: Account) -> None:
    provider, machine, queue = warned(account)
    sqs = account.setup("sqs")
    bodies = [
        "no json",
        "[]",
        json.dumps({"detail-type": "EC2 Spot Instance Interruption Warning", "detail": {}}),
        json.dumps({"detail-type": "Other", "time": "2026-11-29T00:00:00Z", "detail": {}}),
        json.dumps(
            {
                "detail-type": "EC2 Instance State-change Notification",
                "time": "2026-11-29T00:00:00Z",
                "detail": {"instance-id": machine, "state": "running"},
            }
        ),
    ]
    for body in bodies:
        sqs.send_message(QueueUrl=queue, MessageBody=body)
    assert provider.notices() == ()
    assert left_in(account, queue) == 0


def test_without_a_queue_there_are_no_warnings_and_no_error(account: Account) -> None:
    provider = account.provider()
    machine = provider.launch(request("a")).provider_id
    account.rig.cloud.interrupt(machine, 3600.0)
    assert provider.notices() == ()


# Credentials.


def test_refused_credentials_are_said_by_every_verb(account: Account) -> None:
    settings = account.with_queue(account.make_queue("ours"))
    provider = account.provider(settings)
    launched = provider.launch(request("a"))
    provider.nodes()
    account.rig.cloud.access_keys = {SETUP_KEY}
    feed = AwsPrices(settings, utc_now, account.clients)
    several = request("b", key("m5.large"), key("c5.large"))
    calls: list[Callable[[], object]] = [
        provider.offers,
        provider.nodes,
        provider.notices,
        lambda: provider.launch(request("b")),
        lambda: provider.launch(several),
        lambda: provider.terminate([launched.provider_id]),
        lambda: feed.quotes([key("m5.large")]),
        lambda: feed.quotes([key("m5.large", market=Market.ON_DEMAND)]),
        lambda: feed.quotes([key("m5.large", market=Market.COMMITMENT_1Y)]),
        lambda: vcpu_quotas(account.clients, settings),
    ]
    for call in calls:
        with pytest.raises(CredentialsRejected):
            call()
    account.rig.cloud.access_keys = None
    assert [node.provider_id for node in provider.nodes()] == [launched.provider_id]


@pytest.mark.parametrize("code", ["ExpiredToken", "UnauthorizedOperation", "RequestExpired"])
def test_expired_or_insufficient_credentials_change_nothing(account: Account, code: str) -> None:
    account.rig.cloud.faults.append(Fault(operation="RunInstances", code=code, status=403))
    provider = account.provider()
    with pytest.raises(CredentialsRejected):
        provider.launch(request("a"))
    assert provider.nodes() == ()
    assert provider.launch(request("a")).node_id == "node-a"


def test_credentials_that_come_back_are_taken_up(
    account: Account, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that was renewed while the daemon runs."""
    file = tmp_path / "credentials"
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(file))

    def write(access_key: str) -> None:
        file.write_text(f"[default]\naws_access_key_id = {access_key}\naws_secret_access_key = s\n")

    write("AKIAOLD")
    account.rig.cloud.access_keys = {SETUP_KEY, PRODUCT_KEY}
    provider = AwsProvider(account.settings, startup, utc_now, Clients(account.settings))
    for _ in range(2):
        with pytest.raises(CredentialsRejected):
            provider.nodes()
    write(PRODUCT_KEY)
    with pytest.raises(CredentialsRejected):
        AwsProvider(account.settings, startup, utc_now, Clients(
            replace(account.settings, profile="no-such")
        )).nodes()  # fmt: skip
    assert provider.nodes() == ()


def test_no_credentials_at_all_are_refused_and_not_unreachable(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    provider = AwsProvider(account.settings, startup, utc_now, Clients(account.settings))
    with pytest.raises(CredentialsRejected):
        provider.nodes()
    assert account.rig.made() == {}


# The guide, and the SDK.


def test_the_guides_policy_is_what_is_called_and_nothing_more(account: Account) -> None:
    cloud = account.rig.cloud
    cloud.quotas = {quota.code: 64.0 for quota in QUOTAS}
    settings = account.with_queue(account.make_queue("ours"))
    provider = account.provider(settings)
    provider.offers()
    machine = provider.launch(request("a")).provider_id
    provider.launch(request("b", key("m5.large"), key("m5.large", ZONES[1])))
    cloud.interrupt(machine, 3600.0)
    assert len(provider.notices()) == 1
    provider.terminate([node.provider_id for node in provider.nodes()])
    markets = (Market.SPOT, Market.ON_DEMAND, Market.COMMITMENT_1Y)
    keys = [key("m5.large", market=market) for market in markets]
    cloud.spot_prices = {("m5.large", ZONES[0]): [(utc_now() - timedelta(hours=1), "0.03")]}
    with advisor(ADVISOR) as url:
        feed = AwsPrices(replace(settings, advisor_url=url), utc_now, account.clients)
        feed.quotes(keys)
    vcpu_quotas(account.clients, settings)
    assert needed(account.rig.made()) | IMPLIED == permitted()


def run_python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


def test_nothing_of_the_sdk_is_imported_before_aws_is_chosen() -> None:
    code = (
        "import sys\n"
        "import costplan.cli.wiring, costplan.cli.main\n"
        "import costplan.adapters.aws.provider, costplan.adapters.aws.prices\n"
        "import costplan.adapters.aws.quotas\n"
        "found = sorted({n.split('.')[0] for n in sys.modules} & {'boto3', 'botocore'})\n"
        "sys.exit(str(found) if found else 0)"
    )
    done = run_python(code)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_missing_sdk_says_how_to_install_it() -> None:
    code = (
        "import sys\n"
        "sys.modules['boto3'] = sys.modules['botocore'] = None\n"
        "from costplan.adapters.aws.provider import AwsProvider\n"
        "from costplan.adapters.aws.region import check_region, default_region\n"
        "from costplan.adapters.aws.settings import AwsSettings\n"
        "from costplan.planner.errors import InputError\n"
        f"s = AwsSettings(cluster='c', region={REGION!r}, zones=(), images={{}})\n"
        "for use in (\n"
        "    lambda: AwsProvider(s, lambda *_: '', lambda: None),\n"
        "    lambda: check_region(s.region),\n"
        "    lambda: default_region(''),\n"
        "):\n"
        "    try:\n"
        "        use()\n"
        "    except InputError as error:\n"
        "        print(error)\n"
    )
    done = run_python(code)
    said = "provider aws: boto3 is not installed; pip install 'costplan[aws]'\n"
    assert (done.stdout, done.stderr) == (3 * said, "")
