"""What a tick reads, and how long it waits for whom."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest

from costplan.adapters.reading import Reader, ReadingEnded
from costplan.planner.errors import ClusterUnreachable, CredentialsRejected, ProviderError
from costplan.planner.load import Load
from costplan.planner.nodes import Notice
from costplan.planner.snapshot import assemble
from costplan.planner.tick import State
from costplan.planner.types import Mode
from costplan.planner.workload import Quota
from tests.fleets import NOON, load, offers, quote, settings, tasks

WARNED = Notice(
    provider_id="m-1", kind="reclaim", observed_at=NOON, effective_at=NOON + timedelta(seconds=30)
)


@dataclass
class Site:
    """A provider, a price feed and a cluster in one; each answers, refuses or keeps silent."""

    told: Sequence[Notice] = ()
    refuses: Exception | None = None
    away: Exception | None = None
    answers: threading.Event = field(default_factory=threading.Event)

    def offers(self) -> Any:
        return offers()

    def quotes(self, keys: Any) -> Any:
        return tuple(quote(key, "1") for key in keys)

    def nodes(self) -> Any:
        if self.refuses is not None:
            raise self.refuses
        return ()

    def notices(self) -> Sequence[Notice]:
        return self.told

    def load(self) -> Load:
        if self.away is not None:
            raise self.away
        assert self.answers.wait(30)
        return load(tasks(3))


@contextmanager
def reader(site: Any) -> Iterator[Reader]:
    found = Reader(site, site, site, lambda: NOON)
    try:
        yield found
    finally:
        site.answers.set()
        found.close()


def test_everything_as_of_now() -> None:
    site = Site()
    site.answers.set()
    with reader(site) as found:
        first, second = found.read(()), found.read(())
    assert (first.gaps, first.machines, first.notices, first.at) == ((), (), (), NOON)
    assert first.load is not None
    assert first.offers is second.offers  # what has not changed is the same object
    assert first.market_digest == second.market_digest != ""


def test_a_warning_does_not_wait_for_a_silent_scheduler() -> None:
    """The second time the warning is not new, and the load is waited for."""
    site = Site(told=[WARNED])
    with reader(site) as found:
        hasty = found.read(())
        assert not site.answers.is_set()
        assert hasty.load is None
        assert hasty.notices == (WARNED,)
        assert [(gap.kind, "no answer in" in gap.subject) for gap in hasty.gaps] == [("load", True)]
        threading.Timer(0.6, site.answers.set).start()
        patient = found.read(())
    assert patient.load is not None
    assert patient.gaps == ()


def test_who_stops_waits_for_no_answer() -> None:
    site = Site()
    with reader(site) as found:
        threading.Timer(0.1, found.close).start()
        with pytest.raises(ReadingEnded):
            found.read(())
        assert not site.answers.is_set()
        with pytest.raises(ReadingEnded):
            found.warned()


def test_what_cannot_be_read_is_a_gap_and_not_nothing() -> None:
    refuses = ProviderError("sim", "list", "machines", "try later")
    site = Site(refuses=refuses, away=ClusterUnreachable("http://x", "no route"))
    with reader(site) as found:
        seen = found.read(())
    assert (seen.load, seen.machines) == (None, None)
    assert {(gap.kind, gap.subject) for gap in seen.gaps} == {
        ("load", str(site.away)),
        ("machines", "sim list machines: try later"),
    }
    site = Site(refuses=CredentialsRejected("sim", "list", "machines"))
    site.answers.set()
    with reader(site) as found:
        assert [gap.kind for gap in found.read(()).gaps] == ["credentials"]


def test_an_answer_that_nobody_understands_is_a_gap_and_is_told_with_its_story() -> None:
    """A warned machine is still drained, though the list of machines is a page of a proxy."""
    told: list[tuple[str, Exception]] = []
    site = Site(told=[WARNED], refuses=KeyError("Reservations"))
    site.answers.set()
    anyone: Any = site
    found = Reader(site, anyone, site, lambda: NOON, None, lambda *story: told.append(story))
    seen = found.read(())
    assert (seen.machines, seen.notices) == (None, (WARNED,))
    assert [(gap.kind, gap.subject) for gap in seen.gaps] == [
        ("machines", "an answer that cannot be read: KeyError: 'Reservations'")
    ]
    assert told == [("machines", site.refuses)]
    found.close()


class Account:
    """Quotas that can be read, or cannot."""

    refuses: ProviderError | None = None

    def __call__(self) -> Sequence[Quota]:
        if self.refuses is not None:
            raise self.refuses
        return (Quota(nodes=8),)

    def forget(self) -> None:
        """Nothing is remembered."""


def test_quotas_that_cannot_be_read_are_as_they_were_and_stop_nobody() -> None:
    account, site = Account(), Site()
    site.answers.set()
    account.refuses = CredentialsRejected("aws", "servicequotas:GetServiceQuota", "L-1")
    found = Reader(site, site, site, lambda: NOON, account)
    blind = found.read(())
    assert blind.quotas == ()
    (gap,) = blind.gaps
    assert (gap.kind, gap.assumed) == ("quotas", "none; the cloud refuses the rest")
    assert "servicequotas:GetServiceQuota" in gap.subject
    assert assemble(blind, {}, State(), settings()).mode is Mode.FULL
    account.refuses = None
    assert found.read(()).quotas == (Quota(nodes=8),)
    account.refuses = ProviderError("aws", "quotas", "all")
    later = found.read(())
    assert (later.quotas, [gap.assumed for gap in later.gaps]) == (
        (Quota(nodes=8),),
        ["as they were last"],
    )
    found.close()


def test_warnings_by_themselves() -> None:
    with reader(Site(told=[WARNED])) as found:
        assert found.warned().result(30) == {("m-1", "reclaim")}
