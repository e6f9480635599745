"""Work that a service does beside its event loop: a few threads, a bounded queue, and a limit on time."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Lock
from typing import Generic, Protocol, TypeVar

from lookalike.errors import LookalikeError

_Result = TypeVar("_Result")


class BusyError(LookalikeError):
    """Too many requests wait already; the same request may be sent again later."""


class TooLateError(LookalikeError):
    """A request took longer than it may; what it began goes on, and is whole or not at all."""


class Caller(Protocol):
    """Calls a function and gives what that gives."""

    def __call__(self, function: Callable[[], _Result], /) -> _Result:
        """What the function gives."""
        ...


def at_once(function: Callable[[], _Result]) -> _Result:
    """As it is."""
    return function()


class Work:
    """Threads that answer requests; used from one event loop.

    Args:
        name: Of the threads.
        threads: That work side by side.
        waiting: Requests that may wait for one of them.
        seconds: That a request may take, waiting included.
        caller: Calls the functions, in the threads.
    """

    def __init__(self, name: str, threads: int, waiting: int, seconds: float, caller: Caller = at_once) -> None:
        self._pool, self._caller = ThreadPoolExecutor(threads, thread_name_prefix=name), caller
        self._lock = Lock()
        self.threads, self.waiting, self.seconds, self.inside = threads, waiting, seconds, 0

    async def run(self, function: Callable[[], _Result]) -> _Result:
        """What a function gives, called by one of the threads.

        A function that began is not stopped when nobody waits for it any more, and keeps its place until it ends; one
        that still waited is not called.

        Args:
            function: Takes nothing.

        Raises:
            BusyError: The queue is full.
            TooLateError: It took too long.
        """
        with self._lock:
            if self.inside >= self.threads + self.waiting:
                raise BusyError(f"{self.waiting} requests wait already: send it again in a second, or fewer at a time")
            self.inside += 1
        job = _Job(function)
        future = self._pool.submit(self._caller, job)
        future.add_done_callback(lambda _: self._left(job))
        try:
            return await asyncio.wait_for(asyncio.wrap_future(future), self.seconds)
        except TimeoutError:
            raise TooLateError(
                f"took longer than {self.seconds:g} seconds: send fewer images at a time, or start the service with a "
                "larger seconds="
            ).naming("too_late", seconds=self.seconds) from None

    def _left(self, job: "_Job[_Result]") -> None:
        job.drop()
        with self._lock:
            self.inside -= 1

    def close(self) -> None:
        """Waits for what is being done."""
        self._pool.shutdown(wait=True, cancel_futures=True)


class _Job(Generic[_Result]):
    """A function to be called; what it holds, such as images, is let go of when it was called or will not be."""

    def __init__(self, function: Callable[[], _Result]) -> None:
        self._function: Callable[[], _Result] | None = function

    def __call__(self) -> _Result:
        function = self._function
        assert function is not None
        return function()

    def drop(self) -> None:
        self._function = None
