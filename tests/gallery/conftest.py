"""A gallery of digits, and the model that embeds for it."""

from pathlib import Path

import pytest

from lookalike import Gallery, Model


@pytest.fixture(scope="module")
def model(bundle_path: Path) -> Model:
    return Model.load(bundle_path)


@pytest.fixture
def gallery(model: Model, digits: Path, tmp_path: Path) -> Gallery:
    """The training digits."""
    made = Gallery.create(tmp_path / "shop", model)
    made.add(digits / "train")
    return made
