"""A Milvus server of the tests' own: milvus-lite, on a free port of this computer."""

import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from lookalike.gallery.milvus_client import MilvusClient, MilvusException
from postgres_server import free_port

_START_SECONDS = 60.0


class MilvusServer:
    """A running server.

    Attributes:
        port: Where it listens, on 127.0.0.1.
    """

    def __init__(self) -> None:
        self.folder, self.port = Path(tempfile.mkdtemp(prefix="lookalike-milvus-")), free_port()
        self.start()

    def start(self) -> None:
        """Starts it on its data."""
        program = Path(sys.executable).with_name("milvus-lite")
        given = ("server", "--data-dir", self.folder / "data", "--host", "127.0.0.1", "--port", self.port)
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen([program, *map(str, given)], stdout=log, stderr=log)
        deadline = time.monotonic() + _START_SECONDS
        while True:
            try:
                MilvusClient(uri=f"http://127.0.0.1:{self.port}", timeout=2, dedicated=True).close()
                return
            except MilvusException:
                assert time.monotonic() < deadline, (self.folder / "log").read_text()
                time.sleep(0.1)

    def url(self, gallery: str) -> str:
        """The address of a gallery."""
        return f"milvus://127.0.0.1:{self.port}/default?gallery={gallery}"

    def kill(self) -> None:
        """Ends it as a power failure would."""
        self._process.kill()
        self._process.wait()

    def remove(self) -> None:
        """Stops it and deletes its data."""
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)
