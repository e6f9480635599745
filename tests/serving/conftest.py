"""A gallery of digits, served."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from lookalike import Client, Gallery, Model
from services import Running, running


@pytest.fixture(scope="module")
def digit_model(bundle_path: Path) -> Model:
    return Model.load(bundle_path)


@pytest.fixture
def digit_gallery(digit_model: Model, digits: Path, tmp_path: Path) -> Gallery:
    """The training digits, ten of each of five."""
    gallery = Gallery.create(tmp_path / "shop", digit_model)
    gallery.add(digits / "train")
    return gallery


@pytest.fixture
def served(digit_gallery: Gallery) -> Iterator[Running]:
    with running(digit_gallery) as service:
        yield service


@pytest.fixture
def client(served: Running) -> Iterator[Client]:
    with Client(served.address) as asking:
        yield asking
