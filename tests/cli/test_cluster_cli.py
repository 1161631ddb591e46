"""Commands around a store with real ticks in it, as a person types them."""

from __future__ import annotations

import json
import os
import pty
import select
import signal
import subprocess
import sys
import termios
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from time import monotonic

import pytest
from typer.testing import CliRunner, Result

from costplan.adapters.store.store import Store
from costplan.cli import cluster_store
from costplan.cli.main import app
from costplan.planner.loop import Ticked
from costplan.planner.tick import Control, DrainRequest
from tests.cli import store_samples
from tests.cli.fleet_samples import NOW

CONFIG = """
cluster: fraud
workload: fraud-training
scheduler: {endpoint: http://127.0.0.1:8787, token_file: token, address: tcp://127.0.0.1:8786}
provider: {kind: local, scenario: scenario.yaml, state_dir: machines}
store: {path: fraud.db}
workers: [{name: cpu, vcpu: 2, memory: 7 GiB}]
budget: {usd_per_day: 5}
"""


def run(*words: object, answer: str | None = None) -> Result:
    return CliRunner().invoke(app, list(map(str, words)), input=answer)


def control_of(path: Path) -> Control:
    with Store.open(path, read_only=True, clock=lambda: NOW) as book:
        return book.read_control()


def test_status_of_a_running_daemon(store: Path) -> None:
    result = run("status", "--store", store)
    assert result.exit_code == 0
    assert "running, costplan, process " in result.stdout
    assert "4 joined, 5 expected" in result.stdout
    assert "look now, plan in 52s" in result.stdout
    assert "Waits, and nothing is bought for it" in result.stdout


def test_status_takes_limits_and_store_from_the_file(store: Path, tmp_path: Path) -> None:
    file = tmp_path / "costplan.yaml"
    file.write_text(CONFIG)
    result = run("status", "--config", file, "--format", "json")
    assert result.exit_code == 0
    said = json.loads(result.stdout)
    assert said["cluster"] == "fraud"
    assert said["daemon"]["alive"] is True
    limits = {row["period"]: row["limit_usd"] for row in said["budget"]}
    assert limits == {"hour": None, "day": "5.00", "month": None}
    assert said["next_look_at"] == "2026-03-01T11:59:58Z"


def test_status_looks_for_costplan_yaml_in_this_folder(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    missing = run("status")
    assert missing.exit_code == 1
    assert "costplan.yaml: there is no such file" in missing.stderr
    (tmp_path / "costplan.yaml").write_text(CONFIG)
    assert run("status").exit_code == 0


def test_status_without_a_daemon_says_so_and_is_no_error(dead: Path) -> None:
    result = run("status", "--store", dead)
    assert result.exit_code == 0
    assert "not running: costplan" in result.stdout
    assert "next " not in result.stdout


def test_no_store_is_an_error_with_the_way_out(tmp_path: Path, now: datetime) -> None:
    for command in (("status",), ("explain",), ("pause",), ("down", "--yes"), ("replay",)):
        result = run(*command, "--store", tmp_path / "none.db")
        assert result.exit_code == 1, command
        assert "there is no store; start one with `costplan run`" in result.stderr
        assert "Traceback" not in result.output
    assert not (tmp_path / "none.db").exists()


def test_a_file_that_is_no_store_is_an_error(tmp_path: Path, now: datetime) -> None:
    path = tmp_path / "notes.db"
    path.write_text("not a database at all, but long enough to be looked at" * 100)
    result = run("status", "--store", path)
    assert result.exit_code == 1
    assert str(path) in result.stderr


def test_the_fleet_is_what_recommend_reads_as_current(store: Path, tmp_path: Path) -> None:
    from costplan.cli.fleet_file import fleet_from_json

    result = run("status", "--store", store, "--format", "fleet")
    running = fleet_from_json(result.stdout, "status")
    assert [(each.key.market.value, each.nodes) for each in running] == [
        ("on_demand", 1),
        ("spot", 3),
    ]


def test_a_watch_of_a_pipe_writes_a_line_when_something_changes(
    store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from costplan.cli import status as module

    looks = iter([False, False, True])

    def wait(_: float) -> bool:
        done = next(looks)
        if not done:
            with Store.open(store, clock=lambda: NOW) as book:
                book.pause(NOW + timedelta(hours=1))
        return done

    with cluster_store.opened(None, store, read_only=True) as cluster:
        printed: list[str] = []
        monkeypatch.setattr("costplan.cli.render.write", printed.append)
        module._follow(cluster.status, wait)
    assert len(printed) == 1
    assert printed[0].startswith("12:00:00 full | 5 nodes (1 coming, 1 leaving) | 4/5 workers")


def test_a_watch_on_a_terminal_repaints_and_ends_cleanly_with_ctrl_c(store: Path) -> None:
    """A terminal of its own, 100 columns wide, and the key that people press."""
    parent, child = pty.openpty()
    termios.tcsetwinsize(child, (40, 100))
    words = ["-c", "from costplan.cli.main import main; main()", "status", "--store", str(store)]
    with subprocess.Popen(
        [sys.executable, *words, "--watch"],
        stdin=child,
        stdout=child,
        stderr=subprocess.PIPE,
        env={**os.environ, "TERM": "xterm-256color"},
        start_new_session=True,
    ) as process:
        os.close(child)
        seen = read_terminal(parent, lambda text: text.count(b"joined, 5 expected") >= 2)
        process.send_signal(signal.SIGINT)
        seen += read_terminal(parent, lambda _: process.poll() is not None)
        assert process.wait(timeout=30) == 0
        assert process.stderr is not None
        assert process.stderr.read() == b""
    os.close(parent)
    assert b"\x1b[?1049h" in seen  # the alternate screen is taken
    assert b"\x1b[?1049l" in seen  # and given back
    assert b"money" in seen.split(b"1049l")[-1]  # with what was seen last left on it


def read_terminal(parent: int, enough: Callable[[bytes], bool]) -> bytes:
    """What a terminal shows until it is enough, or nothing more comes."""
    seen, until = b"", monotonic() + 60
    while monotonic() < until and not enough(seen):
        ready, _, _ = select.select([parent], [], [], 0.1)
        if ready:
            try:
                seen += os.read(parent, 65536)
            except OSError:
                break
    return seen


def test_explain_last_tells_the_newest_plan(store: Path) -> None:
    by_name, last = run("explain", "--store", store), run("explain", "last", "--store", store)
    assert by_name.exit_code == 0
    assert by_name.stdout == last.stdout
    assert last.stdout.startswith("tick 20260301T115952.000-")
    for heading in ("mode", "decision", "demand", "moves", "refused", "kept", "waiting"):
        assert f"\n{heading} " in last.stdout


def test_explain_a_tick_that_only_looked(store: Path) -> None:
    shown = json.loads(run("status", "--store", store, "--format", "json").stdout)
    result = run("explain", shown["last_tick"]["tick_id"], "--store", store)
    assert "no plan was made: this tick only looked" in result.stdout


def test_explain_a_node_its_phases_and_its_cost(store: Path) -> None:
    result = run("explain", "n-5", "--store", store)
    assert result.exit_code == 0
    assert "retiring for 30s: surplus" in result.stdout
    assert "ordered at 11:59:30 UTC for surplus" in result.stdout
    assert "not yet in the ledger" in result.stdout


def test_explain_a_node_that_is_gone(store: Path) -> None:
    result = run("explain", "n-6", "--store", store)
    assert result.exit_code == 0
    assert result.stdout.startswith("node n-6: gone")


def test_explain_what_is_not_there_suggests_what_is(store: Path) -> None:
    result = run("explain", "m-5", "--store", store)
    assert result.exit_code == 1
    assert "m-5: is no tick and no node; did you mean 'n-5'?" in result.stderr


def test_pause_and_resume(store: Path) -> None:
    result = run("pause", "--until", "+30m", "--store", store)
    assert result.exit_code == 0
    assert result.stdout.startswith("paused until 2026-03-01 12:30:00 UTC, 30min more")
    assert "paused       until 2026-03-01 12:30:00" in run("status", "--store", store).stdout
    resumed = run("resume", "--store", store)
    assert (resumed.exit_code, resumed.stdout) == (0, "called off: the pause\n")
    again = run("resume", "--store", store)
    assert (again.exit_code, again.stdout) == (0, "")
    assert "it was not paused" in again.stderr


def test_pause_without_an_end_lasts_until_resumed(store: Path) -> None:
    assert "paused until resumed" in run("pause", "--store", store).stdout
    assert "until resumed" in run("status", "--store", store).stdout


def test_pause_until_yesterday_is_refused(store: Path) -> None:
    result = run("pause", "--until", "2026-02-28T12:00Z", "--store", store)
    assert result.exit_code == 1
    assert "is not ahead of 2026-03-01T12:00Z" in result.stderr
    assert control_of(store).paused_until is None


def test_a_word_to_a_daemon_that_does_not_run_is_kept_and_said_so(dead: Path) -> None:
    result = run("pause", "--until", "1h", "--store", dead)
    assert result.exit_code == 0
    assert "no daemon runs; the pause is kept for the next start" in result.stderr


def test_drain_says_what_is_at_stake_and_needs_a_yes(store: Path) -> None:
    refused = run("drain", "n-2", "--store", store)
    assert refused.exit_code == 1
    assert "nothing is lost: tasks that run are waited for" in refused.stderr
    assert "2 tasks to wait for, 12 results (2 GiB) to copy" in refused.stderr
    assert "--yes: is needed where nobody can be asked" in refused.stderr
    assert control_of(store).drains == ()
    done = run("drain", "n-2", "--store", store, "--yes")
    assert done.exit_code == 0
    assert control_of(store).drains == (DrainRequest(node_id="n-2", requested_at=NOW),)


def test_drain_with_discard_says_what_may_be_lost(store: Path) -> None:
    result = run("drain", "n-2", "--store", store, "--yes", "--discard")
    assert "2 running tasks may be cut off and started again" in result.stderr
    assert "12 results (2 GiB) that nobody else holds may be lost" in result.stderr
    assert "about 40 s of task-time" in result.stderr
    assert control_of(store).drains[0].discard is True


def test_drain_of_a_node_that_is_not_there_or_gone(store: Path) -> None:
    wrong = run("drain", "n-22", "--store", store, "--yes")
    assert wrong.exit_code == 1
    assert "n-22: is no node of this cluster; did you mean 'n-2'?" in wrong.stderr
    gone = run("drain", "n-6", "--store", store, "--yes")
    assert gone.exit_code == 1
    assert "n-6: is gone since" in gone.stderr


def test_waiting_for_a_drain_that_nobody_does_is_refused_at_once(dead: Path) -> None:
    result = run("drain", "n-2", "--store", dead, "--yes", "--wait")
    assert result.exit_code == 1
    assert "no daemon runs, so nothing would happen" in result.stderr
    assert control_of(dead).drains == ()


def test_waiting_ends_with_6_when_the_time_is_over(store: Path) -> None:
    result = run("drain", "n-2", "--store", store, "--yes", "--wait", "--timeout", "0s")
    assert result.exit_code == 6
    assert "n-2 is ready after 0 s; the request stands" in result.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("drain", "n-2", "--yes", "--timeout", "5s"), "--timeout: says how long to wait"),
        (("down", "--yes", "--no-wait", "--timeout", "5s"), "--timeout and --no-wait: say two"),
        (("status", "--watch", "--format", "json"), "--watch and --format json: say two things"),
    ],
)
def test_options_that_contradict_each_other_are_refused(
    store: Path, words: tuple[str, ...], said: str
) -> None:
    result = run(*words, "--store", store)
    assert result.exit_code == 1
    assert said in result.stderr
    assert (control_of(store).drains, control_of(store).down) == ((), False)


def test_down_is_asked_for_and_called_off(store: Path) -> None:
    result = run("down", "--store", store, "--yes", "--no-wait")
    assert result.exit_code == 0
    assert "5 nodes of $0.26/h end" in result.stderr
    assert control_of(store).down is True
    assert "going down" in run("status", "--store", store).stdout
    assert run("resume", "--store", store).stdout == "called off: the end of the fleet\n"
    assert control_of(store).down is False


def test_down_without_a_daemon_and_without_a_file_says_what_is_missing(dead: Path) -> None:
    result = run("down", "--store", dead, "--yes")
    assert result.exit_code == 1
    assert "give --config FILE; the request is kept" in result.stderr
    assert control_of(dead).down is True


def test_reload_is_asked_for(store: Path) -> None:
    assert run("reload", "--store", store).exit_code == 0
    with Store.open(store, clock=lambda: NOW) as book:
        assert book.take_reload() is True
        assert book.take_reload() is False


def test_reload_of_a_file_that_is_wrong_is_refused_here(store: Path, tmp_path: Path) -> None:
    file = tmp_path / "costplan.yaml"
    file.write_text(CONFIG.replace("vcpu: 2", "vcpu: two"))
    result = run("reload", "--config", file)
    assert result.exit_code == 1
    assert "workers[0].vcpu" in result.stderr
    with Store.open(store, clock=lambda: NOW) as book:
        assert book.take_reload() is False


def test_a_replayed_tick_gives_the_same_bytes(store: Path) -> None:
    shown = json.loads(run("status", "--store", store, "--format", "json").stdout)
    for tick in ("last", shown["last_tick"]["tick_id"]):
        result = run("replay", tick, "--store", store)
        assert result.exit_code == 0, result.output
        assert "the same plan, actions and entries, byte for byte" in result.stderr
        assert "it was made by costplan test" in result.stderr


def test_a_plan_that_was_made_replays_byte_for_byte(tmp_path: Path, now: datetime) -> None:
    path = tmp_path / "fraud.db"
    planned: Ticked = store_samples.write_store(path)[0]
    assert planned.plan is not None
    result = run("replay", planned.tick_id, "--store", path, "--show")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["plan"]["plan_id"] == planned.plan.plan_id


def test_a_tick_that_does_not_replay_is_a_difference(
    store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from costplan.policies import default

    tick = json.loads(run("status", "--store", store, "--format", "json").stdout)["decision"]
    assert tick is not None
    monkeypatch.setattr(default, "default_policies", tuple)
    with Store.open(store, read_only=True, clock=lambda: NOW) as book:
        planned = book.last_planned()
    assert planned is not None
    result = run("replay", planned.tick_id, "--store", store)
    assert result.exit_code == 1
    assert "--- stored" in result.stdout
    assert "something differs" in result.stderr


def test_replay_of_no_tick(store: Path) -> None:
    result = run("replay", "yesterday", "--store", store)
    assert result.exit_code == 1
    assert "yesterday: is no stored tick" in result.stderr


def test_a_daemon_that_was_killed_on_this_computer_is_seen_at_once(
    tmp_path: Path, now: datetime
) -> None:
    """Its lease would last for minutes; the process is not there any more."""
    path = tmp_path / "fraud.db"
    code = (
        "from pathlib import Path; from datetime import timedelta; from tests.cli import "
        "store_samples as s; s.write_store(Path(__import__('sys').argv[1]), "
        "lease_until=s.NOW + timedelta(minutes=9))"
    )
    subprocess.run([sys.executable, "-c", code, str(path)], check=True)
    result = run("status", "--store", path)
    assert "not running: costplan" in result.stdout
