# %% [markdown]
"""
# A Dask DataFrame ETL, with dollars for a million rows

Orders and customers in Parquet, joined, shuffled, summed up, and written as Parquet.
What it costs is told by step, and for a million rows:

- `span(name)` says what work is for; what is computed inside counts for it.
- `rows(n)` says how many rows that was, so that runs of different size can be compared.

The workers are processes of this computer, and nothing is billed: dollars are at the listed price
of a machine for each worker (`costplan prices show --type m5.large --region us-east-1`).
"""

# %%
from __future__ import annotations

import tempfile
import time
from pathlib import Path

import dask
import dask.dataframe as dd
import numpy as np
import pandas as pd
from distributed import Client, LocalCluster

from costplan.adapters.dask import CostAwareAdaptive, span

WORKERS = 2
WORKER_USD_PER_HOUR = 0.096  # m5.large on demand in us-east-1
ORDERS, CUSTOMERS, FILES = 800_000, 40_000, 8
SEED = 7

# %% [markdown]
# ## What comes in
#
# A file of orders for each day, and the customers. Some orders are broken, and some customers are
# not known. In real life these files are there; here they are made first, before any cluster is.

# %%
SHOPS = ("north", "south", "east", "west")


def write_input(folder: Path) -> None:
    """Writes orders and customers, the same for the same seed."""
    dice = np.random.default_rng(SEED)
    (folder / "orders").mkdir()
    for day in range(FILES):
        rows = ORDERS // FILES
        amount = dice.lognormal(3, 1, rows)
        orders = pd.DataFrame(
            {
                "customer": dice.integers(0, CUSTOMERS * 11 // 10, rows),
                "amount": np.where(dice.random(rows) < 0.02, -1.0, amount),
                "shop": dice.choice(SHOPS, rows),
                "day": pd.Timestamp("2026-01-01") + pd.Timedelta(days=day),
            }
        )
        orders.to_parquet(folder / "orders" / f"{day:03}.parquet")
    customers = pd.DataFrame(
        {
            "customer": np.arange(CUSTOMERS),
            "country": dice.choice(["de", "fr", "it", "pl"], CUSTOMERS),
            "segment": dice.choice(["new", "regular", "large"], CUSTOMERS, p=[0.3, 0.6, 0.1]),
        }
    )
    customers.to_parquet(folder / "customers.parquet")


# %% [markdown]
# ## The steps


# %%
def joined(folder: Path) -> dd.DataFrame:
    """Orders that are not broken, with their customers, shuffled by customer."""
    orders = dd.read_parquet(folder / "orders")
    customers = dd.read_parquet(folder / "customers.parquet")
    known = orders[orders["amount"] > 0].merge(customers, on="customer")
    return known.shuffle("customer", npartitions=FILES)


def revenue(orders: dd.DataFrame) -> dd.DataFrame:
    """Revenue and orders by country, segment and day."""
    by = ["country", "segment", "day"]
    return orders.groupby(by)["amount"].agg(["sum", "count"]).reset_index()


# %% [markdown]
# ## The run


# %%
def main(folder: Path) -> None:
    """Makes the input, joins it, sums it up, and prints what that cost."""
    write_input(folder)
    started = time.monotonic()
    with (
        # By tasks, so that of a worker that is lost no more than its own part is made again.
        dask.config.set({"dataframe.shuffle.method": "tasks"}),
        LocalCluster(n_workers=0, threads_per_worker=1, dashboard_address=":0") as cluster,
        Client(cluster),
    ):
        adaptive = cluster.adapt(
            Adaptive=CostAwareAdaptive, maximum=WORKERS, worker_usd_per_hour=WORKER_USD_PER_HOUR
        )
        with span("join") as join:
            joined(folder).to_parquet(folder / "joined", write_index=False)
            join.rows(ORDERS)
        with span("sum up") as sum_up:
            orders = dd.read_parquet(folder / "joined")
            revenue(orders).to_parquet(folder / "revenue", write_index=False)
            sum_up.rows(len(pd.read_parquet(folder / "joined", columns=[])))
        took = time.monotonic() - started
        table = pd.read_parquet(folder / "revenue")
        print(f"written      {len(table)} rows of revenue from {table['count'].sum():,} orders")
        print(f"makespan     {took:.1f} s")
        print(adaptive.cost)


# %%
if __name__ == "__main__":  # worker processes read this file too
    with tempfile.TemporaryDirectory() as made:
        main(Path(made))
