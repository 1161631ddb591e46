"""A training that waits in its midst, on data with few values, so that it comes out the same
however its rows are spread."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xgboost as xgb

from tests.e2e.daemon_tasks import wait_at

ROWS, ROUNDS, WAITS_AFTER = 4_000, 12, 3
COLUMNS = ("a", "b", "c")
MODEL = {
    "objective": "binary:logistic",
    "max_depth": 3,
    "eta": 0.3,
    "nthread": 1,
    "base_score": 0.5,
}


def part(number: int) -> pd.DataFrame:
    """Rows of a partition; `y` is 1 where the others say so, with a tenth of them turned."""
    dice = np.random.default_rng(number)
    rows = pd.DataFrame({name: dice.integers(0, 8, ROWS).astype("float32") for name in COLUMNS})
    says = (rows["a"] > rows["b"]) | (rows["c"] > 5)
    rows["y"] = (says ^ (dice.random(ROWS) < 0.1)).astype("float32")
    return rows


class Waits(xgb.callback.TrainingCallback):  # type: ignore[misc]
    """Each member notes the rounds that it has done, and waits after one of them for a gate."""

    def __init__(self, gate: str) -> None:
        self.gate = gate

    def after_iteration(self, model: Any, epoch: int, evals_log: Any) -> bool:
        """Never ends the training."""
        del model, evals_log
        with Path(f"{self.gate}.begun").open("a") as begun:
            begun.write(f"{epoch}\n")
        if epoch == WAITS_AFTER:
            wait_at(self.gate)
        return False


def trained_alone(parts: int) -> np.ndarray:
    """What a model trained in one process says of the first partition."""
    rows = pd.concat([part(number) for number in range(parts)])
    matrix = xgb.QuantileDMatrix(rows[list(COLUMNS)], rows["y"])
    model = xgb.train(MODEL, matrix, num_boost_round=ROUNDS)
    return scores(model)


def scores(model: xgb.Booster) -> np.ndarray:
    """What a model says of the first partition."""
    return np.asarray(model.inplace_predict(part(0)[list(COLUMNS)]))
