"""The demo ends what it started, also when it is asked to end more than once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
DEADLINE_SECONDS = 30.0

# Its two children end when they are asked, half a second later: time for another signal.
SCRIPT = """
import signal, sys
from pathlib import Path
sys.path.insert(0, "examples/fraud")
from demo import interruptible
from processes import processes
CHILD = '''
import signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: (time.sleep(0.5), sys.exit(0)))
print("here", flush=True)
while True:
    signal.pause()
'''
try:
    with interruptible(), processes(Path(sys.argv[1])) as run:
        started = [run.start(name, [sys.executable, "-c", CHILD], read=True) for name in "ab"]
        for one in started:
            one.stdout.readline()
        print(*[one.pid for one in started], flush=True)
        signal.pause()
except KeyboardInterrupt:
    print("stopped", flush=True)
"""


def test_a_second_signal_keeps_nothing_from_being_ended(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(tmp_path / "demo")],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    ) as demo:
        assert demo.stdout is not None
        children = [int(pid) for pid in demo.stdout.readline().split()]
        assert len(children) == 2
        demo.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + DEADLINE_SECONDS
        while demo.poll() is None and time.monotonic() < deadline:
            demo.send_signal(signal.SIGTERM)  # again and again, while it ends them
            try:
                demo.wait(0.05)
            except subprocess.TimeoutExpired:
                continue
        assert demo.poll() is not None, "it does not end"
        left = [pid for pid in children if Path(f"/proc/{pid}").exists()]
        for pid in left:
            os.kill(pid, signal.SIGKILL)
        assert not left, "its children were left running"
