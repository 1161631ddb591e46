"""The checks of `costplan doctor` that a configuration asks for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from costplan.adapters.store.doctor import is_driven, store_findings
from costplan.planner.azure_config import AzureChoice
from costplan.planner.daemon_config import DaemonConfig
from costplan.planner.doctor import (
    Check,
    Finding,
    machine_findings,
    markets_of,
    ok,
    price_findings,
    problem,
    wanted_of,
)
from costplan.planner.errors import InputError
from costplan.planner.nodes import Node
from costplan.planner.ports import PriceFeed, Provider
from costplan.planner.provider_config import AwsChoice, Choice, GcpChoice, ProviderChoice
from costplan.planner.types import Offer, OfferKey

Clock = Callable[[], datetime]

EXTRAS = {
    "aws": "boto3",
    "gcp": "google-cloud-compute",
    "azure": "azure-mgmt-compute",
    "forecast": "scikit-learn",
}
"""What each extra installs, by which it is told whether it is there."""

_SOLD_SECONDS = 600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Cloud:
    """A provider as the checks look at it: what can be asked of any, and checks of its own."""

    provider: Provider
    prices: PriceFeed
    sold: Callable[[], Sequence[Offer]]
    checks: tuple[Check, ...]


def extras_findings(choice: Choice | None) -> list[Finding]:
    """Which extras are installed, and whether one that is needed is not."""
    versions = {name: _version(package) for name, package in EXTRAS.items()}
    there = [f"{name} ({EXTRAS[name]} {found})" for name, found in versions.items() if found]
    found = [ok("extras", f"installed: {', '.join(there) or 'none'}")]
    needed = kind_of(choice)
    if versions.get(needed, "none needed") == "":
        text = f"provider {needed} needs {EXTRAS[needed]}, which is not installed"
        found = [problem("extras", text, f"pip install 'costplan[{needed}]'")]
    return found


def kind_of(choice: Choice | None) -> str:
    """The provider's kind, as the configuration has it; '' for none."""
    match choice:
        case None:
            return ""
        case ProviderChoice():
            return "local"
        case AwsChoice():
            return "aws"
        case GcpChoice():
            return "gcp"
        case AzureChoice():
            return "azure"


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def cluster_checks(config: DaemonConfig, clock: Clock) -> tuple[Check, ...]:
    """Everything of a cluster, in the order in which it is told."""
    cloud: Cloud | None = None
    own: tuple[Check, ...]
    try:
        cloud = _cloud(config, clock)
        own = cloud.checks
    except InputError as error:
        failed = problem("provider", f"{error.subject}: {error.problem}", error.remedy)
        own = (Check("provider", lambda: [failed]),)
    store = Path(config.store_path)
    checks = [
        *own,
        Check("scheduler", lambda: _scheduler(config, clock)),
        Check("scheduler", lambda: _address(config)),
        Check("store", lambda: store_findings(store, clock())),
    ]
    if cloud is not None:
        asked = cloud
        checks += [
            Check("machines", lambda: _machines(config, asked, clock)),
            Check("prices", lambda: _prices(config, asked, clock)),
        ]
    return tuple(checks)


def _scheduler(config: DaemonConfig, clock: Clock) -> Iterator[Finding]:
    from costplan.adapters.dask.doctor import endpoint_findings
    from costplan.adapters.dask.endpoint import DaskEndpoint
    from costplan.adapters.dask.token_file import read_token

    access = config.scheduler
    token = read_token(Path(access.token_file))
    ca_file = Path(access.ca_file) if access.ca_file else None
    with DaskEndpoint(access.endpoint, token, ca_file=ca_file, clock=clock) as endpoint:
        is_encrypted = access.endpoint.startswith("https://")
        yield from endpoint_findings(endpoint, is_encrypted=is_encrypted, clock=clock)


def _address(config: DaemonConfig) -> Iterator[Finding]:
    from costplan.adapters.dask.doctor import address_findings

    tls = config.scheduler.worker_tls
    is_cloud = not isinstance(config.provider, ProviderChoice)
    files = None
    if tls is not None and not is_cloud:
        files = (Path(tls.ca), Path(tls.cert), Path(tls.key))
    yield from address_findings(config.scheduler.address, files, is_cloud=is_cloud)


def _machines(config: DaemonConfig, cloud: Cloud, clock: Clock) -> list[Finding]:
    known: tuple[Node, ...] | None = None
    store = Path(config.store_path)
    has_daemon = False
    if store.exists():
        from costplan.adapters.store.store import Store

        # The store first: a machine that comes meanwhile is in neither or in both.
        with Store.open(store, read_only=True, clock=clock) as book:
            known = tuple(book.load_state().nodes.values())
            has_daemon = is_driven(book.lease_row(), clock())
    listed = cloud.provider.nodes()
    keys = {one.key for one in listed if one.ended_at is None}
    prices: dict[OfferKey, Decimal] = {}
    if keys:
        prices = {quote.key: quote.usd_per_hour for quote in cloud.prices.quotes(keys)}
    return machine_findings(listed, known, prices, is_driven=has_daemon, now=clock())


def _prices(config: DaemonConfig, cloud: Cloud, clock: Clock) -> list[Finding]:
    offers = cloud.sold()
    quotes = cloud.prices.quotes([offer.key for offer in offers if offer.available])
    stale_seconds = config.settings.cadence.prices_stale_seconds
    return price_findings(offers, quotes, clock(), stale_seconds)


def _cloud(config: DaemonConfig, clock: Clock) -> Cloud:
    """The provider that the configuration names; raises InputError where what it needs is not
    there."""
    match config.provider:
        case ProviderChoice():
            return _local(config, config.provider, clock)
        case AwsChoice():
            return _aws(config, config.provider, clock)
        case GcpChoice():
            return _gcp(config, config.provider, clock)
        case AzureChoice():
            return _azure(config, config.provider, clock)


def _local(config: DaemonConfig, choice: ProviderChoice, clock: Clock) -> Cloud:
    from costplan.adapters.local.prices import LocalPrices
    from costplan.adapters.local.provider import LocalProvider, Workers
    from costplan.adapters.local.scenario import read_scenario
    from costplan.adapters.local.stage import would_be_stage
    from costplan.cli.price_source import read_local_prices

    now = clock()
    catalogue = read_local_prices(config.prices_file, now=now).catalogue
    scenario = read_scenario(Path(choice.scenario))
    stage = would_be_stage(Path(choice.state_dir), scenario, catalogue, now=now)
    workers = Workers(scheduler_address=config.scheduler.address, tls=None)
    provider = LocalProvider(stage, config.settings.cluster, workers, clock)
    text = f"local: machines are processes of this computer, by {choice.scenario}"
    started = ok("provider", text)
    sold = _sold(config, provider, clock)
    return Cloud(
        provider=provider,
        prices=LocalPrices(stage, clock),
        sold=sold,
        checks=(Check("provider", lambda: [started]),),
    )


def _aws(config: DaemonConfig, choice: AwsChoice, clock: Clock) -> Cloud:
    from costplan.adapters.aws.clients import Clients
    from costplan.adapters.aws.doctor import checks
    from costplan.adapters.aws.hazards import Hazards
    from costplan.adapters.aws.prices import AwsPrices
    from costplan.adapters.aws.provider import AwsProvider
    from costplan.adapters.aws.region import check_region
    from costplan.cli.cloud_access import aws_settings

    if not choice.endpoint_url:
        check_region(choice.region, "provider.region")
    settings = aws_settings(choice, config.settings.cluster)
    clients = Clients(settings)
    provider = AwsProvider(settings, _nothing_is_launched, clock, clients)
    sold = _sold(config, provider, clock)
    return Cloud(
        provider=provider,
        prices=AwsPrices(settings, clock, clients, lambda _: Hazards({}, {})),
        sold=sold,
        checks=checks(clients, settings, sold, wanted_of(config.settings), clock),
    )


def _gcp(config: DaemonConfig, choice: GcpChoice, clock: Clock) -> Cloud:
    from costplan.adapters.gcp.doctor import checks
    from costplan.adapters.gcp.prices import GcpPrices
    from costplan.adapters.gcp.provider import GcpProvider
    from costplan.cli.cloud_access import gcp_clients, gcp_settings

    settings = gcp_settings(choice)
    clients = gcp_clients(choice.endpoint_url, settings.timeout_seconds)
    cluster = config.settings.cluster
    provider = GcpProvider(clients, settings, cluster, _nothing_is_launched, clock)
    sold = _sold(config, provider, clock)
    return Cloud(
        provider=provider,
        prices=GcpPrices(clients, settings, clock, sold=sold),
        sold=sold,
        checks=checks(
            clients, settings, provider, cluster, sold, wanted_of(config.settings), clock
        ),
    )


def _azure(config: DaemonConfig, choice: AzureChoice, clock: Clock) -> Cloud:
    from costplan.adapters.azure.clients import Clients
    from costplan.adapters.azure.doctor import checks
    from costplan.adapters.azure.prices import AzurePrices
    from costplan.adapters.azure.provider import AzureProvider
    from costplan.cli.cloud_access import azure_settings

    settings = azure_settings(choice)
    clients = Clients(settings)
    cluster = config.settings.cluster
    provider = AzureProvider(clients, settings, cluster, _nothing_is_launched, clock)
    sold = _sold(config, provider, clock)
    return Cloud(
        provider=provider,
        prices=AzurePrices(clients, settings, clock, dict),
        sold=sold,
        checks=checks(clients, settings, provider, sold, wanted_of(config.settings), clock),
    )


def _nothing_is_launched(*_: object) -> str:
    """The start script of machines that nobody starts."""
    return ""


def _sold(config: DaemonConfig, provider: Provider, clock: Clock) -> Callable[[], Sequence[Offer]]:
    """The offers of the markets that may be bought in, read once for all checks."""
    from costplan.adapters.remembered import Remembered

    known: Remembered[None, Sequence[Offer]] = Remembered(
        lambda _: markets_of(provider.offers(), config.settings.market.allow), clock, _SOLD_SECONDS
    )
    return lambda: known(None)
