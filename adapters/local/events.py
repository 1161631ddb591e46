"""Interruptions: which machine each of them takes, decided once and whoever is there to do it.

The supervisors of the machines deal them, so that they happen whether a daemon runs or not.
Uses the standard library only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from costplan.adapters.local.folders import (
    NOTICE,
    REQUEST,
    TERMINATE,
    events_folder,
    folders,
    is_alive,
    locked,
    read_json,
    write_json,
)

LATE_SECONDS = 2.0
"""An interruption that found nobody to deal it for so long has passed without a victim."""

_RELOOK_SECONDS = 0.5  # one that waits for a machine to take looks for it this often


class Dealer:
    """Deals the interruptions of a state folder when they are due; any number may do it at once."""

    def __init__(self, state_dir: Path, clock: Callable[[], datetime]) -> None:
        scenario = read_json(state_dir / "scenario.json") or {"interruptions": []}
        self._state_dir, self._clock = state_dir, clock
        self._waiting = [
            (datetime.fromisoformat(scenario["started_at"]) + timedelta(seconds=event["at"]), event)
            for event in scenario["interruptions"]
        ]
        self._look_again: datetime | None = None

    def deal(self) -> None:
        """Gives every interruption that is due to a machine, or records that it had none."""
        now = self._clock()
        if not any(at <= now for at, _ in self._waiting):
            return
        if self._look_again is not None and now < self._look_again:
            return
        self._look_again = now + timedelta(seconds=_RELOOK_SECONDS)
        events = events_folder(self._state_dir)
        events.mkdir(exist_ok=True)
        with locked(events / "lock"):
            self._waiting = [
                (at, event)
                for at, event in self._waiting
                if at > now or not _dealt(self._state_dir, event, at, now)
            ]


def announce(
    folder: Path, event: str, kind: str, notice_seconds: float | None, now: datetime
) -> None:
    """Lets an event befall a machine: a 'reclaim' takes it away after this notice, or at once.

    Without notice nobody is told before.
    """
    effective_at = now + timedelta(seconds=notice_seconds or 0.0)
    notice = {
        "kind": kind,
        "told": notice_seconds is not None,
        "observed_at": now.isoformat(),
        "effective_at": effective_at.isoformat(),
    }
    write_json(folder / _notice_name({"id": event}), notice)


def _notice_name(event: Mapping[str, Any]) -> str:
    return f"{NOTICE}{event['id']}.json"


def _dealt(state_dir: Path, event: Mapping[str, Any], at: datetime, now: datetime) -> bool:
    """True once nothing is left to do for an event; writes the victims' notices."""
    record = events_folder(state_dir) / f"{event['id']}.json"
    if record.exists():
        return True
    # Whoever died between telling the victim and recording it leaves the first without the second.
    told = [folder for folder in folders(state_dir) if (folder / _notice_name(event)).exists()]
    victims = told if told and event["keep"] is None else _victims(state_dir, event, now)
    if not victims and event["wait"]:
        return False
    late = now - at > timedelta(seconds=LATE_SECONDS) and not event["wait"]
    victims = [] if late else victims
    for folder in (one for one in victims if one not in told):
        announce(folder, event["id"], event["kind"], event["notice"], now)
    write_json(record, {"at": now.isoformat(), "machines": [folder.name for folder in victims]})
    return True


def _victims(state_dir: Path, event: Mapping[str, Any], now: datetime) -> list[Path]:
    """The machines that an event takes: the chosen one, or all above what is kept."""
    candidates: list[tuple[str, str, Path]] = []
    for folder in folders(state_dir):
        request = read_json(folder / REQUEST)
        if request is None or request["offer"] not in event["offers"] or not is_alive(folder):
            continue
        age = (now - datetime.fromisoformat(request["launched_at"])).total_seconds()
        if age < event["min_age"] or _is_doomed(folder):
            continue
        candidates.append((request["launched_at"], folder.name, folder))
    candidates.sort()
    ordered = [folder for *_, folder in candidates]
    if event["keep"] is not None:
        return ordered[event["keep"] :]
    match event["which"]:
        case "oldest":
            return ordered[:1]
        case "newest":
            return ordered[-1:]
        case nth:
            return ordered[nth - 1 : nth]


def _is_doomed(folder: Path) -> bool:
    """True where the machine is to end already."""
    notices = (read_json(path) for path in folder.glob(f"{NOTICE}*.json"))
    return (folder / TERMINATE).exists() or any(n and n["kind"] == "reclaim" for n in notices)
