"""One round of deliveries: takes in what is new, and tries what is due.

One process does it at a time, by a lock that the system takes back from one that dies. Reports are
written beside the store first and sent from there, so that a retry sends the same bytes.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stderr
from dataclasses import dataclass
from datetime import timedelta
from io import StringIO
from pathlib import Path

from costplan.adapters.delivery.failure import DeliveryFailed
from costplan.adapters.faults import reach
from costplan.adapters.store.cluster import Cluster
from costplan.adapters.store.outbox import Delivery, Outbox
from costplan.planner.daemon_config import DaemonConfig
from costplan.planner.errors import CostplanError, InputError
from costplan.planner.finance.delivery import Channel, retry_seconds

Told = Callable[[str], None]
SENT, FAILED, EMPTY, DROPPED = "sent", "failed", "empty", "dropped"
"""What comes of a try. Empty is a report of a month without entries."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What a round came to; `is_blind` where budgets or days could not be looked at."""

    sent: int
    failed: int
    is_blind: bool


def deliver(cluster: Cluster, file: Path, told: Told = lambda _: None) -> Done:
    """Does what is due of the cluster of a file. `told` hears of each delivery, in words without
    a secret. Raises InputError where another process delivers, and StoreError."""
    config = cluster.config
    if config is None:
        raise InputError(str(file), "was not read", "name it with --config")
    with _alone(cluster.path), Outbox.open(cluster.path) as outbox:
        unseen = list(_news(cluster, config, outbox))
        for error in unseen:
            told(str(error))
        work = _Round(cluster, config, file, outbox)
        ends: Counter[str] = Counter()
        for delivery in outbox.due(cluster.now()):
            end, problem = _try(work, delivery)
            ends[end] += 1
            told(f"{end}: {delivery.title}{': ' if problem else ''}{problem}")
        outbox.prune(cluster.now())
        _tidy(cluster.path, outbox)
    return Done(sent=ends[SENT], failed=ends[FAILED], is_blind=bool(unseen))


def _news(cluster: Cluster, config: DaemonConfig, outbox: Outbox) -> Iterator[CostplanError]:
    from costplan.cli.deliver_due import is_round_due

    now = cluster.now()
    if is_round_due(config, outbox, now):
        from costplan.cli.deliver_news import take_in

        yield from take_in(cluster, config, outbox, now)


@dataclass(frozen=True, slots=True)
class _Round:
    """What a round works with."""

    cluster: Cluster
    config: DaemonConfig
    file: Path
    outbox: Outbox


def _try(work: _Round, delivery: Delivery) -> tuple[str, str]:
    """Tries a delivery; gives what came of it, and why where it was not sent."""
    from costplan.cli.statement import EmptyMonth

    cluster, outbox = work.cluster, work.outbox
    number, attempts = delivery.delivery_id, delivery.attempts + 1
    wait = timedelta(seconds=retry_seconds(attempts))
    if not outbox.begin(number, cluster.now() + wait):
        return DROPPED, ""
    reach("deliver.begun")
    try:
        receipt = _send(work, delivery)
    except EmptyMonth as error:
        outbox.empty(number, error.problem, cluster.now())
        return EMPTY, error.problem
    except DeliveryFailed as error:
        problem = error.problem
        if error.retry_after_seconds is not None:
            wait = max(wait, timedelta(seconds=error.retry_after_seconds))
    except CostplanError as error:
        problem = str(error)
    except OSError as error:
        problem = f"the files cannot be written beside the store: {error.strerror}"
    except Exception as error:  # a bug in one delivery must not keep the others
        problem = f"a bug in costplan, please report it: {type(error).__name__}"
    else:
        reach("deliver.sent")
        outbox.sent(number, receipt, cluster.now())
        shutil.rmtree(_spool(cluster.path) / str(number), ignore_errors=True)
        return SENT, ""
    outbox.failed(number, problem, cluster.now() + wait)
    return FAILED, problem


def _send(work: _Round, delivery: Delivery) -> str:
    """Sends it and gives the receipt. Alerts go where the file says now, reports where it said
    when they were due."""
    alerts = work.config.alerts
    match delivery.channel:
        case Channel.WEBHOOK:
            from costplan.adapters.delivery.webhook import post

            if not alerts.webhook.is_given:
                raise DeliveryFailed("there is no webhook in the file any more; drop it")
            text = delivery.body["text"]
            return post(alerts.webhook, delivery.key, delivery.title, text)
        case Channel.EMAIL:
            from costplan.adapters.delivery.mail import send

            if alerts.email is None:
                raise DeliveryFailed("there is no mail server in the file any more; drop it")
            text = delivery.body["text"]
            return send(alerts.email, delivery.key, delivery.title, text, delivery.made_at)
    from costplan.adapters.delivery.places import put

    return put(_rendered(work, delivery), delivery.body["to"])


def _rendered(work: _Round, delivery: Delivery) -> Path:
    """The folder with the files of a report, written where they are not yet."""
    folder = _spool(work.cluster.path) / str(delivery.delivery_id)
    if not folder.is_dir():
        partial = folder.with_name(f"{folder.name}.part")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(mode=0o700, parents=True)
        _render(work, delivery.body, partial / delivery.body["file"])
        reach("deliver.rendered")
        partial.rename(folder)
    return folder


def _render(work: _Round, body: Mapping[str, str], out: Path) -> None:
    """Has `costplan report` write it; what it says to a person nobody is there to hear."""
    from costplan.cli.report import report

    with redirect_stderr(StringIO()):
        report(
            config=work.file, store=work.cluster.path, month=body["month"], by=body.get("by"),
            view=None if body["format"].startswith("focus") else body["view"],
            output=body["format"], out=out,
        )  # fmt: skip


def _spool(store: Path) -> Path:
    return store.with_name(f"{store.name}.outbox")


def _tidy(store: Path, outbox: Outbox) -> None:
    """Lets go of files whose delivery does not wait any more."""
    waiting = {str(each.delivery_id) for each in outbox.listed(waiting_only=True, limit=10**9)}
    for folder in _spool(store).iterdir():
        if folder.is_dir() and folder.name.removesuffix(".part") not in waiting:
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _alone(store: Path) -> Iterator[None]:
    """Until the block ends nobody else delivers for this store; raises InputError where
    somebody does."""
    spool = _spool(store)
    spool.mkdir(mode=0o700, parents=True, exist_ok=True)
    lock = os.open(spool / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            way_out = "wait until it has ended"
            raise InputError(str(store), "another process delivers now", way_out) from None
        yield
    finally:
        os.close(lock)
