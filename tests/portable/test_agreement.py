"""Networks are compared on real images, and refused where they disagree."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lookalike.inference.bundle import Bundle, load_bundle
from lookalike.portable.agreement import compare, in_onnxruntime, in_openvino, real_images
from lookalike.portable.onnx_draft import PortableError


@pytest.fixture(scope="module")
def bundle(bundle_path: Path) -> Bundle:
    return load_bundle(bundle_path)


@pytest.mark.parametrize("count", [1, 2, 5])
def test_the_same_network_agrees(count: int, bundle: Bundle) -> None:
    images, files = real_images(bundle, None)
    check = compare(bundle, in_openvino(bundle.graph), images[:count], files[:count])
    assert check.images == count
    assert check.min_cosine == pytest.approx(1, abs=1e-6)
    assert check.max_difference < 1e-6


def test_another_network_is_refused_with_the_image(bundle: Bundle) -> None:
    images, files = real_images(bundle, None)
    same = in_openvino(bundle.graph)

    def reversed_colours(batch: np.ndarray) -> np.ndarray:
        return same(255 - batch)

    with pytest.raises(PortableError, match=r"expected a cosine of at least 0.9999, found .*\.png: "):
        compare(bundle, reversed_colours, images, files)
    with pytest.raises(PortableError, match=r"expected float32 \[16, 16\], found float64 \[16, 16\]"):
        compare(bundle, lambda batch: same(batch).astype(np.float64), images, files)


def test_images_of_a_folder_stand_in_for_references_that_are_gone(
    bundle: Bundle, bundle_path: Path, digits: Path, tmp_path: Path
) -> None:
    moved = replace(bundle)
    moved.__dict__["references"] = replace(bundle.references, root=tmp_path)
    with pytest.raises(PortableError, match=r"found none where the references of .* say: give images=<folder>"):
        real_images(moved, None)
    given = tmp_path / "given"
    given.mkdir()
    (given / "broken.png").write_bytes(b"no picture")
    with pytest.raises(PortableError, match=r"found none in .*given"):
        real_images(moved, given)
    shutil.copyfile(next((digits / "test").rglob("*.png")), given / "one.png")
    images, files = real_images(moved, given)
    assert images.shape == (1, 32, 32, 3)
    assert [file.name for file in files] == ["one.png"]


def test_what_is_no_model_is_refused() -> None:
    with pytest.raises(PortableError, match="ONNX Runtime cannot run the written network"):
        in_onnxruntime(b"no model")
