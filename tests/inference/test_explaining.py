"""A cosine and the regions that make it: exactly where it is a sum, else by painting over; and whether they matter."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from explained_networks import encoder_of, network, noise
from lookalike import Explanation, Model
from lookalike.data.any_image import read_any
from lookalike.data.images import ImageError
from lookalike.inference.encoder import Encoder
from lookalike.inference.explaining import GRID, Explaining, explainer_of
from lookalike.inference.heat import covered


class Small(Explaining):
    def __init__(self, encoder: Encoder) -> None:
        self.encoder = encoder


def explained(folder: Path, **settings: Any) -> tuple[Encoder, Explanation]:
    small = Small(encoder_of(network(**settings), folder))
    first, second = noise(2)
    return small.encoder, small.explain(first, second)


@pytest.mark.parametrize("head", [{}, {"bn_neck": True}, {"embedding_size": None}], ids=["linear", "neck", "none"])
def test_regions_and_constant_are_the_cosine(head: dict[str, Any], tmp_path: Path) -> None:
    encoder, made = explained(tmp_path, **head)
    first, second = encoder.embed_arrays(noise(2)).astype(np.float64)
    assert (made.method, made.reason, made.note) == ("exact", "", "")
    assert made.similarity == pytest.approx(first @ second, abs=1e-6)
    assert made.explained == pytest.approx(made.similarity, abs=1e-5)
    assert made.pairs is not None
    for regions in (*made.regions, made.pairs):
        assert float(regions.sum(dtype=np.float64)) + made.constant == pytest.approx(made.explained, abs=1e-5)
    np.testing.assert_allclose(made.pairs.sum((2, 3)), made.regions[0], atol=1e-6)


def test_it_is_symmetric_and_an_image_is_wholly_like_itself(tmp_path: Path) -> None:
    small = Small(encoder_of(network(bn_neck=True), tmp_path))
    first, second = noise(2)
    there, back = small.explain(first, second), small.explain(second, first)
    assert there.pairs is not None
    assert back.pairs is not None
    np.testing.assert_allclose(there.pairs, back.pairs.transpose(2, 3, 0, 1), atol=1e-7)
    np.testing.assert_allclose(there.regions[0], back.regions[1], atol=1e-6)
    assert small.explain(first, first).explained == pytest.approx(1, abs=1e-5)


def test_without_a_sum_a_region_counts_by_what_painting_it_over_costs(tmp_path: Path) -> None:
    encoder, made = explained(tmp_path, pooling="gem")
    assert (made.method, made.constant, made.pairs, made.matches) == ("occlusion", 0, None, ())
    assert made.reason == "it does not pool a feature map by its mean alone"
    assert made.explained == made.similarity
    first, second = noise(2)
    painted = first.copy()
    painted[covered((2, 3), (GRID, GRID), first.shape)] = first.reshape(-1, 3).mean(0).round()
    whole, without, other = encoder.embed_arrays(np.stack([first, painted, second])).astype(np.float64)
    assert made.regions[0][2, 3] == pytest.approx(whole @ other - without @ other, abs=1e-6)
    assert made.regions[0].shape == made.regions[1].shape == (GRID, GRID)


def test_a_network_that_torch_runs_is_explained_by_painting_over(tmp_path: Path) -> None:
    from lookalike.models.torch_network import TorchNetwork

    graph = encoder_of(network(), tmp_path)
    small = Small(Encoder(TorchNetwork(network(), "cpu", batch=8), graph.pixels, graph.fingerprint, graph.size))
    made = small.explain(*noise(2))
    assert (made.method, made.reason) == ("occlusion", "torch runs the network")


def test_what_explains_is_kept_for_its_network_and_fingerprint_alone(tmp_path: Path) -> None:
    first = encoder_of(network(), tmp_path / "a")
    assert explainer_of(first) is explainer_of(first)
    same_network = Encoder(first.network, first.pixels, "e" * 64, first.size)
    assert explainer_of(same_network) is not explainer_of(first)
    assert explainer_of(encoder_of(network(), tmp_path / "b")) is not explainer_of(first)


@pytest.fixture(scope="module")
def model() -> Model:
    return Model.pretrained("efficientnet_lite0")


def test_painting_over_what_counts_costs_more_than_painting_anything(model: Model, produce: Path) -> None:
    """As benchmarks/explain.py measures it over many pairs; here over a few, together."""
    labels = ("Kiwi", "Leek", "Banana", "Orange", "Ginger", "Lemon", "Mango", "Zucchini")
    known = [file for label in labels for file in sorted((produce / "train" / label).iterdir())[:8]]
    embedded, draw, falls = model.embed(known), np.random.default_rng(0), np.zeros(5)
    for label in labels:
        for file in sorted((produce / "validation" / label).iterdir())[:2]:
            place = int((embedded @ model.embed(file)[0]).argmax())
            made = model.explain(file, known[place])
            picture = read_any(file, model.encoder.pixels)
            chosen = [np.argsort(made.regions[0], axis=None)[::-1][:10]]
            chosen += [draw.permutation(49)[:10] for _ in range(4)]
            pictures = np.stack([picture] * 5)
            for painted, cells in zip(pictures, chosen, strict=True):
                for cell in cells.tolist():
                    painted[covered(divmod(cell, 7), (7, 7), picture.shape)] = 128
            falls += made.similarity - model.encoder.embed_arrays(pictures) @ embedded[place]
    assert falls[0] > 1.1 * falls[1:].mean()


def test_files_parts_of_them_and_errors(model: Model, produce: Path) -> None:
    file, other = sorted((produce / "train" / "Kiwi").iterdir())[:2]
    made = model.explain(str(file), other, box=(0, 0, 100, 100))
    assert (made.image, made.other) == (str(file), str(other))
    assert made.pictures is not None
    np.testing.assert_array_equal(made.pictures[0], read_any(file, model.encoder.pixels, (0, 0, 100, 100)))
    with pytest.raises(ImageError, match=r"gone.jpg: cannot be read"):
        model.explain(file, "gone.jpg")
