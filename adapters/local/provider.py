"""A provider whose machines are processes of this computer: real Dask workers, real deaths.

Everything it knows stands in the state folder (`folders.py`), so it can be killed and opened
again at any point, and several may work on one folder. What there is to buy, and what goes
wrong, a scenario says.
"""

from __future__ import annotations

import shutil
import signal
import subprocess
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from costplan.adapters.faults import reach
from costplan.adapters.local.folders import (
    ACCEPTED,
    ENDED,
    NOTICE,
    REQUEST,
    SUPERVISOR,
    TERMINATE,
    ended_folder,
    folders,
    is_alive,
    locked,
    machines_folder,
    read_json,
    signal_process,
    write_json,
)
from costplan.adapters.local.records import (
    MachineRecord,
    is_machine_id,
    kept_record,
    key_value,
    machine_id,
    prune,
    record_of,
    request_text,
)
from costplan.adapters.local.scenario import is_meant
from costplan.adapters.local.stage import Stage
from costplan.adapters.local.sweep import end_leftovers
from costplan.adapters.local.workers import Workers, start_supervisor
from costplan.planner.errors import (
    CapacityUnavailable,
    OutcomeUnknown,
    QuotaExceeded,
    RequestRejected,
    Throttled,
    Unreachable,
)
from costplan.planner.nodes import (
    LaunchRequest,
    MachineState,
    Notice,
    ProviderNode,
)
from costplan.planner.types import Billing, Offer, OfferKey

__all__ = ["BILLING", "LocalProvider", "Workers"]

BILLING = Billing(minimum_seconds=0, step_seconds=1)
"""By the second, from the first one on."""


class LocalProvider:
    """The provider port over the machines of one cluster in a state folder."""

    name = "local"

    def __init__(
        self, stage: Stage, cluster: str, workers: Workers, clock: Callable[[], datetime]
    ) -> None:
        self._stage, self._cluster, self._workers, self._clock = stage, cluster, workers, clock
        self._state_dir = stage.state_dir

    def offers(self) -> Sequence[Offer]:
        """All that the scenario sells, with what may still be started of it."""
        with self._answering("offers", "all"):
            there = self._there()
        now = self._clock()
        found = []
        for key, staged in self._stage.offers.items():
            capacity = self._stage.capacity_at(key, now)
            left = None if capacity is None else max(0, capacity - there.get(key, 0))
            offer = Offer(
                key=key,
                resources=staged.resources,
                arch=staged.arch,
                available=capacity != 0,
                billing=BILLING,
                headroom=left if staged.tells_headroom else None,
            )
            found.append(offer)
        return tuple(found)

    def nodes(self) -> Sequence[ProviderNode]:
        """Every machine of the cluster, with those that ended within the retention time."""
        with self._answering("nodes", "all"):
            records = self._records()
        since = self._clock() - timedelta(seconds=self._stage.retention_seconds)
        return tuple(
            record.machine
            for record in records
            if record.machine.ended_at is None or record.machine.ended_at >= since
        )

    def launch(self, request: LaunchRequest) -> ProviderNode:
        """The machine of this request, whose supervisor runs when this returns."""
        with self._answering("launch", request.node_id):
            return self._launch(request)

    def _launch(self, request: LaunchRequest) -> ProviderNode:
        if request.cluster != self._cluster:
            raise self._rejected(request, f"it is for the cluster {request.cluster!r}")
        folder = machines_folder(self._state_dir) / machine_id(request)
        folder.parent.mkdir(parents=True, exist_ok=True)
        # Keeps threads and daemons apart, so that no two of them take the last machine.
        with locked(self._state_dir / ".launch.lock"):
            known = self._known(folder, request)
            if known is not None:
                return known
            now = self._clock()
            prune(self._state_dir, now - timedelta(seconds=self._stage.retention_seconds))
            reach("local.launch.before_folder")
            self._write_folder(folder, request, now)
            reach("local.launch.after_folder")
            try:
                start_supervisor(folder, self._workers.inherited(folder))
            except subprocess.SubprocessError as error:
                if is_alive(folder):
                    raise self._unknown(request) from error
                raise
            reach("local.launch.after_spawn")
            with suppress(OSError):  # it runs, and while it does that is mark enough
                (folder / ACCEPTED).touch()
            reach("local.launch.after_accepted")
        record, written = record_of(folder), read_json(folder / REQUEST)
        if record is None or written is None or written["outcome"] == "lost_answer":
            raise self._unknown(request)
        return record.machine

    def terminate(self, provider_ids: Collection[str]) -> None:
        """Orders the end of these machines; their supervisors see to it."""
        for provider_id in sorted(set(provider_ids)):
            with self._answering("terminate", provider_id):
                self._terminate(provider_id)

    def _terminate(self, provider_id: str) -> None:
        folder = machines_folder(self._state_dir) / provider_id
        request = read_json(folder / REQUEST) if is_machine_id(provider_id) else None
        if request is None or request["cluster"] != self._cluster or (folder / ENDED).exists():
            return
        reach("local.terminate.before_order")
        refusal: OSError | None = None
        if not (folder / TERMINATE).exists():
            try:
                write_json(folder / TERMINATE, {"at": self._clock().isoformat()})
            except OSError as error:  # no room for the order; the signal is one too
                refusal = error
        reach("local.terminate.after_order")
        supervisor = read_json(folder / SUPERVISOR)
        if supervisor is not None:
            told = signal_process(supervisor["pid"], supervisor["ticks"], signal.SIGTERM)
            refusal = None if told else refusal
        if not is_alive(folder):
            end_leftovers(folder)
        elif refusal is not None:
            raise refusal
        reach("local.terminate.after_signal")

    def notices(self) -> Sequence[Notice]:
        """Warnings to machines that still live."""
        with self._answering("notices", "all"):
            found = self._notices()
        return tuple(sorted(found, key=lambda one: (one.effective_at, one.provider_id)))

    def _notices(self) -> list[Notice]:
        found = []
        for folder in folders(self._state_dir):
            request = read_json(folder / REQUEST)
            if request is None or request["cluster"] != self._cluster or not is_alive(folder):
                continue
            for path in sorted(folder.glob(f"{NOTICE}*.json")):
                notice = read_json(path)
                if notice is not None and notice["told"] and not (folder / ENDED).exists():
                    found.append(_notice(folder.name, notice))
        return found

    @contextmanager
    def _answering(self, operation: str, subject: str) -> Iterator[None]:
        """Raises Unreachable where the scenario has the provider out of order now, or where the
        state folder cannot be read or written: what is half known is not said."""
        if self._stage.is_out(self._clock()):
            raise Unreachable(self.name, operation, subject)
        try:
            yield
        except (OSError, ValueError, subprocess.SubprocessError) as error:
            raise Unreachable(self.name, operation, subject, str(error)) from error

    def _rejected(self, request: LaunchRequest, code: str) -> RequestRejected:
        return RequestRejected(self.name, "launch", request.node_id, code)

    def _unknown(self, request: LaunchRequest) -> OutcomeUnknown:
        return OutcomeUnknown(self.name, "launch", request.node_id, request.token)

    def _records(self) -> list[MachineRecord]:
        records = (record_of(folder) for folder in folders(self._state_dir))
        return [one for one in records if one is not None and one.cluster == self._cluster]

    def _there(self) -> dict[OfferKey, int]:
        """How many machines of each offer are there now, of whichever cluster."""
        counts: dict[OfferKey, int] = {}
        for folder in folders(self._state_dir):
            record = record_of(folder)
            if record is not None and record.machine.state is not MachineState.ENDED:
                counts[record.machine.key] = counts.get(record.machine.key, 0) + 1
        return counts

    def _known(self, folder: Path, request: LaunchRequest) -> ProviderNode | None:
        """The machine that this request has led to already, None where it has to be started."""
        kept = read_json(ended_folder(self._state_dir) / f"{folder.name}.json")
        written = read_json(folder / REQUEST) or kept
        if written is None:
            return None
        if written["request"] != request_text(request):
            raise self._rejected(request, "the token was used for another request")
        record = record_of(folder)
        if record is None and kept is not None:
            record = kept_record(kept)
        return None if record is None else record.machine

    def _write_folder(self, folder: Path, request: LaunchRequest, now: datetime) -> None:
        """Makes the folder of a machine, whole or not at all; refuses as the scenario says."""
        key, launch = self._key_for(request)
        staged = self._stage.offers[key]
        gpus = sum(worker.resources.get("GPU", worker.gpus) for worker in request.workers)
        if gpus > staged.resources.gpus:
            raise self._rejected(request, f"{key} has {staged.resources.gpus} GPUs, not {gpus:g}")
        boot, outcome = self._fate(key, launch)
        match outcome:
            case "throttled":
                raise Throttled(self.name, "launch", request.node_id, 1)
            case "unreachable":
                raise Unreachable(self.name, "launch", request.node_id)
            case "quota":
                raise QuotaExceeded(self.name, "launch", request.node_id, f"machines of {key}")
        scratch = folder / "scratch"
        nanny = "--nanny" if self._stage.nanny else "--no-nanny"
        commands = [self._workers.command(worker, scratch, nanny) for worker in request.workers]
        value = {
            "id": folder.name,
            "node_id": request.node_id,
            "token": request.token,
            "cluster": request.cluster,
            "request": request_text(request),
            "key": key_value(key),
            "offer": str(key),
            "launch": launch,
            "launched_at": now.isoformat(),
            "outcome": outcome,
            "boot_seconds": boot,
            "grace_seconds": self._stage.grace_seconds,
            "powers_off": self._stage.powers_off,
            "commands": [] if outcome == "never_joins" else commands,
        }
        if folder.exists():  # left by a daemon that died before it had started the machine
            write_json(folder / REQUEST, value)
            return
        draft = folder.with_name(f".{folder.name}.new")
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(mode=0o700)
        write_json(draft / REQUEST, value)
        draft.rename(folder)

    def _key_for(self, request: LaunchRequest) -> tuple[OfferKey, int]:
        """The first offer of a request that there is room for, and the number of this launch."""
        unknown = [key for key in request.keys if key not in self._stage.offers]
        if unknown:
            raise self._rejected(request, f"there is no offer {unknown[0]}")
        now, there = self._clock(), self._there()
        for key in request.keys:
            launch = self._count_launch(key)
            capacity = self._stage.capacity_at(key, now)
            is_full = capacity is not None and there.get(key, 0) >= capacity
            if not is_full and self._fate(key, launch)[1] != "no_capacity":
                return key, launch
        subject = ", ".join(str(key) for key in request.keys)
        raise CapacityUnavailable(self.name, "launch", subject)

    def _count_launch(self, key: OfferKey) -> int:
        """The number of this launch among those of its offer, from 1."""
        path = self._state_dir / "launches.json"
        counts: dict[str, Any] = read_json(path) or {}
        number = int(counts.get(str(key), 0)) + 1
        write_json(path, {**counts, str(key): number})
        return number

    def _fate(self, key: OfferKey, launch: int) -> tuple[float, str | None]:
        """Boot seconds and outcome that the scenario has for a launch; the last word counts."""
        boot, outcome = self._stage.offers[key].boot_seconds, None
        for one in self._stage.launches:
            if one["launch"] == launch and is_meant(one["offer"], key):
                boot = boot if one["boot"] is None else one["boot"]
                outcome = one["outcome"] or outcome
        return boot, outcome


def _notice(provider_id: str, notice: Mapping[str, Any]) -> Notice:
    return Notice(
        provider_id=provider_id,
        kind=notice["kind"],
        effective_at=datetime.fromisoformat(notice["effective_at"]),
        observed_at=datetime.fromisoformat(notice["observed_at"]),
    )
