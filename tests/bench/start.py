"""Seconds from a cold start: `costplan --help`, and `recommend` on the whole real price list.

    python -m tests.bench.start

Each command runs in a process of its own, five times; the median and the worst are printed. The
second `recommend` runs beside two busy processes, and its JSON must be the same bytes.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

from tests.bench.instances import PRICES

ROOT = Path(__file__).parents[2]
COSTPLAN = str(Path(sys.executable).with_name("costplan"))
WORKLOAD = str(ROOT / "examples" / "fraud-training.yaml")
LISTED = ["recommend", WORKLOAD, "--prices", str(PRICES), "--max-price-age", "9999d"]
RUNS = 5


def timed(arguments: list[str]) -> list[float]:
    """Seconds of each run of a command that must end well."""
    seconds = []
    for _ in range(RUNS):
        start = time.perf_counter()
        subprocess.run([COSTPLAN, *arguments], check=True, capture_output=True)
        seconds.append(time.perf_counter() - start)
    return seconds


def answer() -> dict[str, object]:
    """The JSON plan without the instant at which it was made."""
    done = subprocess.run([COSTPLAN, *LISTED, "--format", "json"], check=True, capture_output=True)
    plan: dict[str, object] = json.loads(done.stdout)
    plan.pop("created_at")
    return plan


def same_under_load() -> bool:
    """Whether the plan is the same beside two processes that keep both cores busy."""
    quiet = answer()
    busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(2)]
    try:
        return answer() == quiet
    finally:
        for process in busy:
            process.kill()
            process.wait()


def main() -> int:
    """Runs the measurements; 0, also where there is no data to run on."""
    commands = [("costplan --help", ["--help"]), ("bundled prices", ["recommend", WORKLOAD])]
    if PRICES.is_file():
        commands.append(("the whole real price list", LISTED))
    for name, arguments in commands:
        seconds = timed(arguments)
        print(f"{name:<28} median {statistics.median(seconds):.2f} s, worst {max(seconds):.2f} s")
    if not PRICES.is_file():
        print(f"skipped the rest: {PRICES} is absent")
        return 0
    print(f"the same plan under load: {'yes' if same_under_load() else 'NO'}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
