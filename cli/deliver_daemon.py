"""Deliveries beside the daemon's ticks: a look that costs little, and a process for each round.

The process is `costplan deliveries run`, which reads the file as it stands. Nothing that goes
wrong in it, or takes long, is felt by a tick.
"""

from __future__ import annotations

import asyncio
import sys
import time
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from costplan.adapters.store.outbox import Outbox
from costplan.cli.deliver_due import is_round_due
from costplan.cli.logs import Log
from costplan.cli.metrics import Metrics
from costplan.planner.daemon_config import DaemonConfig
from costplan.planner.errors import CostplanError

LOOK_SECONDS = 5.0
_AFTER_TROUBLE_SECONDS = 60.0
_ROUND_SECONDS = 3600.0
"""A round that takes longer is ended: what it did not send is tried again."""
_STOP_SECONDS = 3.0
_NOT_SENT = 3


class DeliveryRounds:
    """Starts a round whenever one is due. `file` is the daemon's, None where it has none."""

    def __init__(
        self,
        file: Path | None,
        config: Callable[[], DaemonConfig],
        clock: Callable[[], datetime],
        log: Log,
        metrics: Metrics,
    ) -> None:
        self._file, self._config, self._clock = file, config, clock
        self._log, self._metrics = log, metrics
        self._outbox: Outbox | None = None
        self._process: Process | None = None
        self._not_before = 0.0

    async def look(self) -> None:
        """Has a round done where one is due, and returns when it has ended. Raises nothing but
        what cancels it: a delivery is no reason to stop scaling."""
        if self._file is None or time.monotonic() < self._not_before:
            return
        try:
            if await asyncio.to_thread(self._is_due):
                await self._round(self._file)
                await asyncio.to_thread(self._is_due)
        except (CostplanError, OSError) as error:
            self._trouble(str(error))
        except Exception as error:  # a bug here ends a look, not the daemon
            self._not_before = time.monotonic() + _AFTER_TROUBLE_SECONDS
            self._log.broken("deliveries failed", error)

    def _is_due(self) -> bool:
        config = self._config()
        if self._outbox is None:
            self._outbox = Outbox.open(Path(config.store_path))
        self._metrics.deliveries(self._outbox.summary())
        return is_round_due(config, self._outbox, self._clock())

    async def _round(self, file: Path) -> None:
        words = ("-m", "costplan.cli", "deliveries", "run", "--config", str(file))
        self._process = process = await asyncio.create_subprocess_exec(
            sys.executable, *words, stdin=DEVNULL, stdout=PIPE, stderr=PIPE
        )
        try:
            said, heard = await asyncio.wait_for(process.communicate(), _ROUND_SECONDS)
        except TimeoutError:
            process.kill()
            await process.wait()
            self._trouble("a round took more than an hour and was ended")
            return
        finally:
            self._process = None
        lines = heard.decode(errors="replace").splitlines()
        if process.returncode in (0, _NOT_SENT):
            say = self._log.event if process.returncode == 0 else self._log.trouble
            say("deliveries", result=said.decode(errors="replace").strip(), lines=lines[-20:])
        else:
            last = lines[-1] if lines else f"a round ended with {process.returncode}"
            self._trouble(last)

    def _trouble(self, problem: str) -> None:
        self._not_before = time.monotonic() + _AFTER_TROUBLE_SECONDS
        self._log.trouble("deliveries", problem=problem)

    async def stop(self) -> None:
        """Ends a round that is under way; what it was at is tried again at the next start."""
        process = self._process
        if process is not None and process.returncode is None:
            with suppress(ProcessLookupError):
                process.terminate()
            with suppress(TimeoutError):
                await asyncio.wait_for(process.wait(), _STOP_SECONDS)
            if process.returncode is None:
                with suppress(ProcessLookupError):
                    process.kill()
        if self._outbox is not None:
            self._outbox.close()
