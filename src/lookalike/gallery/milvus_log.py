"""The commits of a gallery on Milvus, which has no transactions: a log whose next number one writer alone can take.

Content is written first, in pieces under the number and the writer's own salt. Then the collection `<gallery>_commit_N`
is made: Milvus makes a name once, so it is the writer's word that commit N is its own. The row N of `<gallery>_log`
follows; whoever finds the collection without the row, as after a kill, writes the row. A writer that was paused and
overtaken finds its number taken. Readers see rows of the log alone, and pieces of the salt that a row names.
"""

import json
import secrets
import zlib
from base64 import b64decode, b64encode
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from lookalike.gallery.milvus_client import DataType, MilvusClient, MilvusException
from lookalike.gallery.milvus_place import MilvusPlace
from lookalike.gallery.rows import StoreError

_PIECE = 60_000  # letters of a row: Milvus takes 65,535 bytes
_AT_ONCE = 256  # pieces in one message, of which gRPC takes 64 MiB
_MOST = 16_384  # rows that one query gives
_SECONDS = 10.0
_NOT_LOADED = ("released", "not loaded")  # milvus-lite, Milvus
_THERE = ("exist", "duplicate collection")  # of a name that is taken; milvus-lite: "File exists" while it is dropped


class TakenError(StoreError):
    """Another writer took the number of this commit."""


@dataclass(frozen=True)
class Commit:
    """One row of the log.

    Attributes:
        number: From 0.
        salt: Of its writer's turn, 128 bits in hexadecimal.
        pieces: Of its content.
        whole: Whether it says everything, so that no earlier one is needed.
    """

    number: int
    salt: str
    pieces: int
    whole: bool

    @property
    def text(self) -> str:
        """As text, for Milvus."""
        return json.dumps([self.number, self.salt, self.pieces, self.whole])


class MilvusLog:
    """The log of one gallery.

    Args:
        place: Of it.

    Raises:
        MilvusException: The server cannot be reached, or refuses.
    """

    def __init__(self, place: MilvusPlace) -> None:
        self.place = place
        self.client = MilvusClient(
            uri=place.uri, token=place.token, db_name=place.database, timeout=_SECONDS, dedicated=True
        )
        self._log, self._pieces = f"{place.gallery}_log", f"{place.gallery}_pieces"
        self._turn = f"{place.gallery}_turn"

    def exists(self) -> bool:
        """Whether the collections of a gallery are there."""
        return bool(self.client.has_collection(self._log, timeout=_SECONDS))

    def make(self) -> None:
        """Makes the collections; those that are there stay."""
        for name in (self._pieces, self._log):  # the log last, as it says that there is a gallery
            if not self.client.has_collection(name):
                with suppress(MilvusException):  # another creator was faster
                    self._make(name, "id")
            self.client.load_collection(name)

    def commits(self) -> list[Commit]:
        """From the last that says everything on, in order."""
        rows = self._queried(self._log, filter='id != ""', output_fields=["text"], limit=_MOST)
        if len(rows) == _MOST:  # there may be more
            rows = [row for batch in self._batches(self._log, "text") for row in batch]
        commits = sorted((Commit(*json.loads(row["text"])) for row in rows), key=lambda commit: commit.number)
        first = max((place for place, commit in enumerate(commits) if commit.whole), default=0)
        return commits[first:]

    def content(self, commit: Commit) -> list[Any]:
        """What a commit says.

        Raises:
            StoreError: Pieces of it are not there.
        """
        parts: dict[int, str] = {}
        for first in range(0, commit.pieces, _AT_ONCE):
            names = [f"{commit.number}:{commit.salt}:{k}" for k in range(first, min(first + _AT_ONCE, commit.pieces))]
            for row in self._queried(self._pieces, ids=names, output_fields=["id", "text"]):
                parts[int(row["id"].rpartition(":")[2])] = row["text"]
        if len(parts) != commit.pieces:
            raise StoreError(
                f"{self.place.name}: damaged, commit {commit.number} is not whole: import it from a backup"
            )
        text = "".join(parts[k] for k in range(commit.pieces))
        return list(json.loads(zlib.decompress(b64decode(text)))) if text else []

    def publish(self, number: int, content: list[Any], whole: bool = False) -> Commit:
        """Makes a commit visible, whole or not at all.

        Raises:
            TakenError: Another writer took the number.
        """
        salt = secrets.token_hex(16)
        text = b64encode(zlib.compress(json.dumps(content).encode(), 1)).decode() if content else ""
        pieces = [text[first : first + _PIECE] for first in range(0, len(text), _PIECE)]
        rows = [{"id": f"{number}:{salt}:{k}", "text": piece, "none": [0.0, 0.0]} for k, piece in enumerate(pieces)]
        for first in range(0, len(rows), _AT_ONCE):
            self.client.upsert(self._pieces, rows[first : first + _AT_ONCE])
        commit = Commit(number, salt, len(pieces), whole)
        mine = self._claimed(self._marker(number), f"{salt}_{len(pieces)}_{int(whole)}")
        if not mine or any(other.number >= number for other in self.commits()):
            self._take_back(commit, mine)
            raise TakenError(
                f"{self.place.name}: another process took over while this one paused, so nothing was changed: try again"
            )
        try:
            self._settle(commit)
        except MilvusException as error:  # the word is given, and whoever comes next writes the row
            raise StoreError(
                f"{self.place.name}: the connection was lost while the change was made; it will stand if it "
                "is whole: look with lookalike gallery log before doing it again"
            ) from error
        return commit

    def finish(self, last: int) -> bool:
        """Writes the row of a commit whose writer was killed before it could; returns whether there was one."""
        name = self._marker(last + 1)
        word = self._word_of(name)
        if not word:
            return False
        salt, pieces, whole = word.split("_")
        self._settle(Commit(last + 1, salt, int(pieces), whole == "1"))
        return True

    def _settle(self, commit: Commit) -> None:
        row = {"id": f"{commit.number}", "text": commit.text, "none": [0.0, 0.0]}
        self.client.upsert(self._log, [row])
        former = self._marker(commit.number - 1)
        if commit.number and self.client.has_collection(former):
            self.client.drop_collection(former)
        if commit.whole:
            self._drop_before(commit)

    def _drop_before(self, commit: Commit) -> None:
        """Deletes what earlier commits said, and what never became one."""
        for name in (self._log, self._pieces):
            names = [
                row["id"]
                for batch in self._batches(name, "id")
                for row in batch
                if int(row["id"].partition(":")[0]) < commit.number
            ]
            for first in range(0, len(names), 1000):
                self.client.delete(name, ids=names[first : first + 1000])

    def _queried(self, name: str, **asked: object) -> list[dict[str, Any]]:
        """Rows of a collection, which is loaded first where the server was started again since."""
        try:
            return list(self.client.query(name, consistency_level="Strong", **asked))
        except MilvusException as error:
            if not any(word in str(error.message) for word in _NOT_LOADED):
                raise
        for own in (self._log, self._pieces):
            self.client.load_collection(own)
        return list(self.client.query(name, consistency_level="Strong", **asked))

    def _batches(self, name: str, column: str) -> Iterator[list[dict[str, Any]]]:
        """All rows of a collection, some at a time, as one query gives no more than `_MOST`."""
        iterator = self.client.query_iterator(
            name, filter='id != ""', output_fields=[column], batch_size=1000, consistency_level="Strong"
        )
        try:
            while batch := iterator.next():
                yield list(batch)
        finally:
            iterator.close()

    def _take_back(self, commit: Commit, mine: bool) -> None:
        if mine:
            self.client.drop_collection(self._marker(commit.number))
        names = [f"{commit.number}:{commit.salt}:{k}" for k in range(commit.pieces)]
        for first in range(0, len(names), 1000):
            self.client.delete(self._pieces, ids=names[first : first + 1000])

    def _marker(self, number: int) -> str:
        return f"{self.place.gallery}_commit_{number}"

    def take_turn(self, salt: str) -> bool:
        """Whether the turn of the writer was free, and is this one's now."""
        return self._claimed(self._turn, salt)

    def turn_of(self) -> str:
        """Whose turn it is; empty where it is free."""
        return self._word_of(self._turn)

    def _word_of(self, name: str) -> str:
        """What the one who made a collection said by it; empty where there is none."""
        while self.client.has_collection(name):
            with suppress(MilvusException):  # dropped in between; a server that is gone is told by the question above
                return str(self.client.describe_collection(name)["fields"][0]["name"]).removeprefix("id_")
        return ""

    def end_turn(self, salt: str) -> None:
        """Frees the turn, where it is still this one's."""
        if self.turn_of() == salt:
            with suppress(MilvusException):
                self.client.drop_collection(self._turn)

    def _claimed(self, name: str, word: str) -> bool:
        """Whether this made a collection: of those who want a name one gets it, as their schemas differ."""
        try:
            self._make(name, f"id_{word}")
        except MilvusException as error:  # it may be gone again by now
            if any(word in str(error.message) for word in _THERE) or self.client.has_collection(name):
                return False
            raise
        return True

    def _make(self, name: str, key: str) -> None:
        schema = self.client.create_schema(auto_id=False, enable_dynamic_field=False)
        schema.add_field(key, DataType.VARCHAR, is_primary=True, max_length=200)
        if key == "id":
            schema.add_field("text", DataType.VARCHAR, max_length=65_535)
        schema.add_field("none", DataType.FLOAT_VECTOR, dim=2)  # Milvus wants one
        index = self.client.prepare_index_params()
        index.add_index("none", index_type="FLAT", metric_type="L2")
        how = {"index_params": index} if key == "id" else {}
        self.client.create_collection(name, schema=schema, consistency_level="Strong", **how)

    def close(self) -> None:
        """Ends the connection."""
        self.client.close()
