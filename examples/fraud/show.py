"""What the demo shows while it runs: a live panel on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from rich.console import Group
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from costplan.planner.status import Status

LINE_SECONDS = 3.0
EVENTS_KEPT = 8


@dataclass
class Scene:
    """What is known at a moment: the training by its own word, the fleet by the store."""

    seconds: float = 0.0
    stage: str = "starting"
    status: Status | None = None
    events: deque[str] = field(default_factory=lambda: deque(maxlen=EVENTS_KEPT))

    @property
    def fleet(self) -> str:
        """Machines by type, market and phase."""
        rows = () if self.status is None else self.status.fleet
        said = [
            f"{row.nodes} {row.key.instance_type} {row.key.market.value} {row.phase.value}"
            for row in rows
        ]
        return ", ".join(said) or "no machines"

    @property
    def money(self) -> str:
        """Dollars an hour now, and spent so far."""
        if self.status is None:
            return "$0/h, spent $0"
        return f"${self.status.usd_per_hour:.4f}/h, spent ${self.status.spent_usd:.6f}"

    @property
    def tasks(self) -> str:
        """How many tasks run, could run, and wait for others."""
        rows = () if self.status is None else self.status.tasks
        running, queued, waiting = (
            sum(row.running for row in rows),
            sum(row.queued for row in rows),
            sum(row.waiting for row in rows),
        )
        return f"{running} running, {queued} queued, {waiting} waiting"


class Plain:
    """A line for every event, and one about the fleet every few seconds."""

    def __init__(self) -> None:
        self._told = -LINE_SECONDS

    def event(self, scene: Scene, text: str) -> None:
        """Something happened."""
        print(f"{scene.seconds:6.1f} s  {text}", flush=True)

    def update(self, scene: Scene) -> None:
        """Time went by."""
        if scene.seconds - self._told < LINE_SECONDS:
            return
        self._told = scene.seconds
        said = f"{scene.stage} | {scene.fleet} | {scene.money} | {scene.tasks}"
        print(f"{scene.seconds:6.1f} s  {said}", flush=True)


class Panels:
    """A panel that is drawn anew; events scroll in its lower half."""

    def __init__(self, live: Live) -> None:
        self._live = live

    def event(self, scene: Scene, text: str) -> None:
        """Something happened."""
        scene.events.append(f"{scene.seconds:6.1f} s  {text}")
        self.update(scene)

    def update(self, scene: Scene) -> None:
        """Time went by."""
        facts = Table.grid(padding=(0, 2))
        facts.add_row("time", f"{scene.seconds:.0f} s")
        facts.add_row("training", scene.stage)
        facts.add_row("tasks", scene.tasks)
        facts.add_row("fleet", scene.fleet)
        facts.add_row("money", scene.money)
        lines = Text("\n".join(scene.events), style="dim")
        self._live.update(Panel(Group(facts, Text(), lines), title="costplan demo", width=100))


@contextmanager
def screen() -> Iterator[Plain | Panels]:
    """Panels where the output is a terminal, plain lines where it is not."""
    if not sys.stdout.isatty():
        yield Plain()
        return
    with Live(refresh_per_second=4, transient=True) as live:
        yield Panels(live)
