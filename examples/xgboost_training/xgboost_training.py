# %% [markdown]
"""
# XGBoost on Dask, with its price at the end

Gradient boosting over the workers of a Dask cluster. Three things are costplan's:

- `CostAwareAdaptive` starts workers when there is work and ends them when there is none.
- `adaptive.gang(n)` has the workers of a training there **before** it begins. XGBoost trains on the
  workers that hold the data when its matrix is made; who comes later does not help, and who leaves
  ends the training for all.
- `span(name)` says what work is for, so that dollars are told by it.

The workers are processes of this computer, and nothing is billed: dollars are at the listed price
of a machine for each worker (`costplan prices show --type m5.large --region us-east-1`).
"""

# %%
from __future__ import annotations

import time

import dask.dataframe as dd
import numpy as np
import pandas as pd
import xgboost as xgb
import xgboost.dask as dxgb
from distributed import Client, LocalCluster, wait

from costplan.adapters.dask import CostAwareAdaptive, span

WORKERS = 2
WORKER_USD_PER_HOUR = 0.096  # m5.large on demand in us-east-1
ROWS, PARTS, ROUNDS = 240_000, 8, 30
MODEL = {"objective": "binary:logistic", "max_depth": 6, "eta": 0.2, "tree_method": "hist"}
SEED = 7

# %% [markdown]
# ## The data
#
# Each part is made on the worker that needs it, from its number: nothing is downloaded, and a part
# that is lost can be made again. The last part is kept for the judgement of the model.

# %%
COLUMNS = [f"x{number}" for number in range(12)]


def part(number: int) -> pd.DataFrame:
    """Rows of a part. `y` is 1 where a rule over five columns says so, a tenth of them turned."""
    dice = np.random.default_rng([SEED, number])
    rows = pd.DataFrame(dice.normal(size=(ROWS // PARTS, len(COLUMNS))), columns=COLUMNS)
    rule = rows["x0"] * rows["x1"] + np.sin(3 * rows["x2"]) + (rows["x3"] > rows["x4"]) > 0.5
    rows["y"] = (rule ^ (dice.random(len(rows)) < 0.1)).astype("int8")
    return rows.astype(dict.fromkeys(COLUMNS, "float32"))


# %% [markdown]
# ## The training


# %%
def trained(client: Client, table: dd.DataFrame) -> xgb.Booster:
    """A model of the table, trained by the workers that hold it."""
    matrix = dxgb.DaskQuantileDMatrix(client, table[COLUMNS], table["y"])
    return dxgb.train(client, MODEL, matrix, num_boost_round=ROUNDS)["booster"]


def accuracy(model: xgb.Booster, rows: pd.DataFrame) -> float:
    """The share of rows that a model gets right."""
    return float(((model.inplace_predict(rows[COLUMNS]) > 0.5) == rows["y"]).mean())


# %% [markdown]
# ## The run
#
# The block of `adaptive.gang` begins when the workers are there, and none is let go before it ends.


# %%
def main() -> None:
    """Makes the data, trains, judges the model, and prints what it all cost."""
    started = time.monotonic()
    with (
        LocalCluster(n_workers=0, threads_per_worker=1, dashboard_address=":0") as cluster,
        Client(cluster) as client,
    ):
        adaptive = cluster.adapt(
            Adaptive=CostAwareAdaptive, maximum=WORKERS, worker_usd_per_hour=WORKER_USD_PER_HOUR
        )
        with adaptive.gang(WORKERS):
            with span("features") as features:
                table = client.persist(dd.from_map(part, range(PARTS - 1)))
                wait(table)
                features.rows(ROWS // PARTS * (PARTS - 1))
            with span("train"):
                model = trained(client, table)
        with span("judge"):
            right = client.submit(accuracy, model, client.submit(part, PARTS - 1)).result()
        print(f"model        {right:.1%} of {ROWS // PARTS:,} rows right that it had not seen")
        print(f"makespan     {time.monotonic() - started:.1f} s")
        print(adaptive.cost)


# %%
if __name__ == "__main__":  # worker processes read this file too
    main()
