"""Pictures that tests make: gradients, noise, bands of colour, and their bytes in any format."""

from io import BytesIO

import numpy as np
from PIL import Image

from lookalike.data.pixels import PixelSettings

SMALL = PixelSettings(16, 16)
RED, GREEN, BLUE = (255, 0, 0), (0, 255, 0), (0, 0, 255)


def encoded(image: Image.Image, form: str = "PNG", **options: object) -> bytes:
    """The bytes of a file; `next` gives it a second frame."""
    following = options.pop("next", None)
    if following is not None:
        options |= {"save_all": True, "append_images": [following]}
    stream = BytesIO()
    image.save(stream, form, **options)
    return stream.getvalue()


def smooth(width: int = 64, height: int = 48) -> Image.Image:
    """A gradient with a different colour in every corner."""
    across, down = np.meshgrid(np.linspace(0, 1, width), np.linspace(0, 1, height))
    return Image.fromarray((255 * np.stack([across, down, (across + 1 - down) / 2], axis=2)).astype(np.uint8))


def noise(width: int = 64, height: int = 48, seed: int = 0) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8))


def bands(*colors: tuple[int, int, int], size: int = 30) -> np.ndarray:
    """Squares side by side."""
    return np.repeat(np.array([colors], np.uint8), size, axis=0).repeat(size, axis=1)


def checkerboard(height: int, width: int) -> np.ndarray:
    board = (np.indices((height, width)).sum(axis=0) % 2 * 255).astype(np.uint8)
    return np.repeat(board[..., None], 3, axis=2)


JPEG, PNG = encoded(noise(), "JPEG"), encoded(noise(), "PNG")
