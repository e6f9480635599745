"""Work spread over threads: the first error, or Ctrl-C, stops all of them."""

import os
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from functools import lru_cache
from threading import Lock
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from threadpoolctl import ThreadpoolController

_MOST_THREADS = 16  # each may hold a whole photograph while it is read
_LOOK_UP = 0.2  # seconds: a signal does not wake every lock (none on Windows), so Ctrl-C is looked for


def side_by_side(work: Callable[[int], None], firsts: range, threads: int | None = None) -> None:
    """Runs `work` for every first item; the first error, or Ctrl-C, stops all threads.

    Args:
        work: Called with a first item.
        firsts: Of the parts.
        threads: At most; 0 or 1 = none beside this one. None = two per core, up to 16: while one waits for the
            network's turn on a core, another reads.
    """
    most = min(_MOST_THREADS, 2 * cores()) if threads is None else threads
    threads, left, lock = min(most, len(firsts)), deque(firsts), Lock()
    if threads <= 1:
        for first in firsts:
            work(first)
        return

    def run() -> None:
        while True:
            with lock:
                if not left:
                    return
                first = left.popleft()
            try:
                work(first)
            except BaseException:
                left.clear()
                raise

    with ThreadPoolExecutor(threads) as pool:
        try:
            running = [pool.submit(run) for _ in range(threads)]
            while wait(running, _LOOK_UP).not_done:
                pass
            for done in running:
                done.result()
        except BaseException:
            left.clear()
            raise


def one_blas_thread() -> "AbstractContextManager[object]":
    """NumPy's products on one thread meanwhile, as several of ours multiply side by side."""
    limited: AbstractContextManager[object] = _libraries().limit(limits=1, user_api="blas")
    return limited


@lru_cache(maxsize=1)
def _libraries() -> "ThreadpoolController":
    """Those that are loaded, NumPy's among them; looking them up takes as long as a small evaluation."""
    import numpy as np  # noqa: F401 - loads its library
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


def cores() -> int:
    """Those that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
