"""Local machines that live and die: real processes, most of them asleep to save time."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path

import pytest

from costplan.adapters.clock import utc_now
from costplan.adapters.local.bill import bill
from costplan.adapters.local.folders import (
    SUPERVISOR,
    is_alive,
    processes,
    read_json,
    started_ticks,
    write_json,
)
from costplan.adapters.local.prices import LocalPrices
from costplan.adapters.local.provider import LocalProvider
from costplan.adapters.local.records import machine_records
from costplan.adapters.local.stage import Stage
from costplan.adapters.local.sweep import running_processes, sweep
from costplan.planner.errors import RequestRejected, Unreachable
from costplan.planner.nodes import MachineState
from tests.local_machines import (
    Sleepers,
    ended,
    folder_of,
    keys,
    kill_supervisor,
    launched,
    looks_again,
    machine,
    request,
    site,
    wait_until,
)


def test_each_worker_leads_a_group_of_its_own(tmp_path: Path) -> None:
    own = Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children")
    # Another test's pool of processes may have left its tracker.
    before = own.read_text().split()
    with site(tmp_path) as (stage, provider):
        provider.launch(request("a", keys(stage)[0], workers=2))
        wait_until(lambda: machine(provider, "a").state is MachineState.RUNNING)
        folder = folder_of(stage, machine(provider, "a"))
        found = sorted(processes(folder))
        assert len(found) == 3
        supervisor = read_json(folder / SUPERVISOR)
        assert supervisor is not None
        assert {os.getsid(pid) for pid in found} == {supervisor["pid"]} != {os.getsid(0)}
        assert {os.getpgid(pid) for pid in found} == set(found)
        assert own.read_text().split() == before


def test_a_supervisor_is_small(tmp_path: Path) -> None:
    with site(tmp_path) as (stage, provider):
        (node,) = launched(provider, keys(stage)[0], ["a"])
        supervisor = read_json(folder_of(stage, node) / SUPERVISOR)
        assert supervisor is not None
        status = Path(f"/proc/{supervisor['pid']}/status").read_text()
        (resident,) = [line.split()[1] for line in status.splitlines() if "VmRSS" in line]
        assert int(resident) < 25_000


def test_a_killed_supervisor_takes_its_workers_along(tmp_path: Path) -> None:
    with site(tmp_path) as (stage, provider):
        (node,) = launched(provider, keys(stage)[0], ["a"])
        before = utc_now()
        kill_supervisor(folder_of(stage, node))
        over = ended(provider, "a")
        wait_until(lambda: not processes(folder_of(stage, node)), "the kernel ends the workers")
        assert over.end_cause == "failed"
        assert over.ended_at is not None
        assert before - timedelta(seconds=2) < over.ended_at <= utc_now()
        assert machine(provider, "a") == over
        provider.terminate([node.provider_id])
        assert machine(provider, "a").ended_at == over.ended_at


def test_a_second_supervisor_leaves_at_once(tmp_path: Path) -> None:
    with site(tmp_path) as (stage, provider):
        (node,) = launched(provider, keys(stage)[0], ["a"])
        folder = folder_of(stage, node)
        before = processes(folder)
        command = [sys.executable, "-m", "costplan.adapters.local.machine", str(folder)]
        assert subprocess.run(command, timeout=30, check=False).returncode == 0
        assert processes(folder) == before


def test_a_machine_whose_workers_are_over_is_over(tmp_path: Path) -> None:
    """It powers off: 'terminated' where they ended well, 'failed' where one did not."""
    brief = Sleepers(runs=lambda name: ["false" if name.startswith("bad") else "true"])
    with site(tmp_path) as (stage, _):
        provider = LocalProvider(stage, "ours", brief, utc_now)
        for name in ("good", "bad"):
            provider.launch(request(name, keys(stage)[0]))
        assert ended(provider, "good").end_cause == "terminated"
        assert ended(provider, "bad").end_cause == "failed"


def test_a_machine_that_does_not_power_off_costs_until_it_is_told_to_end(tmp_path: Path) -> None:
    """As most cloud machines: that its workers are over ends nothing."""
    brief = Sleepers(runs=lambda _: ["true"])
    with site(tmp_path, "power_off: false\n") as (stage, _):
        provider = LocalProvider(stage, "ours", brief, utc_now)
        (node,) = launched(provider, keys(stage)[0], ["a"])
        folder = folder_of(stage, node)
        wait_until(lambda: len(processes(folder)) == 1, "its worker is over")
        looks_again(folder)
        looks_again(folder)  # this look began after the worker was over
        assert machine(provider, "a").state is MachineState.RUNNING
        provider.terminate([node.provider_id])
        assert ended(provider, "a").end_cause == "terminated"


STUBBORN = """
import os, signal, subprocess, sys
signal.signal(signal.SIGTERM, signal.SIG_IGN)
subprocess.Popen(["sleep", "1000"], start_new_session=True)
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        signal.pause()
    sys.exit()
open("ready", "w").close()
signal.pause()
"""


def test_nothing_escapes_the_end_of_its_machine(tmp_path: Path) -> None:
    """Not what ignores signals, nor children in sessions of their own, nor orphans."""
    stubborn = Sleepers(runs=lambda _: [sys.executable, "-c", STUBBORN])
    with site(tmp_path) as (stage, _):
        provider = LocalProvider(stage, "ours", stubborn, utc_now)
        (node,) = launched(provider, keys(stage)[0], ["a"])
        folder = folder_of(stage, node)
        wait_until(lambda: (folder / "ready").exists() and len(processes(folder)) == 4)
        provider.terminate([node.provider_id])
        assert machine(provider, "a").state is MachineState.STOPPING
        assert ended(provider, "a").end_cause == "terminated"
        wait_until(lambda: not processes(folder), "the supervisor leaves too")


def test_workers_inherit_no_credentials(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s3cret")
    monkeypatch.setenv("COSTPLAN_TOKEN", "s3cret")
    monkeypatch.setenv("DASK_LOGGING__DISTRIBUTED", "warning")
    with site(tmp_path) as (stage, _):
        workers = Sleepers(environment={"OMP_NUM_THREADS": "1"})
        provider = LocalProvider(stage, "ours", workers, utc_now)
        (node,) = launched(provider, keys(stage)[0], ["a"])
        for pid in processes(folder_of(stage, node)):
            text = Path(f"/proc/{pid}/environ").read_text()
            assert "s3cret" not in text
            assert "OMP_NUM_THREADS=1" in text
            assert "DASK_LOGGING__DISTRIBUTED=warning" in text


def test_gpus_must_be_on_the_machine(tmp_path: Path) -> None:
    with site(tmp_path) as (stage, provider):
        plain, _, gpu = keys(stage)
        (worker,) = request("a", gpu).workers
        wanted = replace(request("a", gpu), workers=(replace(worker, resources={"GPU": 1.0}),))
        assert provider.launch(wanted).key == gpu
        with pytest.raises(RequestRejected, match="has 0 GPUs, not 1"):
            provider.launch(replace(wanted, token="other", keys=(plain,)))  # noqa: S106


def test_a_machine_that_never_joins_runs_and_does_nothing(tmp_path: Path) -> None:
    more = "launches: [{launch: 2, outcome: never_joins}, {launch: 1, boot: 60}]"
    with site(tmp_path, more) as (stage, provider):
        key = keys(stage)[0]
        provider.launch(request("slow", key))
        (node,) = launched(provider, key, ["dead"])
        assert machine(provider, "slow").state is MachineState.PENDING
        assert len(processes(folder_of(stage, node))) == 1


def test_offers_say_how_many_more_there_are(tmp_path: Path) -> None:
    more = "capacity: [{at: 0, offer: small/spot, machines: 2}, {at: 0, offer: gpu/*, machines: 0}]"
    with site(tmp_path, more) as (stage, provider):
        _, spot, gpu = keys(stage)
        launched(provider, spot, ["a"])
        offers = {offer.key: offer for offer in provider.offers()}
        assert [offers[key].headroom for key in keys(stage)] == [None, 1, 0]
        assert [offers[key].available for key in (spot, gpu)] == [True, False]


def test_an_outage_is_unreachable(tmp_path: Path) -> None:
    with site(tmp_path, "outages: [{at: 0, seconds: 0.5}]") as (stage, provider):
        with pytest.raises(Unreachable):
            provider.nodes()
        wait_until(lambda: not stage.is_out(utc_now()))
        assert provider.nodes() == ()


def test_machines_deal_an_interruption_among_themselves(tmp_path: Path) -> None:
    """Every supervisor sees to it, no daemon does, and one machine is taken."""
    more = "interruptions: [{at: 0, which: 2, notice: 60, wait: true}]"
    with site(tmp_path, more) as (stage, provider):
        plain, spot, _ = keys(stage)
        launched(provider, plain, ["on-demand"])
        launched(provider, spot, ["first"])
        assert provider.notices() == ()
        launched(provider, spot, ["second", "third", "fourth"])
        wait_until(lambda: bool(provider.notices()), "a notice")
        (notice,) = provider.notices()
        assert notice.provider_id == machine(provider, "second").provider_id
        assert notice.effective_at - notice.observed_at == timedelta(seconds=60)
        assert {node.state for node in provider.nodes()} == {MachineState.RUNNING}


def test_an_interruption_that_finds_nobody_is_over(tmp_path: Path) -> None:
    more = "interruptions: [{at: 0, which: 2}, {at: 0, which: newest, kind: rebalance, notice: 9}]"
    with site(tmp_path, more) as (stage, provider):
        launched(provider, keys(stage)[1], ["a"])
        wait_until((stage.state_dir / "events" / "interruption-1.json").exists)
        (notice,) = provider.notices()
        assert notice.kind == "rebalance"
        assert read_json(stage.state_dir / "events" / "interruption-0.json") == {
            "at": dealt_at(stage, "interruption-0"),
            "machines": [],
        }
        assert machine(provider, "a").state is MachineState.RUNNING


def dealt_at(stage: Stage, event: str) -> str:
    dealt = read_json(stage.state_dir / "events" / f"{event}.json")
    assert dealt is not None
    at: str = dealt["at"]
    return at


def test_capacity_that_goes_away_takes_the_newest_along(tmp_path: Path) -> None:
    more = "capacity: [{at: 1.5, offer: '*/spot', machines: 1, reclaim: true}]"
    with site(tmp_path, more) as (stage, provider):
        _, spot, _ = keys(stage)
        for name in ("first", "second", "third"):
            launched(provider, spot, [name])
        assert {ended(provider, name).end_cause for name in ("second", "third")} == {"reclaimed"}
        assert machine(provider, "first").state is MachineState.RUNNING


def sum_of(later: timedelta) -> datetime:
    return utc_now() + later


def test_ended_machines_are_listed_for_a_while_and_billed_for_good(tmp_path: Path) -> None:
    with site(tmp_path, "retention: 60") as (stage, provider):
        key = keys(stage)[0]
        (node,) = launched(provider, key, ["a"])
        provider.terminate([node.provider_id])
        over = ended(provider, "a")
        wait_until(lambda: not is_alive(folder_of(stage, node)))

        in_a_minute = partial(sum_of, timedelta(seconds=61))
        old = LocalProvider(stage, "ours", Sleepers(), in_a_minute)
        assert old.nodes() == ()
        old.launch(request("b", key))
        assert not folder_of(stage, node).exists()
        kept = {record.machine.node_id: record for record in machine_records(stage.state_dir)}
        assert kept["a"].machine == over
        assert old.launch(request("a", key)) == over
        with pytest.raises(RequestRejected, match="was used for another"):
            old.launch(request("a", keys(stage)[1]))


def test_the_bill_is_time_by_price(tmp_path: Path) -> None:
    """0.36 USD/h is 100 micro-dollars a second; from 10 s on it is 300."""
    with site(tmp_path, "prices: [{at: 10, offer: small/*, times: 3}]") as (stage, provider):
        plain, spot, _ = keys(stage)
        launched(provider, plain, ["a"])
        launched(provider, spot, ["b"])
        records = [
            replace(
                record,
                machine=replace(
                    record.machine,
                    state=MachineState.ENDED if over else MachineState.RUNNING,
                    launched_at=stage.started_at + timedelta(seconds=began),
                    ended_at=stage.started_at + timedelta(seconds=over) if over else None,
                ),
            )
            for record, began, over in zip(
                machine_records(stage.state_dir), (2.5, 12), (14.25, None), strict=True
            )
        ]
        start, end = stage.started_at, stage.started_at + timedelta(seconds=20)
        prices = LocalPrices(stage, utc_now).history(start, end)
        lines = {line.node_id: line.usd for line in bill(records, prices, start, end)}
        # a: 7.5 s x 100 + 4.25 s x 300, and 0.25 s to the whole second; b: 8 s x 300
        assert lines == {"a": Decimal("0.0021"), "b": Decimal("0.0024")}
        assert bill(records, prices, start, start + timedelta(seconds=2)) == ()


def test_a_sweep_ends_one_cluster_and_records_it(tmp_path: Path) -> None:
    with site(tmp_path) as (stage, provider):
        key = keys(stage)[0]
        launched(provider, key, ["a"])
        theirs = LocalProvider(stage, "theirs", Sleepers(), utc_now)
        theirs.launch(request("s", key, cluster="theirs"))
        wait_until(lambda: machine(theirs, "s").state is MachineState.RUNNING)
        before = utc_now()
        assert sweep(stage.state_dir, "ours") == (machine(provider, "a").provider_id,)
        over = machine(provider, "a")
        assert (over.state, over.end_cause) == (MachineState.ENDED, "terminated")
        assert over.ended_at is not None
        assert before <= over.ended_at <= utc_now()
        assert machine(theirs, "s").state is MachineState.RUNNING
        command = [sys.executable, "-m", "costplan.adapters.local.sweep", str(stage.state_dir)]
        swept = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
        assert swept.stdout.split() == [machine(theirs, "s").provider_id]
        assert running_processes(stage.state_dir) == sweep(stage.state_dir) == ()


def test_a_process_id_that_came_back_is_not_killed(tmp_path: Path) -> None:
    """The supervisor's record names a process that is somebody else by now."""
    with site(tmp_path) as (stage, provider):
        (node,) = launched(provider, keys(stage)[0], ["a"])
        folder = folder_of(stage, node)
        kill_supervisor(folder)
        ended(provider, "a")
        with subprocess.Popen(["/bin/sleep", "1000"]) as innocent:
            ticks = started_ticks(innocent.pid)
            assert ticks is not None
            write_json(folder / SUPERVISOR, {"pid": innocent.pid, "ticks": ticks - 1})
            provider.terminate([node.provider_id])
            sweep(stage.state_dir)
            assert innocent.poll() is None
            innocent.kill()
