"""A Python that has imported Dask already, and forks for each worker that a script starts.

    python -m tests.emulators.fork_server SOCKET MODULE...

`SHIM` is the text of a `python3` for the PATH of scripts: what they run as
`python3 -m distributed.cli.dask_worker ...` it has forked here, with its own files, folder,
variables and process group; anything else it hands to the real interpreter. It lives as long as the
worker does, passes SIGTERM on, and ends with the worker's exit code; a worker whose shim is killed
is killed too.

A process that was forked must be of one thread; so is this server.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import selectors
import signal
import socket
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

DASK_WORKER = ["-m", "distributed.cli.dask_worker"]
READY = "ready"
_MOST_BYTES = 1 << 17
_SETTINGS = {
    # A worker's nanny forks too, instead of starting a Python.
    "WORKER__MULTIPROCESSING_METHOD": "fork",
    # What Dask's processes do when they have nothing to do: 20 workers, 0.32 of a core; so, 0.04.
    "ADMIN__TICK__INTERVAL": "1s",
    "ADMIN__SYSTEM_MONITOR__INTERVAL": "5s",
    "WORKER__PROFILE__ENABLED": "False",
    "WORKER__MEMORY__MONITOR_INTERVAL": "1s",
}

SHIM = """\
#!{python} -IS
import json, os, signal, socket, sys
if sys.argv[1:3] != {worker!r}:
    os.execv({python!r}, [{python!r}, *sys.argv[1:]])
pid = asked = 0
def terminate(*_):
    global asked
    asked = 1
    if pid:
        os.kill(pid, signal.SIGTERM)
signal.signal(signal.SIGTERM, terminate)
server = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
server.connect({address!r})
request = dict(arguments=sys.argv[3:], folder=os.getcwd(), environment=dict(os.environ),
               group=os.getpgrp())
socket.send_fds(server, [json.dumps(request).encode()], [0, 1, 2])
pid = int(server.recv(32) or 0)
if asked:
    terminate()
sys.exit(int(server.recv(32) or 1))
"""


def shim(address: str) -> str:
    """The text of a `python3` that asks the server at this address."""
    return SHIM.format(python=sys.executable, worker=DASK_WORKER, address=address)


@dataclass(frozen=True, slots=True)
class _Order:
    """What a child is to run."""

    request: Mapping[str, Any]
    files: Sequence[int]


class _Server:
    """Forks in its only thread; `serve` returns in children alone."""

    def __init__(self, address: str) -> None:
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._listener.bind(address)
        self._listener.listen(512)
        self._askers: dict[int, socket.socket] = {}
        self._woken, self._wakes = socket.socketpair()
        self._wakes.setblocking(False)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._selector.register(self._woken, selectors.EVENT_READ)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(self._wakes.fileno(), warn_on_full_buffer=False)

    def serve(self) -> _Order:
        """What a child that was forked here has to do."""
        while True:
            for key, _ in self._selector.select():
                if key.fileobj is self._woken:
                    self._woken.recv(4096)
                    self._reap()
                elif key.fileobj is self._listener:
                    order = self._answer()
                    if order is not None:
                        return order
                elif key.data in self._askers:  # nothing is said here but the end
                    self._selector.unregister(self._askers[key.data])
                    os.kill(key.data, signal.SIGKILL)

    def _answer(self) -> _Order | None:
        asker, _ = self._listener.accept()
        text, files, _, _ = socket.recv_fds(asker, _MOST_BYTES, 3)
        if len(files) != 3:  # who asked is dead already
            asker.close()
            return None
        pid = os.fork()
        if not pid:
            asker.close()
            self._leave()
            return _Order(json.loads(text), files)
        for file in files:
            os.close(file)
        self._askers[pid] = asker
        self._selector.register(asker, selectors.EVENT_READ, pid)
        _tell(asker, pid)
        return None

    def _reap(self) -> None:
        while self._askers:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if not pid:
                return
            asker = self._askers.pop(pid)
            with suppress(KeyError):  # it is dead already
                self._selector.unregister(asker)
            code = os.waitstatus_to_exitcode(status)
            _tell(asker, code if code >= 0 else 128 - code)
            asker.close()

    def _leave(self) -> None:
        """Has nothing of the server stay in a child."""
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        self._selector.close()
        for one in (self._listener, self._woken, self._wakes, *self._askers.values()):
            one.close()


def _tell(asker: socket.socket, number: int) -> None:
    with suppress(OSError):
        asker.send(str(number).encode())


def _become(order: _Order) -> None:
    """Makes this process what the script has asked for."""
    request = order.request
    os.setpgid(0, request["group"])  # fails where the machine has been switched off meanwhile
    for place, file in enumerate(order.files):
        os.dup2(file, place)
        os.close(file)
    os.chdir(request["folder"])
    os.environ.clear()
    os.environ.update(request["environment"])
    sys.argv = ["dask-worker", *request["arguments"]]
    sys.path.insert(0, "")


def main(address: str, *modules: str) -> None:
    """Serves until it is killed; children become workers and end with them."""
    os.environ.update({f"DASK_DISTRIBUTED__{name}": text for name, text in _SETTINGS.items()})
    for name in ("distributed.cli.dask_worker", "distributed.worker", "distributed.nanny",
                 *modules):  # fmt: skip
        importlib.import_module(name)
    assert threading.active_count() == 1, threading.enumerate()
    gc.collect()
    gc.freeze()
    server = _Server(address)
    sys.stdout.write(f"{READY}\n")
    sys.stdout.flush()
    order = server.serve()
    _become(order)
    importlib.import_module("distributed.cli.dask_worker").main()


if __name__ == "__main__":
    main(*sys.argv[1:])
