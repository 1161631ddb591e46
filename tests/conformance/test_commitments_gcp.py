"""`costplan commitments import` from Google Cloud, over HTTP, with the real SDK."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.conformance.held_clouds import documented_calls, held_in, left_out, plain_file, run
from tests.emulators.gcp.faults import Fault
from tests.emulators.gcp.server import GcpRig, serving


def committed(name: str, **changes: Any) -> dict[str, Any]:
    """A commitment as Compute Engine describes one."""
    link = "https://www.googleapis.com/compute/v1/projects/our-project/regions"
    return {
        "kind": "compute#commitment",
        "id": "123",
        "name": name,
        "status": "ACTIVE",
        "category": "MACHINE",
        "type": "GENERAL_PURPOSE_N2",
        "plan": "TWELVE_MONTH",
        "startTimestamp": "2026-01-15T00:00:00.000-08:00",
        "endTimestamp": "2027-01-15T00:00:00.000-08:00",
        "region": f"{link}/us-central1",
        "selfLink": f"{link}/us-central1/commitments/{name}",
        "resources": [
            {"type": "VCPU", "amount": "64"},
            {"type": "MEMORY", "amount": str(256 * 1024 + 512)},
        ],
        **changes,
    }


@pytest.fixture
def gcp(tmp_path: Path) -> Iterator[tuple[GcpRig, Path]]:
    """A rig of Google Cloud, and a file that says where it is."""
    with serving(GcpRig()) as rig:
        rig.compute.commitments = [
            ("us-central1", committed("web")),
            ("us-central1", committed("gpu", type="GENERAL_PURPOSE", plan="THIRTY_SIX_MONTH",
                                      resources=[{"type": "ACCELERATOR", "amount": "4",
                                                  "acceleratorType": "nvidia-tesla-t4"}])),
            ("europe-west4", committed("web", type="COMPUTE_OPTIMIZED",
                                       resources=[{"type": "VCPU", "amount": "8"}])),
            ("us-central1", committed("old", status="EXPIRED")),
            ("us-central1", committed("making", status="CREATING")),
            ("us-central1", committed("licence", category="LICENSE", resources=[])),
            ("us-central1", committed("mega", type="ACCELERATOR_OPTIMIZED_A3_MEGA")),
        ]  # fmt: skip
        rig.compute.reservations = [
            ("us-central1-a", {"kind": "compute#reservation", "name": "kept", "status": "READY"})
        ]
        path = tmp_path / "costplan.yaml"
        section = {
            "kind": "gcp",
            "project": rig.project.name,
            "zones": ["us-central1-a"],
            "image": "projects/p/global/images/family/f",
            "endpoint": rig.endpoint,
        }
        path.write_text(yaml.safe_dump(plain_file() | {"provider": section}))
        yield rig, path
        rig.check()


def test_what_google_says_is_held_is_a_commitment_for_each_resource(
    gcp: tuple[GcpRig, Path],
) -> None:
    rig, config = gcp
    rig.largest_page = 2
    out = config.parent / "held.yaml"
    done = run("import", "--config", str(config), "--out", str(out), "--format", "json")
    assert left_out(done) == {
        "old": "expired",
        "making": "creating",
        "licence": "is of licences, and covers no machines",
        "mega": "of type ACCELERATOR_OPTIMIZED_A3_MEGA, whose machines are not known by a series",
        "kept": "is charged as its machines are, used or not, and no commitment",
    }
    written = {one.pop("id"): one for one in yaml.safe_load(out.read_text())["commitments"]}
    same = {
        "kind": "resource_cud", "region": "us-central1", "machine_series": "n2", "term": "1y",
        "start": "2026-01-15T08:00:00Z", "end": "2027-01-15T08:00:00Z", "account": "our-project",
    }  # fmt: skip
    west = {**same, "region": "europe-west4", "machine_series": "c2", "resource": "vcpu"}
    # The rig's price of an N2's vCPU is 3 cents on demand, and 63 % of it for a year.
    assert written == {
        "us-central1-web-vcpu": same | {"resource": "vcpu", "amount": 64, "usd_per_hour": 0.0189},
        "web-memory": same | {"resource": "memory", "amount": 256.5, "usd_per_hour": 0.00252},
        "gpu-t4": same | {"machine_series": "n1", "resource": "t4", "amount": 4, "term": "3y"},
        "europe-west4-web-vcpu": west | {"amount": 8},
    }
    notes = json.loads(done.stdout)["notes"]
    assert any(note.startswith("flexible commitments are of the billing account") for note in notes)
    assert "the price list has no price of europe-west4-web-vcpu" in notes
    west_only = run("import", "--config", str(config), "--region", "europe-west4",
                    "--out", str(config.parent / "west.yaml"), "--format", "json")  # fmt: skip
    assert [one["id"] for one in json.loads(west_only.stdout)["commitments"]] == ["web-vcpu"]


def test_what_google_cannot_tell_is_never_half(gcp: tuple[GcpRig, Path]) -> None:
    rig, config = gcp
    words = ("import", "--config", str(config), "--out", str(config.parent / "held.yaml"))
    rig.compute.hidden_scopes = {"europe-west4"}
    part = run(*words)
    assert (part.exit_code, "the list lacks regions/europe-west4" in part.stderr) == (1, True)
    rig.compute.hidden_scopes = set()
    rig.faults.add(Fault(method="compute.reservations.aggregatedList", status=403,
                         reason="forbidden"))  # fmt: skip
    refused = run(*words)
    assert (refused.exit_code, "'What commitments need'" in refused.stderr) == (1, True)
    assert [path.name for path in config.parent.iterdir()] == ["costplan.yaml"]
    # Prices are of use, and not needed.
    rig.faults.add(Fault(method="cloudbilling.services.skus.list", status=403, reason="forbidden"))
    done = run(*words)
    assert done.exit_code == 0, done.output
    assert "no price could be read" in done.stderr
    assert {each.usd_per_hour for each in held_in(config.parent / "held.yaml").values()} == {None}


def test_the_guide_names_the_permission_of_every_call(gcp: tuple[GcpRig, Path]) -> None:
    place, config = gcp
    out = config.parent / "held.yaml"
    assert run("import", "--config", str(config), "--out", str(out)).exit_code == 0
    assert documented_calls("gcp") == set(place.calls) - {"identity.token"}
