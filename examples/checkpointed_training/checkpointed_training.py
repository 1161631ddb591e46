# %% [markdown]
"""
# Training that survives the loss of every spot worker

A training on spot machines alone, held by `costplan run`. Twice all of them are taken away at once:
first with some seconds of notice, as clouds give it, then without any. It goes on from its last
checkpoint on the machines that come next, and in the end says what was done twice and what it cost.

- **Every few rounds the model is saved** where no spot machine can take it along. Here that is a
  folder; in a cloud it is an object store.
- **With notice no round is lost.** The autoscaler leaves the members of a training alone for as
  long as the notice allows; some seconds before the end it has them take nothing new. A member sees
  that on its own worker, all stop after the same round, and the model is saved.
- **Without notice the rounds since the last checkpoint are lost**, and no more.

Scheduler, autoscaler and machines are processes of this computer, at prices of the bundled list:
[costplan.yaml](costplan.yaml) and [scenario.yaml](scenario.yaml) are their files.
"""

# %%
from __future__ import annotations

import csv
import io
import os
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import dask.dataframe as dd
import numpy as np
import pandas as pd
import xgboost as xgb
import xgboost.dask as dxgb
from distributed import Client, get_worker, wait
from distributed.core import Status
from xgboost import collective

HERE = Path(__file__).parent if "__file__" in globals() else Path.cwd()
sys.path.insert(0, str(HERE.parent / "fraud"))  # what the demo shares with this

from demo import interruptible  # noqa: E402
from gang import GangBroken, held_together  # noqa: E402
from outcome import bill_of, interruption_lines, machines_of, task_line  # noqa: E402
from processes import (  # noqa: E402
    DemoFailed,
    Processes,
    costplan,
    processes,
    start_daemon,
    start_scheduler,
    wait_until,
)

from costplan.adapters.clock import utc_now  # noqa: E402
from costplan.adapters.dask import span  # noqa: E402
from costplan.adapters.local.events import announce  # noqa: E402
from costplan.adapters.local.folders import machines_folder  # noqa: E402
from costplan.cli.cluster_store import opened  # noqa: E402
from costplan.planner.amounts import digits_for, dollars, rounded_parts  # noqa: E402
from costplan.planner.errors import CostplanError  # noqa: E402
from costplan.planner.types import Market  # noqa: E402

FOLDER = Path(os.environ.get("EXAMPLE_FOLDER", "out/checkpointed"))
WORKERS = 2
ROWS, PARTS, ROUNDS, EVERY = 200_000, 4, 60, 10
LOSSES: list[tuple[int, float | None]] = [(6, 5.0), (43, None)]
"""After which round all spot machines are taken, and with how many seconds of notice."""
MODEL = {"objective": "binary:logistic", "max_depth": 8, "eta": 0.1, "tree_method": "hist"}
COLUMNS = [f"x{number}" for number in range(20)]
SEED = 7
GANGS, GANG_SECONDS = 6, 120.0
"""How many are tried, and how long machines are waited for: seconds, on an idle computer."""

# %% [markdown]
# ## The data
#
# A part is made from its number. In real life it would be read from an object store.


# %%
def part(number: int) -> pd.DataFrame:
    """Rows of a part. `y` is 1 where a rule over five columns says so, a tenth of them turned."""
    dice = np.random.default_rng([SEED, number])
    rows = pd.DataFrame(dice.normal(size=(ROWS // PARTS, len(COLUMNS))), columns=COLUMNS)
    rule = rows["x0"] * rows["x1"] + np.sin(3 * rows["x2"]) + (rows["x3"] > rows["x4"]) > 0.5
    rows["y"] = (rule ^ (dice.random(len(rows)) < 0.1)).astype("int8")
    return rows.astype(dict.fromkeys(COLUMNS, "float32"))


# %% [markdown]
# ## Checkpoints
#
# XGBoost calls this on every member after each round. A file is written beside and then moved to
# its place, so that a machine that goes while it writes leaves the checkpoint before as it was.


# %%
@dataclass(eq=False)
class Checkpoints(xgb.callback.TrainingCallback):
    """Saves the model every few rounds, and when a member is to leave; then it ends the round for
    all. `before` are the rounds of the model that the training began with."""

    folder: str
    before: int

    def after_iteration(self, model: Any, epoch: int, evals_log: Any) -> bool:
        """True where all members stop here."""
        del evals_log
        leaves = get_worker().status == Status.closing_gracefully
        stop = bool(collective.allreduce(np.array([int(leaves)]), collective.Op.MAX)[0])
        done = self.before + epoch + 1
        if collective.get_rank() == 0:
            with Path(self.folder, "rounds").open("a") as rounds:
                rounds.write(f"{done}\n")
            if stop or done % EVERY == 0:
                save(model, Path(self.folder))
        return stop


def save(model: xgb.Booster, folder: Path) -> None:
    """Makes this model the last checkpoint."""
    beside = folder / "writing.ubj"
    model.save_model(beside)
    beside.replace(folder / "model.ubj")


def last_checkpoint(folder: Path) -> xgb.Booster | None:
    """The model to go on with, None at the start."""
    file = folder / "model.ubj"
    return xgb.Booster(model_file=file) if file.exists() else None


def rounds_done(folder: Path) -> list[int]:
    """Every round that was done, in order; one that was done twice is there twice."""
    file = folder / "rounds"
    return [int(line) for line in file.read_text().split()] if file.exists() else []


# %% [markdown]
# ## Training until it is done
#
# A gang is those that hold the data when the matrix is made, so each gang reads its data anew, some
# on each member. When it is broken, whatever is left of it is given up, and the next gang begins
# with the last checkpoint.


# %%
@dataclass
class Story:
    """Tells what happens, with the seconds since the start. `gangs` have begun so far."""

    started: float = field(default_factory=time.monotonic)
    gangs: int = 0

    def tell(self, text: str) -> None:
        """A line of it."""
        print(f"{time.monotonic() - self.started:6.1f} s  {text}", flush=True)


def workers_that_stay(client: Client) -> list[str]:
    """Addresses of workers that take tasks."""
    workers = client.scheduler_info(n_workers=-1)["workers"]
    return [address for address, about in workers.items() if about["status"] == "running"]


def trained(client: Client, folder: Path, story: Story) -> xgb.Booster:
    """The model with all its rounds; raises DemoFailed where so many gangs do not make it."""
    for _ in range(GANGS):
        wait_until(
            lambda: len(workers_that_stay(client)) >= WORKERS, "a gang of workers", GANG_SECONDS
        )
        model = last_checkpoint(folder)
        try:
            save(gang_trained(client, model, folder, story), folder)
        # XGBoost says ValueError where a task of the gang started on another worker, RuntimeError
        # where a member was gone before the start, and XGBoostError to the members that are left.
        except (GangBroken, ValueError, RuntimeError, xgb.core.XGBoostError) as error:
            failed = "" if isinstance(error, GangBroken) else f": {type(error).__name__}"
            story.tell(f"the gang is gone{failed}")
        reached, kept = max(rounds_done(folder), default=0), last_checkpoint(folder)
        saved = kept.num_boosted_rounds() if kept else 0
        story.tell(f"round {reached} was reached, and {saved} rounds are saved")
        if kept and saved >= ROUNDS:
            return kept
    raise DemoFailed(f"{GANGS} gangs were broken")


def gang_trained(
    client: Client, model: xgb.Booster | None, folder: Path, story: Story
) -> xgb.Booster:
    """What one gang makes of a model: all rounds that are left, or those before it was to leave.

    Raises GangBroken, and gives up all that the gang has made, once a member is gone.
    """
    gang = workers_that_stay(client)[:WORKERS]
    done = model.num_boosted_rounds() if model else 0
    empty = part(0).iloc[:0]

    async def work() -> xgb.Booster:
        with span("data"):
            parts = [
                client.submit(
                    part, number, key=f"part-{done}-{number}", workers=gang[number % WORKERS]
                )
                for number in range(PARTS)
            ]
            await wait(parts)
        table = dd.from_delayed(parts, meta=empty, verify_meta=False)
        with span("train"):
            matrix = await dxgb.DaskQuantileDMatrix(client, table[COLUMNS], table["y"])
            story.gangs += 1
            story.tell(f"from round {done} of {ROUNDS} on with {len(matrix.worker_map)} members")
            trained = await dxgb.train(
                client, MODEL, matrix, num_boost_round=ROUNDS - done, xgb_model=model,
                callbacks=[Checkpoints(str(folder), done)],
                coll_cfg=collective.Config(retry=2, timeout=60, tracker_timeout=60),
            )  # fmt: skip
        return trained["booster"]

    return client.sync(held_together, client, set(gang), work())


# %% [markdown]
# ## What befalls the machines
#
# A scenario can take machines away by the clock; here the rounds are the clock, so that each loss
# comes in the midst of the training on a computer of any speed.


# %%
def take_all(run: Processes, folder: Path, story: Story, over: threading.Event) -> None:
    """Takes every spot machine there is, once for each of LOSSES."""
    for number, (after_round, notice_seconds) in enumerate(LOSSES):
        while story.gangs <= number or max(rounds_done(folder), default=0) < after_round:
            if over.wait(0.05):
                return
        now = utc_now()
        here = [machine for machine in machines_of(run.machines) if machine.ended_at is None]
        spot = [machine for machine in here if machine.key.market is Market.SPOT]
        for machine in spot:
            at = machines_folder(run.machines) / machine.provider_id
            announce(at, f"loss-{number}", "reclaim", notice_seconds, now)
        how = "without notice" if notice_seconds is None else f"with {notice_seconds:g} s of notice"
        story.tell(f"all {len(spot)} spot machines are taken {how}")


# %% [markdown]
# ## The run


# %%
def told(run: Processes, folder: Path, model: xgb.Booster) -> None:
    """Prints what came of it: the model, what was done twice, and what the ledger says."""
    rows = part(PARTS)  # nobody has seen these
    right = ((model.inplace_predict(rows[COLUMNS]) > 0.5) == rows["y"]).mean()
    rounds = rounds_done(folder)
    twice = len(rounds) - len(set(rounds))
    with opened(run.config, None, read_only=True) as cluster:
        state = cluster.state()
    costplan(run, "down", "--yes", "--timeout", "30s")
    with opened(run.config, None, read_only=True) as cluster:
        nodes = {node.node_id: node for node in cluster.store.nodes(including_gone=True)}
    print(f"\nmodel        {right:.1%} of {len(rows):,} rows right that it had not seen")
    print(f"rounds       {ROUNDS}, and {twice} of them done twice")
    print(f"tasks        {task_line(state)}")
    for line in interruption_lines(run.machines, machines_of(run.machines), nodes):
        print(f"taken        {line}")
    for line in cost_lines(run):
        print(line)


def cost_lines(run: Processes) -> Iterator[str]:
    """What it cost by the autoscaler's ledger, and what for."""
    used: dict[str, Decimal] = defaultdict(Decimal)
    given_back = Decimal(0)
    lines = costplan(run, "report", "--by", "line", "--format", "csv")
    for line in csv.DictReader(io.StringIO(lines)):
        if line["kind"] == "usage":
            used[line["purpose"]] += Decimal(line["billed_usd"])
        else:
            given_back -= Decimal(line["billed_usd"])
    bill, total = bill_of(run.machines), sum(used.values(), Decimal(0))
    digits = digits_for(total)
    yield (
        f"cost         {dollars(total, digits)} by the ledger, {dollars(bill.paid_usd, digits)} by "
        f"the machines' own record ({bill.machines} machines, {bill.seconds:,} s), of which"
    )
    for purpose, amount in zip(used, rounded_parts(list(used.values()), digits), strict=True):
        yield f"  {purpose:<10} {dollars(amount, digits)}"
    yield f"on demand    {dollars(bill.on_demand_usd, digits)} for the same machines"
    yield f"given back   {dollars(given_back, digits)} by AWS, for those taken in their first hour"


def main(folder: Path) -> None:
    """Starts it all, trains, tells, and leaves nothing running."""
    with interruptible(), processes(folder.resolve()) as run:
        story, over = Story(), threading.Event()
        scheduler = start_scheduler(run)
        start_daemon(run, scheduler, HERE)
        wait_until((run.folder / "costplan.db").exists, "the start of the autoscaler")
        checkpoints = run.folder / "checkpoints"
        checkpoints.mkdir()
        taker = threading.Thread(target=take_all, args=(run, checkpoints, story, over))
        taker.start()
        try:
            with Client(scheduler["address"], timeout="30s") as client:
                model = trained(client, checkpoints, story)
            story.tell("trained")
        finally:
            over.set()
            taker.join()
        told(run, checkpoints, model)


# %%
if __name__ == "__main__":
    try:
        main(FOLDER)
    except KeyboardInterrupt:
        sys.exit("stopped; nothing is left running")
    except (DemoFailed, CostplanError) as error:
        sys.exit(f"the example failed: {error}")
