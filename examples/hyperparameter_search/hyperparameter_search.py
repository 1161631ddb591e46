# %% [markdown]
"""
# A hyper-parameter search with dask-ml, with dollars by step

A random search over a pipeline, with the folds as tasks of a Dask cluster. dask-ml sees that
candidates which agree in their first steps share them, and computes those once; what that saves is
counted at the end. `CostAwareAdaptive` starts workers for the search and ends them after it, and
`span` says what the dollars were for.

The workers are processes of this computer, and nothing is billed: dollars are at the listed price
of a machine for each worker (`costplan prices show --type m5.large --region us-east-1`).
"""

# %%
from __future__ import annotations

import time

from dask_ml.model_selection import RandomizedSearchCV
from distributed import Client, LocalCluster
from scipy.stats import loguniform
from sklearn.datasets import make_classification
from sklearn.kernel_approximation import Nystroem
from sklearn.linear_model import SGDClassifier
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from costplan.adapters.dask import CostAwareAdaptive, span

WORKERS = 2
WORKER_USD_PER_HOUR = 0.096  # m5.large on demand in us-east-1
ROWS, CANDIDATES, FOLDS = 4_000, 16, 3
SEED = 7

# %% [markdown]
# ## What is searched
#
# Few widths and kernels and a continuous penalty: many candidates have their first two steps in
# common.

# %%
PIPELINE = make_pipeline(
    StandardScaler(), Nystroem(random_state=SEED), SGDClassifier(random_state=SEED)
)
CHOICES = {
    "nystroem__n_components": [100, 200],
    "nystroem__gamma": [0.01, 0.03],
    "sgdclassifier__alpha": loguniform(1e-6, 1e-2),
}

# %% [markdown]
# ## The run
#
# The search is a graph of small tasks, whose prefixes are named after the steps, so dollars are
# known for each of these too.


# %%
def main() -> None:
    """Searches, judges the best pipeline, and prints what that cost."""
    rows, answer = make_classification(ROWS, 30, n_informative=12, random_state=SEED)
    known, unseen, answers, right = train_test_split(rows, answer, random_state=SEED)
    started = time.monotonic()
    with (
        LocalCluster(n_workers=0, threads_per_worker=1, dashboard_address=":0") as cluster,
        Client(cluster) as client,
    ):
        adaptive = cluster.adapt(
            Adaptive=CostAwareAdaptive, maximum=WORKERS, worker_usd_per_hour=WORKER_USD_PER_HOUR
        )
        search = RandomizedSearchCV(
            PIPELINE, CHOICES, n_iter=CANDIDATES, cv=FOLDS, random_state=SEED
        )
        with span("search", candidates=CANDIDATES):
            search.fit(known, answers)
        with span("judge"):
            score = client.submit(search.best_estimator_.score, unseen, right).result()
        cost, took = adaptive.cost, time.monotonic() - started
    best = [
        f"{name.rpartition('__')[2]} {value:.3g}" for name, value in search.best_params_.items()
    ]
    print(f"best         {', '.join(best)}")
    print(f"model        {score:.1%} of {len(unseen):,} rows right that it had not seen")
    print(f"makespan     {took:.1f} s")
    print(cost)
    print("by step      the dearest")
    for line in cost.work.by_prefix[:4]:
        print(
            f"  {line.name:<28} {line.tasks:>3} tasks, {line.busy_seconds:5.1f} s, ${line.usd:.7f}"
        )
    fits = {line.name: line.tasks for line in cost.work.by_prefix}["nystroem-fit-transform"]
    print(f"shared       Nystroem was fitted {fits} times for {CANDIDATES} x {FOLDS} folds")


# %%
if __name__ == "__main__":  # worker processes read this file too
    main()
