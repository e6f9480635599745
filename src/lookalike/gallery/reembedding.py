"""Another model for a gallery: all images are embedded anew while it is searched, then it switches in one change.

Letters in shapes: N images, D embedding.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from lookalike.errors import listed
from lookalike.gallery.image_facts import in_parts
from lookalike.gallery.originals import is_file, originals
from lookalike.gallery.sql_store import SqlStore
from lookalike.inference.encoder import Encoder
from lookalike.inference.references import GalleryError
from lookalike.terminal import counted

_AT_ONCE = 512  # images embedded between two looks at the store
_TRIES = 20  # others may enrol images all the time


@dataclass(frozen=True)
class Reembedding:
    """What was done.

    Attributes:
        images: How many were embedded, removed ones too.
        from_pictures: How many of them by the small picture that is kept, as the file is gone or shows something else.
        change: The number of the change.
    """

    images: int
    from_pictures: int
    change: int

    def __str__(self) -> str:
        small = f", {self.from_pictures} of them by their small pictures, as their files are not as they were"
        return (
            f"{counted(self.images, 'image')} embedded anew{small if self.from_pictures else ''}; change {self.change}"
        )


def reembed(
    store: SqlStore,
    encoder: Encoder,
    about: dict[str, str],
    note: str = "",
    progress: Callable[[int], None] = lambda done: None,
) -> Reembedding:
    """Embeds every image by another model, removed ones too, and switches the gallery to it.

    The file that an image was enrolled from is used where it still shows the same, else the small picture that is kept.

    Args:
        store: Open.
        encoder: Of the new model.
        about: What the gallery says of it: fingerprint, precision, dimensions, model.
        note: Why, for the history.
        progress: Called with the number of images done since the last call.

    Raises:
        GalleryError: An image has neither, or others enrol images all the time; nothing is changed.
    """
    _need_something(store)
    embeddings: dict[int, np.ndarray] = {}
    small = 0
    for _ in range(_TRIES):
        missing = [image for image in store.all_images() if image not in embeddings]
        for asked in in_parts(missing, _AT_ONCE):
            gone = set(store.missing(asked, removed=True))
            part = [image for image in asked if image not in gone]  # forgotten meanwhile
            if not part:
                continue
            made, by_picture = _embedded(store, encoder, part)
            embeddings.update(zip(part, made, strict=True))
            small += by_picture
            progress(len(part))
        images = np.array(sorted(embeddings), np.int64)
        stacked = np.array([embeddings[image] for image in images.tolist()], np.float32).reshape(-1, encoder.size)
        change = store.switch_model(about, images, stacked, note)
        if change is not None:
            return Reembedding(len(images), small, change)
    raise GalleryError(f"{store.name}: others enrol images all the time: try again when they are done")


def _embedded(store: SqlStore, encoder: Encoder, images: list[int]) -> tuple[np.ndarray, int]:
    """float32 [N, D], and for how many the small picture was used."""
    kept = originals(store, images)
    embeddings = encoder.embed([original.image for original in kept], [original.box for original in kept])
    return embeddings, sum(original.small for original in kept)


def _need_something(store: SqlStore) -> None:
    """Refuses images of which neither the file nor a picture is there, before hours of work."""
    nothing: list[str] = []
    for part in in_parts(store.all_images(), _AT_ONCE):
        for image, source, pictured in zip(part, store.sources(part), store.pictured(part), strict=True):
            if not pictured and not is_file(source):
                nothing.append(f"image {image} from {source}")
    if nothing:
        raise GalleryError(
            f"{store.name}: {len(nothing)} images have neither their file nor a picture, so they cannot be embedded "
            f"anew: forget them first, or bring the files back:\n  {listed(nothing)}"
        )
