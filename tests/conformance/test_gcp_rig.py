"""The rig of GCP refuses what Google's documents do not allow, and remembers it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.emulators.gcp.filters import WrongFilter, parsed
from tests.emulators.gcp.server import GcpRig, serving

ZONE = "/compute/v1/projects/our-project/zones/us-central1-a"


@pytest.fixture
def rig() -> Iterator[GcpRig]:
    with serving(GcpRig()) as served:
        yield served


def machine(**changes: Any) -> dict[str, Any]:
    """The body of an insert that is allowed, but for the changes."""
    body = {
        "name": "one",
        "machineType": "zones/us-central1-a/machineTypes/n2-standard-4",
        "disks": [{"boot": True, "initializeParams": {"diskSizeGb": "20"}}],
        "networkInterfaces": [{"network": "global/networks/default"}],
        "scheduling": {"provisioningModel": "STANDARD"},
    }
    return {**body, **changes}


def sent(rig: GcpRig, body: Any, query: str = "") -> tuple[int, Any]:
    answer = httpx.post(f"{rig.endpoint}{ZONE}/instances{query}", json=body)
    return answer.status_code, answer.json()


def test_what_the_document_allows_is_done(rig: GcpRig) -> None:
    status, operation = sent(rig, machine())
    assert (status, operation["operationType"]) == (200, "insert")
    waited = httpx.post(f"{rig.endpoint}{ZONE}/operations/{operation['name']}/wait").json()
    assert (waited["status"], waited["targetId"]) == ("DONE", operation["targetId"])
    found = httpx.get(f"{rig.endpoint}{ZONE}/instances/one?alt=json&$x=1").json()
    assert found["status"] == "RUNNING"
    rig.check()


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"name": "Bad_Name"}, "body.name: 'Bad_Name' does not match"),
        ({"size": 3}, "body: unknown field 'size'"),
        ({"scheduling": {"provisioningModel": "SPOTTY"}}, "'SPOTTY' is none of"),
        ({"disks": [{"initializeParams": {"diskSizeGb": 20}}]}, "diskSizeGb: 20 is no string"),
        ({"disks": [{"initializeParams": {"diskSizeGb": "x"}}]}, "'x' is no int64"),
        ({"canIpForward": "yes"}, "body.canIpForward: 'yes' is no boolean"),
        ({"scheduling": {"minNodeCpus": 2.5}}, "minNodeCpus: 2.5 is no integer"),
        ({"labels": ["a"]}, "body.labels: ['a'] is no object"),
        ({"status": "RUNNING"}, "body.status: is for output only"),
    ],
)
def test_a_wrong_body_is_refused_and_remembered(
    rig: GcpRig, changes: dict[str, Any], complaint: str
) -> None:
    status, _ = sent(rig, machine(**changes))
    assert status == 400
    assert complaint in rig.violations[0]


def test_a_wrong_query_path_and_route_are_remembered(rig: GcpRig) -> None:
    assert sent(rig, machine(), "?requestID=1")[0] == 400
    assert httpx.get(f"{rig.endpoint}{ZONE}/instances?maxResults=many").status_code == 400
    assert httpx.get(f"{rig.endpoint}{ZONE.replace('-a', '-A')}/instances").status_code == 400
    assert len(rig.violations) == 3
    assert httpx.get(f"{rig.endpoint}/compute/v9/projects").status_code == 404
    assert httpx.get(f"{rig.endpoint}{ZONE}/disks").status_code == 501
    assert rig.unimplemented == ["GET /compute/v9/projects", "compute.disks.list"]
    with pytest.raises(AssertionError):
        rig.check()


def test_a_wrong_answer_of_the_rig_itself_is_remembered(rig: GcpRig) -> None:
    rig.compute.methods["compute.zones.list"] = lambda _: {"kind": 3, "zones": []}
    httpx.get(f"{rig.endpoint}/compute/v1/projects/our-project/zones")
    assert rig.violations == [
        "compute.zones.list answers response.kind: 3 is no string",
        "compute.zones.list answers response: unknown field 'zones'",
    ]


def test_a_request_id_is_one_request(rig: GcpRig) -> None:
    query = "?requestId=6ba7b810-9dad-11d1-80b4-00c04fd430c8"
    first = sent(rig, machine(), query)[1]
    assert sent(rig, machine(), query)[1]["name"] == first["name"]
    assert sent(rig, machine(name="two"), query)[0] == 409
    assert sent(rig, machine(name="two"), "?requestId=1")[0] == 400
    assert len(rig.project.machines) == 1


def test_a_lack_of_room_or_quota_comes_in_the_operation(rig: GcpRig) -> None:
    rig.project.room["us-central1-a", "n2-standard-4", "STANDARD"] = 0
    rig.project.quotas["us-central1", "N2_CPUS"] = 4.0
    codes = []
    for name in ("n2-standard-4", "n2-standard-8"):
        where = f"zones/us-central1-a/machineTypes/{name}"
        status, operation = sent(rig, machine(name=name, machineType=where))
        waited = httpx.post(f"{rig.endpoint}{ZONE}/operations/{operation['name']}/wait").json()
        codes.append((status, waited["error"]["errors"][0]["code"]))
    assert codes == [(200, "ZONE_RESOURCE_POOL_EXHAUSTED"), (200, "QUOTA_EXCEEDED")]
    assert httpx.get(f"{rig.endpoint}{ZONE}/instances").json()["items"] == []
    rig.check()


def test_bulk_insert_labels_and_pages(rig: GcpRig) -> None:
    rig.largest_page = 2
    one = machine()
    del one["name"]
    bulk = {
        "count": "3",
        "instanceProperties": {**one, "machineType": "n2-standard-4"},
        "perInstanceProperties": {"a": {}, "b": {}, "c": {}},
    }
    made = httpx.post(f"{rig.endpoint}{ZONE}/instances/bulkInsert", json=bulk)
    assert made.status_code == 200, made.text
    first = httpx.get(f"{rig.endpoint}{ZONE}/instances").json()
    rest = httpx.get(f"{rig.endpoint}{ZONE}/instances?pageToken={first['nextPageToken']}").json()
    names = [found["name"] for page in (first, rest) for found in page["items"]]
    assert names == ["a", "b", "c"]
    assert "nextPageToken" not in rest
    old = first["items"][0]["labelFingerprint"]
    for fingerprint, status in ((old, 200), (old, 412)):
        labels = {"labels": {"x": "y"}, "labelFingerprint": fingerprint}
        set_labels = httpx.post(f"{rig.endpoint}{ZONE}/instances/a/setLabels", json=labels)
        assert set_labels.status_code == status
    rig.check()


@pytest.mark.parametrize(
    ("text", "taken"),
    [
        ("", True),
        ('labels.owner = "me"', True),
        ("labels.owner:*", True),
        ("labels.other:*", False),
        ('(name : "web") AND (status != "TERMINATED")', True),
        ('(name : "web") (status = "TERMINATED")', False),
        ("name eq web.*", True),
        ("name ne .*-1", False),
    ],
)
def test_filters(text: str, taken: bool) -> None:
    resource = {"name": "web-1", "status": "RUNNING", "labels": {"owner": "me"}}
    assert parsed(text)(resource) is taken


@pytest.mark.parametrize(
    "text", ["name", "name ~ x", "(name eq a) (status eq b)", "(a eq b) (a=c)"]
)
def test_a_filter_that_the_cloud_would_not_understand_is_refused(text: str) -> None:
    with pytest.raises(WrongFilter):
        parsed(text)
