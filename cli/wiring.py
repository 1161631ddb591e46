"""From a configuration to the ports that it names."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from costplan.planner.daemon_config import DaemonConfig
from costplan.planner.ports import Cluster, PriceFeed, Provider


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """The world of one cluster. `secrets` are never to be logged; `close` gives sockets back."""

    provider: Provider
    prices: PriceFeed
    cluster: Cluster
    secrets: tuple[str, ...]
    close: Callable[[], None]


def connect(config: DaemonConfig, clock: Callable[[], datetime]) -> Ports:
    """The ports of a configuration; raises InputError where a file that it names is wrong."""
    from costplan.adapters.dask.endpoint import DaskEndpoint
    from costplan.adapters.dask.sample import TlsFiles
    from costplan.adapters.dask.token_file import read_token
    from costplan.adapters.local.prices import LocalPrices
    from costplan.adapters.local.provider import LocalProvider, Workers
    from costplan.adapters.local.scenario import read_scenario
    from costplan.adapters.local.stage import open_stage
    from costplan.cli.price_source import read_prices

    access = config.scheduler
    token = read_token(Path(access.token_file))
    cluster = DaskEndpoint(
        access.endpoint,
        token,
        ca_file=Path(access.ca_file) if access.ca_file else None,
        clock=clock,
    )
    prices_file = Path(config.prices_file) if config.prices_file else None
    now = clock()
    catalogue = read_prices(prices_file, now=now).catalogue
    scenario = read_scenario(Path(config.provider.scenario))
    stage = open_stage(Path(config.provider.state_dir), scenario, catalogue, now=now)
    tls = access.worker_tls
    workers = Workers(
        scheduler_address=access.address,
        tls=None
        if tls is None
        else TlsFiles(ca=Path(tls.ca), cert=Path(tls.cert), key=Path(tls.key)),
    )
    return Ports(
        provider=LocalProvider(stage, config.settings.cluster, workers, clock),
        prices=LocalPrices(stage, clock),
        cluster=cluster,
        secrets=(token,),
        close=cluster.close,
    )


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
