"""The provider for Azure keeps the contract, with the real SDK over TLS."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from costplan.adapters import conformance
from tests.emulators.azure.world import AzureWorld, azure_world


@pytest.fixture
def world() -> Iterator[AzureWorld]:
    with azure_world() as found:
        yield found


@pytest.mark.parametrize("check", conformance.CHECKS, ids=lambda check: check.__name__)
def test_contract(world: AzureWorld, check: Callable[[conformance.World], None]) -> None:
    check(world)
