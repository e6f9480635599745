"""How long work takes: a bar on a terminal, lines elsewhere, and results alone on standard output."""

import logging
import os
import subprocess
import sys

import pytest

from lookalike import console
from lookalike.console import progress, quiet_lightning, say

# A progress of 40 items on whatever standard error is.
WORK = """
from lookalike.console import progress, say

with progress("embedding", 40) as advance:
    for _ in range(4):
        advance(10)
say("done: [3] of :smile: <b>")
print("result")
"""


def on_a_terminal() -> tuple[str, str]:
    """Standard output and what the terminal, which is standard error, was given."""
    terminal, side = os.openpty()
    others = ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE")
    environment = {name: value for name, value in os.environ.items() if name not in others}
    environment |= {"TERM": "xterm-256color", "COLUMNS": "100"}
    process = subprocess.Popen(
        [sys.executable, "-c", WORK], stdout=subprocess.PIPE, stderr=side, text=True, env=environment
    )
    os.close(side)
    shown = b""
    while True:
        try:
            part = os.read(terminal, 1 << 16)
        except OSError:  # the other side has gone
            break
        if not part:
            break
        shown += part
    os.close(terminal)
    assert process.stdout is not None
    output = process.stdout.read()
    process.stdout.close()
    assert process.wait() == 0
    return output, shown.decode()


def test_a_terminal_shows_a_bar_that_goes_away() -> None:
    output, shown = on_a_terminal()
    assert output == "result\n"
    assert "embedding" in shown
    assert "0/40" in shown
    assert "40/40" in shown
    last = shown.splitlines()[-1]
    assert "done: [3] of :smile: <b>" in last
    assert "embedding" not in last


def test_elsewhere_short_work_says_nothing_of_its_progress() -> None:
    done = subprocess.run([sys.executable, "-c", WORK], check=True, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("result\n", "done: [3] of :smile: <b>\n")


class Clock:
    """A clock that goes when it is told to: the real one would take half a minute."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def monotonic(self) -> float:
        return self.seconds


def test_elsewhere_long_work_is_a_line_every_ten_seconds(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = Clock()
    monkeypatch.setattr(console, "time", clock)
    with progress("embedding", 100) as advance:
        for seconds, count in ((4, 10), (5.9, 10), (0.2, 10), (9.9, 30), (0.2, 1), (100, 0)):
            clock.seconds += seconds
            advance(count)
    assert capsys.readouterr().err.splitlines() == [
        "embedding: 30/100, 3/s, 24 s left",
        "embedding: 61/100, 3/s, 13 s left",
        "embedding: 61/100, 2.0 s each, 77 s left",
    ]


@pytest.mark.parametrize(
    ("title", "total", "seconds", "done", "line"),
    [
        ("embedding", 2, 20, 0, "embedding: 0/2, 20 s so far\n"),  # what has not begun has no end
        ("trial", 6, 50, 2, "trial: 2/6, 25.0 s each, 100 s left\n"),
    ],
)
def test_slow_work_tells_its_seconds(
    title: str,
    total: int,
    seconds: int,
    done: int,
    line: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    clock = Clock()
    monkeypatch.setattr(console, "time", clock)
    with progress(title, total) as advance:
        clock.seconds += seconds
        advance(done)
    assert capsys.readouterr().err == line


@pytest.mark.parametrize("text", ["[bold]plain[/bold]", "x" * 500, ":warning: 100 % [/]"])
def test_a_line_is_printed_as_it_is(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    say(text)
    shown = capsys.readouterr()
    assert (shown.out, shown.err) == ("", text + "\n")


def test_errors_of_lightning_still_come_through() -> None:
    names = ("lightning.pytorch", "lightning.fabric", "lightning.pytorch.utilities.rank_zero")
    before = {name: logging.getLogger(name).level for name in names}
    try:
        quiet_lightning()
        for name in names:
            assert not logging.getLogger(name).isEnabledFor(logging.WARNING)
            assert logging.getLogger(name).isEnabledFor(logging.ERROR)
    finally:
        for name, level in before.items():
            logging.getLogger(name).setLevel(level)
