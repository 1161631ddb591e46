"""TLS of a cluster: what a `distributed.security.Security` holds, as files in its folder."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from distributed.security import Security

from costplan.adapters.dask.adaptive_options import ArgumentError
from costplan.adapters.local.folders import read_json, write_json
from costplan.adapters.whole_file import write_secret

_LIST = "files.json"
_ROLES = ("scheduler", "worker", "client")
_FIELDS = ("tls_ca_file", *(f"tls_{role}_{part}" for role in _ROLES for part in ("cert", "key")))


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsFiles:
    """The files: whom everybody trusts, and what each role shows."""

    files: dict[str, Path]

    def flags(self, role: str) -> list[str]:
        """Dask's options for a process of a role."""
        return [
            "--tls-ca-file", str(self.files["tls_ca_file"]),
            "--tls-cert", str(self.files[f"tls_{role}_cert"]),
            "--tls-key", str(self.files[f"tls_{role}_key"]),
        ]  # fmt: skip

    def worker_section(self) -> dict[str, str]:
        """`scheduler.worker_tls` of the autoscaler's file."""
        return {
            "ca": str(self.files["tls_ca_file"]),
            "cert": str(self.files["tls_worker_cert"]),
            "key": str(self.files["tls_worker_key"]),
        }

    def security(self) -> Any:
        """The same for a client, by files."""
        named = {name: str(path) for name, path in self.files.items()}
        return Security(require_encryption=True, **named)  # type: ignore[no-untyped-call]


def security_of(said: Any) -> Any:
    """The security that an argument means, None where there is none; raises ArgumentError.

    True makes certificates for this cluster alone; a mapping has the fields of `Security`.
    """
    if said is None or said is False:
        return None
    if said is True:
        return Security.temporary()  # type: ignore[no-untyped-call]
    if isinstance(said, dict):
        try:
            said = Security(**said)  # type: ignore[no-untyped-call]
        except (TypeError, ValueError) as error:
            raise ArgumentError("security", str(error)) from None
    if not isinstance(said, Security):
        raise ArgumentError("security", f"{type(said).__name__} is none", "give a Security or True")
    missing = [name for name in _FIELDS if not getattr(said, name)]
    if missing == list(_FIELDS) and not said.require_encryption:
        return None
    if missing:
        problem = f"{', '.join(missing)} missing"
        raise ArgumentError("security", problem, "scheduler, workers and clients show one each")
    return said


def write_tls(security: Any, folder: Path) -> TlsFiles:
    """Certificates and keys as files, those that are files already as they are."""
    folder.mkdir(mode=0o700, exist_ok=True)
    files: dict[str, Path] = {}
    for name in _FIELDS:
        value = str(getattr(security, name))
        # Dask's own test of whether it is a file's name or what is in it.
        if "\n" not in value:
            files[name] = Path(value).absolute()
            continue
        files[name] = folder / f"{name}.pem"
        write_secret(files[name], value)
    write_json(folder / _LIST, {name: str(path) for name, path in files.items()})
    return TlsFiles(files=files)


def check_tls(tls: TlsFiles) -> None:
    """Returns where the scheduler and each other role believe each other; raises ArgumentError."""
    contexts = {role: _context(tls, role) for role in _ROLES}
    for role in ("worker", "client"):
        try:
            _shake_hands(contexts["scheduler"], contexts[role])
        except ssl.SSLError as error:
            problem = f"scheduler and {role} do not believe each other: {error.reason}"
            way_out = "have all certificates signed by the CA of tls_ca_file"
            raise ArgumentError("security", problem, way_out) from None


def _context(tls: TlsFiles, role: str) -> ssl.SSLContext:
    is_server = role == "scheduler"
    purpose = ssl.Purpose.CLIENT_AUTH if is_server else ssl.Purpose.SERVER_AUTH
    ca, cert, key = (tls.files[name] for name in ("tls_ca_file", *_pair(role)))
    try:
        context = ssl.create_default_context(purpose, cafile=str(ca))
        # As Dask does: who has a certificate of this CA is let in, whatever its name.
        context.check_hostname = False
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_cert_chain(cert, key)
    except OSError as error:
        problem = f"{ca}, {cert} and {key} of the {role} are not to be used: {error}"
        raise ArgumentError("security", problem, "name PEM files that belong together") from None
    return context


def _pair(role: str) -> tuple[str, str]:
    return f"tls_{role}_cert", f"tls_{role}_key"


def _shake_hands(server: ssl.SSLContext, client: ssl.SSLContext) -> None:
    """Both sides of a handshake, in memory; raises ssl.SSLError of the one that refuses."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    left = [
        client.wrap_bio(to_client, to_server),
        server.wrap_bio(to_server, to_client, server_side=True),
    ]
    while left:
        side = left.pop(0)
        try:
            side.do_handshake()
        except ssl.SSLWantReadError:
            left.append(side)


def security_in(folder: Path, address: str) -> Any:
    """What a client of the cluster shows, None where it speaks no TLS."""
    found = read_json(folder / _LIST)
    if found is None or not address.startswith("tls://"):
        return None
    return TlsFiles(files={name: Path(path) for name, path in found.items()}).security()
