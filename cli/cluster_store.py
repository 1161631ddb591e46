"""Opens the store of a cluster for a command."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from costplan.adapters.clock import utc_now
from costplan.adapters.store.cluster import Cluster
from costplan.adapters.store.store import Store
from costplan.cli import errors
from costplan.planner.errors import InputError

DEFAULT_CONFIG = Path("costplan.yaml")


@contextmanager
def opened(config: Path | None, store: Path | None, *, read_only: bool) -> Iterator[Cluster]:
    """The cluster of a file or a store, until the block ends.

    Raises InputError where the file is wrong or there is no store yet, StoreError where the
    store cannot be read.
    """
    from costplan.cli.config_file import read_config

    file = None
    if store is None or config is not None:
        file = read_config(config or DEFAULT_CONFIG)
    path = store if store is not None else Path(file.store_path) if file else Path()
    if not path.exists():
        raise InputError(str(path), "there is no store", "start one with `costplan run`")
    if path.is_dir():
        raise InputError(str(path), "is a folder", "name the store's file in it")
    book = Store.open(path, read_only=read_only, clock=utc_now)
    try:
        yield Cluster(book, path, file, utc_now)
    finally:
        book.close()


def note_if_dead(cluster: Cluster, then: str) -> None:
    """Says that no daemon runs, and what that means, where it is so."""
    if not cluster.is_alive():
        errors.note(f"note: no daemon runs; {then}")
