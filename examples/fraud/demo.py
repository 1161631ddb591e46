"""`make demo`: a training on a cluster that costplan holds, from nothing to a report.

    python examples/fraud/demo.py [--folder out/demo] [--rows 1500000]

Starts a scheduler, the daemon with machines that are processes of this computer, and the fraud
training; two of the machines are taken away on the way. Ends with the model's score, what the
interruptions did, and what it cost. Everything it starts is gone when it ends, also on Ctrl-C.
The exit code is 0 where all went well.
"""

from __future__ import annotations

import argparse
import json
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any, NoReturn

from outcome import Bill, bill_of, interruption_lines, machines_of, task_line
from processes import (
    HERE,
    DemoFailed,
    Processes,
    costplan,
    end_group,
    processes,
    start_daemon,
    start_scheduler,
    wait_until,
)
from show import Panels, Plain, Scene, screen

from costplan.cli.cluster_store import Cluster, opened
from costplan.planner.errors import CostplanError
from costplan.planner.tick import State
from costplan.planner.wording import percent

LOOK_SECONDS = 1.0
LIMIT_SECONDS = 300.0


class Training:
    """The training as a process, and what it has said."""

    def __init__(self, run: Processes, address: str, rows: int) -> None:
        command = [sys.executable, str(HERE / "training.py"), "--scheduler", address]
        self.process = run.start("training", [*command, "--rows", str(rows)], read=True)
        self.result: dict[str, Any] | None = None
        self._said: queue.SimpleQueue[str] = queue.SimpleQueue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self.process.stdout is not None  # noqa: S101 - it was asked for
        for line in self.process.stdout:
            self._said.put(line)

    def news(self) -> Iterator[dict[str, Any]]:
        """What it has said since the last call."""
        while not self._said.empty():
            line = self._said.get()
            if line.startswith("{"):
                news = json.loads(line)
                self.result = news if news["event"] == "result" else self.result
                yield news


def wording(news: dict[str, Any]) -> tuple[str, str | None]:
    """What the training is at, and what of it is worth a line of its own."""
    match news["event"]:
        case "progress":
            return f"{news['stage']} {news['done']} of {news['of']}", None
        case "stage":
            stage = str(news["stage"])
            return stage, f"training: {stage}, {news['workers']} workers"
        case "retry":
            return "train again", f"training: a round is lost ({news['reason']}), tried again"
        case "trained":
            return "trained", f"training: {news['rounds']} rounds on {news['gang']} workers"
        case _:
            return "done", None


class Fleet:
    """Tells of machines that come, drain and go, from one state to the next."""

    def __init__(self) -> None:
        self._phases: dict[str, str] = {}

    def news(self, state: State) -> Iterator[str]:
        """A line for each node whose phase has changed."""
        for node_id, node in sorted(state.nodes.items()):
            phase = node.phase.value
            if self._phases.get(node_id) != phase:
                self._phases[node_id] = phase
                why = f" ({node.drain.cause.value})" if node.drain is not None else ""
                key = node.key
                yield f"{node_id} {key.instance_type} {key.market.value}: {phase}{why}"


def follow(
    run: Processes, training: Training, daemon: subprocess.Popen[str], display: Plain | Panels
) -> None:
    """Shows what happens until the training has ended; raises DemoFailed where it goes wrong."""
    started, scene, fleet = time.monotonic(), Scene(), Fleet()
    with opened(run.config, None, read_only=True) as cluster:
        looked = -LOOK_SECONDS
        while True:
            over = training.process.poll() is not None
            scene.seconds = time.monotonic() - started
            for news in training.news():
                scene.stage, line = wording(news)
                if line is not None:
                    display.event(scene, line)
            if scene.seconds - looked >= LOOK_SECONDS:
                looked = scene.seconds
                look(cluster, scene, fleet, display)
            if over:
                break
            if daemon.poll() is not None:
                raise DemoFailed(f"the daemon ended:\n{run.tail('daemon')}")
            if scene.seconds > LIMIT_SECONDS:
                raise DemoFailed(f"the training took more than {LIMIT_SECONDS:.0f} s")
            time.sleep(0.2)
    if training.process.returncode != 0 or training.result is None:
        raise DemoFailed(f"the training failed:\n{run.tail('training')}")


def look(cluster: Cluster, scene: Scene, fleet: Fleet, display: Plain | Panels) -> None:
    """Brings a scene up to date from the store."""
    scene.status = cluster.status()
    for line in fleet.news(cluster.state()):
        display.event(scene, line)
    display.update(scene)


def finish(run: Processes, training: Training, seconds: float) -> None:
    """Ends the fleet, writes the report, and prints what came of it all."""
    with opened(run.config, None, read_only=True) as cluster:
        state = cluster.state()
    costplan(run, "down", "--yes", "--timeout", "30s")
    report = run.folder / "report.html"
    costplan(run, "report", "--format", "html", "--out", str(report))
    with opened(run.config, None, read_only=True) as cluster:
        spent = cluster.state().spent_usd
        nodes = {node.node_id: node for node in cluster.store.nodes(including_gone=True)}
    machines = machines_of(run.machines)
    bill = bill_of(run.machines)
    result = training.result or {}
    print(
        f"\nmodel          average precision {result['average_precision']} and AUC "
        f"{result['area_under_roc']} on {result['unseen_rows']:,} later payments"
        f" ({percent(result['fraud_share'])} fraud), {seconds:.0f} s"
    )
    print(f"tasks          {task_line(state)}")
    lines = interruption_lines(run.machines, machines, nodes) or ["none"]
    for place, line in enumerate(lines):
        print(f"{'interruptions' if place == 0 else '':<15}{line}")
    for line in cost_lines(bill, spent):
        print(line)
    print(f"report         {report}")


def cost_lines(bill: Bill, ledger_usd: Decimal) -> Iterator[str]:
    """What it cost, beside what it would have cost."""
    yield (
        f"cost           ${ledger_usd:.6f} by the ledger, ${bill.paid_usd:.6f} by the machines'"
        f" own record ({bill.machines} machines, {bill.seconds:,} s)"
    )
    for name, usd in (
        ("the same machines on demand", bill.on_demand_usd),
        ("3 on demand all the time", bill.fixed_usd),
    ):
        saved = 1 - bill.paid_usd / usd if usd else Decimal(0)
        yield f"{'':<15}{name}: ${usd:.6f}, so {percent(saved)} saved"


@contextmanager
def interruptible() -> Iterator[None]:
    """SIGTERM and Ctrl-C end the demo once: what was started is ended first, undisturbed.

    `timeout make demo` sends SIGTERM twice, by itself and through make, and the second one must
    keep nothing from being ended.
    """
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}

    def stop(_number: int, _frame: object) -> NoReturn:
        for number in before:
            signal.signal(number, signal.SIG_IGN)
        raise KeyboardInterrupt

    for number in before:
        signal.signal(number, stop)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def main(arguments: list[str]) -> int:
    """Runs the demo; returns its exit code."""
    parser = argparse.ArgumentParser(description="A training on a cluster that costplan holds.")
    parser.add_argument("--folder", type=Path, default=Path("out/demo"), help="where it works")
    parser.add_argument("--rows", type=int, default=1_500_000, help="payments to learn from")
    chosen = parser.parse_args(arguments)
    try:
        with interruptible(), processes(chosen.folder.resolve()) as run:
            started = time.monotonic()
            print(f"working in {run.folder}; logs are there", flush=True)
            scheduler = start_scheduler(run)
            daemon = start_daemon(run, scheduler)
            training = Training(run, scheduler["address"], chosen.rows)
            wait_until((run.folder / "costplan.db").exists, "the start of the daemon")
            with screen() as display:
                follow(run, training, daemon, display)
            finish(run, training, time.monotonic() - started)
            end_group(daemon)
    except KeyboardInterrupt:
        print("stopped; nothing is left running", file=sys.stderr)
        return 130
    except (DemoFailed, CostplanError) as error:
        print(f"the demo failed: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
