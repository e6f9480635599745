import json
import os
import pickle
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest

from lookalike.inference.references import GalleryError, References, load_references


def exact(rng: np.random.Generator, count: int) -> np.ndarray:
    """Unit vectors of eight values, four of them 0.5 or -0.5: every cosine is exact and ties abound."""
    return (rng.choice([-0.5, 0.5], (count, 8)) * (rng.random((count, 8)).argsort(1) < 4)).astype(np.float32)


def copies(rng: np.random.Generator, count: int) -> np.ndarray:
    rows = rng.standard_normal((5, 13)).astype(np.float32)
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True))[rng.integers(0, 5, count)]


def gallery(embeddings: np.ndarray, **changed) -> References:
    count = len(embeddings)
    values = {
        "labels": [f"label {row % 7}" for row in range(count)],
        "paths": [f"{row}.jpg" for row in range(count)],
        "root": Path("/photos"),
        "fingerprint": "f" * 64,
    }
    return References(embeddings, **{**values, **changed})


@pytest.mark.parametrize("made", [exact, copies])
@pytest.mark.parametrize("count", [1, 2, 9, 200])
def test_order_is_similarity_then_row(made, count: int) -> None:
    rng = np.random.default_rng(count)
    references = made(rng, count)
    query = made(rng, 6)
    similarity = np.array([[float(a @ b) for b in references.astype(np.float64)] for a in query.astype(np.float64)])
    expected = np.argsort(-similarity.round(7), axis=1, kind="stable")
    assert count < 9 or len(set(similarity[0].round(7))) < count / 2, "the problem has too few ties"
    searched = gallery(references)
    for k in range(1, count + 1) if count < 10 else (1, 2, 3, 5, 10, 17, 50, 99, 199, 200):
        rows, values = searched.search(query, k, "f" * 64)
        assert (rows.dtype, values.dtype, rows.shape, values.shape) == (np.int64, np.float32, (6, k), (6, k))
        np.testing.assert_array_equal(rows, expected[:, :k])
        np.testing.assert_allclose(values, np.take_along_axis(similarity, rows, 1), atol=1e-6)


def test_all_references_alike_gives_the_first_rows() -> None:
    rows, _ = gallery(np.ones((300, 1), np.float32)).search(np.ones((1, 1), np.float32), 7, "f" * 64)
    assert rows.tolist() == [list(range(7))]


def test_no_query_gives_no_rows() -> None:
    rows, similarity = gallery(np.eye(3, dtype=np.float32)).search(np.zeros((0, 3), np.float32), 2, "f" * 64)
    assert rows.shape == similarity.shape == (0, 2)


AWKWARD = [
    'a,b "c"',
    "two\nlines",
    "carriage\rreturn\r\n",
    "crème brûlée 🍮",
    "",
    " spaces ",
    "'",
    "日本",
    "\udce9",
    "#",
]


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    embeddings = exact(np.random.default_rng(0), len(AWKWARD))
    paths = [f"{label}/x.jpg" for label in AWKWARD]
    before = gallery(embeddings, labels=AWKWARD, paths=paths, root=Path("/bücher/\udcff of,\n'us'"))
    before.save(tmp_path)
    after = load_references(tmp_path)
    assert (after.labels, after.paths, after.root, after.fingerprint) == (AWKWARD, paths, before.root, "f" * 64)
    assert after.embeddings.dtype == np.float32
    np.testing.assert_array_equal(after.embeddings, embeddings)
    assert len(after) == len(AWKWARD)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["embeddings.npy", "gallery.json", "rows.csv"]
    for mine, theirs in zip(before.search(embeddings, 3, "f" * 64), after.search(embeddings, 3, "f" * 64), strict=True):
        np.testing.assert_array_equal(mine, theirs)


def test_paths_are_relative_to_the_root_or_absolute() -> None:
    mixed = gallery(np.eye(2, dtype=np.float32), paths=["a b/1.jpg", "/elsewhere/2.jpg"])
    assert [mixed.file(0), mixed.file(1)] == [Path("/photos/a b/1.jpg"), Path("/elsewhere/2.jpg")]


@pytest.mark.parametrize(
    ("query", "k", "fingerprint", "message"),
    [
        (
            np.eye(3),
            1,
            "e" * 64,
            f"made by the model {'f' * 12}, the query by {'e' * 12}: .*use the model that made the gallery",
        ),
        (np.eye(3), 0, "f" * 64, "k=0: expected 1 to 3, the number of images in the gallery"),
        (np.eye(3), 4, "f" * 64, "k=4: expected 1 to 3"),
        (np.eye(3), -1, "f" * 64, "k=-1: expected 1 to 3"),
        (np.eye(2), 1, "f" * 64, r"expected finite values \[Q, 3\], got \(2, 2\)"),
        (np.full((1, 3), 1e300), 1, "f" * 64, "with 3 that are not finite: check the weights"),
        (np.full((1, 3), np.nan), 1, "f" * 64, "with 3 that are not finite: check the weights"),
    ],
)
def test_a_search_that_has_no_answer_is_refused(query: np.ndarray, k: int, fingerprint: str, message: str) -> None:
    with pytest.raises(GalleryError, match=message):
        gallery(np.eye(3, dtype=np.float32)).search(query, k, fingerprint)


@pytest.mark.parametrize("part", ["labels", "paths"])
def test_one_label_and_one_path_per_embedding(part: str) -> None:
    with pytest.raises(GalleryError, match="one label and one path per embedding expected, got 2 embeddings"):
        gallery(np.eye(2, dtype=np.float32), **{part: ["only one"]})


class Trap:
    """Writes a file when it is unpickled."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self):
        return os.mkdir, (str(self.file),)


def test_no_pickle_is_ever_run(tmp_path: Path) -> None:
    gallery(np.eye(2, dtype=np.float32)).save(tmp_path)
    sprung = tmp_path / "sprung"
    np.save(tmp_path / "embeddings.npy", np.array([Trap(sprung), 1], dtype=object), allow_pickle=True)
    with pytest.raises(GalleryError, match=r"not a readable gallery .*allow_pickle=False"):
        load_references(tmp_path)
    (tmp_path / "embeddings.npy").write_bytes(pickle.dumps(Trap(sprung)))
    with pytest.raises(GalleryError, match="not a readable gallery"):
        load_references(tmp_path)
    assert not sprung.exists()
    pickle.loads(pickle.dumps(Trap(sprung)))
    assert sprung.exists(), "the trap itself does not work"


def npz(file: Path) -> None:
    with file.open("wb") as handle:
        np.savez(handle, a=np.eye(2), b=np.eye(2))


def shorten(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-3])


DAMAGES = {
    "no embeddings": ("embeddings.npy", Path.unlink, "No such file"),
    "truncated": ("embeddings.npy", shorten, "not a readable gallery"),
    "empty file": ("embeddings.npy", lambda file: file.write_bytes(b""), "not a readable gallery"),
    "archive": ("embeddings.npy", npz, r"holds no float32 \[R, D\]"),
    "one dimension": ("embeddings.npy", lambda file: np.save(file, np.ones(2, np.float32)), r"no float32 \[R, D\]"),
    "another type": ("embeddings.npy", lambda file: np.save(file, np.eye(2)), r"no float32 \[R, D\]"),
    "more rows": ("embeddings.npy", lambda file: np.save(file, np.eye(3, dtype=np.float32)), "got 3 embeddings, 2 la"),
    "no rows": ("rows.csv", Path.unlink, "No such file"),
    "one column": ("rows.csv", lambda file: file.write_text("label\na\nb\n"), "not a readable gallery"),
    "endless field": ("rows.csv", lambda file: file.write_text("label,path\n" + "x" * 200_000), "field larger"),
    "no about": ("gallery.json", Path.unlink, "No such file"),
    "half about": ("gallery.json", lambda file: file.write_text('{"schema"'), "not a readable gallery"),
    "list": ("gallery.json", lambda file: file.write_text("[1]"), "not a readable gallery"),
    "no fingerprint": ("gallery.json", lambda file: file.write_text('{"schema": 1, "root": "."}'), "fingerprint"),
    "newer": ("gallery.json", lambda file: file.write_text('{"schema": 2}'), "schema 2, expected 1"),
}


def flip(file: Path, place: int) -> None:
    content = bytearray(file.read_bytes())
    content[place] ^= 1
    file.write_bytes(content)


def test_a_damaged_name_of_the_checksums_is_noticed(tmp_path: Path) -> None:
    gallery(np.eye(2, dtype=np.float32)).save(tmp_path)
    flip(tmp_path / "gallery.json", (tmp_path / "gallery.json").read_bytes().index(b'files"'))
    with pytest.raises(GalleryError, match=r"gallery\.json: unknown: giles\): write it again with lookalike embed"):
        load_references(tmp_path)


@pytest.mark.parametrize(("name", "place"), [("embeddings.npy", -8), ("rows.csv", 17)])
def test_a_bit_that_is_another_is_noticed(name: str, place: int, tmp_path: Path) -> None:
    """It changes a number by its last digits, or a label by a letter."""
    gallery(np.eye(2, dtype=np.float32)).save(tmp_path)
    flip(tmp_path / name, place)
    with pytest.raises(GalleryError, match=rf"{name}: its checksum is wrong.*write it again with lookalike embed"):
        load_references(tmp_path)


def test_a_folder_of_an_earlier_version_has_no_checksums(tmp_path: Path) -> None:
    gallery(np.eye(2, dtype=np.float32)).save(tmp_path)
    about = json.loads((tmp_path / "gallery.json").read_text())
    del about["files"]
    (tmp_path / "gallery.json").write_text(json.dumps(about))
    flip(tmp_path / "embeddings.npy", -8)
    assert len(load_references(tmp_path)) == 2


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_folder_is_named(damage: str, tmp_path: Path) -> None:
    gallery(np.eye(2, dtype=np.float32)).save(tmp_path)
    assert len(load_references(tmp_path)) == 2
    name, spoil, message = DAMAGES[damage]
    spoil(tmp_path / name)
    with pytest.raises(GalleryError, match=message):
        load_references(tmp_path)


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(GalleryError, match=r"nowhere: not a readable gallery .*lookalike embed"):
        load_references(tmp_path / "nowhere")


def test_the_files_can_be_read_without_lookalike(tmp_path: Path) -> None:
    gallery(np.eye(2, dtype=np.float32)).save(tmp_path)
    assert (tmp_path / "rows.csv").read_text().splitlines() == ["label,path", "label 0,0.jpg", "label 1,1.jpg"]
    about = json.loads((tmp_path / "gallery.json").read_text())
    hashes = {name: sha256((tmp_path / name).read_bytes()).hexdigest() for name in ("embeddings.npy", "rows.csv")}
    assert about.pop("files") == hashes
    assert about == {"schema": 1, "fingerprint": "f" * 64, "precision": "", "root": "/photos"}


def test_references_are_followed_by_others_and_cut_off_again() -> None:
    rng = np.random.default_rng(0)
    first, more = gallery(exact(rng, 5)), exact(rng, 3)
    whole = first.followed_by(more, ["x", "y", "z"], ["x.jpg", "y.jpg", "z.jpg"])
    assert len(whole) == 8
    assert whole.labels == [*first.labels, "x", "y", "z"]
    assert (whole.root, whole.fingerprint, whole.precision) == (first.root, first.fingerprint, first.precision)
    assert np.array_equal(whole.embeddings, np.concatenate([first.embeddings, more]))
    again = whole.first(5)
    assert np.array_equal(again.embeddings, first.embeddings)
    assert (again.labels, again.paths) == (first.labels, first.paths)
    assert len(whole.first(0)) == 0
    with pytest.raises(GalleryError, match=r"got 8 embeddings, 6 labels, 8 paths: write the gallery again"):
        first.followed_by(more, ["x"], ["x.jpg", "y.jpg", "z.jpg"])
