"""Processes of their own that start at once: forked from one that has imported torch, Lightning and the product.

What a real start of Python costs (ten seconds of imports) is no part of what those tests ask; tests of the start
itself, and of what it may import, use `subprocess`.
"""

import atexit
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from types import TracebackType
from typing import Self

COMMAND = "import runpy\nrunpy.run_module('lookalike', run_name='__main__', alter_sys=True)"  # python -m lookalike

SERVER = multiprocessing.get_context("forkserver")
PRELOADED = ["cli.main", "training.run", "datamodules.market_datamodule"]
SERVER.set_forkserver_preload(
    [*(f"lookalike.{module}" for module in PRELOADED), "mlflow.store.tracking.sqlalchemy_store"]
)


class Child:
    """A process that runs `code` as `python -c` would; what it prints goes to files."""

    def __init__(self, code: str, *arguments: str, cwd: Path | None = None) -> None:
        self.args = [code, *arguments]
        self._folder = tempfile.TemporaryDirectory(prefix="lookalike-child-")
        self._files = [Path(self._folder.name) / name for name in ("stdout", "stderr")]
        given = (code, list(arguments), str(cwd or Path.cwd()), dict(os.environ), *map(str, self._files))
        self._process: ForkServerProcess = SERVER.Process(target=_run, args=given)
        self._process.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if kind is not None:
            self.kill()
        self._process.join()

    @property
    def returncode(self) -> int | None:
        return self._process.exitcode

    def kill(self) -> None:
        self._process.kill()
        self._process.join()

    def wait(self, timeout: float = 300) -> "subprocess.CompletedProcess[str]":
        self._process.join(timeout)
        code = self._process.exitcode
        if code is None:
            self.kill()
            raise subprocess.TimeoutExpired(self.args, timeout, self._said(0), self._said(1))
        return subprocess.CompletedProcess(self.args, code, self._said(0), self._said(1))

    def _said(self, number: int) -> str:
        return self._files[number].read_text() if self._files[number].exists() else ""


def run(
    code: str, *arguments: str, cwd: Path | None = None, timeout: float = 300
) -> "subprocess.CompletedProcess[str]":
    """`subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True)`."""
    return Child(code, *arguments, cwd=cwd).wait(timeout)


def _run(code: str, arguments: list[str], cwd: str, environment: dict[str, str], out: str, err: str) -> None:
    """Inside the child: the folder, environment, arguments and streams that a real start would have."""
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(environment)
    time.tzset()
    for number, file in ((1, out), (2, err)):
        handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o600)
        os.dup2(handle, number)
        os.close(handle)
    sys.stdout = os.fdopen(1, "w", encoding="utf-8", closefd=False)
    sys.stderr = os.fdopen(2, "w", encoding="utf-8", buffering=1, closefd=False)
    sys.argv = ["-c", *arguments]
    try:
        exec(compile(code, "<child>", "exec"), {"__name__": "__main__"})
    finally:
        atexit._run_exitfuncs()
        sys.stdout.flush()
