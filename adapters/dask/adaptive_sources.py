"""Where `CostAwareAdaptive` has its load from, and who empties workers for it.

    here      the scheduler is in this process: its session is asked directly
    told      the scheduler's preload answers Dask's messages: the same over the cluster's own comm
    stock     neither: only what every scheduler answers. See `adaptive_stock.py`

Nothing is sent that would be unpickled and run: text, numbers and names go over the wire.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from pydantic import ValidationError

from costplan.adapters.dask.endpoint_wire import (
    MAX_ANSWER_BYTES,
    DrainAnswer,
    LoadAnswer,
    load_of_answer,
)
from costplan.adapters.dask.gang_watch import WIDEST
from costplan.adapters.dask.session import METADATA, VERSION, Session
from costplan.planner.errors import ClusterUnreachable
from costplan.planner.load import Load
from costplan.planner.nodes import Retired


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A load, and what only some schedulers say: the width of an announced gang, and how many
    workers the scheduler itself asks for, where its tasks cannot be seen."""

    load: Load
    gang: int = 0
    asked: int | None = None


class Source(Protocol):
    """Asks one scheduler. All raise ClusterUnreachable where it does not answer.

    `may_uncordon`: whether a drain can be called off.
    """

    may_uncordon: bool

    async def see(self) -> Seen: ...

    async def cordon(self, workers: Collection[str], token: str) -> None: ...

    async def uncordon(self, workers: Collection[str]) -> None: ...

    async def retire(self, workers: Collection[str], token: str) -> Retired: ...

    async def progress(self, workers: Collection[str]) -> Retired: ...


class Unasked:
    """Stands for a source until it is known which one there is."""

    may_uncordon = False

    async def see(self) -> Seen:
        raise ClusterUnreachable("the scheduler", "has not been looked for yet")

    async def cordon(self, *_: Any) -> None:
        await self.see()

    async def uncordon(self, *_: Any) -> None:
        await self.see()

    async def retire(self, *_: Any) -> Retired:
        raise ClusterUnreachable("the scheduler", "has not been looked for yet")

    async def progress(self, *_: Any) -> Retired:
        raise ClusterUnreachable("the scheduler", "has not been looked for yet")


class Here:
    """A scheduler in this process; its loop is the one that this runs on."""

    may_uncordon = True

    def __init__(self, session: Session) -> None:
        self._session = session

    async def see(self) -> Seen:
        return _seen(self._session.load(), "the scheduler in this process")

    async def cordon(self, workers: Collection[str], token: str) -> None:
        self._session.drains.cordon(workers, token)

    async def uncordon(self, workers: Collection[str]) -> None:
        self._session.drains.uncordon(workers)

    async def retire(self, workers: Collection[str], token: str) -> Retired:
        return _retired(self._session.drains.retire(workers, token), "")

    async def progress(self, workers: Collection[str]) -> Retired:
        return _retired(self._session.drains.answer(workers), "")


class Told:
    """A scheduler elsewhere with the preload, over the cluster's own comm."""

    may_uncordon = True

    def __init__(self, comm: Any, address: str) -> None:
        self._comm, self._address = comm, address

    async def see(self) -> Seen:
        return _seen(await self._call("costplan_load"), self._address)

    async def cordon(self, workers: Collection[str], token: str) -> None:
        await self._drain("cordon", workers, token)

    async def uncordon(self, workers: Collection[str]) -> None:
        await self._drain("uncordon", workers)

    async def retire(self, workers: Collection[str], token: str) -> Retired:
        return await self._drain("retire", workers, token)

    async def progress(self, workers: Collection[str]) -> Retired:
        return await self._drain("status", workers)

    async def _drain(self, action: str, workers: Collection[str], token: str = "") -> Retired:
        body = {"version": 1, "action": action, "workers": sorted(workers), "token": token}
        answer = await self._call("costplan_drain", request=json.dumps(body))
        return _retired(answer, self._address)

    async def _call(self, operation: str, **arguments: Any) -> Any:
        return await answer_of(self._comm, self._address, operation, **arguments)


async def answer_of(comm: Any, address: str, operation: str, **arguments: Any) -> Any:
    """What a scheduler answers over its comm; raises ClusterUnreachable where it does not."""
    try:
        return await getattr(comm, operation)(**arguments)
    except OSError as error:
        raise ClusterUnreachable(address, f"does not answer: {error}") from error


async def answers(comm: Any) -> bool:
    """Whether the scheduler behind a comm has the preload and speaks our version."""
    said = await comm.get_metadata(keys=[METADATA], default=None)
    return isinstance(said, Mapping) and said.get("version") == VERSION


def _seen(answer: Any, address: str) -> Seen:
    """A checked answer; nothing of it is believed before."""
    try:
        body, gang = answer["load"], answer["gang"]
        if type(gang) is not int or not 0 <= gang <= WIDEST:
            raise ValueError(f"gang is {gang!r}")
        if len(body) > MAX_ANSWER_BYTES:
            raise ValueError(f"a load of {len(body)} bytes")
        load = load_of_answer(LoadAnswer.model_validate_json(body))
    except (ValidationError, ValueError, KeyError, TypeError) as error:
        problem = str(error).partition("\n")[0][:200]
        raise ClusterUnreachable(address, f"its load cannot be read: {problem}") from error
    return Seen(load=load, gang=gang)


def _retired(answer: Any, address: str) -> Retired:
    try:
        return DrainAnswer.model_validate_json(json.dumps(answer)).retired()
    except (ValidationError, TypeError) as error:
        problem = str(error).partition("\n")[0][:200]
        raise ClusterUnreachable(address, f"its answer cannot be read: {problem}") from error
