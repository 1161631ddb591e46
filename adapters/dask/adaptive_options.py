"""The arguments of `CostAwareAdaptive` that stock `Adaptive` does not have, read once."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

import dask.config
from dask.utils import parse_bytes, parse_timedelta

from costplan.adapters.dask import adaptive_shim as shim
from costplan.adapters.dask.adaptive_price import machine_type, price_of
from costplan.planner.errors import InputError
from costplan.planner.load import Load
from costplan.planner.settings import WorkerKind
from costplan.planner.types import Resources

BOOT_SECONDS, MACHINE_BOOT_SECONDS = 5.0, 90.0
"""What a boot is taken for before one was seen: of a process, and of a machine of a cloud."""
BOOT_TIMEOUT_SECONDS = 900.0
IDLE_SECONDS = 600.0
NO_LIMIT_BYTES = 2**60


class ArgumentError(InputError, ValueError):
    """An argument is wrong: says which, what of it, and the way out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What was asked for, checked. Durations are seconds, dollars are for an hour but for
    `usd_total`; None is no cap, no deadline, or a price that nobody knows."""

    worker_usd_per_hour: Decimal | None
    price_source: str
    usd_per_hour: Decimal | None = None
    usd_total: Decimal | None = None
    deadline: datetime | None = None
    boot_seconds: float = BOOT_SECONDS
    boot_timeout_seconds: float = BOOT_TIMEOUT_SECONDS
    idle_seconds: float = IDLE_SECONDS
    gang: int = 0
    resources: Mapping[str, float] | None = None
    unused: Mapping[str, Any] = field(default_factory=dict)


OURS = (
    "usd_per_hour", "usd_total", "worker_usd_per_hour", "deadline", "boot", "boot_timeout",
    "idle_timeout", "gang", "worker_resources",
)  # fmt: skip


def read_options(cluster: Any, said: Mapping[str, Any], now: datetime) -> Options:
    """The options in keyword arguments; those that are none of ours are `unused`."""
    found = machine_type(cluster)
    usd, source = _price(said.get("worker_usd_per_hour"), found, now)
    caps = {name: dollars_of(name, said.get(name)) for name in ("usd_per_hour", "usd_total")}
    for name, cap in caps.items():
        if cap is not None and usd is None:
            raise ArgumentError(
                name,
                f"{cap} cannot be kept, as {source}",
                "give worker_usd_per_hour=, what a worker costs an hour",
            )
    cap = caps["usd_per_hour"]
    if cap is not None and usd is not None and cap < usd:
        raise ArgumentError("usd_per_hour", f"{cap} pays for no worker of {usd} USD/h", "raise it")
    guess = BOOT_SECONDS if found is None else MACHINE_BOOT_SECONDS
    return Options(
        worker_usd_per_hour=usd,
        price_source=source,
        usd_per_hour=caps["usd_per_hour"],
        usd_total=caps["usd_total"],
        deadline=deadline_of(said.get("deadline"), now),
        boot_seconds=seconds_of("boot", said.get("boot"), guess),
        boot_timeout_seconds=seconds_of(
            "boot_timeout", said.get("boot_timeout"), BOOT_TIMEOUT_SECONDS
        ),
        idle_seconds=seconds_of("idle_timeout", said.get("idle_timeout"), IDLE_SECONDS),
        gang=_gang(said.get("gang", 0)),
        resources=_resources(said.get("worker_resources")),
        unused={name: value for name, value in said.items() if name not in OURS},
    )


def _price(said: Any, machine: Any, now: datetime) -> tuple[Decimal | None, str]:
    given = dollars_of("worker_usd_per_hour", said)
    if given is not None:
        return given, "worker_usd_per_hour"
    if machine is None:
        return None, "this cluster does not say of what type its machines are"
    usd = price_of(machine, now)
    return usd, f"no price list has {machine}" if usd is None else str(machine)


def dollars_of(name: str, said: Any) -> Decimal | None:
    """Dollars above 0 that an argument says, None where it says nothing; raises ArgumentError."""
    if said is None:
        return None
    try:
        usd = Decimal(str(said))
    except InvalidOperation:
        usd = Decimal("NaN")
    if isinstance(said, bool) or not usd.is_finite() or usd <= 0:
        raise ArgumentError(name, f"{said!r} is no amount of dollars above 0")
    return usd


def seconds_of(name: str, said: Any, otherwise: float) -> float:
    """The seconds of a duration, as '90s' or 90; raises ArgumentError."""
    if said is None:
        return otherwise
    try:
        seconds = float(parse_timedelta(said, "seconds"))
    except (ValueError, KeyError, TypeError):
        seconds = math.nan
    if not 0 <= seconds < math.inf:
        raise ArgumentError(name, f"{said!r} is no duration", "write it as 90 or '90s'")
    return seconds


def deadline_of(said: Any, now: datetime) -> datetime | None:
    """An instant (a datetime, or ISO 8601), or a duration from now; raises ArgumentError where that
    is not ahead."""
    if said is None:
        return None
    at = _instant(said)
    if at is None:
        try:
            at = now + timedelta(seconds=seconds_of("deadline", said, 0.0))
        except (ArgumentError, OverflowError):
            problem = f"{said!r} is no time ahead of now"
            way_out = "write '8h', or an instant such as '2030-01-31T08:00+00:00'"
            raise ArgumentError("deadline", problem, way_out) from None
    if at.tzinfo is None:
        way_out = "add +00:00" if isinstance(said, str) else "add tzinfo=UTC"
        raise ArgumentError("deadline", f"{said} has no time zone", way_out)
    if at <= now:
        raise ArgumentError("deadline", f"{said!r} is not ahead of now")
    return at.astimezone(UTC)


def _instant(said: Any) -> datetime | None:
    """The instant that is said, None where none is."""
    if isinstance(said, datetime):
        return said
    try:
        # A number alone is a duration, though '20300131' could be a day.
        return datetime.fromisoformat(said) if isinstance(said, str) and "-" in said[1:] else None
    except ValueError:
        return None


def _gang(said: Any) -> int:
    if type(said) is not int or said < 0:
        raise ArgumentError("gang", f"{said!r} is no number of workers")
    return said


def _resources(said: Any) -> Mapping[str, float] | None:
    if said is None:
        return None
    try:
        return {str(name): float(amount) for name, amount in dict(said).items()}
    except (TypeError, ValueError):
        raise ArgumentError(
            "worker_resources", f"{said!r} is no mapping of names to amounts", "write {'GPU': 1}"
        ) from None


def worker_kind(cluster: Any, load: Load, options: Options, limits: tuple[int, Any]) -> WorkerKind:
    """What a new worker is: as those that are here are, else as the cluster's template says.

    `limits` are the minimum and the maximum.
    """
    template = shim.template(cluster)
    here = list(load.workers.values())
    threads = _commonest([w.threads for w in here]) or _threads(template)
    memory = _commonest([w.memory_bytes for w in here]) if here else _memory(template)
    resources = options.resources
    if resources is None:
        resources = _template_resources(cluster, template)
    if resources is None:
        resources = dict(_commonest([tuple(sorted(w.resources.items())) for w in here]) or ())
    minimum, maximum = limits
    return WorkerKind(
        name="worker",
        need=Resources(vcpu_milli=0, memory_bytes=memory or NO_LIMIT_BYTES),
        threads=threads,
        resources=resources,
        minimum=minimum,
        maximum=None if math.isinf(maximum) else int(maximum),
    )


def _commonest(values: list[Any]) -> Any:
    """The most frequent value, the largest of several such; None where there is none."""
    counts = Counter(values)
    return max(counts, key=lambda v: (counts[v], v is not None, v or 0), default=None)


def _threads(template: Mapping[str, Any]) -> int:
    for name in ("nthreads", "ncores", "threads"):
        value = template.get(name)
        if type(value) is int and value > 0:
            return value
    cores, processes = template.get("cores"), template.get("processes") or 1
    if type(cores) is int and type(processes) is int and cores > 0:
        return max(1, cores // processes)
    nested = template.get("worker_options")
    return _threads(nested) if isinstance(nested, Mapping) and nested else 1


def _memory(template: Mapping[str, Any]) -> int | None:
    for name in ("memory_limit", "memory"):
        value = template.get(name)
        if value and value != "auto":
            try:
                return int(parse_bytes(value))
            except (ValueError, TypeError):
                return None
    return None


_RESOURCES_FLAG = re.compile(r"--resources[= ]+[\"']?([^\"']+?)[\"']?(?= --|$)")
_RESOURCES_VARIABLE = "DASK_DISTRIBUTED__WORKER__RESOURCES__"


def _template_resources(cluster: Any, template: Mapping[str, Any]) -> dict[str, float] | None:
    """Resources that new workers will say they have; None where that cannot be known before."""
    nested = template.get("worker_options")
    for options in (template, nested if isinstance(nested, Mapping) else {}):
        if isinstance(options.get("resources"), Mapping):
            return {str(name): float(amount) for name, amount in options["resources"].items()}
    arguments = template.get("worker_extra_args") or template.get("extra") or ()
    flag = _RESOURCES_FLAG.search(" ".join(map(str, arguments)))
    if flag:
        return _pairs(re.split(r"[ ,]+", flag[1].strip()))
    variables = {**(template.get("env_vars") or {}), **(template.get("env") or {})}
    named = {
        name.removeprefix(_RESOURCES_VARIABLE): amount
        for name, amount in variables.items()
        if name.startswith(_RESOURCES_VARIABLE)
    }
    if named:
        return {name: float(amount) for name, amount in named.items()}
    if _is_process_of_ours(shim.template_class(cluster)):
        return {k: float(v) for k, v in dask.config.get("distributed.worker.resources").items()}
    return None


def _pairs(words: list[str]) -> dict[str, float]:
    return {name: float(amount) for name, _, amount in (word.partition("=") for word in words)}


def _is_process_of_ours(made_of: Any) -> bool:
    """Dask's own worker classes, which have the resources of our configuration."""
    return getattr(made_of, "__module__", "").split(".")[0] == "distributed"


def unknown_task_seconds() -> float:
    """What Dask is configured to take a task for of which no like has ended."""
    return float(parse_timedelta(dask.config.get("distributed.scheduler.unknown-task-duration")))
