"""What there is to place: from a workload file, from flags, or from a cluster that runs."""

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
    from costplan.planner.plan import Infeasible, Recommendation

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
    ray: str | None = None
    spark: str | None = None
    spark_app: str | None = None
    token_file: Path | None = None

    @property
    def elsewhere(self) -> str | None:
        """The flag of a cluster that is not Dask's, if there is one."""
        return "--ray" if self.ray is not None else "--spark" if self.spark is not None else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A workload, what is not known of it, and how it was found, a line each.

    `workload` is None where the scheduler has nothing to do. With fewer than `least_machines`
    machines some of it would wait for ever.
    """

    name: str
    workload: Workload | None
    gaps: tuple[Gap, ...] = ()
    notes: tuple[str, ...] = ()
    least_machines: int = 0


def check_source(source: Source) -> None:
    """Returns where exactly one source is named; raises InputError otherwise. A workload file may
    stand beside a Ray or Spark cluster: it then has the rules and the kinds of workers."""
    named = {
        "a workload file": source.file is not None and source.elsewhere is None,
        "--worker": bool(source.workers),
        "--scheduler": source.scheduler is not None,
        "--ray": source.ray is not None,
        "--spark": source.spark is not None,
    }
    given = [name for name, is_given in named.items() if is_given]
    if not given:
        raise InputError("recommend", "has nothing to plan for", f"name a file, or {_EXAMPLE}")
    if len(given) > 1:
        raise InputError(" and ".join(given), "say both what there is to run", "give one of them")
    _check_flags(source, given[0])


def _check_flags(source: Source, given: str) -> None:
    """Returns where no flag stands without the source that it is for."""
    scheduler, ray, spark = "--scheduler tcp://HOST:PORT", "--ray HOST:PORT", "--spark URL"
    tls = {"--tls-ca": source.tls_ca, "--tls-cert": source.tls_cert, "--tls-key": source.tls_key}
    allowed = {
        "--sample-seconds": (source.sample_seconds, (scheduler,)),
        "--tls-ca": (source.tls_ca, (scheduler, ray, spark)),
        "--tls-cert": (source.tls_cert, (scheduler, ray)),
        "--tls-key": (source.tls_key, (scheduler, ray)),
        "--token-file": (source.token_file, (ray, spark)),
        "--spark-app": (source.spark_app, (spark,)),
    }
    for flag, (value, sources) in allowed.items():
        if value is not None and all(given != one.partition(" ")[0] for one in sources):
            what = (
                "a scheduler"
                if sources[0] == scheduler
                else " and ".join(one.partition(" ")[0] for one in sources)
            )
            raise InputError(flag, f"is for {what}", f"add {' or '.join(sources)}")
    missing = [name for name, value in tls.items() if value is None]
    if given != "--spark" and 0 < len(missing) < len(tls):
        raise InputError(" and ".join(missing), "missing", "TLS needs a CA, a certificate, a key")


def check_deadline(source: Source) -> None:
    """Returns where the source can say how long its work takes; raises InputError otherwise."""
    if source.file is None or source.elsewhere is not None:
        flag = "--scheduler" if source.scheduler is not None else "--worker"
        given = source.elsewhere or flag
        raise InputError(
            "--deadline",
            f"needs to know how long the work takes, which {given} does not say",
            "name a workload file with `duration: 6h`",
        )


def read_workload(path: Path) -> Workload:
    """The workload in a YAML file; raises InputError, which names every problem of it."""
    from costplan.planner.config import parse_workload

    text = read_text(path, absent="see docs/workload.md for an example")
    return parse_workload(text, str(path))


def written(source: Source) -> Asked | None:
    """What a file or flags ask for; None where a scheduler has to be asked.

    Raises InputError where they are wrong.
    """
    from costplan.planner.config import parse_worker_flag, workload_from_workers

    if source.elsewhere is not None:
        return None
    if source.file is not None:
        name = str(source.file)
        return Asked(name=name, workload=read_workload(source.file))
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
    """What the cluster has to do; raises InputError where it cannot be looked at, or where that is
    more workers of a kind than a workload file may ask for."""
    from costplan.planner.config_fields import MAX_WORKERS

    asked = _seen(source)
    shapes = () if asked.workload is None else asked.workload.shapes
    count = max((shape.count for shape in shapes), default=0)
    if count > MAX_WORKERS:
        problem = f"its tasks ask for {count:,} workers, and {MAX_WORKERS:,} of a kind is the most"
        raise InputError(asked.name, problem, "see there how many tasks are pending")
    return asked


def _seen(source: Source) -> Asked:
    """What the cluster has to do, as it says."""
    if source.elsewhere is not None:
        from costplan.cli.load_sources import observed_elsewhere

        return observed_elsewhere(source)
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


def too_few_machines(asked: Asked, answer: Recommendation | Infeasible) -> list[str]:
    """A line where the plan has fewer machines than what is to be spread needs, which no rule of
    the planner keeps."""
    from costplan.planner.plan import Infeasible

    if isinstance(answer, Infeasible):
        return []
    nodes = sum(pool.pool.nodes for pool in answer.pools)
    if nodes >= asked.least_machines:
        return []
    return [
        f"warning: {nodes} machine{'s' * (nodes != 1)}, and a gang of STRICT_SPREAD needs "
        f"{asked.least_machines}: use smaller ones (machines.max_vcpu of a workload file)"
    ]
