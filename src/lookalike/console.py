"""How long work takes is shown once, here: a rich bar on a terminal, plain lines elsewhere."""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from lookalike.terminal import visible_line

_PLAIN_SECONDS = 10.0
console = Console(stderr=True, highlight=False, emoji=False)
_listeners: list[Callable[[str], None]] = []


@contextmanager
def said_to(listener: Callable[[str], None]) -> Iterator[None]:
    """What `say` would print goes to a function instead until the block ends, in all threads of this process.

    Args:
        listener: Is given each line.
    """
    _listeners.append(listener)
    try:
        yield
    finally:
        _listeners.remove(listener)


@contextmanager
def quiet() -> Iterator[None]:
    """Neither bars nor lines of what is being done until the block ends; results and errors are printed as ever."""
    before, console.quiet = console.quiet, True
    try:
        yield
    finally:
        console.quiet = before


def say(text: str) -> None:
    """Prints one plain line to standard error, which is kept for what is being done (results go to standard output)."""
    if _listeners:
        _listeners[-1](visible_line(text))
        return
    line = visible_line(text).encode(console.encoding, "backslashreplace").decode(console.encoding)
    console.print(line, markup=False, soft_wrap=True)


def quiet_lightning() -> None:
    """Keeps Lightning's advice and advertisements off the terminal; errors still come through."""
    for name in ("lightning.pytorch", "lightning.fabric", "lightning.pytorch.utilities.rank_zero"):
        logging.getLogger(name).setLevel(logging.ERROR)


@contextmanager
def progress(title: str, total: int) -> Iterator[Callable[[int], None]]:
    """Yields a function that is told how many items were done since its last call.

    Args:
        title: What is being done, such as `embedding`.
        total: Number of items.
    """
    if console.is_terminal:
        columns = [
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
        ]
        with Progress(*columns, TimeElapsedColumn(), TimeRemainingColumn(), console=console, transient=True) as bar:
            task = bar.add_task(title, total=total, rate="")

            def advance(count: int) -> None:
                bar.advance(task, count)
                bar.update(task, rate=_rate(bar.tasks[task].speed or 0.0))

            yield advance
        return
    yield _plain(title, total)


def _plain(title: str, total: int) -> Callable[[int], None]:
    """A line every ten seconds: done, rate, time left."""
    start = shown = time.monotonic()
    done = 0

    def advance(count: int) -> None:
        nonlocal done, shown
        done += count
        now = time.monotonic()
        if now - shown >= _PLAIN_SECONDS:
            shown = now
            speed = done / (now - start)
            left = f"{_rate(speed)}, {(total - done) / speed:.0f} s left" if done else f"{now - start:.0f} s so far"
            say(f"{title}: {done}/{total}, {left}")

    return advance


def _rate(speed: float) -> str:
    """Items per second as people say it: below one the seconds that each takes; empty where nothing is done yet."""
    if speed >= 1:
        return f"{speed:.0f}/s"
    return f"{1 / speed:.1f} s each" if speed else ""
