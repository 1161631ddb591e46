"""What the model sees of a payment: itself, the card's own past, and the merchant's record.

Everything about a payment is made from payments before it, so that nothing of the future, and
nothing of the answer, leaks into the training.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

WINDOWS = ("10min", "1h", "24h")
PRIOR_PAYMENTS = 200
COLUMNS = (
    "log_amount",
    "hour",
    "category",
    "abroad",
    "remote",
    "merchant_risk",
    "amount_ratio",
    "log_since_last",
    "new_merchant",
    "hour_off",
    *(f"count_{window}" for window in WINDOWS),
    *(f"sum_{window}" for window in WINDOWS),
    *(f"largest_{window}" for window in WINDOWS),
    *(f"abroad_{window}" for window in WINDOWS),
)
_KEPT = {"time": "datetime64[s]", "fraud": "int8"}
_MADE = (*_KEPT, *COLUMNS)


def card_features(payments: pd.DataFrame, risk: pd.DataFrame) -> pd.DataFrame:
    """The payments of some cards (all payments of each) with what the past says of each.

    `risk` is `merchant_risk`'s. Columns as `no_features` has them; in order of card and time.
    """
    frame = payments.sort_values(["card", "time"], kind="stable", ignore_index=True)
    amount = frame["amount"].astype("float64")
    hour = (frame["time"].dt.hour + frame["time"].dt.minute / 60).astype("float32")
    cards = frame["card"]
    before = cards.groupby(cards).cumcount()
    made: dict[str, object] = {
        "time": frame["time"],
        "fraud": frame["fraud"].astype("int8"),
        "log_amount": np.log(amount),
        "hour": hour,
        "category": frame["category"],
        "abroad": frame["abroad"].astype("int8"),
        "remote": frame["remote"].astype("int8"),
        "merchant_risk": frame["merchant"].map(risk.set_index("merchant")["merchant_risk"]),
        "amount_ratio": amount / _mean_before(amount, cards, before),
        "log_since_last": np.log1p(frame["time"].diff().dt.total_seconds().where(before > 0)),
        "new_merchant": (~frame.duplicated(["card", "merchant"])).astype("int8"),
        "hour_off": (hour - _mean_before(hour.astype("float64"), cards, before)).abs(),
    }
    past = pd.DataFrame(
        {"card": cards, "time": frame["time"], "amount": amount, "abroad": frame["abroad"] * 1.0}
    ).set_index("time")
    for window in WINDOWS:
        rolling = past.groupby("card").rolling(window)
        made[f"count_{window}"] = rolling["amount"].count().to_numpy()
        made[f"sum_{window}"] = rolling["amount"].sum().to_numpy()
        made[f"largest_{window}"] = rolling["amount"].max().to_numpy()
        made[f"abroad_{window}"] = rolling["abroad"].sum().to_numpy()
    return _typed(pd.DataFrame(made))


def no_features() -> pd.DataFrame:
    """An empty frame with the columns of `card_features`."""
    return _typed(pd.DataFrame({name: np.empty(0, "int64") for name in _MADE}))


def merchant_risk(record: pd.DataFrame) -> pd.DataFrame:
    """Share of fraud by merchant, drawn to the mean of all where there were few payments.

    `record` has a row for each merchant with columns `payments` and `frauds`. Returns columns
    `merchant` and `merchant_risk`.
    """
    mean = record["frauds"].sum() / max(1, record["payments"].sum())
    risk = (record["frauds"] + PRIOR_PAYMENTS * mean) / (record["payments"] + PRIOR_PAYMENTS)
    named = risk.astype("float32").rename("merchant_risk").rename_axis("merchant").reset_index()
    return named.astype({"merchant": "int32"})


def between(table: pd.DataFrame, start: pd.Timestamp, end: pd.Timestamp) -> pd.DataFrame:
    """The payments of a table with a time in [start, end)."""
    return table[(table["time"] >= start) & (table["time"] < end)]


def _mean_before(values: pd.Series, cards: pd.Series, before: pd.Series) -> pd.Series:
    """Mean of the card's values before each row, of which there are `before`; NaN at the first."""
    return (values.groupby(cards).cumsum() - values) / before.where(before > 0)


def _typed(frame: pd.DataFrame) -> pd.DataFrame:
    """The columns in order, those that the model reads as 4-byte floats: half the bytes to move."""
    return frame[list(_MADE)].astype({name: _KEPT.get(name, "float32") for name in _MADE})
