"""Images of transformers that are scaled and then cut, by what its image processors saved."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from torchvision import transforms
from torchvision.transforms import InterpolationMode

from lookalike.data.pixels import PixelSettings, resize
from lookalike.errors import CheckpointError
from lookalike.recognition.contents import Contents
from lookalike.recognition.facts import Fact
from lookalike.recognition.pixel_facts import pixel_facts
from lookalike.recognition.projects.hugging_face import HUGGING_FACE
from lookalike.recognition.two_steps import scaled_and_cut

NEW = {"size.height": 256, "size.width": 256, "crop_size.height": 224, "crop_size.width": 224, "do_center_crop": True}
OLD = {"size": 256, "crop_size": 224, "do_center_crop": True}


def read(saved: dict[str, Any], **given: Any) -> dict[str, Any]:
    contents = Contents(Path("a"), {}, beside={"preprocessor_config.json": saved})
    theirs = {"interpolation": "bicubic", "height": 224, "width": 224}
    usual = {name: Fact(value, "convention", "theirs") for name, value in theirs.items()}
    facts = pixel_facts(contents, HUGGING_FACE.settings, usual, given, {}, scaled_and_cut(contents, given))
    names = ("height", "width", "resize", "shorter_side", "interpolation")
    return {name: facts[name].value for name in names if name in facts}


@pytest.mark.parametrize(
    ("saved", "resize_and_side"),
    [
        (NEW, ("stretch", 256)),
        ({**OLD, "feature_extractor_type": "DeiTFeatureExtractor"}, ("stretch", 256)),
        ({**OLD, "image_processor_type": "BeitImageProcessorFast"}, ("stretch", 256)),
        ({**OLD, "feature_extractor_type": "CLIPFeatureExtractor"}, ("crop", 256)),
        (OLD, ("crop", 256)),
        ({**OLD, "size": 224}, ("crop", 224)),
        ({**NEW, "size.height": 224, "size.width": 224}, ("stretch", None)),
        ({**NEW, "do_center_crop": False}, ("stretch", None)),
        ({"size.shortest_edge": 256, "crop_size": 224, "do_center_crop": True}, ("crop", 256)),
        ({"size.shortest_edge": 384, "crop_pct": 0.875}, ("stretch", None)),
    ],
)
def test_what_was_saved_is_what_is_done(saved: dict[str, Any], resize_and_side: tuple[str, int | None]) -> None:
    facts = read(saved)
    assert (facts["resize"], facts.get("shorter_side")) == resize_and_side
    PixelSettings.of(facts)


def test_a_size_that_is_given_is_cut_in_proportion() -> None:
    assert read(NEW, height=112, width=112)["shorter_side"] == 128
    assert "shorter_side" not in read(NEW, resize="pad")


@pytest.mark.parametrize(
    ("saved", "reason"),
    [
        (
            {**NEW, "size.height": 128},
            "are scaled to 128 x 256 pixels and cut to 224 x 224, expected a cut of the same",
        ),
        ({**NEW, "size.height": 192, "size.width": 192}, "are scaled to 192 x 192 pixels and cut to 224 x 224"),
        ({**NEW, "size.width": True}, r"size in preprocessor_config\.json is 256 x True, expected 8 to 4096"),
        ({**OLD, "crop_size": "large"}, "is large x large, expected 8 to 4096"),
        ({**OLD, "size": 10**9, "image_processor_type": "ViTImageProcessor"}, "is 1000000000 x 1000000000"),
    ],
)
def test_sizes_that_make_no_sense_are_refused(saved: dict[str, Any], reason: str) -> None:
    contents = Contents(Path("a"), {}, beside={"preprocessor_config.json": saved})
    with pytest.raises(CheckpointError, match=rf"{reason}.*: give pixels\.height, pixels\.width and pixels\.resize"):
        scaled_and_cut(contents, {"height": 224, "width": 224, "resize": None})
    assert scaled_and_cut(contents, {"height": 224, "width": 224, "resize": "crop"}) == {}


def test_an_image_is_stretched_and_cut_as_torchvision_does_it() -> None:
    picture = Image.fromarray(np.random.default_rng(3).integers(0, 256, (61, 83, 3), dtype=np.uint8))
    steps = transforms.Compose(
        [transforms.Resize((80, 40), InterpolationMode.BICUBIC), transforms.CenterCrop((70, 35))]
    )
    ours = resize(np.asarray(picture), PixelSettings(70, 35, "stretch", "bicubic", shorter_side=40))
    assert np.abs(ours.astype(int) - np.asarray(steps(picture)).astype(int)).max() <= 1
    with pytest.raises(ValueError, match=r"shorter_side=30: expected resize=crop or stretch.*at least 35 pixels"):
        PixelSettings(70, 35, "stretch", "bicubic", shorter_side=30)
