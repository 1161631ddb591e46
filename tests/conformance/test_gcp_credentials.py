"""A service account's key that is changed while the daemon runs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from costplan.adapters.gcp import clients as gcp_clients
from costplan.adapters.gcp.clients import Clients, sdk
from costplan.adapters.gcp.provider import GcpProvider
from costplan.planner.errors import CredentialsRejected
from tests.conformance.gcp_lives import world
from tests.emulators.gcp.world import SETTINGS, GcpWorld, startup

__all__ = ["world"]


class SignedByTheNewKey(set[str]):
    """The tokens that are accepted: those that name the new key in their head."""

    def __contains__(self, bearer: object) -> bool:
        return bool(sdk("google.auth.jwt").decode_header(bearer)["kid"] == "new")


def write_key(path: Path, key_id: str) -> None:
    """The file of a service account's key."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    account = {
        "type": "service_account", "project_id": "our-project", "private_key_id": key_id,
        "private_key": pem, "client_email": "d@our-project.iam",
        "token_uri": "http://127.0.0.1:1/never-asked",
    }  # fmt: skip
    path.write_text(json.dumps(account))


def test_a_key_that_is_changed_is_read_without_a_restart(
    world: GcpWorld, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.rig.tokens_accepted = SignedByTheNewKey()
    file = tmp_path / "key.json"
    write_key(file, "old")
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(file))
    monkeypatch.setattr(gcp_clients, "FORGET_SECONDS", 0.0)
    clients = Clients(timeout_seconds=30, endpoint=world.rig.endpoint)
    provider = GcpProvider(clients, SETTINGS, world.cluster, startup, world.now)
    for _ in range(2):
        with pytest.raises(CredentialsRejected):
            provider.nodes()
    file.unlink()  # in the middle of being written anew
    with pytest.raises(CredentialsRejected):
        provider.nodes()
    write_key(file, "new")
    with pytest.raises(CredentialsRejected):
        provider.nodes()  # refused once more, and then read anew
    assert provider.nodes() == ()
