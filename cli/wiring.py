"""From a configuration to the ports that it names."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from costplan.cli.cloud_access import aws_settings, azure_settings, gcp_clients, gcp_settings
from costplan.planner.azure_config import AzureChoice
from costplan.planner.daemon_config import DaemonConfig
from costplan.planner.nodes import LaunchRequest
from costplan.planner.ports import AccountQuotas, Cluster, PriceFeed, Provider, WorkSource
from costplan.planner.provider_config import (
    AwsChoice,
    GcpChoice,
    ProviderChoice,
    StartChoice,
)
from costplan.planner.types import Market, OfferKey
from costplan.planner.workload import Quota

PAST_SECONDS = 5.0
"""How long is remembered what Azure says of machines besides their list. A machine that is missing
from both is not given up before `reflect.UNLISTED_SECONDS`."""
LISTS_SECONDS = 3600.0
SPOT_SECONDS = 120.0
"""How long what a cloud sells, its list prices and the account's quotas are remembered, and how
long spot prices. Those of EC2 change every few hours."""
ADVICE_SECONDS = 21600.0
MOST_ADVICE = 20
"""How long Google's advice on an offer is remembered, and about how many offers it is asked at a
time: it takes two calls an offer, and there are hundreds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """The world of one cluster. `secrets` are never to be logged; `close` gives sockets back.

    `quotas` are the account's, None where the provider has none, `work` is the scheduler as one
    that tells what was computed.
    """

    provider: Provider
    prices: PriceFeed
    cluster: Cluster
    secrets: tuple[str, ...]
    close: Callable[[], None]
    quotas: AccountQuotas | None = None
    work: WorkSource | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Machines:
    """Who runs the machines, what they cost there, and what the account may have of them."""

    provider: Provider
    prices: PriceFeed
    quotas: AccountQuotas | None = None


def connect(config: DaemonConfig, clock: Callable[[], datetime]) -> Ports:
    """The ports of a configuration; raises InputError where a file that it names is wrong, or
    what its provider needs is not installed."""
    from costplan.adapters.dask.endpoint import DaskEndpoint
    from costplan.adapters.dask.token_file import read_token

    access = config.scheduler
    token = read_token(Path(access.token_file))
    machines = _machines(config, clock)
    cluster = DaskEndpoint(
        access.endpoint,
        token,
        ca_file=Path(access.ca_file) if access.ca_file else None,
        clock=clock,
    )
    return Ports(
        provider=machines.provider,
        prices=machines.prices,
        quotas=machines.quotas,
        cluster=cluster,
        work=cluster,
        secrets=(token,),
        close=cluster.close,
    )


def _machines(config: DaemonConfig, clock: Callable[[], datetime]) -> Machines:
    match config.provider:
        case ProviderChoice():
            return _local(config, config.provider, clock)
        case AwsChoice():
            return _aws(config, config.provider, clock)
        case GcpChoice():
            return _gcp(config, config.provider, clock)
        case AzureChoice():
            return _azure(config, config.provider, clock)


def _local(config: DaemonConfig, choice: ProviderChoice, clock: Callable[[], datetime]) -> Machines:
    from costplan.adapters.dask.sample import TlsFiles
    from costplan.adapters.local.prices import LocalPrices
    from costplan.adapters.local.provider import LocalProvider, Workers
    from costplan.adapters.local.scenario import read_scenario
    from costplan.adapters.local.stage import open_stage
    from costplan.cli.price_source import read_local_prices

    now = clock()
    catalogue = read_local_prices(config.prices_file, now=now).catalogue
    scenario = read_scenario(Path(choice.scenario))
    stage = open_stage(Path(choice.state_dir), scenario, catalogue, now=now)
    tls = config.scheduler.worker_tls
    workers = Workers(
        scheduler_address=config.scheduler.address,
        tls=None
        if tls is None
        else TlsFiles(ca=Path(tls.ca), cert=Path(tls.cert), key=Path(tls.key)),
    )
    provider = LocalProvider(stage, config.settings.cluster, workers, clock)
    return Machines(provider=provider, prices=LocalPrices(stage, clock))


def _aws(config: DaemonConfig, choice: AwsChoice, clock: Callable[[], datetime]) -> Machines:
    from costplan.adapters.aws.clients import Clients
    from costplan.adapters.aws.hazards import Hazards, read_hazards
    from costplan.adapters.aws.prices import AwsPrices
    from costplan.adapters.aws.provider import AwsProvider
    from costplan.adapters.aws.quotas import vcpu_quotas
    from costplan.adapters.easing import EasedPrices, EasedProvider
    from costplan.adapters.remembered import (
        Remembered,
        RememberedOffers,
        RememberedPrices,
        RememberedQuotas,
    )

    settings = aws_settings(choice, config.settings.cluster)
    clients = Clients(settings)
    startup = _start_script("aws", config.scheduler.address, choice.start)
    provider = AwsProvider(settings, startup, clock, clients)
    hazards: Remembered[frozenset[str], Hazards] = Remembered(
        lambda types: read_hazards(clients, settings, types), clock, LISTS_SECONDS
    )
    prices = AwsPrices(settings, clock, clients, hazards)
    lists = _prices_seconds(config)
    every = {**dict.fromkeys(Market, lists), Market.SPOT: min(SPOT_SECONDS, lists)}
    return Machines(
        provider=RememberedOffers(EasedProvider(provider, clock), clock, LISTS_SECONDS),
        prices=RememberedPrices(EasedPrices(prices, provider.name, clock), clock, every),
        quotas=RememberedQuotas(lambda: vcpu_quotas(clients, settings), clock, LISTS_SECONDS),
    )


def _gcp(config: DaemonConfig, choice: GcpChoice, clock: Callable[[], datetime]) -> Machines:
    from costplan.adapters.easing import EasedPrices, EasedProvider
    from costplan.adapters.gcp.prices import GcpPrices, Listed, advised_hazards, read_list
    from costplan.adapters.gcp.provider import GcpProvider
    from costplan.adapters.gcp.quotas import project_limits
    from costplan.adapters.remembered import (
        Remembered,
        RememberedEach,
        RememberedOffers,
        RememberedPrices,
        RememberedQuotas,
    )

    settings = gcp_settings(choice)
    clients = gcp_clients(choice.endpoint_url, settings.timeout_seconds)
    startup = _start_script("gcp", config.scheduler.address, choice.start)
    bare = GcpProvider(clients, settings, config.settings.cluster, startup, clock)
    provider = RememberedOffers(EasedProvider(bare, clock), clock, LISTS_SECONDS)
    lists = _prices_seconds(config)
    listed: Remembered[None, Listed] = Remembered(lambda _: read_list(clients, clock), clock, lists)
    hazards = RememberedEach(
        advised_hazards(clients, settings.project), clock, ADVICE_SECONDS, MOST_ADVICE
    )
    prices = GcpPrices(
        clients, settings, clock, hazards, listed=lambda: listed(None), sold=provider.offers
    )
    every = {**dict.fromkeys(Market, lists), Market.SPOT: min(SPOT_SECONDS, lists)}
    return Machines(
        provider=provider,
        prices=RememberedPrices(EasedPrices(prices, provider.name, clock), clock, every),
        quotas=RememberedQuotas(
            lambda: project_limits(clients, settings.project, provider.offers(), provider.nodes()),
            clock,
            LISTS_SECONDS,
        ),
    )


def _azure(config: DaemonConfig, choice: AzureChoice, clock: Callable[[], datetime]) -> Machines:
    from costplan.adapters.azure.clients import Clients
    from costplan.adapters.azure.hazards import eviction_rates
    from costplan.adapters.azure.offers import families
    from costplan.adapters.azure.past import Past, read_past
    from costplan.adapters.azure.prices import AzurePrices
    from costplan.adapters.azure.provider import AzureProvider
    from costplan.adapters.azure.quotas import as_limits, usages
    from costplan.adapters.easing import EasedPrices, EasedProvider
    from costplan.adapters.remembered import (
        Remembered,
        RememberedOffers,
        RememberedPrices,
        RememberedQuotas,
    )

    settings = azure_settings(choice)
    clients = Clients(settings)
    startup = _start_script("azure", config.scheduler.address, choice.start)
    past: Remembered[None, Past] = Remembered(
        lambda _: read_past(clients, settings, clock()), clock, PAST_SECONDS
    )
    cluster = config.settings.cluster
    bare = AzureProvider(clients, settings, cluster, startup, clock, lambda: past(None))
    provider = RememberedOffers(EasedProvider(bare, clock), clock, LISTS_SECONDS)
    bands: Remembered[None, Mapping[str, str]] = Remembered(
        lambda _: eviction_rates(clients, settings), clock, LISTS_SECONDS
    )
    prices = AzurePrices(clients, settings, clock, lambda: bands(None))
    every = dict.fromkeys(Market, _prices_seconds(config))

    def quotas() -> Sequence[Quota]:
        used, family_of = usages(clients, settings), families(clients, settings)
        return as_limits(provider.offers(), family_of, used, provider.nodes())

    return Machines(
        provider=provider,
        prices=RememberedPrices(EasedPrices(prices, provider.name, clock), clock, every),
        quotas=RememberedQuotas(quotas, clock, LISTS_SECONDS),
    )


def _prices_seconds(config: DaemonConfig) -> float:
    """How long list prices are remembered: not for so long that they are too old to be used
    meanwhile, where one that is remembered may be looked up in a list that is as old again."""
    return min(LISTS_SECONDS, config.settings.cadence.prices_stale_seconds / 3)


def _start_script(
    cloud: str, address: str, start: StartChoice
) -> Callable[[LaunchRequest, OfferKey], str]:
    """What a request's machine runs first. It asks the machine itself what it was launched as, so
    that it is the same for every offer of the request."""
    from costplan.adapters.node.startup import Startup, TlsReferences, script

    tls = start.tls
    startup = Startup(
        cloud=cloud,
        scheduler_address=address,
        python=start.python,
        conda=start.conda,
        container=start.container,
        before=start.before,
        death_timeout_seconds=start.death_timeout_seconds,
        tls=None if tls is None else TlsReferences(ca=tls.ca, cert=tls.cert, key=tls.key),
    )
    return lambda request, _: script(request, startup)


def differing(old: DaemonConfig, new: DaemonConfig) -> Sequence[str]:
    """Keys that a running daemon cannot take anew, and that are not what they were."""
    parts = {
        "cluster": (old.settings.cluster, new.settings.cluster),
        "scheduler": (old.scheduler, new.scheduler),
        "provider": (old.provider, new.provider),
        "store": (old.store_path, new.store_path),
        "prices": (old.prices_file, new.prices_file),
        "http": (old.http, new.http),
        "log": (old.log, new.log),
        "forecast.boosting": (
            old.settings.forecast.boosting,
            new.settings.forecast.boosting,
        ),
    }
    return [name for name, (was, is_now) in parts.items() if was != is_now]
