"""`lookalike serve` as a process of its own: started, asked, ended, killed."""

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import requests

from attacks import PATIENCE, logged_lines


class Served:
    """A process that serves a gallery; its log is kept.

    Args:
        gallery: Its folder.
        arguments: As behind `lookalike serve`.
        before: Python that the process runs first, such as a limit on what it may write.
    """

    def __init__(self, gallery: Path, *arguments: str, before: str = "") -> None:
        run = f"import sys\n{before}\nfrom lookalike.cli.main import entry\nentry()"
        command = [sys.executable, "-c", run, "serve", f"gallery={gallery}", "port=0", *arguments]
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=dict(os.environ)
        )
        self._said: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        assert self.process.stdout is not None
        self.address = ""
        for line in self.process.stdout:
            matched = re.match(r"serving at (\S+) ", line)
            if matched:
                self.address = matched[1]
                break
        assert self.address, self.log

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self._said.append(line)

    @property
    def log(self) -> str:
        """What it wrote to standard error until now."""
        return "".join(self._said)

    @property
    def port(self) -> int:
        """That it listens on."""
        return int(self.address.rstrip("/").rpartition(":")[2])

    def wait_ready(self) -> None:
        """Until it answers without delay."""
        for _ in range(int(PATIENCE * 20)):
            answer = requests.get(f"{self.address}readyz", timeout=PATIENCE)
            if answer.status_code == 200:
                return
            threading.Event().wait(0.05)
        raise AssertionError(self.log)

    def kill(self) -> None:
        """Without a word."""
        self.process.kill()
        self._ended()

    def end(self, number: int = signal.SIGTERM) -> int:
        """As a system does that goes down; returns the exit code."""
        self.process.send_signal(number)
        return self._ended()

    def _ended(self) -> int:
        code = self.process.wait(PATIENCE)
        self._reader.join(PATIENCE)
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        self.process.stdout.close()
        self.process.stderr.close()
        return code


@contextmanager
def served(gallery: Path, *arguments: str, before: str = "") -> Iterator[Served]:
    """A process that answers, and is ended with the block; its log holds lines of the log and nothing else."""
    process = Served(gallery, *arguments, before=before)
    try:
        yield process
    finally:
        if process.process.poll() is None:
            process.kill()
    logged_lines(process.log)
