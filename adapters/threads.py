"""Threads that a process does not wait for when it ends.

Python joins those of its own pools at exit, however long they wait for an answer: a cloud that
hangs would keep a daemon that was told to stop.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue
from threading import Lock, Thread
from typing import Any, TypeVar

T = TypeVar("T")
_Task = tuple[Future[Any], Callable[[], Any]]


class Threads:
    """Does calls beside each other, at most `most` at a time and the others after them."""

    def __init__(self, most: int, name: str) -> None:
        self._most, self._name = most, name
        self._tasks: SimpleQueue[_Task | None] = SimpleQueue()
        self._lock = Lock()
        self._started = self._left = 0
        self._is_closed = False

    def submit(self, call: Callable[[], T]) -> Future[T]:
        """Begins a call soon; raises RuntimeError once the threads are closed."""
        future: Future[T] = Future()
        with self._lock:
            if self._is_closed:
                raise RuntimeError(f"the {self._name} threads are closed")
            self._left += 1
            if self._left > self._started and self._started < self._most:
                self._started += 1
                name = f"{self._name}_{self._started}"
                Thread(target=self._work, name=name, daemon=True).start()
            self._tasks.put((future, call))
        return future

    def close(self) -> None:
        """Begins nothing more; what is under way goes on while the process does."""
        with self._lock:
            self._is_closed = True
            while not self._tasks.empty():
                task = self._tasks.get()
                if task is not None:
                    task[0].cancel()
            for _ in range(self._started):
                self._tasks.put(None)

    def _work(self) -> None:
        while (task := self._tasks.get()) is not None:
            _do(*task)
            del task  # or what it came to is kept until the next
            with self._lock:
                self._left -= 1


def _do(future: Future[Any], call: Callable[[], Any]) -> None:
    if not future.set_running_or_notify_cancel():
        return
    try:
        found = call()
    except BaseException as error:  # for who asked, as with Python's own pools
        future.set_exception(error)
    else:
        future.set_result(found)
