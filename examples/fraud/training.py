"""Train a fraud detector on a Dask cluster that may change its size while it works.

    python examples/fraud/training.py --scheduler tcp://127.0.0.1:8786 [--rows 2400000]

Stages: `merchants` (each merchant's record over the first third of the days), `cards` (a shuffle:
all payments of a card in one place), `features` (every card's own past), `train` (gradient
boosting over the workers that hold the features) and `evaluate` (on the last quarter of the days,
which the model has not seen).

What it asks of a cluster that changes:

- A worker that goes away in any other stage than `train` costs time only. Dask computes
  what was lost again, from the generator if need be; a drained worker loses nothing.
- `train` is a collective: XGBoost fixes its members when it starts, later workers do not join,
  and one member that goes away ends the round for all. So the round is watched, and tried again
  as a whole with the workers that are there then; the features are still there, or come back.

Prints one JSON object a line: `stage` and `progress` on the way, `retry` for a round that was
lost, `result` at the end. The exit code is 0 only after a result.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from contextlib import suppress
from typing import Any

import dask.dataframe as dd
import features
import numpy as np
import pandas as pd
import transactions
import xgboost as xgb
import xgboost.dask as dxgb
from distributed import Client, wait
from gang import GangBroken, held_together, present
from transactions import World
from xgboost.collective import Config

HISTORY_SHARE, TRAIN_SHARE = 1 / 3, 3 / 4
MODEL = {
    "objective": "binary:logistic",
    "max_depth": 7,
    "eta": 0.15,
    "subsample": 0.8,
    "min_child_weight": 5,
    "tree_method": "hist",
    "seed": 7,
}
SETTLE_SECONDS = 2.0


class Teller:
    """Prints what happens, with the seconds since the start."""

    def __init__(self) -> None:
        self._start = time.monotonic()

    @property
    def seconds(self) -> float:
        """Since the start of the training."""
        return round(time.monotonic() - self._start, 2)

    def say(self, event: str, **facts: object) -> None:
        """One line of JSON."""
        print(json.dumps({"event": event, "seconds": self.seconds, **facts}), flush=True)


def payments(world: World, days: range) -> dd.DataFrame:
    """The transactions of some days, a partition each, not yet made."""
    return dd.from_map(transactions.day, days, world=world, meta=transactions.no_day())


def merchant_risk(world: World) -> pd.DataFrame:
    """Each merchant's share of fraud over the days before those of the training."""
    past = payments(world, range(max(1, round(world.days * HISTORY_SHARE))))
    # One table at the end, so that no shuffle is needed for it.
    record = past.groupby("merchant")["fraud"].agg(["count", "sum"], split_out=1).compute()
    return features.merchant_risk(record.rename(columns={"count": "payments", "sum": "frauds"}))


def by_card(world: World, partitions: int) -> dd.DataFrame:
    """All payments, those of a card in one partition, not yet made."""
    everything = payments(world, range(world.days))
    return everything.shuffle("card", npartitions=partitions, shuffle_method="tasks").optimize()


def feature_table(cards: dd.DataFrame, risk: pd.DataFrame) -> dd.DataFrame:
    """The features of all payments, not yet computed."""
    return cards.map_partitions(features.card_features, risk, meta=features.no_features())


def computed(client: Client, table: dd.DataFrame, stage: str, tell: Teller) -> dd.DataFrame:
    """The table of a stage, held by the workers; tells how far it is about once a second."""
    table = client.persist(table)
    parts = client.futures_of(table)
    while pending := [part for part in parts if part.status == "pending"]:
        done = len(parts) - len(pending)
        workers = len(present(client))
        tell.say("progress", stage=stage, done=done, of=len(parts), workers=workers)
        with suppress(TimeoutError):
            wait(pending, timeout=1.0)
    for part in parts:
        if part.status != "finished":
            part.result()  # raises what went wrong
    return table


def boosted(client: Client, table: dd.DataFrame, rounds: int) -> tuple[xgb.Booster, int]:
    """A model trained over the workers that hold the table, and how many those were."""
    # Together, so that what both are made from is made once.
    inputs, answer = client.persist([table[list(features.COLUMNS)], table["fraud"]])
    matrix = dxgb.DaskQuantileDMatrix(client, inputs, answer, max_bin=256)
    gang = set(matrix.worker_map)

    async def train() -> Any:
        patience = Config(retry=2, timeout=20, tracker_timeout=20)
        training = dxgb.train(client, MODEL, matrix, num_boost_round=rounds, coll_cfg=patience)
        return await held_together(client, gang, training)

    return client.sync(train)["booster"], len(gang)


def trained(
    client: Client, table: dd.DataFrame, rounds: int, attempts: int, tell: Teller
) -> tuple[xgb.Booster, int]:
    """A model, and the attempts it took. After the last attempt, its error is raised."""
    for attempt in range(1, attempts + 1):
        tell.say("stage", stage="train", attempt=attempt, workers=len(present(client)))
        try:
            model, gang = boosted(client, table, rounds)
        # XGBoost says ValueError where a task of the gang started on another worker, RuntimeError
        # where a member was gone before the start, and XGBoostError to the members that are left.
        except (GangBroken, ValueError, RuntimeError, xgb.core.XGBoostError) as error:
            if attempt == attempts:
                raise
            tell.say("retry", stage="train", attempt=attempt, reason=type(error).__name__)
            time.sleep(SETTLE_SECONDS)
        else:
            tell.say("trained", rounds=rounds, gang=gang)
            return model, attempt
    raise ValueError(f"attempts must be at least 1, not {attempts}")


def scored(table: pd.DataFrame, model: xgb.Booster) -> pd.DataFrame:
    """Columns `fraud` and `score` of these payments."""
    score = model.inplace_predict(table[list(features.COLUMNS)]) if len(table) else np.empty(0)
    return pd.DataFrame({"fraud": table["fraud"].to_numpy(), "score": score.astype("float32")})


def average_precision(fraud: np.ndarray, score: np.ndarray) -> float:
    """Mean of the precision at each fraud, from the highest score down."""
    hits = fraud[np.argsort(-score, kind="stable")].astype(bool)
    precision = np.cumsum(hits) / np.arange(1, len(hits) + 1)
    return float(precision[hits].mean())


def area_under_roc(fraud: np.ndarray, score: np.ndarray) -> float:
    """Chance that a fraud scores above an honest payment, ties counting half."""
    rank = pd.Series(score).rank().to_numpy()
    frauds = int(fraud.sum())
    honest = len(fraud) - frauds
    return float((rank[fraud == 1].sum() - frauds * (frauds + 1) / 2) / (frauds * honest))


def run(options: argparse.Namespace) -> None:
    """All stages, on the cluster of `options.scheduler`."""
    tell = Teller()
    world = World(rows=options.rows, days=options.days, seed=options.seed)
    start, end = (
        pd.Timestamp(world.first_day) + pd.Timedelta(days=world.days * share)
        for share in (HISTORY_SHARE, TRAIN_SHARE)
    )
    with Client(options.scheduler, timeout="30s") as client:
        for module in (transactions, features):
            client.upload_file(str(module.__file__))  # workers that come later get it too
        tell.say("stage", stage="merchants", workers=len(present(client)))
        risk = merchant_risk(world)
        cards = by_card(world, options.partitions)
        tasks = len(cards.__dask_graph__()) + options.partitions
        tell.say("stage", stage="cards", workers=len(present(client)))
        cards = computed(client, cards, "cards", tell)
        tell.say("stage", stage="features", workers=len(present(client)))
        table = computed(client, feature_table(cards, risk), "features", tell)
        known, unseen = client.persist(
            [
                table.map_partitions(features.between, start, end),
                table.map_partitions(features.between, end, pd.Timestamp.max),
            ]
        )
        del cards, table  # from here on, what is lost is made again from the start
        model, attempts = trained(client, known, options.rounds, options.attempts, tell)
        tell.say("stage", stage="evaluate", workers=len(present(client)))
        meta = {"fraud": "int8", "score": "float32"}
        marks = unseen.map_partitions(scored, model, meta=meta).compute()
        fraud, score = marks["fraud"].to_numpy(), marks["score"].to_numpy()
        tell.say(
            "result",
            average_precision=round(average_precision(fraud, score), 4),
            area_under_roc=round(area_under_roc(fraud, score), 4),
            rows=world.rows,
            unseen_rows=len(fraud),
            fraud_share=round(float(fraud.mean()), 5),
            tasks=tasks,
            attempts=attempts,
        )


def options(arguments: list[str] | None = None) -> argparse.Namespace:
    """What the command line says."""
    parser = argparse.ArgumentParser(description="Train a fraud detector on a Dask cluster.")
    parser.add_argument("--scheduler", required=True, help="address, as tcp://host:port")
    parser.add_argument("--rows", type=int, default=1_800_000, help="payments in all")
    parser.add_argument("--days", type=int, default=48, help="days that they fall on")
    parser.add_argument("--partitions", type=int, default=48, help="parts of the feature table")
    parser.add_argument("--rounds", type=int, default=60, help="boosting rounds")
    parser.add_argument("--attempts", type=int, default=4, help="for a round that loses a worker")
    parser.add_argument("--seed", type=int, default=7)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    run(options(sys.argv[1:]))
