"""A gallery on Milvus: its commits (see `milvus_log`), replayed into a private SQLite file of each process.

What is asked and changed, is asked and changed there by the statements of the other stores; what a change leaves of
each row goes to the server as one commit, before the change is done here.

Letters in shapes: N images, D embedding.
"""

import json
import secrets
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import RLock
from time import monotonic, sleep
from typing import Any

import numpy as np

from lookalike.errors import one_line
from lookalike.gallery.about import ERASING, SCHEMA, check_about, first_about, replaced
from lookalike.gallery.connection import Connection
from lookalike.gallery.milvus_client import MilvusException
from lookalike.gallery.milvus_log import Commit, MilvusLog, TakenError
from lookalike.gallery.milvus_place import milvus_place
from lookalike.gallery.milvus_tables import changed_rows, empty, make_mirror, put_rows, rows_of_all
from lookalike.gallery.rows import Row, StoreError
from lookalike.gallery.sql_store import SqlStore
from lookalike.gallery.sqlite_store import SqliteStore

LEASE_SECONDS = 30.0  # a turn that lasts longer is taken over, and its writer refused
_PAUSE_SECONDS = 0.02


class MilvusStore(SqlStore):
    """An open gallery on a server.

    Args:
        place: `milvus://user:password@host:port/database?gallery=shop`, see `milvus_place`.

    Raises:
        StoreError: There is none, the server cannot be reached, or the gallery is of a newer version.
    """

    def __init__(self, place: str) -> None:
        super().__init__()
        self._address, self._place = place, milvus_place(place)
        self.name = self.place = self._place.name
        self._writing_turn, self._mirror_turn = RLock(), RLock()
        self._last: Commit | None = None
        self.about = {}
        with self._explained():
            self._log = MilvusLog(self._place)
            if not self._log.exists() or not self._log.commits():
                self._log.close()
                raise StoreError(
                    f"{self.name}: no gallery there: make one with lookalike gallery create gallery={self.name} "
                    "(Gallery.create in Python)"
                )
        self._folder = Path(tempfile.mkdtemp(prefix="lookalike-milvus-"))
        self._reader, self._writer = make_mirror(self._folder / "mirror.sqlite")
        try:
            with self.reading() as connection:
                self.about = dict(connection.execute("SELECT name, value FROM about").fetchall())
            if check_about(self.name, self.about) < SCHEMA:
                raise StoreError(f"{self.name}: of an earlier version: import it anew from an export of that version")
        except BaseException:
            self.close()
            raise

    @classmethod
    def create(cls, place: str, about: dict[str, str]) -> "MilvusStore":
        """Makes an empty gallery: commit 0, which one creator makes.

        Args:
            place: As of the class; the database is there.
            about: What the gallery is of: fingerprint, precision, dimensions, model.

        Raises:
            StoreError: A gallery is there already, or the server refuses.
        """
        where = milvus_place(place)
        there = StoreError(
            f"{where.name}: a gallery is there already: use it (Gallery.open in Python), or give another ?gallery="
        )
        with _explained(where.name):
            log = MilvusLog(where)
            try:
                log.make()
                if log.commits():
                    raise there
                content = [["about", 1, [name, value]] for name, value in first_about(about).items()]
                log.publish(0, content, whole=True)
            except TakenError as error:
                log.finish(-1)
                raise there from error
            finally:
                log.close()
        return cls(place)

    def opened_again(self) -> "MilvusStore":
        """The same gallery, by a new connection."""
        return MilvusStore(self._address)

    def erase(self) -> bool:
        """Writes all rows that are left as one commit, and deletes every earlier one from the server."""
        with self.reading() as connection:
            if not connection.execute("SELECT 1 FROM about WHERE name = ?", (ERASING,)).fetchone():
                return False
        with self._open_to_write(), self._turn_taken(), self._mirror_turn:
            self._follow()
            self._writer.execute("BEGIN IMMEDIATE")
            try:
                self._writer.execute("DELETE FROM about WHERE name = ?", (ERASING,))
                self._publish(rows_of_all(self._writer), whole=True)
                self._writer.execute("COMMIT")
            finally:
                self._roll_back()
        return True

    def own_problems(self, images: Sequence[int]) -> list[str]:
        """Commits that are not whole on the server."""
        problems = []
        with self._open():
            for commit in self._log.commits():
                try:
                    self._log.content(commit)
                except (StoreError, ValueError) as error:
                    problems.append(f"commit {commit.number}: {one_line(error)}")
        return problems

    def compact(self) -> int:
        """Writes all rows as one commit, and deletes every earlier one; returns 0, as Milvus does not tell its size."""
        with self._open_to_write(), self._turn_taken(), self._mirror_turn:
            self._follow()
            self._publish(rows_of_all(self._writer), whole=True)
        return 0

    def close(self) -> None:
        """Ends the connection, and deletes what was kept here."""
        with self._turn, self._mirror_turn:
            if not self.closed:
                self.closed = True
                self._reader.close()
                self._writer.close()
                shutil.rmtree(self._folder, ignore_errors=True)
                with suppress(MilvusException):
                    self._log.close()

    @contextmanager
    def _open_to_write(self) -> Iterator[None]:
        with self._writing_turn, self._explained():
            self._need_open()
            yield

    def _no_longer_kept(self, images: Sequence[int]) -> None:
        """The mirror is a file of this process alone, deleted when it ends."""

    @contextmanager
    def _explained(self) -> Iterator[None]:
        with _explained(self.name):
            yield

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        """Whole, or taken back."""
        with self._turn_taken(), self._mirror_turn:
            self._follow()
            self._need_same(self._writer)
            self._writer.execute("BEGIN IMMEDIATE")
            try:
                yield self._writer
                content = changed_rows(self._writer)
                if content:
                    self._publish(content)
                self._writer.execute("COMMIT")
            finally:
                self._roll_back()

    def _roll_back(self) -> None:
        if self._writer.in_transaction:
            self._writer.execute("ROLLBACK")
        self._writer.execute("DELETE FROM outgoing")

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        """One moment; while a thread of this process writes, the last one."""
        if self._mirror_turn.acquire(blocking=False):
            try:
                if not self._writer.in_transaction:
                    self._follow()
            finally:
                self._mirror_turn.release()
        self._reader.execute("BEGIN")
        try:
            self._need_same(self._reader)
            yield self._reader
        finally:
            if self._reader.in_transaction:
                self._reader.execute("COMMIT")

    def _need_same(self, connection: Connection) -> None:
        row = connection.execute("SELECT value FROM about WHERE name = 'gallery'").fetchone()
        if self.about and (row is None or row[0] != self.about["gallery"]):
            raise replaced(self.name)

    def _follow(self) -> None:
        """Replays what others committed."""
        for tries in range(5):
            commits = self._log.commits()
            if not commits:
                raise replaced(self.name)
            if self._last == commits[-1]:
                return
            followed = self._last in commits
            new = [
                commit for commit in commits if not followed or self._last is None or commit.number > self._last.number
            ]
            try:
                contents = [self._log.content(commit) for commit in new]
            except StoreError:
                if tries == 4:  # else a writer deleted earlier commits just now
                    raise
                continue
            self._writer.execute("BEGIN IMMEDIATE")
            try:
                if not followed:
                    empty(self._writer)
                for content in contents:
                    put_rows(self._writer, content)
                self._writer.execute("COMMIT")
            finally:
                self._roll_back()
            self._last = commits[-1]
            return

    def _publish(self, content: list[Any], whole: bool = False) -> None:
        assert self._last is not None
        self._last = self._log.publish(self._last.number + 1, content, whole)

    @contextmanager
    def _turn_taken(self) -> Iterator[None]:
        """The turn among all processes; who stood still in it for too long, is refused afterwards."""
        salt = secrets.token_hex(16)
        holder, since = "", monotonic()
        while not self._log.take_turn(salt):
            now = self._log.turn_of()
            if now != holder:
                holder, since = now, monotonic()
            elif holder and monotonic() - since > LEASE_SECONDS:
                self._fence(holder)
            sleep(_PAUSE_SECONDS)
            self._need_open()
        try:
            with self._mirror_turn:
                self._follow()
                assert self._last is not None
                self._log.finish(self._last.number)
            yield
        finally:
            self._log.end_turn(salt)

    def _fence(self, holder: str) -> None:
        """An empty commit takes the number that whoever stands still would take."""
        with self._mirror_turn:
            self._follow()
            assert self._last is not None
            if not self._log.finish(self._last.number):
                with suppress(TakenError):
                    self._publish([])
        self._log.end_turn(holder)

    def _write_rows(self, connection: Connection, first: int, rows: Sequence[Row], time: str) -> None:
        SqliteStore._write_rows(self, connection, first, rows, time)  # type: ignore[arg-type]

    def _replace_vectors(self, connection: Connection, images: list[int], embeddings: np.ndarray) -> None:
        connection.execute("DELETE FROM vectors")
        rows = ((image, row.tobytes()) for image, row in zip(images, embeddings, strict=True))
        connection.executemany("INSERT INTO vectors VALUES (?, ?)", rows)

    def from_vector(self, value: bytes) -> bytes:
        """As it is."""
        return bytes(value)


@contextmanager
def _explained(name: str) -> Iterator[None]:
    """Says in one line what Milvus and the mirror raise, never with credentials."""
    try:
        yield
    except MilvusException as error:
        reason = one_line(error.message or type(error).__name__)
        raise StoreError(
            f"{name}: the server refused or could not be reached ({reason}): check host, port, database, user and "
            "password, and that Milvus runs"
        ) from error
    except (sqlite3.Error, OSError, json.JSONDecodeError) as error:
        raise StoreError(
            f"{name}: cannot be used ({one_line(error)}): check the disk of the temporary folder"
        ) from error
