"""By what images are told apart: their picture, or their embedding where there is none."""

from dataclasses import replace

from lookalike.gallery.rows import OtherLabelError, Row, digest


def test_a_row_is_known_by_its_picture_and_by_its_embedding() -> None:
    row = Row("a", "a.jpg", b"jpeg", b"embedding")
    assert (row.picture_digest, row.embedding_digest) == (digest(b"jpeg"), digest(b"embedding"))
    assert replace(row, thumbnail=b"").picture_digest == digest(b"embedding")
    assert replace(row, label="b", source="b.jpg", camera=1).picture_digest == row.picture_digest
    assert (row.camera, row.columns) == (None, ())


def test_digests_are_short_and_differ() -> None:
    assert len({digest(bytes([value])) for value in range(256)}) == 256
    assert {len(digest(b"x" * size)) for size in (0, 1, 10_000)} == {16}


def test_images_under_other_labels_are_counted() -> None:
    error = OtherLabelError([(Row("a", "a.jpg", b"", b""), "b")])
    assert str(error) == "1 images have another label"
    assert error.others[0][1] == "b"
