"""The daemon as a process: its ports, store and log, from a configuration until it ends."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

from costplan.adapters.store.store import Store
from costplan.cli.daemon import Daemon
from costplan.cli.logs import set_up_logs
from costplan.cli.wiring import connect
from costplan.planner.daemon_config import DaemonConfig


def run_daemon(path: Path, config: DaemonConfig) -> None:
    """Drives the cluster of a configuration until a signal; `path` is read again on reload."""
    from costplan.cli.config_file import read_config

    _run(config, reread=lambda: read_config(path), until_empty=False, file=path)


def run_until_down(config: DaemonConfig, seconds: int | None) -> bool:
    """Does the daemon's work until no machine is left; what the store says of `down` is done. False
    where a signal came first, or so many seconds were over."""
    return _run(config, reread=None, until_empty=True, file=None, within=seconds)


def _run(
    config: DaemonConfig,
    *,
    reread: Callable[[], DaemonConfig] | None,
    until_empty: bool,
    file: Path | None,
    within: float | None = None,
) -> bool:
    """Whether no machine was left at its end."""
    from costplan.adapters.clock import utc_now

    ports = connect(config, utc_now)
    log = set_up_logs(
        output=config.log.format, clock=utc_now, level=config.log.level, secrets=ports.secrets
    )

    async def main() -> bool:
        with Store.open(Path(config.store_path), clock=utc_now) as store:
            daemon = Daemon(config, ports, store, log, clock=utc_now, reread=reread, file=file)
            await daemon.run(until_empty=until_empty, within=within)
            return daemon.is_empty()

    try:
        return asyncio.run(main())
    finally:
        ports.close()
