"""Work beside the event loop: a full queue is told at once, what takes too long is let go, and counters come back."""

import asyncio
import threading
from collections.abc import Callable
from typing import TypeVar

import pytest

from lookalike.serving.work import BusyError, TooLateError, Work

_Result = TypeVar("_Result")


def test_what_a_function_gives_and_raises() -> None:
    async def main() -> None:
        work = Work("w", 2, 0, 5)
        assert await work.run(lambda: threading.current_thread().name.startswith("w")) is True

        def fails() -> None:
            raise KeyError("x")

        with pytest.raises(KeyError, match="x"):
            await work.run(fails)
        await settled(work)
        work.close()

    asyncio.run(main())


async def settled(work: Work) -> None:
    """Waits until it counts nothing any more."""
    async with asyncio.timeout(5):
        while work.inside:
            await asyncio.sleep(0.01)


def test_a_full_queue_is_told_at_once() -> None:
    async def main() -> None:
        work, go = Work("w", 1, 2, 5), threading.Event()
        waiting = [asyncio.ensure_future(work.run(go.wait)) for _ in range(3)]
        await asyncio.sleep(0.05)
        assert work.inside == 3
        with pytest.raises(BusyError, match="2 requests wait already: send it again in a second, or fewer at a time"):
            await work.run(lambda: None)
        assert work.inside == 3
        go.set()
        assert await asyncio.gather(*waiting) == [True] * 3
        await settled(work)
        assert await work.run(lambda: 7) == 7
        work.close()

    asyncio.run(main())


def test_what_takes_too_long_goes_on_and_what_waited_is_not_called() -> None:
    async def main() -> None:
        work, go, called = Work("w", 1, 1, 0.1), threading.Event(), list[str]()

        def slow() -> None:
            go.wait(5)
            called.append("slow")

        began = asyncio.ensure_future(work.run(slow))
        waited = asyncio.ensure_future(work.run(lambda: called.append("waited")))
        for late in (began, waited):
            with pytest.raises(
                TooLateError, match=r"took longer than 0\.1 seconds: send fewer images at a time, or start"
            ):
                await late
        assert work.inside == 1, "the thread still works"
        go.set()
        await settled(work)
        assert called == ["slow"]
        work.close()

    asyncio.run(main())


def test_an_error_that_comes_too_late_is_told_to_nobody(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        work, go = Work("w", 1, 1, 0.05), threading.Event()

        def fails() -> None:
            go.wait(5)
            raise KeyError("late")

        with pytest.raises(TooLateError, match="took longer"):
            await work.run(fails)
        go.set()
        await settled(work)
        work.close()

    asyncio.run(main())
    assert not caplog.records


def test_who_goes_away_leaves_no_count() -> None:
    async def main() -> None:
        work, go = Work("w", 1, 4, 5), threading.Event()
        first = asyncio.ensure_future(work.run(go.wait))
        others = [asyncio.ensure_future(work.run(lambda: None)) for _ in range(3)]
        await asyncio.sleep(0.05)
        for other in (first, *others):
            other.cancel()
        results = await asyncio.gather(first, *others, return_exceptions=True)
        assert all(isinstance(result, asyncio.CancelledError) for result in results)
        go.set()
        await settled(work)
        assert await work.run(lambda: 1) == 1
        work.close()

    asyncio.run(main())


def test_functions_are_called_by_the_caller_that_was_given() -> None:
    called: list[str] = []

    def caller(function: Callable[[], _Result], /) -> _Result:
        called.append(threading.current_thread().name)
        return function()

    async def main() -> None:
        work = Work("mine", 1, 1, 5, caller)
        assert await work.run(lambda: 3) == 3
        work.close()

    asyncio.run(main())
    assert called == ["mine_0"]
