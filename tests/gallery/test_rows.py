"""One image as it is enrolled: by which content it is known."""

from lookalike.gallery.rows import OtherLabelError, Row, digest


def test_a_picture_is_known_by_its_thumbnail_or_else_by_its_embedding() -> None:
    row = Row("a", "x.jpg", b"jpeg", b"1234")
    assert (row.picture_digest, row.embedding_digest) == (digest(b"jpeg"), digest(b"1234"))
    assert Row("a", "x.jpg", b"", b"1234").picture_digest == digest(b"1234")
    assert len(digest(b"")) == 16
    assert digest(b"a") != digest(b"b")


def test_images_under_other_labels_are_counted() -> None:
    others = [(Row("a", "x.jpg", b"", b"1234"), "b")]
    error = OtherLabelError(others)
    assert str(error) == "1 images have another label"
    assert error.others == others
