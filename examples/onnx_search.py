"""The nearest images of a gallery, without lookalike: python onnx_search.py models/mine-onnx photo.jpg ...

It needs onnxruntime, numpy, pillow and opencv-python-headless, and what `lookalike export gallery=true` wrote.
"""

import base64
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import onnxruntime
from PIL import ExifTags, Image, ImageOps


def read(file: str | Path, pixels: dict) -> np.ndarray:
    """uint8 [H, W, 3], RGB, at the size of the network: cut (crop), with borders (pad), or neither (stretch)."""
    if pixels["interpolation"] != "area":
        sys.exit(f"this example shrinks by area averaging, the network wants {pixels['interpolation']}")
    picture, sideways = Image.open(file), slice(None)
    if picture.getexif().get(ExifTags.Base.Orientation, 1) >= 5:
        sideways = slice(None, None, -1)
    picture.draft("RGB", (pixels["width"], pixels["height"])[sideways])  # a large JPEG at a half, a quarter, an eighth
    image = np.asarray(ImageOps.exif_transpose(picture).convert("RGB"))
    (high, wide), size = image.shape[:2], (pixels["height"], pixels["width"])
    factors = size[0] / high, size[1] / wide
    if pixels["resize"] == "crop":
        cut = [min(side, max(1, round(new / max(factors)))) for side, new in zip((high, wide), size, strict=True)]
        top, left = (high - cut[0]) // 2, (wide - cut[1]) // 2
        return scale(image[top : top + cut[0], left : left + cut[1]], size)
    if pixels["resize"] == "stretch":
        return scale(image, size)
    small = scale(image, [max(1, round(side * min(factors))) for side in (high, wide)])
    padded = np.full((*size, 3), pixels["border"], np.uint8)
    top, left = (size[0] - small.shape[0]) // 2, (size[1] - small.shape[1]) // 2
    padded[top : top + small.shape[0], left : left + small.shape[1]] = small
    return padded


def scale(image: np.ndarray, size: Sequence[int]) -> np.ndarray:
    """To [height, width]: shrunk by averaging what a new pixel covers, then enlarged linearly where it is smaller."""
    small = min(size[1], image.shape[1]), min(size[0], image.shape[0])
    image = cv2.resize(image, small, interpolation=cv2.INTER_AREA)
    return cv2.resize(image, (size[1], size[0]), interpolation=cv2.INTER_LINEAR)


def search(folder: Path, photographs: list[str]) -> None:
    """Prints the three nearest images of each photograph."""
    contract, gallery = (json.loads((folder / name).read_text("utf-8")) for name in ("model.json", "gallery.json"))
    if gallery["fingerprint"] != contract["fingerprint"]:
        sys.exit(f"{folder}: the gallery is of another model: export both again")
    known = np.frombuffer(base64.b64decode(gallery["embeddings"]), "<f4").reshape(gallery["count"], gallery["size"])
    session = onnxruntime.InferenceSession(folder / "model.onnx")
    images = np.stack([read(file, contract["pixels"]) for file in photographs])
    similarity = session.run(None, {"images": images})[0] @ known.T
    for file, row in zip(photographs, similarity, strict=True):
        nearest = np.argsort(-row, kind="stable")[:3]
        print(file, *(f"{gallery['labels'][place]} {row[place]:.4f}" for place in nearest), sep="\t")


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit("usage: python onnx_search.py <folder of lookalike export format=onnx gallery=true> <photograph> ...")
    try:
        search(Path(sys.argv[1]), sys.argv[2:])
    except OSError as error:  # a file that is not there (the gallery is written by gallery=true), or no image
        sys.exit(str(error))
