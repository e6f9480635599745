"""A fact of the network is given, else saved, else as its project has it."""

from pathlib import Path

import pytest

from lookalike.errors import ModelError
from lookalike.recognition.contents import Contents
from lookalike.recognition.facts import Fact
from lookalike.recognition.given import Given, network_fact, weights_fact, whole

USUAL = {"last_stride": Fact(1, "convention", "theirs")}
SETTINGS = {"last_stride": ("model.last_stride",)}


def test_the_order_of_sources() -> None:
    saved = Contents(Path("a"), {}, saved={"model.last_stride": 2})
    bare = Contents(Path("a"), {})
    assert network_fact("last_stride", bare, SETTINGS, USUAL, Given()) == USUAL["last_stride"]
    of_file = network_fact("last_stride", saved, SETTINGS, USUAL, Given())
    assert of_file == Fact(2, "saved settings", "model.last_stride in the file")
    assert network_fact("last_stride", saved, SETTINGS, USUAL, Given({"last_stride": 1})) == Fact(
        1, "given", "model.last_stride"
    )
    assert network_fact("pooling", saved, SETTINGS, USUAL, Given()) is None


def test_a_saved_stride_that_is_none_is_refused() -> None:
    saved = Contents(Path("a"), {}, saved={"model.last_stride": "two"})
    with pytest.raises(
        ModelError, match=r"model\.last_stride in the file is two, expected 1 or 2: give model\.last_str"
    ):
        network_fact("last_stride", saved, SETTINGS, USUAL, Given())


def test_the_set_of_weights() -> None:
    contents = Contents(Path("a"), {}, key="state_dict")
    assert weights_fact(contents, Given()) == Fact("state_dict", "shapes", "the network's own")
    assert weights_fact(contents, Given(key="ema")) == Fact("ema", "given", "ckpt_key")
    assert (whole(Fact(2, "given", "")), whole(Fact("own", "given", "")), whole(None)) == (2, None, None)
