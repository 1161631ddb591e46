"""Reads a secret when it is needed, so that it is nowhere else."""

from __future__ import annotations

import os
from pathlib import Path

from costplan.adapters.delivery.failure import DeliveryFailed
from costplan.planner.finance.delivery import Secret

_MOST_BYTES = 64 * 1024


def read_secret(secret: Secret, what: str) -> str:
    """The secret; raises DeliveryFailed, which says where it should be."""
    if secret.env:
        found = os.environ.get(secret.env, "")
        where = f"the environment variable {secret.env}"
    elif secret.file:
        where = secret.file
        try:
            with Path(secret.file).open("rb") as file:
                found = file.read(_MOST_BYTES).decode()
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is no text"
            raise DeliveryFailed(f"{what} cannot be read from {where}: {reason}") from None
    else:
        return secret.value
    found = found.strip()
    if not found:
        raise DeliveryFailed(f"{what} is empty: {where}")
    return found
