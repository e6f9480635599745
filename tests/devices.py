"""Two processes that train together, started as torchrun would, from one that has imported everything."""

import os
import socket
import subprocess
from pathlib import Path
from unittest.mock import patch

import processes


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def variables(rank: int, size: int, port: int) -> dict[str, str]:
    names = {"RANK": rank, "WORLD_SIZE": size, "LOCAL_RANK": rank, "LOCAL_WORLD_SIZE": size, "MASTER_PORT": port}
    return {**{name: str(value) for name, value in names.items()}, "MASTER_ADDR": "127.0.0.1", "OMP_NUM_THREADS": "1"}


def together(
    code: str, *arguments: str, cwd: Path, size: int = 2, timeout: float = 500
) -> "list[subprocess.CompletedProcess[str]]":
    """Runs the same code in so many processes; what became of each, by rank."""
    port = free_port()
    children = []
    for rank in range(size):
        with patch.dict(os.environ, variables(rank, size, port)):
            children.append(processes.Child(code, *arguments, cwd=cwd))
    return [child.wait(timeout) for child in children]
