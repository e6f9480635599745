"""Files of a folder, or of a prefix in an object store (`s3://bucket/prefix`), read and written alike.

A file is written whole or not at all in both. An object store is reached by Arrow's own client: credentials come from
the environment, a profile or the machine as Amazon's tools take them, `AWS_ENDPOINT_URL` names another server. What
answers slowly or fails for a moment is asked again, five times at most; what does not answer at all is told in seconds.
"""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import IO, Any, Protocol, runtime_checkable
from urllib.parse import urlsplit

from lookalike.errors import LookalikeError, one_line
from lookalike.files import write_bytes, write_once

_ADDRESS = re.compile(r"s3:/+([^/]*)/*(.*)", re.DOTALL | re.IGNORECASE)  # Python's paths keep one slash of two
_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,254}")
_SECRETS = ("AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_ACCESS_KEY_ID")
_CONNECT_SECONDS, _REACH_SECONDS, _ANSWER_SECONDS = 3, 5, 20
_ATTEMPTS = 5
_REGION = "us-east-1"


class StorageError(LookalikeError):
    """An object store cannot be reached, or does not do what is asked."""


@runtime_checkable
class Storage(Protocol):
    """Files below one place, by names with `/` between folders.

    Attributes:
        place: As it is shown, without login.
    """

    @property
    def place(self) -> str:
        """As it is shown, without login."""

    def names(self) -> list[str]:
        """The files right in it, sorted; none where there is no such place yet."""

    def below(self) -> Iterator[tuple[str, int]]:
        """Name and bytes of all files in it and below, sorted by name."""

    def read(self, name: str, most: int | None = None) -> bytes:
        """The content of a file.

        Args:
            name: Of the file.
            most: So many bytes are read at most.

        Raises:
            FileNotFoundError: There is none.
            LookalikeError: It cannot be read.
        """

    def write(self, name: str, content: bytes | memoryview, once: bool = False) -> None:
        """Writes a file whole or not at all.

        Args:
            name: Of the file.
            content: All of it.
            once: Leave one that is there already.

        Raises:
            LookalikeError: It cannot be written.
        """

    def open(self, name: str) -> IO[bytes]:
        """A file to be read here and there.

        Raises:
            FileNotFoundError: There is none.
            LookalikeError: It cannot be read.
        """


def is_address(place: str | Path) -> bool:
    """Whether a place is in an object store."""
    return _ADDRESS.fullmatch(str(place)) is not None


def address_of(text: str) -> str:
    """The address of an object store, written as `s3://bucket/prefix`.

    Args:
        text: As it was given.

    Raises:
        StorageError: No bucket, or a login in it.
    """
    parts = _ADDRESS.fullmatch(text)
    if parts is None:
        raise StorageError("expected an address such as s3://bucket/prefix")
    if "@" in parts[1]:
        raise StorageError(
            f"s3://{parts[1].rpartition('@')[2]}/{parts[2]}: a login in an address would stand in logs: leave "
            "it out, and set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE"
        )
    if not _BUCKET.fullmatch(parts[1]):
        shown = f"s3://{parts[1]}/{parts[2]}".rstrip("/")
        raise StorageError(f"{shown}: expected the name of a bucket, as in s3://bucket/prefix")
    return f"s3://{parts[1]}/{parts[2].strip('/')}".rstrip("/")


def storage_of(place: str | Path) -> Storage:
    """The files of a folder or of an address; that of an object store is asked once whether it is there.

    Args:
        place: A folder, or `s3://bucket/prefix`.

    Raises:
        StorageError: It cannot be reached.
    """
    if not is_address(place):
        return Folder(Path(place))
    address = address_of(str(place))
    bucket = Bucket(address.removeprefix("s3://"))
    bucket.reach()
    return bucket


def joined(root: str, path: str) -> str:
    """Where a file lies: below a root, or at its own absolute path or address."""
    if is_address(path):
        return address_of(path)
    if is_address(root):
        return f"{address_of(root)}/{path}"
    return str(Path(root) / path)


@dataclass(frozen=True)
class Folder:
    """A folder of this machine, see `Storage`; it is made when the first file is written.

    Attributes:
        path: Of it.
    """

    path: Path

    @property
    def place(self) -> str:
        """As it is shown."""
        return str(self.path)

    def names(self) -> list[str]:
        """See `Storage`."""
        return sorted(entry.name for entry in os.scandir(self.path) if entry.is_file()) if self.path.is_dir() else []

    def below(self) -> Iterator[tuple[str, int]]:
        """See `Storage`."""
        for file in sorted(path for path in self.path.rglob("*") if path.is_file()):
            yield file.relative_to(self.path).as_posix(), file.stat().st_size

    def read(self, name: str, most: int | None = None) -> bytes:
        """See `Storage`."""
        with self.open(name) as file:
            return file.read(-1 if most is None else most)

    def write(self, name: str, content: bytes | memoryview, once: bool = False) -> None:
        """See `Storage`."""
        if once:
            write_once(self.path / name, bytes(content))
        else:
            write_bytes(self.path / name, content)

    def open(self, name: str) -> IO[bytes]:
        """See `Storage`."""
        return (self.path / name).open("rb")


@dataclass(frozen=True)
class Bucket:
    """A prefix in an object store, see `Storage`.

    Attributes:
        prefix: `bucket/prefix`.
    """

    prefix: str

    @property
    def place(self) -> str:
        """As it is shown."""
        return f"s3://{self.prefix}"

    def reach(self) -> None:
        """Sees that the store answers, within seconds.

        Raises:
            StorageError: It does not.
        """
        with self._told("cannot be reached"):
            about = _client(self._bucket, patient=False).get_file_info(self._bucket)
        if about.type.name == "NotFound":
            raise StorageError(f"{self.place}: there is no bucket {self._bucket}: make it first, or correct its name")

    def names(self) -> list[str]:
        """See `Storage`."""
        return [name for name, _ in self._listed(recursive=False)]

    def below(self) -> Iterator[tuple[str, int]]:
        """See `Storage`."""
        return iter(self._listed(recursive=True))

    def read(self, name: str, most: int | None = None) -> bytes:
        """See `Storage`."""
        with self._told("cannot be read"), self._client.open_input_file(f"{self.prefix}/{name}") as file:
            content: bytes = file.read(most)
            return content

    def write(self, name: str, content: bytes | memoryview, once: bool = False) -> None:
        """See `Storage`; an object appears when all of it is there."""
        if once and name in self.names():
            return
        with self._told("cannot be written"):
            stream = self._client.open_output_stream(f"{self.prefix}/{name}")
            stream.write(content)
            stream.close()  # not where writing failed: half of it would become the object

    def open(self, name: str) -> IO[bytes]:
        """See `Storage`."""
        with self._told("cannot be read"):
            file: IO[bytes] = self._client.open_input_file(f"{self.prefix}/{name}")
            return file

    @property
    def _bucket(self) -> str:
        return self.prefix.partition("/")[0]

    @property
    def _client(self) -> Any:
        with self._told("cannot be reached"):
            return _client(self._bucket, patient=True)

    def _selector(self, recursive: bool) -> object:
        from pyarrow.fs import FileSelector

        return FileSelector(self.prefix, allow_not_found=True, recursive=recursive)

    def _listed(self, recursive: bool) -> list[tuple[str, int]]:
        with self._told("cannot be listed"):
            listed = self._client.get_file_info(self._selector(recursive))
        start = len(self.prefix) + 1
        return sorted((info.path[start:], info.size) for info in listed if info.is_file)

    @contextmanager
    def _told(self, what: str) -> Iterator[None]:
        """What the client says as one line, without keys; that a file is not there stays what it is."""
        try:
            yield
        except (FileNotFoundError, LookalikeError):
            raise
        except OSError as error:
            reason = str(error)
            for name in _SECRETS:
                if secret := os.environ.get(name):
                    reason = reason.replace(secret, "***")
            server = _endpoint()[1] or "Amazon"
            raise StorageError(
                f"{self.place}: {what} ({one_line(reason)}): check the bucket, the server ({server}; AWS_ENDPOINT_URL) "
                "and the credentials (AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE)"
            ) from None


def _endpoint() -> tuple[str, str]:
    """Scheme and server that `AWS_ENDPOINT_URL` names, without login; empty for Amazon's own."""
    given = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL") or ""
    if not given:
        return "https", ""
    parts = urlsplit(given if "://" in given else f"https://{given}")
    return parts.scheme, parts.netloc.rpartition("@")[2]


def _client(bucket: str, patient: bool) -> Any:
    region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or ""
    return _made_client(bucket, patient, region, *_endpoint())


@lru_cache(maxsize=8)
def _made_client(bucket: str, patient: bool, region: str, scheme: str, server: str) -> Any:
    """Arrow's client, one for each way of asking: it keeps its connections."""
    from pyarrow.fs import AwsStandardS3RetryStrategy, S3FileSystem, resolve_s3_region

    if not region:
        region = _REGION if server else resolve_s3_region(bucket)
    return S3FileSystem(
        region=region,
        scheme=scheme,
        endpoint_override=server or None,
        connect_timeout=_CONNECT_SECONDS,
        request_timeout=_ANSWER_SECONDS if patient else _REACH_SECONDS,
        retry_strategy=AwsStandardS3RetryStrategy(max_attempts=_ATTEMPTS if patient else 1),
    )
