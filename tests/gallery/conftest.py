"""A gallery of digits and the model that embeds for it; stores of every kind."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import numpy as np
import pytest

from lookalike import Gallery, Model
from lookalike.gallery.rows import Row
from lookalike.gallery.sql_store import SqlStore
from lookalike.gallery.stores import create_store, open_store
from milvus_server import MilvusServer
from postgres_server import Server

_NUMBERS = count()


@pytest.fixture(scope="module")
def model(bundle_path: Path) -> Model:
    return Model.load(bundle_path)


@pytest.fixture
def gallery(model: Model, digits: Path, tmp_path: Path) -> Gallery:
    """The training digits."""
    made = Gallery.create(tmp_path / "shop", model)
    made.add(digits / "train")
    return made


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """PostgreSQL with pgvector, never restarted."""
    made = Server.make()
    yield made
    made.remove()


@pytest.fixture(scope="session")
def milvus() -> Iterator[MilvusServer]:
    """Milvus, never restarted."""
    made = MilvusServer()
    yield made
    made.remove()


def numbered(label: str, number: int, **columns: str) -> Row:
    """An image that is like no other."""
    rng = np.random.default_rng(number)
    embedding = rng.standard_normal(2).astype("<f4").tobytes()
    return Row(label, f"/{number}.jpg", rng.bytes(64), embedding, number % 3, tuple(sorted(columns.items())))


@dataclass(frozen=True)
class Place:
    """Where a gallery is or will be, as `Gallery.create` and `Gallery.open` take it."""

    text: str
    shown: str

    def create(self, dimensions: int = 2) -> SqlStore:
        return create_store(self.text, {"fingerprint": "f" * 64, "precision": "float32", "dimensions": str(dimensions)})

    def open(self) -> SqlStore:
        return open_store(self.text)


@pytest.fixture(params=["sqlite", "postgres", "milvus"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """Where no gallery is yet, for stores of every kind."""
    if request.param == "sqlite":
        return Place(str(tmp_path / "deep" / "shop"), str(tmp_path / "deep" / "shop"))
    if request.param == "milvus":
        address = request.getfixturevalue("milvus").url(f"gallery_{next(_NUMBERS)}")
        return Place(address, address)
    return _on_postgres(request)


@pytest.fixture(params=["sqlite", "postgres"])
def sql_place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """As `place`, for stores whose tables an earlier version can have made."""
    if request.param == "sqlite":
        return Place(str(tmp_path / "deep" / "shop"), str(tmp_path / "deep" / "shop"))
    return _on_postgres(request)


def _on_postgres(request: pytest.FixtureRequest) -> Place:
    server: Server = request.getfixturevalue("server")
    name = f"gallery-{next(_NUMBERS)}"
    return Place(server.url(name), f"postgresql://lookalike@127.0.0.1:{server.port}/lookalike?gallery={name}")
