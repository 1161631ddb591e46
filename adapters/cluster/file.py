"""The autoscaler's file of a cluster, from a workload file and what was said beside it.

Mappings in, mappings out. What the file means is checked by who reads it (`planner.daemon_config`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import yaml

from costplan.adapters.cluster.arguments import BUDGET_KEYS, adapt_changes, workers_by_kind
from costplan.adapters.dask.adaptive_options import ArgumentError
from costplan.adapters.text_file import read_text
from costplan.planner.config import workload_from_mapping
from costplan.planner.config_fields import suggestion
from costplan.planner.config_yaml import mapping_from_yaml
from costplan.planner.daemon_config import daemon_config_from_mapping
from costplan.planner.errors import InputError

GUIDE = "docs/cluster.md"
SETTINGS = (
    "scaling", "cadence", "safety", "forecast", "speed", "calendar", "owner", "reports", "alerts",
    "tags", "log", "prices",
)  # fmt: skip
"""Sections of the file that may be given as they are. The others follow from other arguments."""
NO_SCHEDULER = {
    "endpoint": "http://127.0.0.1:1", "address": "tcp://127.0.0.1:1", "token_file": "token",
}  # fmt: skip
"""Stands where the scheduler's place is not known yet."""
_SAME = ("market", "interruption", "overhead", "limits", "place_rates")
_HELD = (
    "commitments", "commitments_file", "commitment_rates", "commitments_owner", "commitments_used",
    "commitments_ledger",
)  # fmt: skip
_PATHS = ("commitments_file", "commitments_ledger")
_QUICK: Mapping[str, Mapping[str, Any]] = {
    "scaling": {
        "target": "30s", "idle": "1min", "boot": "4s", "boot_timeout": "1min", "horizon": "10min",
    },
    "cadence": {"observe": "500ms", "plan": "10s", "load_stale": "10s", "machines_stale": "10s"},
    "safety": {"min_node_age": "5s"},
    "overhead": {"memory_share": 0, "memory_floor": 0},
}  # fmt: skip
"""Machines of this computer boot in a second, and have no system of their own."""
_EASED = {"azure": {"cadence": {"observe": "5s"}}}
"""Azure bounds how often machines are listed (docs/clouds/azure.md)."""
_ADDRESS_KEY = {"aws": "public_ip", "gcp": "external_ip", "azure": "public_ip"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What a file is made of: the workload's keys (paths are whole), the name, the provider with
    its section, limits in dollars, and sections that are given as they are."""

    name: str
    workload: Mapping[str, Any]
    provider: str
    options: Mapping[str, Any]
    budget: Mapping[str, str]
    settings: Mapping[str, Any]


def read_workload(said: Any) -> dict[str, Any]:
    """The keys of a workload file, or of a mapping like one; raises InputError that lists every
    problem found."""
    if isinstance(said, Mapping):
        found, name, folder = plainly(said), "workload", Path.cwd()
    elif isinstance(said, str | Path):
        path = Path(said)
        name, folder = str(path), path.absolute().parent
        text = read_text(path, absent="see docs/workload.md for an example")
        found = mapping_from_yaml(text, name, GUIDE)
    else:
        problem = f"{said!r} is neither a file nor a mapping"
        raise ArgumentError("workload", problem, "name a workload file (docs/workload.md)")
    workload_from_mapping(found, name)
    keys = dict(found)
    for key in _PATHS:
        if key in keys:
            keys[key] = str(folder / keys[key])
    return keys


def file_of(said: Said) -> dict[str, Any]:
    """The file without the scheduler's place; raises ArgumentError and InputError."""
    _check_settings(said.settings)
    work, options = said.workload, dict(said.options)
    if said.provider != "local":
        _move_extras(work.get("machines") or {}, said.provider, options)
    file: dict[str, Any] = {
        "cluster": said.name,
        "workload": work["workload"],
        "scheduler": dict(NO_SCHEDULER),
        "provider": {"kind": said.provider, **options},
        "store": {"path": "costplan.db"},
        "http": {"listen": "127.0.0.1:0"},
        "workers": [_kind(worker) for worker in work["workers"]],
    }
    file |= {key: work[key] for key in (*_SAME, *_HELD) if key in work}
    machines = dict(work.get("machines") or {})
    for key in ("root_disk", "public_ip"):
        machines.pop(key, None)
    if machines:
        file["machines"] = machines
    if said.provider != "local":
        file["where"] = _where(work.get("where") or {}, said.provider)
    file["limits"] = _limits(file.get("limits") or {}, said.provider)
    file["budget"] = {**(work.get("budget") or {}), **said.budget}
    usual = _QUICK if said.provider == "local" else _EASED.get(said.provider, {})
    for name in {*usual, *said.settings}:
        given = said.settings.get(name)
        if given is not None and not isinstance(given, Mapping):
            file[name] = given
            continue
        file[name] = {**usual.get(name, {}), **(file.get(name) or {}), **(given or {})}
    if "calendar" not in said.settings:
        # A session's work so far says little of what its person does next.
        file["scaling"] = {"ahead": 0, **(file.get("scaling") or {})}
    return dict(plainly(file))


def _check_settings(settings: Mapping[str, Any]) -> None:
    for name in settings:
        if name not in SETTINGS:
            near = suggestion(str(name), SETTINGS) or f"sections are {', '.join(SETTINGS)}"
            raise ArgumentError("settings", f"{name!r} is no section that may be given", near)


def _kind(worker: Mapping[str, Any]) -> dict[str, Any]:
    """A kind of worker of which there are as many as its count at most."""
    if worker.get("markets"):
        markets = ", ".join(worker["markets"])
        problem = f"{worker['name']!r} is for {markets} only, which holds for whole clusters here"
        raise ArgumentError("workload", problem, "leave `markets` out, and set market.allow")
    same = {key: worker[key] for key in ("name", "vcpu", "memory", "gpu") if key in worker}
    return {**same, "minimum": 0, "maximum": worker["count"]}


def _where(where: Mapping[str, Any], provider: str) -> dict[str, Any]:
    """The rules of place that the autoscaler has, for one provider."""
    allowed = where.get("providers") or [provider]
    if provider not in allowed:
        known = ", ".join(allowed)
        problem = f"{provider!r} is not among where.providers ({known}) of the workload"
        raise ArgumentError("providers", problem, "add it there, or name another")
    found = {k: where[k] for k in ("single_region", "single_zone") if k in where}
    found["providers"] = [provider]
    regions = where.get("regions") or {}
    if provider in regions:
        found["regions"] = {provider: regions[provider]}
    return found


def _limits(limits: Mapping[str, Any], provider: str) -> dict[str, Any]:
    """The limits without quotas of other clouds, which say nothing of this cluster."""
    if provider == "local" or "quotas" not in limits:
        return dict(limits)
    quotas = [q for q in limits["quotas"] or () if q.get("provider", provider) == provider]
    return {**limits, "quotas": quotas}


def _move_extras(machines: Mapping[str, Any], provider: str, options: dict[str, Any]) -> None:
    """What a workload says of disks and addresses is the provider's here."""
    if "root_disk" in machines:
        options.setdefault("root_disk", machines["root_disk"])
    if "public_ip" in machines:
        options.setdefault(_ADDRESS_KEY[provider], machines["public_ip"])


def plainly(value: Any) -> Any:
    """A value as YAML has it: paths and exact money as text, tuples as lists."""
    match value:
        case Mapping():
            return {str(key): plainly(each) for key, each in value.items()}
        case list() | tuple():
            return [plainly(each) for each in value]
        case Decimal():
            return f"{value:f}"
        case Path():
            return str(value)
    return value


def check_file(file: Mapping[str, Any], folder: Path, argument: str = "") -> None:
    """Returns where the daemon takes the file; raises ArgumentError, of that argument, that lists
    every problem."""
    try:
        daemon_config_from_mapping(file, "", str(folder))
    except InputError as error:
        said = str(error).removeprefix(": ").replace("\n: ", "\n")
        name = argument or _argument_of(said)
        if name == "provider_options":
            said = said.replace("provider.", "")
        raise ArgumentError(name, said) from None


def _argument_of(said: str) -> str:
    """Which argument the first problem is about."""
    section = _section_of(said)
    if section == "provider":
        return "provider_options"
    if section == "budget":
        return "budget"
    return "settings" if section in SETTINGS else "workload"


def _section_of(said: str) -> str:
    """The section that the first problem is about: 'scaling' of 'scaling.target: ...', also where
    'N problems' stands above it."""
    first, _, rest = said.partition("\n")
    line = rest.strip() if rest and ":" not in first else first
    return line.partition(":")[0].partition(".")[0].partition("[")[0].strip()


def kinds_of(file: Mapping[str, Any]) -> list[str]:
    """The names of the kinds of worker, in order."""
    return [str(kind["name"]) for kind in file["workers"]]


def changed(file: Mapping[str, Any], changes: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """The file with what `adapt_changes` says; a key that becomes None is left out."""
    scaling = {**(file.get("scaling") or {}), **changes.get("scaling", {})}
    budget = {**(file.get("budget") or {}), **changes.get("budget", {})}
    minimum, maximum = changes.get("minimum", {}), changes.get("maximum", {})
    workers = []
    for kind in file["workers"]:
        name = kind["name"]
        least = minimum.get(name, kind.get("minimum", 0))
        most = maximum.get(name, kind.get("maximum"))
        if most is not None and name in minimum and name not in maximum:
            most = max(most, least)
        if name in maximum and name not in minimum:
            least = min(least, most)
        workers.append({**kind, "minimum": least, **({} if most is None else {"maximum": most})})
    return {
        **file,
        "workers": workers,
        "scaling": {key: each for key, each in scaling.items() if each is not None},
        "budget": {key: budget[key] for key in BUDGET_KEYS if budget.get(key) is not None},
    }


def scaled(name: str, said: Any, file: Mapping[str, Any]) -> dict[str, Any]:
    """The file for just so many workers, said by an argument of that name."""
    count = workers_by_kind(name, said, kinds_of(file))
    return changed(file, {"minimum": count, "maximum": count})


def adapted(said: Mapping[str, Any], now: datetime, file: Mapping[str, Any]) -> dict[str, Any]:
    """The file with what was said to `adapt` at an instant."""
    return changed(file, adapt_changes(said, kinds_of(file), now))


class _Dumper(yaml.SafeDumper):
    """Text that YAML 1.2 could take for a number stands in quotes."""


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.Node:
    style = '"' if text[:1] in "+-.0123456789" else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _text)


def text_of(file: Mapping[str, Any]) -> str:
    """The file as YAML."""
    said = yaml.dump(dict(file), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100)
    return (
        "# Written by CostplanCluster, which writes it anew for each change; docs/cluster.md.\n"
        f"{said}"
    )
