"""A cluster of Ray on this machine, as people start one: `ray start --head`."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

TOKEN = "a" * 64
QUIET = {
    "RAY_AUTH_MODE": "token",
    "RAY_AUTH_TOKEN": TOKEN,
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
}


@contextmanager
def running_cluster(folder: Path, cores: int = 2) -> Iterator[str]:
    """Its address until the block ends."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [str(Path(sys.executable).with_name("ray")), "start", "--head", "--block", f"--port={port}"]
    options = [f"--num-cpus={cores}", "--include-dashboard=false", "--node-ip-address=127.0.0.1"]
    with (folder / "ray.log").open("wb") as log:
        process = subprocess.Popen(
            [*command, *options, "--disable-usage-stats"],
            stdout=log,
            stderr=log,
            env={**os.environ, **QUIET},
            start_new_session=True,
        )
    try:
        until = time.monotonic() + 120
        while b"Ray runtime started" not in (folder / "ray.log").read_bytes():
            assert process.poll() is None, (folder / "ray.log").read_text()
            assert time.monotonic() < until, (folder / "ray.log").read_text()
            time.sleep(0.1)
        yield f"127.0.0.1:{port}"
    finally:
        process.send_signal(signal.SIGTERM)  # it ends its parts
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
