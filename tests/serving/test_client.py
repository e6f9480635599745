"""A client of a service does what its gallery does: one script over both, every result compared."""

import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from lookalike import Client, Gallery, LookalikeError, Model, Prediction, Predictions, ServiceError
from lookalike.data.images import ImageError
from lookalike.inference.references import GalleryError
from services import Running, running, write_tokens

Either = Gallery | Client
OWN = {"created", "bundle", "time", "query", "thumbnail", "days", "kept"}  # what differs between two galleries
PLACES = {"path", "source", "image"}  # a service keeps the name of a file, without its folders


def plain(value: Any, place: str = "") -> Any:
    """A result without what differs between any two galleries."""
    if isinstance(value, np.ndarray):
        return value.dtype.name, value.tolist()
    if isinstance(value, Predictions | Prediction):
        value = value.to_dict()
    if is_dataclass(value) and not isinstance(value, type):
        value = {field.name: getattr(value, field.name) for field in fields(value)}
    if isinstance(value, dict):
        return {name: plain(part, name) for name, part in value.items() if name not in OWN}
    if isinstance(value, list | tuple):
        return [plain(part, place) for part in value]
    return Path(value).name if place in PLACES and isinstance(value, str) else value


def result_of(done: Callable[[Either], Any], gallery: Either, path: Path) -> Any:
    try:
        return plain(done(gallery))
    except LookalikeError as error:
        if isinstance(error, ServiceError) and error.code == "options":
            return "refused", "options"
        text = str(error).replace(str(path), "<gallery>").replace("\n  ", " ")
        text = re.sub(r"/tmp/[^:]*/", "", text)
        return "refused", re.sub(r"(^|is not in )(shop|<gallery>)(?=:|$)", r"\1<gallery>", text)


def noted(function: Callable[..., Any], *given: Any, **options: Any) -> Any:
    """What is returned, and the errors that were noted."""
    errors: dict[int, str] = {}
    return function(*given, errors=errors, **options), errors


def embedded(gallery: Either, files: list[Path]) -> np.ndarray:
    return gallery.embed(files) if isinstance(gallery, Client) else gallery.model.embed(files)  # type: ignore[attr-defined]


def health(gallery: Either) -> Any:
    return gallery.health()


def script(digits: Path, broken: Path) -> list[Callable[[Either], Any]]:
    """Every verb, used rightly and wrongly."""
    test = sorted((digits / "test").rglob("*.png"))
    array = np.asarray(Image.open(test[3]).convert("RGB")).repeat(3, axis=0).repeat(3, axis=1)
    see_through = np.dstack([array, array[:, :, :1]])
    return [
        lambda g: (len(g), g.labels, g.name, g.version, g.last_change),
        lambda g: g.predict(test[0], 3),
        lambda g: g.predict(test),
        lambda g: g.predict(digits / "test" / "digit 2", k=1),
        lambda g: g.predict([str(test[1]), test[2].read_bytes(), array, see_through, Image.open(test[4])], 7),
        lambda g: g.predict([*test, broken, digits / "gone.png"], threshold=0.9),
        lambda g: g.predict(test, false_accept_rate=0.3),
        lambda g: g.predict(test, where={"label": ["digit 1", "digit 2"]}, k=40),
        lambda g: g.predict(test, unless={"label": "digit 1"}),
        lambda g: g.predict(test, where={"label": "digit 9"}),
        lambda g: g.predict(test, where={"colour": "red"}),
        lambda g: g.predict(test, k=0) if isinstance(g, Gallery) else None,
        lambda g: embedded(g, test[:5]),
        lambda g: g.search(embedded(g, test[:5]), 4),
        lambda g: g.search(embedded(g, test[:5]), 400, where={"label": "digit 0"}),
        lambda g: g.search(np.zeros((0, 16), np.float32), 3),
        lambda g: g.neighbours(embedded(g, test[:2]).astype(np.float64), 2),
        lambda g: g.search(np.zeros((1, 15), np.float32), 3),
        lambda g: g.search(np.zeros((1, 16), np.float32), 0),
        lambda g: g.add(
            test[:4], "new digits", camera=[1, None, 2, 2], columns={"shelf": "B3", "day": [1, 2, None, 4]}
        ),
        lambda g: g.last_change,
        lambda g: g.images("new digits"),
        lambda g: g.predict(test[5:7], where={"shelf": "B3", "camera": 2}),
        lambda g: g.predict(test[5:7], where={"day": (1, np.int64(2))}),
        lambda g: [g.thumbnail(number) for number in (1, 51, 54, 10**9)],
        lambda g: g.add(test[:6], "new digits", note="again, and two more"),
        lambda g: g.add(test[:2], "other digits"),
        lambda g: g.add(test[:2], "other digits", keep_copies=True),
        lambda g: g.add([test[8], test[9]], ["digit 8", "digit 9"]),
        lambda g: g.add(digits / "validation"),
        lambda g: g.add([array, see_through], "enlarged"),
        lambda g: noted(g.add, [test[10], broken, test[11]], "with a broken one"),
        lambda g: g.add([test[12], broken], "with a broken one"),
        lambda g: noted(g.add, [broken], "only broken"),
        lambda g: noted(g.add, [broken, broken, digits / "gone.png"], "only broken"),
        lambda g: g.add([test[0]], ["a", "b"]),
        lambda g: g.add([test[0]], " "),
        lambda g: g.add([array]),
        lambda g: g.add(test[13], "x", columns={"label": 3}),
        lambda g: g.add(test[13], "x", camera=1.5),  # type: ignore[arg-type]
        lambda g: (g.add(test[3], "new digits", camera=7, columns={"shelf": "C1"}), g.last_change),
        lambda g: (g.confirm([1, 51]), g.confirm(1), g.last_change),
        lambda g: g.confirm(4000),
        lambda g: g.rename("new digits", "newer digits", note="better"),
        lambda g: g.rename("new digits", "newest"),
        lambda g: g.rename("digit 1", "digit 2"),
        lambda g: (g.merge(["digit 1", "digit 2"], "one or two"), g.last_change),
        lambda g: g.merge([], "x"),
        lambda g: g.move([1, 2], "moved"),
        lambda g: g.move(np.array([3]), "moved"),
        lambda g: g.move(4000, "moved"),
        lambda g: g.move("4", "moved"),  # type: ignore[arg-type]
        lambda g: g.remove(label="moved"),
        lambda g: g.remove(image=[5, 6], note="not digits"),
        lambda g: g.remove(source="image 1"),
        lambda g: g.remove(),
        lambda g: g.remove(label="digit 0", image=7),
        lambda g: g.undo(g.last_change or g.version),
        lambda g: g.undo(10_000),
        lambda g: g.undo(1.5),  # type: ignore[arg-type]
        lambda g: (g.remove(label=["digit 3", "digit 8"]), g.last_change),
        lambda g: g.remove(label=["digit 4", "gone"]),
        lambda g: g.remove(label=[]),
        lambda g: g.forget(image=8),
        lambda g: g.forget(label="digit 0"),
        lambda g: (g.forget(label=["digit 3", "digit 8"]), g.last_change),
        lambda g: g.rename("gone", "x"),
        lambda g: g.last_change,
        lambda g: g.images("no such"),
        lambda g: (len(g), g.labels, g.version),
        lambda g: g.log(),
        lambda g: g.log(2),
        lambda g: g.log(2, before=5),
        lambda g: g.log(before=2),
        lambda g: {label: g.images(label) for label in g.labels},
        lambda g: health(g),
        lambda g: g.predict(test, 5),
    ]


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    file = tmp_path / "broken.png"
    file.write_bytes(b"no image at all")
    return file


@pytest.mark.parametrize("limits", [(), ("max_images=2",), ("max_megabytes=0.3",)])
def test_what_a_gallery_does_its_client_does(
    limits: tuple[str, ...], digit_model: Model, digit_gallery: Gallery, digits: Path, broken: Path, tmp_path: Path
) -> None:
    shutil.copytree(tmp_path / "shop", tmp_path / "a" / "shop")
    shutil.copytree(tmp_path / "shop", tmp_path / "b" / "shop")
    digit_gallery.close()
    split = "max_images=2" in limits  # a change for each request: its own numbers, and parts of what is refused
    own = Gallery.open(tmp_path / "a" / "shop", digit_model)
    with (
        running(Gallery.open(tmp_path / "b" / "shop", digit_model), *limits) as service,
        Client(service.address) as client,
    ):
        for place, done in enumerate(script(digits, broken)[: 19 if split else None]):
            expected = result_of(done, own, tmp_path / "a" / "shop")
            got = result_of(done, client, tmp_path / "b" / "shop")
            if got == ("refused", "options"):  # before it came to the gallery
                assert expected[0] == "refused", place
            elif expected is not None and got is not None:
                assert got == expected, place


def test_a_long_list_is_sent_in_parts(digit_gallery: Gallery, digits: Path, broken: Path) -> None:
    test = sorted((digits / "test").rglob("*.png"))
    expected = digit_gallery.predict([*test, broken])
    with running(digit_gallery, "max_images=3") as service, Client(service.address) as client:
        assert plain(client.predict([*test, broken])) == plain(expected)
        assert len(client.add(test, "test", note="seven times")) == len(test)
        assert [change.note for change in client.log(8)] == [*["seven times"] * 7, ""]
        assert client.last_change == 8
        with pytest.raises(
            ServiceError, match=r"cannot be used.*; images before were added as change 9, which undo tak"
        ):
            client.add([*[file.read_bytes() for file in test[:3]], broken], "once more", keep_copies=True)
        assert client.undo(9) == 3
        with pytest.raises(ImageError, match=r"predict: none of 4 images can be used:\n  .*broken\.png: not an image"):
            client.predict([broken] * 4)


def test_what_it_says_of_itself(client: Client, served: Running) -> None:
    assert repr(client) == f"Client('{served.address.rstrip('/')}')"
    assert bool(Client("http://127.0.0.1:1")), "without asking"
    with pytest.raises(GalleryError, match=r"embeddings: expected finite float32 \[Q, D\], got float32 \[1, 16\]"):
        client.search(np.full((1, 16), np.nan, np.float32))
    with pytest.raises(GalleryError, match=r"where=.*: expected finite numbers"):
        client.predict(b"", where={"day": float("nan")})


def test_rights_of_tokens(digit_gallery: Gallery, digits: Path, tmp_path: Path) -> None:
    read, write = "read-" + "r" * 20, "write-" + "w" * 20
    tokens = write_tokens(tmp_path / "tokens.txt", f"read {read}", f"write {write}")
    with running(digit_gallery, f"tokens={tokens}") as service:
        assert Client(service.address, token=write).rename("digit 1", "one") == 10
        reader = Client(service.address, token=read)
        assert reader.predict(digits / "test" / "digit 1").items[0].label == "one"
        with pytest.raises(ServiceError, match="this token may ask and not change: use a write token") as raised:
            reader.remove(label="one")
        assert (raised.value.status, raised.value.code) == (403, "read_only")
        with pytest.raises(ServiceError, match="asks for a token: the one that was given is not among them"):
            len(Client(service.address, token="x" * 30))


ASKED = """
import sys
for name in "torch fastapi starlette uvicorn openvino faiss prometheus_client python_multipart sklearn".split():
    sys.modules[name] = None  # importing it fails
from lookalike import Client
address, image = sys.argv[1:]
with Client(address) as client:
    assert client.predict(image, 3).label
    assert client.embed(image).shape == (1, 16)
    assert client.search(client.embed(image), 3)[0].shape == (1, 3)
    assert client.add(image, "new") == [51]
    assert client.undo(client.last_change) == 1
    assert len(client) == 50 and client.health().images == 50
print(*sorted({name.partition(".")[0] for name in sys.modules} & {"numba", "pandas", "hydra", "pyarrow"}))
"""


def test_it_needs_no_network_and_no_server(served: Running, digits: Path) -> None:
    file = next((digits / "test").rglob("*.png"))
    command = [sys.executable, "-c", ASKED, served.address, str(file)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stdout) == (0, "\n"), done.stderr


def test_parts_of_images_and_an_index_by_a_client(client: Client, served: Running, digits: Path) -> None:
    gallery = served.service.gallery
    files = sorted((digits / "test").rglob("*.png"))[:3]
    boxes = [(0.0, 0.0, 5.0, 5.0), None, (1.0, 1.0, 7.0, 7.0)]
    made = client.predict(files, 3, boxes=boxes)
    own = gallery.predict_images(files, 3, boxes=boxes)
    assert [item.neighbours for item in made] == [item.neighbours for item in own]
    assert np.allclose(client.embed(files, boxes=boxes), gallery.encoder.embed(files, boxes))
    numbers = client.add(files, "parts", boxes=boxes)
    assert [image.columns.get("box") for image in client.images("parts")] == ["0 0 5 5", None, "1 1 7 7"]
    assert client.images("parts", first=1, most=1)[0].number == numbers[1]
    assert client.index is None
    assert client.search(client.embed(files), 2, index="ivf")[0].shape == (3, 2), "exactly, as it is small"
    assert client.confirm(numbers) == 3
    with pytest.raises(GalleryError, match="boxes: expected one for each of 3 images, got 1: None for a whole image"):
        client.predict(files, boxes=[None])
