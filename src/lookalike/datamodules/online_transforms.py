"""Random changes of an image while training: a pure function of the image and the seed.

Letters in shapes: H height, W width.
"""

import random
from functools import partial
from pathlib import Path

import albumentations as A  # noqa: N812 - the name its own pages use
import numpy as np

from lookalike.data.images import read_image
from lookalike.data.orientation import Region
from lookalike.data.pixels import PixelSettings


class OnlineTransforms:
    """Random crop, mirror and light while training: a pure function of the image and the seed.

    Args:
        pixels: Size of the result.
        flip: Mirror half of the images.
        crop_area: Smallest share of the area that is kept, in (0, 1]; 1 for no crop.
        color: Largest relative change of brightness, contrast and saturation, 0 to 1.
        erase: Share of the images of which a random rectangle becomes noise (Zhong et al. 2020).
    """

    def __init__(self, pixels: PixelSettings, flip: bool, crop_area: float, color: float, erase: float = 0.0) -> None:
        self.pixels, self.crop_area = pixels, crop_area
        self.settings = (flip, crop_area, color, erase)
        steps = [A.HorizontalFlip(p=0.5)] if flip else []
        if color > 0:
            steps.append(
                A.ColorJitter((1 - color, 1 + color), (1 - color, 1 + color), (1 - color, 1 + color), (0, 0), p=0.8)
            )
        if erase > 0:
            steps.append(A.Erasing(scale=(0.02, 0.4), ratio=(0.3, 3.3), fill="random", p=erase))
        self._compose = A.Compose(steps)

    @property
    def random(self) -> bool:
        """Whether anything is changed at all."""
        return self.crop_area < 1 or bool(self._compose.transforms)

    def __call__(self, file: Path, seed: int, box: tuple[float, ...] | None = None) -> np.ndarray:
        """Reads and changes one image: uint8 RGB [H, W, 3] at model size."""
        rng = np.random.default_rng(seed)
        crop = partial(_random_crop, smallest=self.crop_area, rng=rng) if self.crop_area < 1 else None
        image = read_image(file, self.pixels, box, crop)
        if not self._compose.transforms:
            return image
        self._compose.set_random_state(rng, random.Random(seed))
        return np.ascontiguousarray(self._compose(image=np.ascontiguousarray(image))["image"])


def sample_seed(*parts: int) -> int:
    """One 32-bit seed from several numbers, such as (seed, epoch, row)."""
    return int(np.random.SeedSequence(parts).generate_state(1)[0])


def _random_crop(height: int, width: int, smallest: float, rng: np.random.Generator) -> Region:
    """A random part with `smallest` to 1 of the area and an aspect ratio within 3:4 to 4:3 of the image's own."""
    area, ratio = rng.uniform(smallest, 1.0), np.exp(rng.uniform(np.log(3 / 4), np.log(4 / 3)))
    high = min(height, max(1, round(height * np.sqrt(area / ratio))))
    wide = min(width, max(1, round(width * np.sqrt(area * ratio))))
    return int(rng.integers(0, height - high + 1)), int(rng.integers(0, width - wide + 1)), high, wide
