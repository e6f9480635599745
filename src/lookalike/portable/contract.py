"""What a program must know of a network to use it as its bundle does, as JSON: pixels, names, labels, identity."""

from collections.abc import Mapping
from typing import Any

from lookalike import __version__
from lookalike.files import as_json
from lookalike.inference.bundle import Bundle
from lookalike.portable.onnx_graph import INPUT, OUTPUT

CONTRACT_SCHEMA = 1


def contract_of(bundle: Bundle, kind: str) -> dict[str, Any]:
    """The contract, without what was measured of the written network.

    Args:
        bundle: Whose network is written.
        kind: The format.
    """
    pixels, size = bundle.pixels, bundle.config.model.size
    return {
        "schema": CONTRACT_SCHEMA,
        "lookalike": __version__,
        "format": kind,
        "run": bundle.config.run,
        "fingerprint": bundle.fingerprint,
        "backbone": bundle.config.model.backbone,
        "input": {"name": INPUT, "dtype": "uint8", "shape": ["batch", pixels.height, pixels.width, 3]},
        "output": {"name": OUTPUT, "dtype": "float32", "shape": ["batch", size], "length": 1},
        "pixels": {
            "height": pixels.height,
            "width": pixels.width,
            "resize": pixels.resize,
            "interpolation": pixels.interpolation,
            "antialias": pixels.antialias,
            "shorter_side": pixels.shorter_side,
            "border": pixels.border,
            "colours": "RGB",
            "reduced_jpeg": pixels.kernel is None,  # decoded at 1/2, 1/4 or 1/8 where that still covers the size
            "orientation": "EXIF, applied before resizing",
            "normalisation": "inside the network",
        },
        "labels": bundle.config.labels,
    }


def texts_of(contract: Mapping[str, Any]) -> dict[str, str]:
    """The contract as texts by name, which is what formats of models carry; what is no text is JSON."""
    return {
        f"lookalike.{name}": value if isinstance(value, str) else as_json(value).decode("utf-8", "backslashreplace")
        for name, value in contract.items()
    }
