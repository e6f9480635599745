"""The photographs of a shop, as docs/gallery.md has them: real ones, a few of each product."""

import shutil
from pathlib import Path

PRODUCTS = 40
_NEW, _ODD = "Zucchini", "Watermelon"  # sold from next week on; never enrolled by anybody


def write_shop(produce: Path, folder: Path) -> None:
    """`photos/<product>/` of 40 products, `new/Zucchini/`, and `monday/`: known products and unknown ones.

    Args:
        produce: The shared photographs.
        folder: New.
    """
    products = sorted(place.name for place in (produce / "train").iterdir())
    for product in products[:PRODUCTS]:
        _copy(produce / "train" / product, folder / "photos" / product, 0, 6)
    _copy(produce / "train" / _NEW, folder / "new" / _NEW, 0, 6)
    for product in ("Banana", "Kiwi", "Leek"):
        _copy(produce / "train" / product, folder / "monday", 6, 8)
    _copy(produce / "train" / _ODD, folder / "monday", 0, 5)


def _copy(source: Path, target: Path, first: int, last: int) -> None:
    target.mkdir(parents=True, exist_ok=True)
    for file in sorted(source.iterdir())[first:last]:
        shutil.copyfile(file, target / file.name)
