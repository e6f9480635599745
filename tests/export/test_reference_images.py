"""The images of a bundle's references are found again, and others in their place are noticed."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lookalike.data.images import read_image
from lookalike.data.manifest import Manifest
from lookalike.data.reading import read_manifest
from lookalike.evaluation.embed import embed_protocol
from lookalike.export.nncf_int8 import QuantizeError
from lookalike.export.reference_images import ReferenceImages
from lookalike.inference.bundle import load_bundle
from lookalike.inference.encoder import Encoder, openvino_encoder
from lookalike.inference.references import References


@pytest.fixture(scope="module")
def encoder(bundle_path: Path) -> Encoder:
    return openvino_encoder(load_bundle(bundle_path), "float32")


@pytest.fixture
def references(bundle_path: Path) -> References:
    return load_bundle(bundle_path).references


@pytest.fixture
def moved(digits: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(digits, tmp_path / "moved"))


def test_the_same_data_elsewhere_is_where_they_are_now(references: References, moved: Path, encoder: Encoder) -> None:
    images = ReferenceImages(references, read_manifest(moved))
    assert images.root == moved.resolve() != references.root
    assert images.files == [moved.resolve() / path for path in references.paths]
    images.check(encoder)


def test_other_data_leave_them_where_the_references_say(references: References, moved: Path, encoder: Encoder) -> None:
    next((moved / "train").rglob("*.png")).unlink()
    images = ReferenceImages(references, read_manifest(moved))
    assert images.root == references.root
    images.check(encoder)


def test_images_that_are_gone_damaged_or_others_are_named(
    references: References, moved: Path, encoder: Encoder
) -> None:
    images = ReferenceImages(references, read_manifest(moved))
    first, last = images.files[0], images.files[-1]
    content = first.read_bytes()
    first.unlink()
    with pytest.raises(
        QuantizeError, match=r"its 50 images below .*moved, found 1 that cannot be read \(first: .*: no "
    ):
        images.check(encoder)
    first.write_bytes(content[:40])
    with pytest.raises(QuantizeError, match=r"found 1 that cannot be read .*put them back, or give data\.root="):
        images.check(encoder)
    shutil.copyfile(last, first)
    with pytest.raises(
        QuantizeError, match=r"not the image that is in the bundle's gallery: expected it to be nearest"
    ):
        images.check(encoder)
    first.write_bytes(content)
    images.check(encoder)


def test_images_of_the_protocol_are_not_embedded_twice(
    references: References, digits: Path, bundle_path: Path, encoder: Encoder
) -> None:
    manifest = read_manifest(digits)
    protocol = manifest.protocol("validation")
    _, embeddings = embed_protocol(encoder, manifest, protocol)
    images = ReferenceImages(references, manifest)
    again = images.embed(encoder, protocol, embeddings)
    assert again.embeddings is embeddings
    test = manifest.protocol("test")
    fewer = Manifest(manifest.root, manifest.table[manifest.table["label"] != "digit 4"].reset_index(drop=True))
    others = fewer.protocol("validation")
    whole = ReferenceImages(references, fewer).embed(encoder, others, embeddings[:40])
    assert len(whole) == 50
    assert np.array_equal(whole.embeddings, embeddings)
    assert (again.labels, again.paths, again.root) == (references.labels, references.paths, digits.resolve())
    assert (again.fingerprint, again.precision) == (encoder.fingerprint, "float32")
    assert len(test.references) == 50


def test_boxes_of_the_data_are_cut_again(digits: Path, tmp_path: Path, encoder: Encoder) -> None:
    files = sorted((digits / "train").rglob("*.png"))[::10]
    sheet = np.concatenate([read_image(file) for file in files], axis=1)
    Image.fromarray(sheet).save(tmp_path / "sheet.png")
    lines = [f"sheet.png,{file.parent.name},train,{32 * n},0,{32 * n + 32},32" for n, file in enumerate(files)]
    (tmp_path / "all.csv").write_text("\n".join(["path,label,split,x1,y1,x2,y2", *lines]))
    manifest = read_manifest(tmp_path / "all.csv")
    rows = manifest.gallery_rows
    references = References(
        encoder.embed(files), rows["label"].tolist(), rows["path"].tolist(), tmp_path, encoder.fingerprint
    )
    images = ReferenceImages(references, manifest)
    assert images.boxes[1] == (32.0, 0.0, 64.0, 32.0)
    images.check(encoder)


def test_images_of_validation_that_joined_are_found_again_with_the_others(
    references: References, digits: Path, moved: Path, encoder: Encoder
) -> None:
    manifest = read_manifest(digits)
    rows, protocol = manifest.joining_rows, manifest.protocol("validation")
    queries, answering = embed_protocol(encoder, manifest, protocol)
    more = references.followed_by(queries, rows["label"].tolist(), rows["path"].tolist())
    images = ReferenceImages(more, read_manifest(moved), 20)
    assert (images.root, images.trained, len(images.files)) == (moved.resolve(), 50, 70)
    images.check(encoder)
    again = images.embed(encoder, protocol, answering)
    assert np.array_equal(again.embeddings, np.concatenate([answering, queries]))
    next((moved / "validation").rglob("*.png")).unlink()
    assert ReferenceImages(more, read_manifest(moved), 20).root == references.root
