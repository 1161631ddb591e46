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
from costplan.planner.errors import InputError
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
    if not is_encrypted and not is_loopback(host):
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
    if is_cloud and is_loopback(host):
        text = f"workers are to join {address}, which on their machine is the machine itself"
        yield problem(AREA, text, "name an address that machines of the cloud can reach")
        return
    try:
        context = None if tls is None else _context(tls)
    except InputError as error:
        yield problem(AREA, str(error), "correct scheduler.worker_tls")
        return
    way_out = "start the scheduler, or correct scheduler.address"
    try:
        with socket.create_connection((host, port), _PATIENCE_SECONDS) as there:
            if context is not None:
                way_out = "name files of the scheduler's own CA in scheduler.worker_tls"
                context.wrap_socket(there).close()
    except (OSError, ssl.SSLError) as error:
        said = getattr(error, "strerror", None) or str(error) or type(error).__name__
        text = f"workers could not join {address} from here: {said}"
        if is_cloud:
            yield warning(AREA, text, "what counts is whether the cloud's machines can")
        else:
            yield problem(AREA, text, way_out)
        return
    how = " with the files of worker_tls" if tls is not None else ""
    where = "from here; whether from the cloud was not checked" if is_cloud else "from here"
    yield ok(AREA, f"workers can join {address}{how} {where}")


def _context(tls: tuple[Path, Path, Path]) -> ssl.SSLContext:
    """What a worker shows and believes; raises InputError that names the file that is wrong."""
    ca, cert, key = tls
    for name, path in (("ca", ca), ("cert", cert), ("key", key)):
        try:
            path.read_bytes()
        except OSError as error:
            raise InputError(f"scheduler.worker_tls.{name}", f"{path}: {error.strerror}") from None
    try:
        context = ssl.create_default_context(cafile=str(ca))
        # As Dask does: who has a certificate of this CA is let in, whatever its name.
        context.check_hostname = False
        context.load_cert_chain(cert, key)
    except (OSError, ValueError) as error:
        raise InputError("scheduler.worker_tls", f"{ca}, {cert}, {key}: {error}") from None
    return context


def is_loopback(host: str) -> bool:
    """True for names and numbers of the machine itself."""
    return host in ("localhost", "::1") or host.startswith("127.")
