"""Which of the images to enrol are enrolled already."""

from collections.abc import Sequence

from lookalike.gallery.rows import Row

# Digest of a picture -> number, label, digest of the embedding and source of the images that show it.
Enrolled = dict[bytes, list[tuple[int, str, bytes, str]]]


def sorted_out(
    rows: Sequence[Row], keys: Sequence[tuple[bytes, bytes]], enrolled: Enrolled
) -> tuple[list[Row], list[int], list[tuple[Row, str]]]:
    """An image is the same when its picture is, and its embedding or its source, too.

    Args:
        rows: To enrol.
        keys: Digests of picture and embedding of each.
        enrolled: What is there; new rows are added to it.

    Returns:
        The rows that are new; for each of `rows` the number of its enrolled image, or minus one minus its place among
        the new ones; and rows whose image is enrolled under another label, with that.
    """
    new: list[Row] = []
    places: list[int] = []
    others: list[tuple[Row, str]] = []
    for row, (picture, vector) in zip(rows, keys, strict=True):
        same = [
            (image, label)
            for image, label, its_vector, source in enrolled.get(picture, ())
            if its_vector == vector or source == row.source
        ]
        mine = [image for image, label in same if label == row.label]
        if same and not mine:
            others.append((row, same[0][1]))
            continue
        if not mine:
            mine = [-1 - len(new)]
            enrolled.setdefault(picture, []).append((mine[0], row.label, vector, row.source))
            new.append(row)
        places.append(mine[0])
    return new, places, others
