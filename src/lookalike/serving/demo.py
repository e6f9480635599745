"""A gallery of example photographs, without training, for `lookalike serve demo=true`."""

from collections import Counter
from pathlib import Path

import pooch

from lookalike.console import progress, say
from lookalike.data.dataset import Dataset
from lookalike.data.example import find_example
from lookalike.files import atomic_folder
from lookalike.gallery.gallery import Gallery
from lookalike.model import Model

_PER_LABEL = 6  # images: enough to vote, and quickly enrolled


def demo_gallery(folder: Path | None = None) -> Path:
    """Makes it where it is not there yet; returns its folder.

    Args:
        folder: New; None for one in the user's cache.

    Raises:
        LookalikeError: The packages of the extra `train`, which has the network's first weights, are missing.
    """
    place = folder or Path(pooch.os_cache("lookalike")) / "demo-gallery"
    if (place / "gallery.sqlite").is_file():
        return place
    model = Model.pretrained("efficientnet_lite0")  # first, as it says what is not installed
    example = find_example(None)
    data = Dataset(str(example.root))
    table = data.manifest.table
    table = table[(table["split"] == "train") & (table["role"] != "query")]
    counts: Counter[str] = Counter()
    paths: list[Path] = []
    labels: list[str] = []
    for path, label in zip(table["path"], table["label"], strict=True):
        counts[label] += 1
        if counts[label] <= _PER_LABEL:
            paths.append(data.manifest.file(path))
            labels.append(label)
    say(f"{place}: making a gallery of {len(paths)} example photographs of {len(counts)} labels, without training")
    with (
        atomic_folder(place, first_wins=True) as whole,  # half a gallery would be served from then on
        Gallery.create(whole, model) as gallery,
        progress("enrolling", len(paths)) as advance,
    ):
        gallery.add(paths, labels, note="example photographs", progress=advance)
    return place
