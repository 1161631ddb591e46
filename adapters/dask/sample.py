"""One look at a running scheduler, as a `Load`, without speaking its protocol here.

A child process looks (`sample_child.py` says why and how); this side starts it without
credentials in its environment, in an empty directory that is its home, and believes nothing it
says: what comes back is bounded in size and time and checked field by field.

The child runs as the same user, so it may still read files that this user may read: where a
scheduler's users are not trusted, run the command as a user without cloud credentials on disk.
Settings of Dask in the user's home are not read, so TLS files are named on the command line.
"""

from __future__ import annotations

import socket
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from pydantic import ValidationError

from costplan.adapters.child import LONGEST_COMPLAINT, run_child
from costplan.adapters.dask.observation import Answer, load_of
from costplan.planner.errors import InputError
from costplan.planner.load import Load

_REACH_SECONDS = 3.0
_GRACE_SECONDS = 30.0  # to start Python, import distributed, connect and answer, on a busy machine
_LONGEST_SAMPLE_SECONDS = 600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsFiles:
    """What a scheduler of `tls://` asks its clients for, as PEM files."""

    ca: Path
    cert: Path
    key: Path


def sample(address: str, seconds: float = 5.0, tls: TlsFiles | None = None) -> Load:
    """What the scheduler at tcp://host:port or tls://host:port has to do, seen over `seconds`.

    Raises InputError where the address is wrong, nobody answers, or the answer is not one.
    """
    if not 0 <= seconds <= _LONGEST_SAMPLE_SECONDS:
        way_out = f"use 0 to {_LONGEST_SAMPLE_SECONDS:g}"
        raise InputError(address, f"cannot sample for {seconds:g} seconds", way_out)
    _reach(address, _checked(address, tls))
    arguments = ["-m", "costplan.adapters.dask.sample_child", address, "--seconds", str(seconds)]
    if tls is not None:
        for flag, path in (("ca", tls.ca), ("cert", tls.cert), ("key", tls.key)):
            arguments += [f"--tls-{flag}", str(path.absolute())]
    return load_from_answer(run_child(arguments, seconds + _GRACE_SECONDS, address), address)


def load_from_answer(answer: bytes, address: str) -> Load:
    """The load that a child's answer describes; raises InputError where it is not an answer."""
    try:
        told = Answer.model_validate_json(answer)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"])[:LONGEST_COMPLAINT]
        problem = f"the answer is not one: {place}: {first['msg']}".replace(": :", ":")
        raise InputError(address, problem, "check that the scheduler is one you trust") from None
    if told.observation is None:
        said = told.error if told.error and told.error.isprintable() else "no reason given"
        raise InputError(
            address, f"cannot be read: {said}", "check that it is a scheduler's address"
        )
    return load_of(told.observation)


def _checked(address: str, tls: TlsFiles | None) -> tuple[str, int]:
    """Host and port of an address that can be looked at; raises InputError otherwise."""
    example = "write it like tcp://10.0.0.1:8786"
    try:
        parts = urlsplit(address)
        host, port = parts.hostname, parts.port
        (host or "").encode("idna")
    except ValueError:  # a UnicodeError of a name such as 'a..b', too
        raise InputError(address, "is not an address", example) from None
    if parts.scheme not in ("tcp", "tls"):
        raise InputError(address, "is not a tcp:// or tls:// address", example)
    if not host or not port or parts.path or parts.query:
        raise InputError(address, "is not host and port", example)
    if parts.scheme == "tls" and tls is None:
        raise InputError(address, "needs TLS files", "give its CA, a certificate and its key")
    if parts.scheme == "tcp" and tls is not None:
        raise InputError(address, "does not use the TLS files given", "write tls://, or drop them")
    for path in (tls.ca, tls.cert, tls.key) if tls else ():
        if not path.is_file():
            raise InputError(str(path), "there is no such file", "name a PEM file")
    return host, port


def _reach(address: str, place: tuple[str, int]) -> None:
    """Returns where something listens; a refusal is known at once and needs no child."""
    try:
        socket.create_connection(place, timeout=_REACH_SECONDS).close()
    except OSError as error:
        reason = error.strerror or "no answer"
        raise InputError(
            address, f"nobody listens there ({reason})", "is the scheduler up, and the port right?"
        ) from None
