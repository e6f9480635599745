"""An explanation as an object: its picture, its JSON, its strongest pairs, and what it says where cosines differ."""

import json
from dataclasses import replace

import numpy as np
import pytest

from lookalike import Explanation, LookalikeError
from lookalike.inference.explanation import AGREES, Match, strongest


def made(**facts: object) -> Explanation:
    pairs = np.zeros((2, 2, 2, 3), np.float32)
    pairs[0, 1, 1, 2], pairs[0, 1, 0, 0], pairs[1, 0, 0, 1], pairs[1, 1, 1, 1] = 0.4, 0.3, 0.2, -0.1
    regions = pairs.sum((2, 3)), pairs.sum((0, 1))
    pictures = np.full((40, 60, 3), 90, np.uint8), np.full((40, 60, 3), 200, np.uint8)
    whole = float(pairs.sum()) + 0.05
    explanation = Explanation(
        *("shop/new/a.jpg", "b.jpg", whole, whole, 0.05, "exact"), regions, pairs, strongest(pairs), pictures=pictures
    )
    return replace(explanation, **facts)  # type: ignore[arg-type]


def test_the_strongest_pairs_use_each_region_once() -> None:
    expected = (Match((0, 1), (1, 2), 0.4), Match((1, 0), (0, 1), 0.2))
    found = made().matches
    assert [match[:2] for match in found] == [match[:2] for match in expected], "what takes away is no match"
    assert [match.similarity for match in found] == pytest.approx([0.4, 0.2])
    assert len(strongest(made().pairs, 1)) == 1  # type: ignore[arg-type]


def test_json_holds_all_but_pictures_and_pairs() -> None:
    first = made(reason="it rains", from_small_picture=True, precision="bf16")
    content = json.loads(json.dumps(first.to_dict()))
    again = Explanation.from_dict(content)
    assert again.to_dict() == first.to_dict()
    assert (again.pictures, again.pairs) == (None, None)
    assert again.matches == first.matches
    np.testing.assert_allclose(again.regions[1], first.regions[1], atol=1e-5)
    assert first.without_pictures().to_dict() == first.to_dict()
    with pytest.raises(ValueError, match="read back from JSON has none"):
        again.figure()
    assert again._repr_png_() is None
    with pytest.raises(LookalikeError, match=r"Explanation.from_dict: image_regions: .*rows of one length"):
        Explanation.from_dict({**content, "image_regions": [[0.1], [0.1, 0.2]]})


def test_it_says_why_its_sum_is_another_cosine() -> None:
    assert made().note == ""
    close = made()
    assert replace(close, similarity=close.explained + AGREES / 2).note == ""
    told = made(similarity=0.9, precision="bf16", map_precision="float32").note
    assert told == ("the maps make 0.8500, the similarity is 0.9000: it was computed in bf16, the maps in float32")
    assert made(similarity=0.9, from_small_picture=True).note.endswith("small picture that the gallery keeps")
    assert made(similarity=0.9).note.endswith("an image is not as it was, or was enrolled with a box")


def test_it_is_drawn_and_read_as_a_line() -> None:
    first = made()
    assert str(first) == (
        "shop/new/a.jpg and b.jpg: similarity 0.850; maps of 0.850, of which 0.050 by no region (sum over regions)"
    )
    assert repr(first) == f"Explanation({first})"
    picture = np.asarray(first.figure())
    assert picture.shape[1] > 2 * 300
    assert (picture == (27, 27, 31)).all(2).any(), "numbers of the pairs"
    assert first._repr_png_()
    assert "painted over" in str(made(method="occlusion", constant=0.0))
