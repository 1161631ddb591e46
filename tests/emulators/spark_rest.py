"""Spark's REST interface with the answers of one that ran, for the routes that are asked for.

The answers have the fields of Spark 4.1's that are used, and one that is not; a route that is not
here ends the test that asked for it.
"""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

APP = "app-20261101-0001"


def application(app_id: str = APP, *, completed: bool = False) -> dict[str, Any]:
    return {
        "id": app_id,
        "name": "etl",
        "attempts": [{"completed": completed, "sparkUser": "ann", "duration": 40742}],
    }


def executor(name: str, cores: int = 4, active: int = 4, gpus: int = 0) -> dict[str, Any]:
    return {
        "id": name,
        "isActive": True,
        "totalCores": cores,
        "maxTasks": cores,
        "activeTasks": active,
        "memoryUsed": 5914,
        "diskUsed": 0,
        "totalDuration": 41052,
        "isBlacklisted": False,
        "resourceProfileId": 0,
        "resources": {"gpu": {"name": "gpu", "addresses": [str(n) for n in range(gpus)]}}
        if gpus
        else {},
    }


def stage(number: int, tasks: int, active: int, complete: int, run_ms: int) -> dict[str, Any]:
    return {
        "status": "ACTIVE",
        "stageId": number,
        "attemptId": 0,
        "name": "count at etl.py:9",
        "numTasks": tasks,
        "numActiveTasks": active,
        "numCompleteTasks": complete,
        "numFailedTasks": 0,
        "executorRunTime": run_ms,
        "resourceProfileId": 0,
    }


def environment(
    master: str = "spark://m:7077", cores: int = 4, task: Mapping[str, float] | None = None
) -> dict[str, Any]:
    def amounts(of: Mapping[str, float]) -> dict[str, Any]:
        return {name: {"resourceName": name, "amount": amount} for name, amount in of.items()}

    return {
        "sparkProperties": [["spark.master", master]],
        "resourceProfiles": [
            {
                "id": 0,
                "executorResources": amounts({"cores": cores, "memory": 8192, "offHeap": 0}),
                "taskResources": amounts(task or {"cpus": 1.0}),
            }
        ],
    }


@dataclass
class Spark:
    """What it answers, by route, and the tokens that it was shown."""

    answers: dict[str, Any]
    token: str | None = None
    status: int = 200
    url: str = ""
    unknown: list[str] = field(default_factory=list)


def driver(**changes: Any) -> dict[str, Any]:
    """Routes of one application: two executors of four cores, and two stages."""
    base = f"applications/{APP}/"
    return {
        "applications": [application()],
        base + "executors": [executor("driver", 0, 0), executor("1"), executor("2")],
        base + "stages?details=false&status=active": [stage(3, 400, 8, 92, 92 * 60_000)],
        base + "stages?details=false&status=pending": [stage(4, 50, 0, 0, 0)],
        base + "environment": environment(),
        **{name if name == "applications" else base + name: one for name, one in changes.items()},
    }


@contextmanager
def spark(
    answers: dict[str, Any], token: str | None = None, tls: ssl.SSLContext | None = None
) -> Iterator[Spark]:
    """Serves answers on the loopback interface until the block ends; unknown routes fail it."""
    told = Spark(answers, token)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            route = self.path.removeprefix("/api/v1/")
            status = told.status
            if told.token and self.headers["Authorization"] != f"Bearer {told.token}":
                status = 401
            if route not in told.answers:
                told.unknown.append(self.path)
                status = 404
            body = json.dumps(told.answers.get(route)).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Says nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        if tls is not None:
            server.socket = tls.wrap_socket(server.socket, server_side=True)
        told.url = f"http{'s' * (tls is not None)}://127.0.0.1:{server.server_address[1]}"
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield told
        finally:
            server.shutdown()
    assert told.unknown == [], "routes that Spark's emulator does not have"
