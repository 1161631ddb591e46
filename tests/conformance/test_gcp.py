"""The provider for Google Cloud keeps the contract, with the real SDK over HTTP."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from costplan.adapters import conformance
from tests.emulators.gcp.world import GcpWorld, gcp_world


@pytest.fixture
def world() -> Iterator[GcpWorld]:
    with gcp_world() as found:
        yield found


@pytest.mark.parametrize("check", conformance.CHECKS, ids=lambda check: check.__name__)
def test_contract(world: GcpWorld, check: Callable[[conformance.World], None]) -> None:
    check(world)
