"""From the arguments of a cluster to what is started; whatever is wrong is said before that."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import shutil
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil

from costplan.adapters.cluster import starting
from costplan.adapters.cluster.arguments import budget_of, provider_of
from costplan.adapters.cluster.file import Said, check_file, file_of, plainly, read_workload
from costplan.adapters.cluster.folder import NAME, Folder, Owner, living_names, locked
from costplan.adapters.cluster.scenario import local_scenario
from costplan.adapters.cluster.starting import Launch, Place
from costplan.adapters.cluster.tls import TlsFiles, check_tls, security_of, write_tls
from costplan.adapters.dask.adaptive_options import ArgumentError, seconds_of
from costplan.adapters.dask.doctor import is_loopback
from costplan.adapters.local.scenario import read_scenario
from costplan.planner.config_fields import suggestion
from costplan.planner.daemon_config import daemon_config_from_mapping
from costplan.planner.errors import InputError
from costplan.planner.units import memory_text, parse_memory
from costplan.planner.wording import counted

LOOPBACK = "127.0.0.1"
_NAME_LENGTH = 32
_MOST_PORT = 65535

Begin = Callable[[Callable[[str], None]], Place]


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What was asked for, as it was said; `root` is where clusters are."""

    workload: Any
    providers: Any
    budget: Any
    name: str | None
    provider_options: Mapping[str, Any]
    settings: Mapping[str, Any]
    host: str | None
    port: int
    dashboard_port: int
    security: Any
    grace: Any
    patience: Any
    start_timeout: Any
    root: Path


def prepared(asked: Asked, owner: Owner) -> tuple[Folder, Begin]:
    """The folder of the cluster, and what starts it. Raises ArgumentError; nothing is made before
    the second is called."""
    try:
        return _prepared(asked, owner)
    except ArgumentError:
        raise
    except InputError as error:
        raise ArgumentError("workload", str(error).removeprefix("workload: ")) from None


def _prepared(asked: Asked, owner: Owner) -> tuple[Folder, Begin]:
    provider = provider_of(asked.providers)
    workload = read_workload(asked.workload)
    name = checked_name(_new_name(workload) if asked.name is None else asked.name)
    host = _host(asked.host, provider, asked.provider_options)
    for argument, port in (("port", asked.port), ("dashboard_port", asked.dashboard_port)):
        if type(port) is not int or not 0 <= port <= _MOST_PORT:
            raise ArgumentError(argument, f"{port!r} is no port", "leave it out for any free one")
    security = security_of(asked.security)
    options = dict(asked.provider_options)
    scenario = None
    if provider == "local":
        options, scenario = _local(options)
    elif security is not None and "tls" not in options:
        problem = "tls is missing, where machines find what they show to the scheduler"
        way_out = "add 'tls': {'ca': ..., 'cert': ..., 'key': ...} (docs/clouds/machines.md)"
        raise ArgumentError("provider_options", problem, way_out)
    said = Said(
        name=name,
        workload=workload,
        provider=provider,
        options=options,
        budget=budget_of(asked.budget),
        settings=asked.settings,
    )
    file = file_of(said)
    if scenario is not None:
        cores = _cores()
        ours = {"name": f"this computer's {counted(cores, 'core')}", "vcpu": cores}
        quotas = [*file["limits"].get("quotas", ()), ours]
        file["limits"] = {**file["limits"], "quotas": quotas}
    folder = Folder(asked.root, name)
    _check(file, folder, has_tls=security is not None, scenario=scenario)
    _check_free(folder)
    launch = Launch(
        file=file,
        scenario=scenario,
        tls=None,
        host=host,
        port=asked.port,
        dashboard_port=asked.dashboard_port,
        grace_seconds=seconds_of("grace", asked.grace, 60.0),
        patience_seconds=seconds_of("patience", asked.patience, 600.0),
        start_seconds=seconds_of("start_timeout", asked.start_timeout, 120.0),
        owner=owner,
    )

    def begin(say: Callable[[str], None]) -> Place:
        try:
            folder.make()
        except OSError as error:
            problem = f"{folder.path} cannot be made: {error.strerror}"
            raise ArgumentError("folder", problem, "name a folder that may be written") from None
        with locked(folder.start_lock) as is_ours:
            # Looked at anew: it may be long since this was prepared, or somebody else was as quick.
            _check_free(folder, is_starting=not is_ours)
            folder.clear()
            tls = None if security is None else _written(security, folder)
            return starting.start(folder, replace(launch, tls=tls), say)

    return folder, begin


def _check_free(folder: Folder, *, is_starting: bool = False) -> None:
    """Returns where no cluster has the folder; raises ArgumentError."""
    if is_starting or folder.is_living:
        way_out = f"CostplanCluster.from_name({folder.name!r}) connects to it"
        raise ArgumentError("name", f"a cluster {folder.name!r} lives already", way_out)


def _written(security: Any, folder: Folder) -> TlsFiles:
    """The certificates as files; raises ArgumentError where they do not belong together."""
    tls = write_tls(security, folder.tls)
    try:
        check_tls(tls)
    except ArgumentError:
        shutil.rmtree(folder.tls)  # keys are nowhere that no cluster ends
        raise
    return tls


def checked_name(name: Any) -> str:
    """A cluster's name; raises ArgumentError."""
    if not isinstance(name, str) or not NAME.fullmatch(name):
        way_out = "write up to 40 letters, digits, '_', '.' and '-'"
        raise ArgumentError("name", f"{name!r} is no name", way_out)
    return name


def check_found(folder: Folder) -> None:
    """Returns where a cluster lives there, on this computer; raises ArgumentError."""
    root, order = folder.path.parent, folder.order()
    if order is not None and order.host != socket.gethostname():
        problem = f"the processes of {folder.name!r} are on {order.host}"
        raise ArgumentError("name", problem, "connect from there")
    if not folder.exists or not folder.is_living:
        living = living_names(root)
        near = suggestion(folder.name, living) or f"living are: {', '.join(living) or 'none'}"
        raise ArgumentError("name", f"no cluster {folder.name!r} lives in {root}", near)


def _new_name(workload: Mapping[str, Any]) -> str:
    """A name that no cluster has yet."""
    return f"{str(workload['workload'])[:_NAME_LENGTH]}-{secrets.token_hex(3)}"


def _host(said: str | None, provider: str, options: Mapping[str, Any]) -> str:
    """Where the scheduler listens: on loopback for machines of this computer alone, as the local
    provider's are, and those of a cloud whose API is emulated here."""
    if said is not None and (not isinstance(said, str) or not said or "/" in said):
        raise ArgumentError("host", f"{said!r} is no address", "write it like '10.0.0.5'")
    emulator = urlsplit(str(options.get("endpoint", ""))).hostname or ""
    is_here = provider == "local" or (said is not None and is_loopback(emulator))
    if not is_here and is_loopback(said or LOOPBACK):
        problem = f"machines of {provider} cannot reach a scheduler that listens on loopback"
        way_out = "give host='10.0.0.5': this computer's address in their network"
        raise ArgumentError("host", problem, way_out)
    if said is not None:
        _check_ours(said)
    return said or LOOPBACK


def _check_ours(host: str) -> None:
    """Returns where this computer can listen at an address; raises ArgumentError."""
    way_out = "give an address of this computer, as `hostname -I` lists them"
    try:
        found = socket.getaddrinfo(host, 0, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, kind, protocol, _, address = found[0]
        with socket.socket(family, kind, protocol) as one:
            one.bind(address)
    except (OSError, UnicodeError) as error:
        said = getattr(error, "strerror", None) or str(error)
        problem = f"{host!r} cannot be listened at: {said}"
        raise ArgumentError("host", problem, way_out) from None


def _cores() -> int:
    return os.cpu_count() or 1


def _local(options: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any] | None]:
    """The provider's section, and the scenario of this computer where none is named. A state folder
    belongs to one scenario, so each has its own; raises ArgumentError where one is wrong."""
    section = dict(options)
    made = None
    named = section.get("scenario")
    if named is None:
        made = local_scenario(_cores(), psutil.virtual_memory().total)
        digest = hashlib.sha256(json.dumps(made).encode()).hexdigest()
        section["scenario"] = "scenario.yaml"
    elif isinstance(named, str | Path):
        section["scenario"] = str(Path(named).absolute())
        digest = _digest_of(Path(named))
    else:
        raise ArgumentError("provider_options", f"{named!r} is no scenario file", "name one")
    state = section.get("state_dir", f"machines-{digest[:8]}")
    section["state_dir"] = str(Path(state).absolute()) if "state_dir" in options else state
    return section, made


def _digest_of(scenario: Path) -> str:
    try:
        return read_scenario(scenario).digest
    except InputError as error:
        raise ArgumentError("provider_options", str(error)) from None


def _check(
    file: Mapping[str, Any], folder: Folder, *, has_tls: bool, scenario: Mapping[str, Any] | None
) -> None:
    """Returns where the file is right with any scheduler, and its workers fit on a machine of this
    computer; raises ArgumentError."""
    scheduler = dict(file["scheduler"])
    if has_tls:
        scheduler["address"] = scheduler["address"].replace("tcp:", "tls:")
        if file["provider"]["kind"] == "local":
            scheduler["worker_tls"] = {"ca": "ca", "cert": "cert", "key": "key"}
    check_file({**file, "scheduler": scheduler}, folder.path)
    if scenario is None:
        return
    base = str(folder.path)
    kinds = daemon_config_from_mapping(plainly(file), "", base).settings.kinds
    sizes = [(offer["vcpu"], parse_memory(offer["memory"])) for offer in scenario["offers"]]
    vcpu, memory = max(sizes)
    for kind in kinds:
        need = kind.need
        if need.gpus or need.vcpu_milli > 1000 * vcpu or need.memory_bytes > memory:
            gpus = f" and {need.gpus} GPUs" if need.gpus else ""
            raise ArgumentError(
                "workload",
                f"workers {kind.name!r} need {need.vcpu_milli / 1000:g} vCPU, "
                f"{memory_text(need.memory_bytes)}{gpus}, and the largest machine of this computer "
                f"has {vcpu} vCPU and {memory_text(memory)}",
                "make them smaller, or give provider_options={'scenario': 'scenario.yaml'} "
                "(docs/local-provider.md)",
            )
