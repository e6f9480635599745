"""The nearest images of a gallery, without lookalike: python onnx_search.py models/mine-onnx photo.jpg ...

It needs onnxruntime, numpy, pillow and opencv-python-headless, and what `lookalike export gallery=true` wrote.
"""

import base64
import json
import sys
from pathlib import Path

import cv2
import numpy as np
import onnxruntime
from PIL import Image, ImageOps


def read(file: str | Path, pixels: dict) -> np.ndarray:
    """uint8 [H, W, 3], RGB, at the size of the network."""
    if (pixels["resize"], pixels["interpolation"]) != ("stretch", "area"):
        sys.exit("this example reads resize=stretch with interpolation=area only: see docs/export.md for the others")
    image = np.asarray(ImageOps.exif_transpose(Image.open(file)).convert("RGB"))
    size = pixels["width"], pixels["height"]
    small = min(size[0], image.shape[1]), min(size[1], image.shape[0])
    image = cv2.resize(image, small, interpolation=cv2.INTER_AREA)
    return cv2.resize(image, size, interpolation=cv2.INTER_LINEAR)  # changes nothing but images that are smaller


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
    search(Path(sys.argv[1]), sys.argv[2:])
