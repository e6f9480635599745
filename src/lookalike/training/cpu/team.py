"""Threads that wait for the next piece of a training step, one per thread of torch.

Numba's own threads and torch's are of two pools that wait for each other's cores; these sleep while they have nothing
to do, and kernels take their parts from a counter, so a thread that is held up holds up nobody.
"""

import os
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import lru_cache
from threading import local
from typing import Any

import numpy as np
import torch

_scratch = local()


def together(kernel: Callable[..., None], work: Any, parts: int, room: int) -> None:
    """Runs a kernel on as many threads as torch has; results must not depend on who does which part.

    Args:
        kernel: Compiled without the GIL; called with `work`, int64 [1] that counts parts taken, `parts`, and float32
            [room] of its thread.
        work: What it works on.
        parts: How many.
        room: How many float32 a thread needs.
    """
    counter = np.zeros(1, np.int64)
    threads = min(torch.get_num_threads(), parts)
    others: list[Future[None]] = []
    if threads > 1:
        pool = _pool(os.getpid(), torch.get_num_threads() - 1)
        others = [pool.submit(_run, kernel, work, counter, parts, room) for _ in range(threads - 1)]
    try:
        _run(kernel, work, counter, parts, room)
    finally:
        for other in others:
            other.result()


def _run(kernel: Callable[..., None], work: Any, counter: np.ndarray, parts: int, room: int) -> None:
    scratch = getattr(_scratch, "room", None)
    if scratch is None or len(scratch) < room:
        scratch = _scratch.room = torch.empty(room).numpy()  # torch's begins at a whole cache line
    kernel(work, counter, parts, scratch)


@lru_cache(maxsize=4)
def _pool(process: int, threads: int) -> ThreadPoolExecutor:
    """That of a process: a child that was forked has none of its parent's threads."""
    return ThreadPoolExecutor(threads, thread_name_prefix="training")
