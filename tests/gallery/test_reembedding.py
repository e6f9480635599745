"""A gallery moves to another model in one change, by the files it was made from or by the pictures that it keeps."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from lookalike import Gallery, Model
from lookalike.data.pixels import PixelSettings
from lookalike.gallery.rows import StoreError
from lookalike.inference.encoder import Encoder
from lookalike.inference.references import GalleryError

from .conftest import Place


class Patches:
    """Mean brightness of 3 x 3 fields, as a unit vector: a network that needs no training."""

    batch = 4

    def __call__(self, images: np.ndarray) -> np.ndarray:
        fields = images.astype(np.float32).mean(3).reshape(len(images), 3, 8, 3, 8).mean((2, 4)).reshape(-1, 9) + 1
        return (fields / np.linalg.norm(fields, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture
def another() -> SimpleNamespace:
    return SimpleNamespace(encoder=Encoder(Patches(), PixelSettings(24, 24, "stretch"), "e" * 64, 9))


def test_every_image_has_the_new_embedding_of_its_file(
    gallery: Gallery, another: SimpleNamespace, digits: Path
) -> None:
    gallery.remove(label="digit 1")
    files = [Path(path) for path in gallery.references.paths]
    labels = gallery.labels
    done = gallery.reembed(another, note="a better one")
    assert (done.images, done.from_pictures, done.change) == (50, 0, 3)
    assert str(done) == "50 images embedded anew; change 3"
    assert gallery.labels == labels
    np.testing.assert_array_equal(gallery.references.embeddings, another.encoder.embed(files))
    assert gallery.verify()
    query = next((digits / "test" / "digit 2").glob("*.png"))
    near, _ = gallery.search(another.encoder.embed([query]), 3)
    expected = np.argsort(-(another.encoder.embed([query]) @ gallery.references.embeddings.T), kind="stable")[0, :3]
    assert [gallery.references.paths[row] for row in expected] == [
        gallery.references.paths[list(gallery._rows.current()[1]).index(number)] for number in near[0]
    ]
    assert (gallery.log(1)[0].action, gallery.log(1)[0].note) == ("reembed", "a better one")
    assert gallery.undo(2) == 10, "what was removed before has its embedding, too"
    assert gallery.verify()
    assert gallery.references.embeddings.shape == (50, 9)


def test_files_that_are_gone_or_show_something_else_give_way_to_the_pictures(
    model: Model, another: SimpleNamespace, digits: Path, tmp_path: Path
) -> None:
    files = []
    for number, source in enumerate(sorted((digits / "train" / "digit 0").glob("*.png"))[:4]):
        files.append(tmp_path / f"{number}.png")
        files[-1].write_bytes(source.read_bytes())
    gallery = Gallery.create(tmp_path / "g", model)
    gallery.add(files, labels="zero", boxes=[None, None, None, (0, 0, 5, 5)])
    pictures = [bytes(picture) for picture in gallery.references.thumbnails or []]
    files[1].unlink()
    files[2].write_bytes(next((digits / "train" / "digit 3").glob("*.png")).read_bytes())
    done = gallery.reembed(another)
    assert (done.images, done.from_pictures) == (4, 2)
    assert (
        str(done)
        == "4 images embedded anew, 2 of them by their small pictures, as their files are not as they were; change 2"
    )
    expected = another.encoder.embed(
        [files[0], pictures[1], pictures[2], files[3]], [None, None, None, (0.0, 0.0, 5.0, 5.0)]
    )
    np.testing.assert_array_equal(gallery.references.embeddings, expected)


def test_what_cannot_be_embedded_anew_is_named_and_nothing_changes(
    gallery: Gallery, another: SimpleNamespace, model: Model
) -> None:
    gallery.add_embeddings(np.eye(16, dtype=np.float32)[:2], "vector")
    before = gallery.references.embeddings.copy()
    with pytest.raises(GalleryError, match=r"(?s)2 images have neither their file nor a picture.*image 51 from"):
        gallery.reembed(another)
    np.testing.assert_array_equal(gallery.references.embeddings, before)
    with pytest.raises(GalleryError, match="has this model already: give another"):
        gallery.reembed(model)
    assert [change.action for change in gallery.log()] == ["add", "add"]
    assert gallery.verify()


def test_others_are_told_to_open_it_again(place: Place, model: Model, another: SimpleNamespace, digits: Path) -> None:
    """In every kind of store; what others enrol meanwhile is embedded, too."""
    with Gallery.create(place.text, model) as gallery:
        gallery.add(digits / "train" / "digit 0")
        with Gallery.open(place.text, model) as other:
            other.search(other.references.embeddings[:1], 3)
            late = []

            def progress(done: int) -> None:
                if not late:
                    late.append(other.add(next((digits / "train" / "digit 1").glob("*.png"))))

            assert gallery.reembed(another, progress=progress).images == 11
            for ask in (
                lambda: len(other),
                lambda: other.add(next((digits / "train" / "digit 2").glob("*.png"))),
                lambda: other.rename("digit 0", "zero"),
            ):
                with pytest.raises(
                    StoreError, match="another gallery is there now, or it has another model: run the command again"
                ):
                    ask()
        assert gallery.verify()
        with pytest.raises(GalleryError, match="was made by the model eeeeeeeeeeee, the query by"):
            Gallery.open(place.text, model)
        with Gallery.open(place.text, another) as again:
            assert again.labels == {"digit 0": 10, "digit 1": 1}
            np.testing.assert_array_equal(again.references.embeddings, gallery.references.embeddings)


def test_a_network_without_a_bundle_goes_along(gallery: Gallery, digits: Path) -> None:
    untrained = Model.pretrained("efficientnet_lite0")
    gallery.remove(label="digit 1")
    gallery.reembed(untrained)
    gallery.close()
    with Gallery.open(gallery.path) as again:
        query = next((digits / "test" / "digit 2").glob("*.png"))
        assert again.predict(query).label in again.labels
        assert (gallery.path / f"model-{untrained.encoder.fingerprint[:12]}" / "network.json").is_file()


class Kept(SimpleNamespace):
    """A model without a bundle, whose network a gallery keeps."""

    def keep_network(self, folder: Path) -> bool:
        folder.mkdir(exist_ok=True)
        for name in ("model.xml", "model.bin", "network.json"):
            (folder / name).write_bytes(b"x" * 1000)
        return True


def test_the_network_of_an_earlier_model_is_discarded_when_a_gallery_is_compacted(
    digits: Path, tmp_path: Path, another: SimpleNamespace
) -> None:
    first = Kept(encoder=Encoder(Patches(), PixelSettings(24, 24, "crop"), "d" * 64, 9))
    gallery = Gallery.create(tmp_path / "shop", first)
    gallery.add(digits / "test")
    gallery.compact()
    assert (tmp_path / "shop" / "model").is_dir(), "its network is needed"
    gallery.reembed(Kept(encoder=another.encoder))
    mine = tmp_path / "shop" / "model-0123456789ab"
    mine.mkdir()
    (mine / "photo.jpg").write_bytes(b"mine")
    now = tmp_path / "shop" / f"model-{'e' * 12}"
    assert (tmp_path / "shop" / "model").is_dir()
    assert gallery.compact() >= 3000
    assert not (tmp_path / "shop" / "model").exists()
    assert sorted(path.name for path in tmp_path.glob("shop/model*")) == [mine.name, now.name]
    assert (now / "network.json").is_file()


def test_a_network_is_not_discarded_while_a_gallery_is_moved_to_it(
    digits: Path, tmp_path: Path, another: SimpleNamespace
) -> None:
    first = Kept(encoder=Encoder(Patches(), PixelSettings(24, 24, "crop"), "d" * 64, 9))
    gallery = Gallery.create(tmp_path / "shop", first)
    gallery.add(digits / "test")
    new = tmp_path / "shop" / f"model-{'e' * 12}"
    seen: list[bool] = []

    def beside(_: int) -> None:
        with Gallery.open(tmp_path / "shop", first) as other:
            other.compact()
        seen.append(new.is_dir())

    gallery.reembed(Kept(encoder=another.encoder), progress=beside)
    assert seen == [True]
    assert new.is_dir()
