"""Work over threads: everything once, and nothing more after an error or Ctrl-C."""

import os
import signal
import subprocess
import sys
import threading

import pytest

from lookalike.parallel import cores, side_by_side

MANY = 1_000_000


@pytest.mark.parametrize("firsts", [range(0), range(1), range(7), range(0, 1000, 4)])
def test_every_item_is_done_once(firsts: range) -> None:
    done: list[int] = []
    side_by_side(done.append, firsts)
    assert sorted(done) == list(firsts)


def test_threads_work_at_the_same_time() -> None:
    """Each of two items waits for the other."""
    meeting = threading.Barrier(2, timeout=60)
    side_by_side(lambda _: meeting.wait() and None, range(2))


def test_a_single_item_is_done_in_the_callers_thread() -> None:
    threads: list[threading.Thread] = []
    side_by_side(lambda _: threads.append(threading.current_thread()), range(1))
    assert threads == [threading.current_thread()]


def test_the_first_error_stops_the_others_and_comes_out() -> None:
    done: list[int] = []

    def work(first: int) -> None:
        if first == 3:
            raise ValueError("item 3")
        done.append(first)

    with pytest.raises(ValueError, match=r"^item 3$"):
        side_by_side(work, range(MANY))
    assert len(done) < MANY - 1


def test_an_error_of_a_single_item_comes_out() -> None:
    def work(_: int) -> None:
        raise ValueError("item 0")

    with pytest.raises(ValueError, match=r"^item 0$"):
        side_by_side(work, range(1))


# Each thread waits until the signal has arrived; one that another thread gets wakes no lock of the main thread.
INTERRUPTED = """
import os, signal, sys, threading, time
from lookalike.parallel import side_by_side

arrived = threading.Event()
done = []
main = threading.main_thread().ident

def stop(*_):
    arrived.set()
    raise KeyboardInterrupt

def waits(frame):
    while frame is not None and not frame.f_code.co_filename.endswith(os.path.join("futures", "_base.py")):
        frame = frame.f_back
    return frame is not None

def work(first):
    if first == 0:
        while not waits(sys._current_frames()[main]):
            time.sleep(0.001)
        signal.pthread_kill(main if sys.argv[1] == "main" else threading.get_ident(), signal.SIGINT)
    arrived.wait()
    done.append(first)

signal.signal(signal.SIGINT, stop)
try:
    side_by_side(work, range(1_000_000))
except KeyboardInterrupt:
    print(0 < len(done) < 1_000_000, threading.active_count())
"""


@pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="the system sends no signal to one thread")
@pytest.mark.parametrize("thread", ["main", "another"])
def test_ctrl_c_stops_all_threads(thread: str) -> None:
    command = [sys.executable, "-c", INTERRUPTED, thread]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60)
    assert done.stdout == "True 1\n"


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="the system cannot bind a process to cores")
def test_cores_are_those_that_the_process_may_use() -> None:
    code = """
import os
from lookalike.parallel import cores
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
print(cores())
"""
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout == "1\n"
    assert cores() == len(os.sched_getaffinity(0))


@pytest.mark.parametrize("most", [0, 1, 3])
def test_no_more_threads_than_were_asked_for(most: int) -> None:
    """All that work wait for each other; with fewer threads than `most` the barrier would break."""
    meeting = threading.Barrier(max(1, most), timeout=60)
    threads: set[int] = set()

    def work(_: int) -> None:
        threads.add(threading.get_ident())
        meeting.wait()

    side_by_side(work, range(6), most)
    assert len(threads) == max(1, most)
    assert (threading.get_ident() in threads) == (most <= 1)
