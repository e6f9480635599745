"""A neighbour as an object; the pictures and the JSON of whole predictions are in test_predict.py."""

from pathlib import Path

import numpy as np
import pytest

from lookalike import LookalikeError, Model, Neighbour


def test_json_has_its_number_and_its_explanation_only_where_there_is_one(bundle_path: Path, digits: Path) -> None:
    plain = Neighbour(1, "digit 3", "a.png", 0.5)
    assert list(plain.to_dict()) == ["rank", "label", "source", "similarity"]
    files = sorted((digits / "test" / "digit 3").iterdir())[:2]
    explanation = Model.load(bundle_path).explain(*files)
    whole = Neighbour(1, "digit 3", "a.png", 0.5, number=7, explanation=explanation)
    again = Neighbour.from_dict(whole.to_dict())
    assert again == whole
    assert again.explanation is not None
    assert again.explanation.to_dict() == explanation.to_dict()
    assert again.heat(1) is None
    assert again.cell(None).image == Path("a.png")
    heat = whole.heat(1)
    assert heat is not None
    np.testing.assert_array_equal(np.asarray(whole.cell("digit 3").image), heat)
    assert whole.cell("digit 3").right is True
    values = whole.to_dict()
    del values["explanation"]["method"]
    with pytest.raises(LookalikeError, match=r"Neighbour.from_dict: explanation.method: Field required"):
        Neighbour.from_dict(values)
