"""The deployable folder: settings, weights, inference graph, gallery and model card, written whole or not at all.

    models/<run>/
      config.json          schema, model, pixels, loss, labels, training summary, metrics, versions, sha256 of the rest
      model.safetensors    the weights, for torch
      model.xml, model.bin the OpenVINO graph: uint8 [B, H, W, 3] in, unit embedding [B, D] out
      gallery/             embeddings of the original training images (see `gallery`)
      README.md            the model card

Reading one needs no torch. `export` writes it.
"""

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from lookalike.data.pixels import PixelSettings
from lookalike.errors import LookalikeError
from lookalike.files import sha256_of, write_json
from lookalike.inference.references import Gallery, load_gallery

SCHEMA = 1


class BundleError(LookalikeError):
    """A folder is no bundle, or was changed, or is newer than this version."""


@dataclass(frozen=True)
class Bundle:
    """A verified bundle.

    Attributes:
        path: The folder.
        config: The content of `config.json`.
    """

    path: Path
    config: dict[str, Any]

    @property
    def pixels(self) -> PixelSettings:
        """How images must be read for these weights."""
        return PixelSettings(**self.config["pixels"])

    @property
    def fingerprint(self) -> str:
        """Identifies weights and pixel settings (64 hex digits)."""
        return str(self.config["fingerprint"])

    def threshold(self, false_accept_rate: float | None = None) -> float | None:
        """The similarity that the nearest known image must exceed for a query to get a name; None for any.

        Args:
            false_accept_rate: Share of unknown images that may get one; None for what the bundle was trained with.

        Raises:
            BundleError: No threshold was chosen for this rate.
        """
        known = self.config.get("open_set", {"false_accept_rate": None, "thresholds": []})
        rate = known["false_accept_rate"] if false_accept_rate is None else false_accept_rate
        if rate is None:
            return None
        chosen = {entry["false_accept_rate"]: float(entry["similarity"]) for entry in known["thresholds"]}
        if rate not in chosen:
            offered = ", ".join(f"{one:g}" for one in chosen) or "none (train it again with this version)"
            raise BundleError(
                f"false_accept_rate={rate:g}: {self.path} has thresholds for {offered}: give one of these"
            )
        return chosen[rate]

    @cached_property
    def gallery(self) -> Gallery:
        """The references that travel with the bundle."""
        return load_gallery(self.path / "gallery")


def fingerprint_of(weights_sha256: str, pixels: PixelSettings) -> str:
    """SHA-256 of the weights' SHA-256 and the pixel settings, as hex."""
    return hashlib.sha256((weights_sha256 + json.dumps(pixels.to_dict(), sort_keys=True)).encode()).hexdigest()


def seal(folder: Path, config: dict[str, Any]) -> None:
    """Writes `config.json` with the sha256 of every other file of the folder and of itself."""
    files = {
        file.relative_to(folder).as_posix(): sha256_of(file) for file in sorted(folder.rglob("*")) if file.is_file()
    }
    config = {"schema": SCHEMA, **config, "files": files}
    write_json(folder / "config.json", {**config, "checksum": _checksum(config)})


def load_bundle(path: Path) -> Bundle:
    """Reads and verifies a bundle.

    Raises:
        BundleError: Missing, changed, incomplete, or of a newer schema.
    """
    file = path / "config.json"
    if not file.is_file():
        raise BundleError(_no_bundle(path))
    try:
        config = json.loads(file.read_bytes())
        schema, checksum = config["schema"], config.pop("checksum", None)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BundleError(f"{file}: not the settings of a bundle ({error}): copy the bundle again") from error
    if not isinstance(schema, int) or schema > SCHEMA:
        raise BundleError(
            f"{path}: bundle schema {schema}, this version reads up to {SCHEMA}: pip install -U lookalike"
        )
    if checksum != _checksum(config):
        raise BundleError(f"{file}: changed since the bundle was written (checksum differs): copy the bundle again")
    for name, expected in config["files"].items():
        part = path / name
        if not part.is_file():
            raise BundleError(f"{part}: missing from the bundle: copy the bundle again")
        if sha256_of(part) != expected:
            raise BundleError(f"{part}: changed since the bundle was written (sha256 differs): copy the bundle again")
    return Bundle(path, config)


def _checksum(config: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(config, sort_keys=True).encode()).hexdigest()


def _no_bundle(path: Path) -> str:
    found = [entry.parent.name for entry in sorted(path.parent.glob("*/config.json"))] if path.parent.is_dir() else []
    hint = (
        f"bundles in {path.parent}: {', '.join(found)}"
        if found
        else "train one with lookalike train data.root=<folder>"
    )
    return f"{path}: no bundle here (expected config.json in it): {hint}"
