"""What there is to place: from a workload file, from flags, or from a running scheduler."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from costplan.adapters.text_file import read_text
from costplan.planner.errors import InputError
from costplan.planner.types import Gap
from costplan.planner.units import SECONDS_PER_HOUR, memory_text
from costplan.planner.workload import Where, Workload

if TYPE_CHECKING:
    from costplan.planner.catalogue import Catalogue

SAMPLE_SECONDS = 5.0
_EXAMPLE = "--worker vcpu=4,memory=16GiB,count=400"


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where the demand comes from, as it stands on the command line."""

    file: Path | None = None
    workers: tuple[str, ...] = ()
    scheduler: str | None = None
    sample_seconds: float | None = None
    tls_ca: Path | None = None
    tls_cert: Path | None = None
    tls_key: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A workload, what is not known of it, and how it was found, a line each.

    `workload` is None where the scheduler has nothing to do.
    """

    name: str
    workload: Workload | None
    gaps: tuple[Gap, ...] = ()
    notes: tuple[str, ...] = ()


def check_source(source: Source) -> None:
    """Returns where exactly one source is named; raises InputError otherwise."""
    named = {
        "a workload file": source.file is not None,
        "--worker": bool(source.workers),
        "--scheduler": source.scheduler is not None,
    }
    given = [name for name, is_given in named.items() if is_given]
    if not given:
        raise InputError("recommend", "has nothing to plan for", f"name a file, or {_EXAMPLE}")
    if len(given) > 1:
        raise InputError(" and ".join(given), "say both what there is to run", "give one of them")
    tls = {"--tls-ca": source.tls_ca, "--tls-cert": source.tls_cert, "--tls-key": source.tls_key}
    only = {"--sample-seconds": source.sample_seconds, **tls}
    stray = [name for name, value in only.items() if value is not None]
    if stray and source.scheduler is None:
        raise InputError(stray[0], "is for a scheduler", "add --scheduler tcp://HOST:PORT")
    missing = [name for name, value in tls.items() if value is None]
    if 0 < len(missing) < len(tls):
        raise InputError(" and ".join(missing), "missing", "TLS needs a CA, a certificate, a key")


def check_deadline(source: Source) -> None:
    """Returns where the source can say how long its work takes; raises InputError otherwise."""
    if source.file is None:
        given = "--scheduler" if source.scheduler is not None else "--worker"
        raise InputError(
            "--deadline",
            f"needs to know how long the work takes, which {given} does not say",
            "name a workload file with `duration: 6h`",
        )


def written(source: Source) -> Asked | None:
    """What a file or flags ask for; None where a scheduler has to be asked.

    Raises InputError where they are wrong.
    """
    from costplan.planner.config import parse_worker_flag, parse_workload, workload_from_workers

    if source.file is not None:
        name = str(source.file)
        return Asked(name=name, workload=parse_workload(read_text(source.file), name))
    if source.workers:
        shapes = [parse_worker_flag(text) for text in source.workers]
        return Asked(name="--worker", workload=workload_from_workers(shapes))
    return None


def with_commitments(asked: Asked, source: Source, flag: Path | None) -> Asked:
    """What is asked for, with the commitments that its file and a flag name.

    Raises InputError where they are wrong.
    """
    workload = asked.workload
    if workload is None or not (flag or workload.held.file or workload.held.ledger):
        return asked
    from costplan.adapters.clock import utc_now
    from costplan.cli.held_source import with_files, without_leased

    base = Path() if source.file is None else source.file.parent
    held = without_leased(with_files(workload.held, base, flag), base, utc_now())
    return replace(asked, workload=replace(workload, held=held))


def observed(source: Source) -> Asked:
    """What the scheduler has to do; raises InputError where it cannot be looked at."""
    from costplan.adapters.dask.sample import TlsFiles, sample
    from costplan.planner.demand import shapes_from_load

    address = source.scheduler or ""
    tls = None
    if source.tls_ca and source.tls_cert and source.tls_key:
        tls = TlsFiles(ca=source.tls_ca, cert=source.tls_cert, key=source.tls_key)
    seconds = SAMPLE_SECONDS if source.sample_seconds is None else source.sample_seconds
    load = sample(address, seconds, tls)
    demand = shapes_from_load(load)
    notes, traffic = [address, *demand.explanation], 0
    if load.sent_bytes_per_second:
        traffic = round(load.sent_bytes_per_second * SECONDS_PER_HOUR)
        rate = memory_text(round(load.sent_bytes_per_second))
        notes.append(f"workers gave away {rate} a second, which is priced where it crosses zones")
    workload = None
    if demand.shapes:
        where = Where(traffic_bytes_per_hour=traffic)
        workload = Workload(name="scheduler", shapes=demand.shapes, where=where)
    return Asked(name=address, workload=workload, gaps=demand.unknown, notes=tuple(notes))


def without_unpriced_traffic(asked: Asked, prices: Catalogue) -> Asked:
    """What a scheduler asks for, without its workers' traffic and with a gap instead where a cloud
    of the price list has no rate for it."""
    from costplan.planner.place import missing_rates

    workload = asked.workload
    missing = [] if workload is None else missing_rates(workload, prices.provider.names)
    if workload is None or not missing:
        return asked
    named = ", ".join(sorted({provider for provider, _ in missing}))
    gap = Gap(
        kind="traffic",
        subject=f"workers on {named}",
        assumed="what they send each other is free; a workload file with place_rates says more",
    )
    where = replace(workload.where, traffic_bytes_per_hour=0)
    return replace(asked, workload=replace(workload, where=where), gaps=(*asked.gaps, gap))
