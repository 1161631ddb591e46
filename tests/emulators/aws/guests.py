"""The rig's instances as the hypervisor sees them."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any

from tests.emulators.aws.cloud import AwsCloud, Life, pool_of
from tests.emulators.hypervisor import Guest


class AwsGuests:
    """Instances that run, with their user data and the warnings in their metadata."""

    cloud = "aws"

    def __init__(self, cloud: AwsCloud) -> None:
        self._cloud = cloud

    def on(self) -> Sequence[Guest]:
        """Every instance that runs, if it was given user data."""
        with self._cloud.lock:
            self._cloud.advance()
            return [
                _guest(instance, self._cloud.lives[instance.id])
                for instance in self._cloud.instances()
                if instance.state == "running" and instance.user_data
            ]

    def powered_off(self, guest_id: str) -> None:
        """The instance ends, as it was told to at its launch."""
        self._cloud.shut_down(guest_id)


def _guest(instance: Any, life: Life) -> Guest:
    kind, zone, market = pool_of(instance)
    return Guest(
        id=instance.id,
        name=instance.id,
        script=base64.b64decode(str(instance.user_data)).decode(),
        zone=zone,
        kind=kind,
        is_spot=market == "spot",
        reclaim_at=life.ends_at if life.is_in_metadata else None,
    )
