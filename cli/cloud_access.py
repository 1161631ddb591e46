"""From a provider's part of the configuration to its adapter's settings and clients."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from costplan.adapters.aws.settings import AwsSettings
    from costplan.adapters.azure.settings import AzureSettings
    from costplan.adapters.gcp.clients import Clients
    from costplan.adapters.gcp.settings import GcpSettings
    from costplan.planner.azure_config import AzureChoice
    from costplan.planner.provider_config import AwsChoice, GcpChoice

GCP_TIMEOUT_SECONDS = 20.0


def azure_settings(choice: AzureChoice) -> AzureSettings:
    """What the adapter for Azure is told."""
    from costplan.adapters.azure.settings import PUBLIC_ENDPOINT, AzureSettings

    return AzureSettings(
        subscription=choice.subscription,
        resource_group=choice.resource_group,
        location=choice.region,
        zones=choice.zones,
        images=choice.images,
        sizes=choice.sizes,
        subnet=choice.subnet,
        security_group=choice.security_group,
        identity=choice.identity,
        public_ip=choice.public_ip,
        ssh_key=choice.ssh_key,
        admin_user=choice.admin_user,
        disk_gib=choice.root_disk_gib,
        disk_type=choice.disk_sku,
        scale_set=choice.scale_set,
        spot_max_usd_per_hour=choice.spot_usd_per_hour,
        prices_endpoint=choice.price_list_url,
        endpoint=choice.endpoint_url or PUBLIC_ENDPOINT,
    )


def aws_settings(choice: AwsChoice, cluster: str) -> AwsSettings:
    """What the adapter for AWS is told of a cluster."""
    from costplan.adapters.aws.settings import AwsSettings

    return AwsSettings(
        cluster=cluster,
        region=choice.region,
        zones=choice.zones,
        images=choice.images,
        instance_types=choice.instance_types,
        subnets=choice.subnets,
        security_groups=choice.security_groups,
        instance_profile=choice.instance_profile,
        root_device=choice.root_device,
        root_disk_gib=choice.root_disk_gib,
        queue_url=choice.queue_url,
        profile=choice.profile,
        advisor_url=choice.advisor_url,
        endpoint_url=choice.endpoint_url,
    )


def gcp_settings(choice: GcpChoice) -> GcpSettings:
    """What the adapter for Google Cloud is told."""
    from costplan.adapters.gcp.settings import GcpSettings

    return GcpSettings(
        project=choice.project,
        zones=choice.zones,
        images=choice.images,
        network=choice.network,
        subnets=choice.subnets,
        service_account=choice.service_account,
        disk_gib=choice.root_disk_gib,
        disk_type=choice.disk_type,
        external_ip=choice.external_ip,
        network_tags=choice.network_tags,
        machine_types=choice.machine_types,
    )


def gcp_clients(endpoint_url: str, timeout_seconds: float = GCP_TIMEOUT_SECONDS) -> Clients:
    """Clients of Google, or of an address in its place; raises InputError where there are no
    credentials, or the SDK is not installed."""
    from costplan.adapters.gcp.clients import Clients, anonymous

    return Clients(
        timeout_seconds=timeout_seconds,
        credentials=anonymous() if endpoint_url.startswith("http://") else None,
        endpoint=endpoint_url or None,
    )
