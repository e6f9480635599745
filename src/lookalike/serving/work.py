"""Work that a service does beside its event loop: a few threads, a bounded queue, and a limit on time."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol, TypeVar

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
        self.threads, self.waiting, self.seconds, self.inside = threads, waiting, seconds, 0

    async def run(self, function: Callable[[], _Result]) -> _Result:
        """What a function gives, called by one of the threads.

        Args:
            function: Takes nothing.

        Raises:
            BusyError: The queue is full.
            TooLateError: It took too long; a function that began is not stopped, one that waited is not called.
        """
        if self.inside >= self.threads + self.waiting:
            raise BusyError(f"{self.waiting} requests wait already: send it again in a second, or fewer at a time")
        self.inside += 1
        future = asyncio.get_running_loop().run_in_executor(self._pool, self._caller, function)
        future.add_done_callback(self._left)
        try:
            return await asyncio.wait_for(asyncio.shield(future), self.seconds)
        except TimeoutError:
            future.cancel()
            raise TooLateError(
                f"took longer than {self.seconds:g} seconds: send fewer images at a time, or start the service with a "
                "larger seconds="
            ) from None

    def _left(self, future: "asyncio.Future[_Result]") -> None:
        self.inside -= 1
        if not future.cancelled():
            future.exception()  # has been told, or nobody waits for it any more

    def close(self) -> None:
        """Waits for what is being done."""
        self._pool.shutdown(wait=True, cancel_futures=True)
