"""Every kind of damage is named; a gallery that only changed is whole."""

import hashlib
import json
import random
from pathlib import Path

import numpy as np
import pytest

from image_folders import files_of
from lookalike import Gallery
from lookalike.errors import LookalikeError
from lookalike.gallery.rows import StoreError
from lookalike.gallery.vector_file import VectorFile
from lookalike.gallery.verification import Verification
from lookalike.terminal import counted


def vector_file(gallery: Gallery) -> VectorFile:
    """The flat file of all its images, written."""
    beside = VectorFile(gallery.path / "gallery.vectors", gallery._store.about["gallery"], 16)
    references, numbers = gallery.enrolled()
    with beside.begun() as handle:
        beside.fill(handle, numbers, references.embeddings)
        beside.put(handle, len(numbers))
    return beside


def test_a_whole_gallery(gallery: Gallery) -> None:
    gallery.remove(image=7)
    verification = gallery.verify()
    assert verification
    assert verification == Verification(50, ())
    assert str(verification) == "50 images, removed ones too: every checksum is right"


@pytest.mark.parametrize(
    ("statement", "problems"),
    [
        ("DELETE FROM vectors WHERE image = 7", ["image 7: its embedding is missing"]),
        ("UPDATE vectors SET embedding = x'00' WHERE image = 7", ["image 7: its embedding is not as it was enrolled"]),
        (
            "UPDATE vectors SET embedding = (SELECT embedding FROM vectors WHERE image = 8) WHERE image = 7",
            ["image 7: its embedding is not as it was enrolled"],
        ),
        ("DELETE FROM thumbnails WHERE image IN (3, 4)", [f"image {n}: its picture is missing" for n in (3, 4)]),
        ("UPDATE thumbnails SET jpeg = x'ffd8' WHERE image = 3", ["image 3: its picture is not as it was enrolled"]),
        ("UPDATE images SET label = ' ' WHERE id = 50", ["image 50: its label is empty"]),
        ("INSERT INTO vectors VALUES (99, x'00')", ["1 row of vectors belongs to no image"]),
        ("INSERT INTO thumbnails VALUES (98, x'00'), (99, x'00')", ["2 rows of thumbnails belong to no image"]),
        ("INSERT INTO extras VALUES (99, 'a', '1')", ["1 row of extras belongs to no image"]),
        ("INSERT INTO events VALUES (1, 99, NULL, 'a')", ["1 row of events belongs to no image"]),
        ("INSERT INTO events VALUES (9, 1, 'a', 'b')", ["1 event belongs to no change"]),
        ("UPDATE about SET value = '49' WHERE name = 'last_image'", ["last_image is 49, but there is 50"]),
        ("UPDATE about SET value = '0' WHERE name = 'last_change'", ["last_change is 0, but there is 1"]),
    ],
)
def test_damage_is_named(gallery: Gallery, statement: str, problems: list[str]) -> None:
    gallery._store._connection.execute(statement)
    verification = gallery.verify()
    assert not verification
    assert list(verification.problems) == problems
    said = str(verification).splitlines()
    assert said[: 1 + len(problems)] == [f"50 images, removed ones too: {counted(len(problems), 'problem')}", *problems]
    images = [int(text.split()[1].rstrip(":")) for text in problems if text.startswith("image ")]
    assert verification.damaged == tuple(images)
    advice = (
        f"or gallery remove image=[{','.join(map(str, images))}] takes what is damaged out of the search, gallery for"
    )
    assert advice in said[-1] if images else len(said) == 1 + len(problems)


def test_an_embedding_of_another_length_is_named(gallery: Gallery) -> None:
    """With the right checksum, as a program of its own may have written it."""
    from lookalike.gallery.rows import digest

    double = (gallery.references.embeddings[6] * 2).tobytes()
    connection = gallery._store._connection
    connection.execute("UPDATE vectors SET embedding = ? WHERE image = 7", (double,))
    connection.execute("UPDATE images SET vector = ? WHERE id = 7", (digest(double),))
    assert gallery.verify().problems == ("image 7: its embedding is not of unit length",)


def test_the_flat_file_is_compared_too(gallery: Gallery) -> None:
    beside = vector_file(gallery)
    assert gallery.verify()
    with beside.file.open("r+b") as handle:
        handle.seek(-64, 2)
        handle.write(np.ones(16, "<f4").tobytes())
    assert gallery.verify().problems == (
        "gallery.vectors: 1 embeddings are not those of gallery.sqlite: delete it, it is made again",
    )
    beside.file.unlink()
    assert gallery.verify()


def test_damage_is_named_also_where_the_flat_file_has_the_embedding(gallery: Gallery) -> None:
    vector_file(gallery)
    gallery._store._connection.execute("DELETE FROM vectors WHERE image = 7")
    gallery._store._connection.execute("UPDATE vectors SET embedding = x'00' WHERE image = 8")
    assert gallery.verify().problems == (
        "image 7: its embedding is missing",
        "image 8: its embedding is not as it was enrolled",
    )


def test_pages_of_the_file_that_are_damaged_are_told(gallery: Gallery) -> None:
    gallery.close()
    file = gallery.path / "gallery.sqlite"
    content = bytearray(file.read_bytes())
    content[-8192:] = b"\xaa" * 8192
    file.write_bytes(content)
    with Gallery.open(gallery.path) as opened:
        try:
            said = str(opened.verify())
        except LookalikeError as error:
            said = str(error)
    assert "every checksum is right" not in said
    assert "gallery.sqlite" in said or "problems" in said


@pytest.mark.parametrize("seed", range(4))
def test_after_any_changes_it_is_whole(gallery: Gallery, digits: Path, seed: int) -> None:
    rng = random.Random(seed)
    files = files_of(digits, "test/*/*.png")
    vectors = gallery.references.embeddings.copy()
    if seed % 2:
        vector_file(gallery)
    done = set()
    for _ in range(60):
        labels, (_, numbers) = list(gallery.labels), gallery.enrolled()
        action = rng.choice(("add", "embeddings", "rename", "merge", "move", "remove", "undo", "forget", "compact"))
        try:
            if action == "add" and rng.random() < 0.2:
                gallery.add(rng.sample(files, 2), "new", keep_copies=True, columns={"turn": rng.randrange(9)})
            elif action == "embeddings":
                chosen = rng.sample(range(len(vectors)), 3)
                gallery.add_embeddings(vectors[chosen], "by embedding", keep_copies=True, camera=rng.randrange(3))
            elif action == "rename":
                gallery.rename(rng.choice(labels), f"label {rng.randrange(99)}")
            elif action == "merge":
                gallery.merge(rng.sample(labels, 2), rng.choice(labels))
            elif action == "move":
                gallery.move(rng.sample(numbers.tolist(), 2), rng.choice(labels))
            elif action == "remove":
                gallery.remove(image=rng.sample(numbers.tolist(), 2))
            elif action == "undo":
                gallery.undo(rng.randint(2, max(2, gallery.log(1)[0].number)))  # 1 enrolled all
            elif action == "forget":
                gallery.forget(image=rng.choice(numbers.tolist()))
            elif action == "compact":
                gallery.compact()
        except LookalikeError:
            continue  # a name that is there, an undo that something stands in the way of
        except ValueError:
            assert action in ("merge", "move", "remove")  # fewer than two to draw from
            continue
        done.add(action)
    assert len(done) >= 7
    assert gallery.verify(), str(gallery.verify())
    gallery.close()
    with Gallery.open(gallery.path) as again:
        assert again.verify(), str(again.verify())


def test_a_damaged_embedding_is_named_and_can_be_taken_out(gallery: Gallery, digits: Path) -> None:
    spoilt = np.full(16, np.nan, "<f4").tobytes()
    gallery._store._connection.execute("UPDATE vectors SET embedding = ? WHERE image = 7", (spoilt,))
    again = Gallery.open(gallery.path)
    named = r"gallery\.sqlite: damaged, the embedding of image 7 \(.*\.png\) is not as it was enrolled: lookalike gal"
    for ask in (lambda: len(again), lambda: again.predict(digits / "test"), lambda: again.at(1).labels):
        with pytest.raises(StoreError, match=named):
            ask()
    assert again.verify().damaged == (7,)
    assert again.remove(image=7) == 1
    assert len(again.predict(digits / "test", k=1)) == 20


def test_a_damaged_network_is_found(gallery: Gallery) -> None:
    folder = gallery.path / "model"
    folder.mkdir()
    for name in ("model.xml", "model.bin"):
        (folder / name).write_bytes(name.encode())
    digests = {name: hashlib.sha256(name.encode()).hexdigest() for name in ("model.xml", "model.bin")}
    (folder / "network.json").write_text(json.dumps({"files": digests}))
    assert gallery.verify()
    (folder / "model.bin").write_bytes(b"junk")
    verification = gallery.verify()
    assert (verification.problems, verification.network) == (("model/model.bin: its checksum is wrong",), True)
    assert str(verification).splitlines()[-1] == "bring back the folder of the network from a backup of the gallery"
    (folder / "model.bin").unlink()
    assert gallery.verify().problems == ("model/model.bin: is missing",)
    (folder / "network.json").write_text("{")
    assert gallery.verify().problems[0].startswith("model/network.json: cannot be read (")
