"""Whether the scheduler can be asked, and whether workers could join it from here."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from urllib.parse import urlsplit

from costplan.adapters.dask.endpoint import DaskEndpoint
from costplan.planner.doctor import Finding, clock_finding, ok, problem, warning
from costplan.planner.wording import counted

AREA = "scheduler"
_PATIENCE_SECONDS = 5.0


def endpoint_findings(
    endpoint: DaskEndpoint, *, is_encrypted: bool, clock: Callable[[], datetime]
) -> Iterator[Finding]:
    """Whether the scheduler answers, takes the token and has the preload. Raises
    ClusterUnreachable, which says what is wrong, where it does not."""
    began = clock()
    load = endpoint.load()
    ended = clock()
    workers, waits = len(load.workers), sum(group.queued for group in load.groups)
    yield ok(
        AREA,
        f"{endpoint.url} takes the token: {counted(workers, 'worker')}, "
        f"{counted(waits, 'task')} queued, Dask {endpoint.dask_version or 'of unknown version'}",
    )
    half = (ended - began) / 2
    skew = (began + half - load.at).total_seconds()
    yield clock_finding("the scheduler", skew, half.total_seconds())
    host = urlsplit(endpoint.url).hostname or ""
    if not is_encrypted and not _is_loopback(host):
        yield warning(
            AREA,
            f"the token travels unencrypted to {host}",
            "serve the dashboard over https:// where others can listen",
        )


def address_findings(
    address: str, tls: tuple[Path, Path, Path] | None, *, is_cloud: bool
) -> Iterator[Finding]:
    """Whether somebody listens where workers join; with `tls` (CA, certificate, key) also whether
    these are taken there."""
    found = urlsplit(address)
    host, port = found.hostname or "", found.port or 0
    if is_cloud and _is_loopback(host):
        text = f"workers are to join {address}, which on their machine is the machine itself"
        yield problem(AREA, text, "name an address that machines of the cloud can reach")
        return
    try:
        with socket.create_connection((host, port), _PATIENCE_SECONDS) as there:
            if tls is not None:
                _shake_hands(there, tls)
    except (OSError, ssl.SSLError) as error:
        said = getattr(error, "strerror", None) or str(error) or type(error).__name__
        text = f"workers could not join {address} from here: {said}"
        if is_cloud:
            yield warning(AREA, text, "what counts is whether the cloud's machines can")
        else:
            yield problem(AREA, text, "start the scheduler, or correct scheduler.address")
        return
    how = " with the files of worker_tls" if tls is not None else ""
    where = "from here; whether from the cloud was not checked" if is_cloud else "from here"
    yield ok(AREA, f"workers can join {address}{how} {where}")


def _shake_hands(there: socket.socket, tls: tuple[Path, Path, Path]) -> None:
    ca, cert, key = tls
    context = ssl.create_default_context(cafile=str(ca))
    # As Dask does: who has a certificate of this CA is let in, whatever its name.
    context.check_hostname = False
    context.load_cert_chain(cert, key)
    context.wrap_socket(there).close()


def _is_loopback(host: str) -> bool:
    return host in ("localhost", "::1") or host.startswith("127.")
