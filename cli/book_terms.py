"""What a book of a cluster's ledger is opened with: whose it is, and what is held."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from costplan.adapters.store.cluster import Cluster
from costplan.planner.finance.terms import Terms, terms_of


def book_terms(cluster: Cluster, until: datetime) -> Terms | None:
    """The terms of the settings, None where nothing is known of them.

    The price list, which says rates of commitments, is read where something is held; `until` is the
    instant that it is asked for, and up to which they are paid for. Raises InputError where it
    cannot be read.
    """
    settings, config = cluster.settings(), cluster.config
    if settings is None:
        return None
    if not settings.held.is_any:
        return terms_of(settings)
    from costplan.cli.price_source import read_prices

    named = None if config is None or config.prices_file is None else Path(config.prices_file)
    return terms_of(settings, read_prices(named, now=until).catalogue, until)
