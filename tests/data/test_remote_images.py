"""Images of an object store, read when they are asked for; tables and folders are tested where they are embedded."""

import pytest

from lookalike.data.images import ImageError
from lookalike.data.remote_images import RemoteImages, read_remote
from object_store import Store


def test_images_are_read_one_by_one(object_store: Store) -> None:
    object_store.put("a/1.png", b"one")
    images = RemoteImages("s3://bucket/a", ["1.png", "2.png", "s3://bucket/a/1.png", "s3://?/x"])
    assert (len(images), images[0], images[2], images[2:][0]) == (4, b"one", b"one", b"one")
    with pytest.raises(ImageError, match=r"^s3://bucket/a/2\.png: no such object: restore it or remove its row"):
        images[1]
    with pytest.raises(ImageError, match=r"^s3://\?/x: expected the name of a bucket"):
        images[3]


def test_a_folder_is_a_table_with_the_names_of_folders_as_labels(object_store: Store) -> None:
    for name in ("p/b/2.JPG", "p/a/x/1.png", "p/top.webp", "p/a/.hidden.png", "other/3.png"):
        object_store.put(name, b"x")
    rows, start, lost = read_remote({"root": "s3://bucket/p"})
    assert list(zip(rows["path"], rows["label"], strict=True)) == [
        ("a/x/1.png", "x"),
        ("b/2.JPG", "b"),
        ("top.webp", "p"),
    ]
    assert (start, lost) == ("s3://bucket/p", ("s3://bucket/p: 1 file(s) passed over: not an image extension",))
