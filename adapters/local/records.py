"""What is known of each local machine: the request in its folder, and what became of it."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from costplan.adapters.local.folders import (
    ACCEPTED,
    ENDED,
    LOCK,
    REQUEST,
    SUPERVISOR,
    TERMINATE,
    WORKERS,
    ended_folder,
    folders,
    is_alive,
    machines_folder,
    read_json,
    write_json,
)
from costplan.planner.nodes import LaunchRequest, MachineState, ProviderNode
from costplan.planner.types import Market, OfferKey

_ID = re.compile(r"local-[0-9a-f]{20}")


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineRecord:
    """A machine as its folder tells it, and the cluster whose tag it carries."""

    machine: ProviderNode
    cluster: str
    launch: int
    """It was the so-manieth launch of its offer."""


def machine_id(request: LaunchRequest) -> str:
    """The id of the one machine that a request may lead to."""
    name = f"{request.cluster}\n{request.token}"
    return f"local-{hashlib.sha256(name.encode()).hexdigest()[:20]}"


def is_machine_id(text: str) -> bool:
    """True where a text has the form of our ids, and so may be the name of a folder."""
    return _ID.fullmatch(text) is not None


def request_text(request: LaunchRequest) -> str:
    """The whole of a request as text: equal requests have equal texts."""
    value = {
        "token": request.token,
        "node_id": request.node_id,
        "cluster": request.cluster,
        "keys": [key_value(key) for key in request.keys],
        "workers": [
            {
                "name": worker.name,
                "shape": worker.shape,
                "threads": worker.threads,
                "memory_bytes": worker.memory_bytes,
                "gpus": worker.gpus,
                "resources": dict(worker.resources),
            }
            for worker in request.workers
        ],
        "image_ref": request.image_ref,
        "user_data_ref": request.user_data_ref,
        "tags": dict(request.tags),
    }
    return json.dumps(value, sort_keys=True)


def key_value(key: OfferKey) -> list[str]:
    """An offer's key as a list of texts."""
    return [key.provider, key.region, key.zone, key.instance_type, str(key.market)]


def key_of(value: list[str]) -> OfferKey:
    """The key that `key_value` wrote."""
    provider, region, zone, instance_type, market = value
    return OfferKey(
        provider=provider,
        region=region,
        zone=zone,
        instance_type=instance_type,
        market=Market(market),
    )


def record_of(folder: Path) -> MachineRecord | None:
    """The record of a machine's folder, None where no machine has come of it."""
    request = read_json(folder / REQUEST)
    if request is None:
        return None
    alive = is_alive(folder)
    ended = read_json(folder / ENDED)
    if not alive and ended is None and not _was_started(folder):
        return None  # whoever asked for it died before it was started, and will ask again
    if ended is None and not alive:
        ended = read_json(folder / ENDED) or _last_sign_of_life(folder)
    launched_at = datetime.fromisoformat(request["launched_at"])
    if ended is not None:
        state = MachineState.ENDED
    elif (folder / TERMINATE).exists():
        state = MachineState.STOPPING
    else:
        running = (folder / WORKERS).exists()
        state = MachineState.RUNNING if running else MachineState.PENDING
    return _record(request, state, launched_at, ended)


def machine_records(state_dir: Path) -> tuple[MachineRecord, ...]:
    """Every machine that there is or was in a state folder, of all clusters, by launch."""
    records = {folder.name: record_of(folder) for folder in folders(state_dir)}
    for path in sorted(ended_folder(state_dir).glob("*.json")):
        kept = read_json(path)
        if kept is not None and records.get(path.stem) is None:
            records[path.stem] = kept_record(kept)
    found = [record for record in records.values() if record is not None]
    return tuple(sorted(found, key=lambda r: (r.machine.launched_at, r.machine.provider_id)))


def kept_record(kept: Mapping[str, Any]) -> MachineRecord:
    """The record that is kept of a machine whose folder is gone."""
    launched_at = datetime.fromisoformat(kept["launched_at"])
    return _record(kept, MachineState.ENDED, launched_at, kept["ended"])


def prune(state_dir: Path, ended_before: datetime) -> None:
    """Removes the folders of machines that ended before an instant; their records are kept."""
    for folder in folders(state_dir):
        record, request = record_of(folder), read_json(folder / REQUEST)
        if record is None or request is None or record.machine.ended_at is None:
            continue
        if record.machine.ended_at >= ended_before or is_alive(folder):
            continue
        ended_folder(state_dir).mkdir(exist_ok=True)
        ended = {"at": record.machine.ended_at.isoformat(), "cause": record.machine.end_cause}
        kept = {name: value for name, value in request.items() if name != "commands"}
        write_json(ended_folder(state_dir) / f"{folder.name}.json", {**kept, "ended": ended})
        gone = folder.rename(machines_folder(state_dir) / f".{folder.name}.gone")
        shutil.rmtree(gone, ignore_errors=True)


def _was_started(folder: Path) -> bool:
    return (folder / ACCEPTED).exists() or (folder / SUPERVISOR).exists()


def _last_sign_of_life(folder: Path) -> dict[str, str]:
    """The end of a machine whose supervisor was killed; the kernel killed its workers with it."""
    try:
        seen = (folder / LOCK).stat().st_mtime_ns
    except FileNotFoundError:
        seen = (folder / REQUEST).stat().st_mtime_ns
    at = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=seen // 1000)
    return {"at": at.isoformat(), "cause": "failed"}


def _record(
    request: Mapping[str, Any],
    state: MachineState,
    launched_at: datetime,
    ended: Mapping[str, str] | None,
) -> MachineRecord:
    ended_at = None
    if ended is not None:  # a clock that was put back must not end it before it began
        ended_at = max(datetime.fromisoformat(ended["at"]), launched_at)
    return MachineRecord(
        machine=ProviderNode(
            provider_id=request["id"],
            key=key_of(request["key"]),
            state=state,
            launched_at=launched_at,
            node_id=request["node_id"],
            token=request["token"],
            private_address="127.0.0.1",
            ended_at=ended_at,
            end_cause=None if ended is None else ended["cause"],
        ),
        cluster=request["cluster"],
        launch=request["launch"],
    )
