"""Answers of the rig of Azure that say no, or break off."""

from __future__ import annotations

from collections.abc import AsyncIterator

from starlette.responses import JSONResponse, Response, StreamingResponse

from tests.emulators.gcp.faults import Fault


def error(status: int, code: str, message: str) -> Response:
    """An error as Azure writes it."""
    headers = {"Retry-After": "7"} if status == 429 else {}
    return JSONResponse({"error": {"code": code, "message": message}}, status, headers)


def not_found(name: str) -> Response:
    """That there is no such thing."""
    return error(404, "ResourceNotFound", f"The Resource '{name}' was not found.")


def refused(fault: Fault) -> Response:
    """What a fault says."""
    return error(fault.status, fault.reason, f"told to answer {fault.reason}")


def cut_off() -> Response:
    """An answer that breaks off: more was promised than comes."""

    async def nothing() -> AsyncIterator[bytes]:
        yield b"{"

    return StreamingResponse(nothing(), headers={"content-length": "1000"})
