"""pytest's fixtures of the rig: one server a module, an empty account a test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from costplan.adapters.aws.clients import Clients
from tests.emulators.aws.account import ENVIRONMENT, Account
from tests.emulators.aws.documents import needed, permitted
from tests.emulators.aws.server import Rig, fresh, serving


@pytest.fixture(scope="module")
def served() -> Iterator[tuple[Rig, Clients]]:
    """A rig that is served, and clients of it."""
    with pytest.MonkeyPatch.context() as patch, serving() as rig:
        for name, value in ENVIRONMENT.items():
            patch.setenv(name, value)
        yield rig, Account(rig).clients


@pytest.fixture
def account(served: tuple[Rig, Clients]) -> Iterator[Account]:
    """An empty account. No call may be made that the guide's policies do not allow."""
    rig, clients = served
    with fresh(rig):
        yield Account(rig, clients)
        more = ("policy for doctor only", "policy for commitments only")
        assert needed(rig.made()) <= permitted().union(*map(permitted, more))
