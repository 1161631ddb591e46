"""A Ray cluster as a `LoadSource`: demand shapes, gangs and drains, and no durations.

All of it goes through a child process (`sample_child.py`), which alone imports Ray, gets no
credentials of a cloud, and is believed nothing. A token is named by its file, never by itself.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from pydantic import ValidationError

from costplan.adapters.child import LONGEST_COMPLAINT, run_child
from costplan.adapters.dask.sample import TlsFiles
from costplan.adapters.ray.seen import Answer, sample_of
from costplan.planner.errors import InputError
from costplan.planner.load_source import Capabilities, Sample
from costplan.planner.nodes import Retired

_MODULE = "costplan.adapters.ray.sample_child"
_REACH_SECONDS = 3.0
_PATIENCE_SECONDS = 60.0  # to start Python, import Ray and ask, on a busy machine
_PATIENCE = {
    "RAY_gcs_rpc_server_connect_timeout_s": "3",
    "RAY_gcs_rpc_server_reconnect_timeout_s": "12",
}
"""Ray's own would try for a minute to speak to what is no Ray."""

_FRAME_BYTES, _SETTINGS = 9, 4
_HELLO = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, _SETTINGS, 0, 0, 0, 0, 0])
"""How a client of HTTP/2 begins, and a server answers: with a frame of settings (RFC 9113, 3.4)."""

_NODE_ID = re.compile(r"[0-9a-f]{56}")
_EXAMPLE = "write the control service's HOST:PORT, like 10.0.0.1:6379"


@dataclass(frozen=True, slots=True, kw_only=True)
class RaySource:
    """The Ray cluster whose control service (GCS) is at `address`, HOST:PORT.

    `token_file` is for clusters with token authentication, `tls` for those with TLS. All
    methods raise InputError where the cluster cannot be asked.
    """

    address: str
    token_file: Path | None = None
    tls: TlsFiles | None = None

    @property
    def capabilities(self) -> Capabilities:
        """Shapes, gangs and drains; it does not say how long anything takes, and its own
        autoscaler may change its size."""
        return Capabilities(work_estimate=False, gangs=True, drain=True, resize=False)

    def sample(self) -> Sample:
        """What waits and what is in use on each node."""
        answer = self._ask("look", ())
        if answer.seen is None:
            raise self._error("the answer has nothing in it")
        return sample_of(answer.seen)

    def drain(self, ids: Collection[str], deadline: datetime) -> Retired:
        """Begins draining nodes, by hexadecimal id: nothing new starts there, and Ray ends what
        still runs at the deadline. Nodes that are gone are done."""
        for node_id in ids:
            if not _NODE_ID.fullmatch(node_id):
                raise InputError(node_id, "is not the id of a Ray node", "see `ray list nodes`")
        if not ids:
            return Retired(done=(), refused={})
        milliseconds = str(round(deadline.timestamp() * 1000))
        answer = self._ask("drain", (*sorted(ids), "--deadline-ms", milliseconds))
        told = answer.drained
        if told is None:
            raise self._error("the answer has nothing in it")
        return Retired(
            done=tuple(sorted(set(ids) - set(told))),
            refused={name: why for name, why in sorted(told.items()) if why},
            pending=tuple(sorted(name for name, why in told.items() if not why)),
        )

    def _ask(self, verb: str, words: Collection[str]) -> Answer:
        settings = self._settings()
        _reach(self.address, has_tls=self.tls is not None)
        arguments = ["-m", _MODULE, verb, self.address, *words]
        written = run_child(arguments, _PATIENCE_SECONDS, self.address, settings)
        try:
            answer = Answer.model_validate_json(written)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            place = ".".join(map(str, first["loc"]))[:LONGEST_COMPLAINT]
            raise self._error(f"the answer is not one: {place}: {first['msg']}") from None
        if answer.error is not None:
            raise self._refused(answer)
        return answer

    def _settings(self) -> dict[str, str]:
        """How Ray is told of a token and of TLS: by its environment. The files' contents are not
        in it."""
        settings = {"RAY_AUTH_MODE": "disabled", "RAY_USAGE_STATS_ENABLED": "0", **_PATIENCE}
        if self.token_file is not None:
            path = _checked_token(self.token_file)
            settings |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(path)}
        if self.tls is not None:
            settings |= {
                "RAY_USE_TLS": "1",
                "RAY_TLS_CA_CERT": str(_checked_file(self.tls.ca)),
                "RAY_TLS_SERVER_CERT": str(_checked_file(self.tls.cert)),
                "RAY_TLS_SERVER_KEY": str(_checked_file(self.tls.key)),
            }
        return settings

    def _error(self, problem: str) -> InputError:
        return InputError(self.address, problem, "check that it is a Ray cluster you trust")

    def _refused(self, answer: Answer) -> InputError:
        said = answer.error if answer.error and answer.error.isprintable() else "no reason given"
        match answer.kind:
            case "missing":
                way_out = "pip install 'costplan[ray]', in the version of the cluster"
                return InputError(self.address, "Ray is not installed here", way_out)
            case "token":
                what = "wants a token" if self.token_file is None else "takes another token"
                way_out = "name a file with its own, with --token-file (~/.ray/auth_token there)"
                return InputError(self.address, f"the cluster {what}", way_out)
            case _:
                way_out = f"is it a Ray cluster's, and does it want a token or TLS? {_EXAMPLE}"
                return InputError(self.address, f"cannot be read: {said}", way_out)


def _checked_file(path: Path) -> Path:
    if not path.is_file():
        problem = "is a folder" if path.is_dir() else "there is no such file"
        raise InputError(str(path), problem, "name a file that is there")
    return path.absolute()


def _checked_token(path: Path) -> Path:
    """The file, where it holds what may be a token: Ray's library ends its process over others."""
    found = _checked_file(path)
    try:
        token = found.read_bytes().strip()
    except OSError as error:
        raise InputError(str(path), f"no token: {error.strerror}", "name a file with one") from None
    if not token or not all(0x21 <= byte <= 0x7E for byte in token):
        way_out = "name a copy of ~/.ray/auth_token of the cluster's head"
        raise InputError(str(path), "holds no token, which is one line of visible ASCII", way_out)
    return found


def _reach(address: str, *, has_tls: bool) -> None:
    """Returns where something listens that speaks gRPC, as far as can be said without TLS; what
    does not is known at once, and Ray would try for a long time."""
    host, colon, port = address.rpartition(":")
    if not colon or not host or "/" in host or not port.isdecimal() or int(port) > 65535:
        raise InputError(address, "is not a Ray address", _EXAMPLE)
    try:
        place = host.removeprefix("[").removesuffix("]"), int(port)
        with socket.create_connection(place, timeout=_REACH_SECONDS) as connection:
            if not has_tls:
                connection.sendall(_HELLO)
                _check_hello(connection.recv(_FRAME_BYTES), address)
    except TimeoutError:
        raise InputError(address, "does not answer in gRPC", _EXAMPLE) from None
    except ConnectionResetError:
        raise InputError(address, "does not answer in gRPC; it may want TLS", _EXAMPLE) from None
    except UnicodeError:  # of a name such as 'a..b'
        raise InputError(address, "is not a Ray address", _EXAMPLE) from None
    except OSError as error:
        reason = error.strerror or "no answer"
        problem = f"nobody listens there ({reason})"
        raise InputError(address, problem, "is the cluster up, and the port its GCS's?") from None


def _check_hello(answer: bytes, address: str) -> None:
    if len(answer) < _FRAME_BYTES or answer[3] != _SETTINGS:
        problem = "does not answer in gRPC, as a Ray cluster does; it may want TLS"
        raise InputError(address, problem, _EXAMPLE)
