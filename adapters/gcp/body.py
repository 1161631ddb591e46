"""The instance that a launch asks for, in the words of Compute Engine."""

from __future__ import annotations

from typing import Any

from costplan.adapters.gcp.clients import Clients
from costplan.adapters.gcp.gpus import architecture, hardware_of
from costplan.adapters.gcp.names import (
    CLUSTER_LABEL,
    NODE_LABEL,
    TOKEN_LABEL,
    Place,
    label_key,
    label_value,
)
from costplan.adapters.gcp.settings import GcpSettings, region_of
from costplan.planner.nodes import LaunchRequest
from costplan.planner.types import Market

SHUTDOWN = """\
#!/bin/bash
# Written by costplan: a machine that is preempted stays on until its workers have left.
at=${COSTPLAN_METADATA:-http://metadata.google.internal}/computeMetadata/v1/instance/preempted
taken=$(curl --silent --max-time 2 --noproxy '*' -H 'Metadata-Flavor: Google' "$at")
workers="${COSTPLAN_RUN:-/run}/costplan[.][^/]*/costplan_agent[.]py"
while [ "$taken" = TRUE ] && pgrep -f "$workers" >/dev/null; do sleep 0.2; done
"""
"""A preemption begins with the machine's own shutdown, which waits for this script and ends all
processes after it (https://cloud.google.com/compute/docs/shutdownscript, read in 2025)."""


def instance_body(
    clients: Clients,
    settings: GcpSettings,
    request: LaunchRequest,
    place: Place,
    startup: str,
    *,
    has_gpus: bool,
) -> Any:
    """An instance of the SDK: the same request and place give the same one, letter for letter.

    A spot machine deletes itself when it is preempted. None is started again by the cloud: a
    machine that was away is another one to the scheduler.
    """
    types, hardware = clients.compute, hardware_of(place.instance_type)
    image = request.image_ref or settings.images[architecture(place.instance_type)]
    zone = f"zones/{place.zone}"
    body = types.Instance(
        name=place.name,
        machine_type=f"{zone}/machineTypes/{hardware.machine_type}",
        disks=[_disk(types, settings, image, zone)],
        network_interfaces=[_network(types, settings, region_of(place.zone))],
        labels=labels(request),
        metadata=types.Metadata(
            items=[
                types.Items(key="startup-script", value=startup),
                types.Items(key="shutdown-script", value=SHUTDOWN),
            ]
        ),
        scheduling=_scheduling(types, settings, place.market, has_gpus=has_gpus),
    )
    if hardware.accelerator:
        kind = f"projects/{settings.project}/{zone}/acceleratorTypes/{hardware.accelerator}"
        body.guest_accelerators = [
            types.AcceleratorConfig(accelerator_type=kind, accelerator_count=hardware.gpus)
        ]
    if settings.service_account:
        body.service_accounts = [
            types.ServiceAccount(email=settings.service_account, scopes=list(settings.scopes))
        ]
    if settings.network_tags:
        body.tags = types.Tags(items=list(settings.network_tags))
    return body


def labels(request: LaunchRequest) -> dict[str, str]:
    """Whose machine it is and which; tags of the request as far as labels can carry them."""
    return {label_key(key): label_value(value) for key, value in sorted(request.tags.items())} | {
        CLUSTER_LABEL: label_value(request.cluster),
        NODE_LABEL: label_value(request.node_id),
        TOKEN_LABEL: label_value(request.token),
    }


def _disk(types: Any, settings: GcpSettings, image: str, zone: str) -> Any:
    return types.AttachedDisk(
        boot=True,
        auto_delete=True,
        initialize_params=types.AttachedDiskInitializeParams(
            source_image=image,
            disk_size_gb=settings.disk_gib,
            disk_type=f"{zone}/diskTypes/{settings.disk_type}",
        ),
    )


def _network(types: Any, settings: GcpSettings, region: str) -> Any:
    if region in settings.subnets:
        subnet = _path(settings.subnets[region], f"regions/{region}/subnetworks")
        place = {"subnetwork": subnet}
    else:
        place = {"network": _path(settings.network, "global/networks")}
    if settings.external_ip:
        access = types.AccessConfig(name="External NAT", type_="ONE_TO_ONE_NAT")
        return types.NetworkInterface(access_configs=[access], **place)
    return types.NetworkInterface(**place)


def _path(name: str, folder: str) -> str:
    """The path of something in the project, or the one that was given."""
    return name if "/" in name else f"{folder}/{name}"


def _scheduling(types: Any, settings: GcpSettings, market: Market, *, has_gpus: bool) -> Any:
    if market is not Market.SPOT:
        action = "TERMINATE" if has_gpus else "MIGRATE"
        return types.Scheduling(
            provisioning_model="STANDARD", automatic_restart=False, on_host_maintenance=action
        )
    spot = types.Scheduling(
        provisioning_model="SPOT",
        instance_termination_action="DELETE",
        automatic_restart=False,
        on_host_maintenance="TERMINATE",
    )
    if settings.preemption_notice_seconds:
        spot.preemption_notice_duration = types.Duration(seconds=settings.preemption_notice_seconds)
    return spot
