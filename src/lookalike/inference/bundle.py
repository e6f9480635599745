"""The deployable folder: settings, weights, inference graph, references and model card, verified when read.

    models/<run>/
      config.json          see `bundle_config`; also the sha256 of every other file, and its own checksum
      model.safetensors    the weights, for torch
      model.xml, model.bin the OpenVINO graph: uint8 [B, H, W, 3] in, unit embedding [B, D] out
      gallery/             embeddings of the original training images (see `references`); behind them those of
                           validation where they were included
      README.md            the model card

Reading one needs no torch. `bundle_writer` writes it.
"""

import hashlib
import json
import os
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any

from pydantic import ValidationError

from lookalike.data.pixels import PixelSettings
from lookalike.errors import LookalikeError
from lookalike.files import sha256_of
from lookalike.inference.bundle_config import SCHEMA, BundleConfig
from lookalike.inference.references import FILES as REFERENCE_FILES
from lookalike.inference.references import References, load_references
from lookalike.inference.rejection import Off, Rejection, rejection

_LARGEST_CONFIG = 1 << 26  # bytes
CONFIG, WEIGHTS, GRAPH, CARD, REFERENCES = "config.json", "model.safetensors", "model.xml", "README.md", "gallery"


class BundleError(LookalikeError):
    """A folder is no bundle, or was changed, or is newer than this version."""


@dataclass(frozen=True, repr=False)
class Bundle:
    """A verified bundle.

    Attributes:
        path: The folder.
        config: Its settings.
    """

    path: Path
    config: BundleConfig

    def __repr__(self) -> str:
        model = self.config.model
        facts = f"{model.backbone}, {model.size} dimensions, {len(self.config.labels)} labels, {self.fingerprint[:12]}"
        return f"Bundle({str(self.path)!r}: {facts})"

    @property
    def pixels(self) -> PixelSettings:
        """How images must be read for these weights."""
        return self.config.pixels

    @property
    def fingerprint(self) -> str:
        """Identifies weights and pixel settings (64 hex digits)."""
        return self.config.fingerprint

    @property
    def weights(self) -> Path:
        """The weights, for torch."""
        return self.path / WEIGHTS

    @property
    def graph(self) -> Path:
        """The OpenVINO graph; its weights lie beside it."""
        return self.path / GRAPH

    def rejection(
        self, threshold: float | Off | None = None, false_accept_rate: float | Off | None = None
    ) -> Rejection | None:
        """When to say unknown, and what is known of it; None for never.

        Args:
            threshold: A similarity that the nearest known image must exceed, or `off`.
            false_accept_rate: Share of unknown images that may get a name, or `off`; None for what the bundle was
                trained with.

        Raises:
            RejectionError: Both are given, or no threshold can be chosen.
        """
        chosen = rejection(self.config.open_set, threshold, false_accept_rate, str(self.path))
        if chosen is None or chosen.measured is None or not self._joined:
            return chosen
        joined = (
            f"measured before {self._joined} validation images joined the gallery: among more images more unknown ones "
            f"get a name; a gallery of them (lookalike gallery import input={self.path}) chooses by all"
        )
        return replace(chosen, note="; ".join(filter(None, [chosen.note, joined])))

    def threshold(self, false_accept_rate: float | Off | None = None) -> float | None:
        """The similarity alone, of a false accept rate; see `rejection`."""
        chosen = self.rejection(None, false_accept_rate)
        return None if chosen is None else chosen.similarity

    @cached_property
    def references(self) -> References:
        """The images it knows.

        Raises:
            GalleryError: They are damaged.
            BundleError: They are of another network.
        """
        references = load_references(self.path / REFERENCES)
        made, expected = references.embeddings.shape[1], self.config.model.size
        if made != expected or references.fingerprint != self.fingerprint:
            raise BundleError(
                f"{self.path / REFERENCES}: expected embeddings of {expected} dimensions made by "
                f"{self.fingerprint[:12]}, found {made} made by {references.fingerprint[:12]}: copy the bundle again"
            )
        if self._joined > len(references):
            raise BundleError(
                f"{self.path / CONFIG}: included: expected at most the {len(references)} images of the gallery, found "
                f"{self._joined}: copy the bundle again"
            )
        return references

    @property
    def training_references(self) -> References:
        """The images it knows that it was trained on: all but those of validation that joined.

        Raises:
            LookalikeError: As `references`.
        """
        references = self.references
        return references.first(len(references) - self._joined) if self._joined else references

    def trained_on(self, files: Iterable[Path]) -> int:
        """How many of these files it was trained on.

        Raises:
            LookalikeError: As `references`.
        """
        trained = self.training_references
        places = {os.path.realpath(trained.file(row)) for row in range(len(trained))}
        return sum(os.path.realpath(file) in places for file in files)

    @property
    def _joined(self) -> int:
        """How many images of validation joined."""
        return self.config.included.images if self.config.included else 0


def fingerprint_of(weights_sha256: str, pixels: PixelSettings) -> str:
    """SHA-256 of the weights' SHA-256 and the pixel settings, as hex."""
    return hashlib.sha256((weights_sha256 + json.dumps(pixels.to_dict(), sort_keys=True)).encode()).hexdigest()


def checksum_of(config: dict[str, Any]) -> str:
    """SHA-256 of the content of `config.json` without its own checksum, as hex."""
    return hashlib.sha256(json.dumps(config, sort_keys=True).encode()).hexdigest()


def load_bundle(path: Path) -> Bundle:
    """Reads and verifies a bundle.

    Raises:
        BundleError: Missing, changed, incomplete, or of a newer schema.
    """
    file = path / CONFIG
    config, files = content_of(path)
    for name, expected in files.items():
        part = path / name
        if not part.is_file():
            raise BundleError(f"{part}: missing from the bundle: copy the bundle again")
        if sha256_of(part) != expected:
            raise BundleError(f"{part}: changed since the bundle was written (sha256 differs): copy the bundle again")
    try:
        return Bundle(path, BundleConfig.model_validate(config))
    except ValidationError as error:
        problem = error.errors()[0]
        raise BundleError(
            f"{file}: {'.'.join(map(str, problem['loc']))}: {problem['msg']}: written by a program that is no version "
            "of lookalike: train again"
        ) from error


def content_of(path: Path) -> tuple[dict[str, Any], dict[str, str]]:
    """What `config.json` of a bundle holds, its own checksum verified; no other file is looked at.

    Args:
        path: The folder.

    Returns:
        Its content without files and checksum, and name -> SHA-256 of every other file, each inside the folder.

    Raises:
        BundleError: Missing, changed, or of a newer schema.
    """
    file = path / CONFIG
    if not file.is_file():
        raise BundleError(_no_bundle(path))
    try:
        if file.stat().st_size > _LARGEST_CONFIG:
            raise ValueError(f"{file.stat().st_size} bytes")
        config = json.loads(file.read_bytes(), parse_constant=_no_number)
        schema, checksum = config["schema"], config.pop("checksum", None)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise BundleError(f"{file}: not the settings of a bundle ({error}): copy the bundle again") from error
    if type(schema) is not int or not 1 <= schema <= SCHEMA:
        raise BundleError(
            f"{path}: bundle schema {schema}, this version reads up to {SCHEMA}: pip install -U lookalike"
        )
    if checksum != checksum_of(config):
        raise BundleError(f"{file}: changed since the bundle was written (checksum differs): copy the bundle again")
    return config, _files(file, config.pop("files", None))


def _no_number(text: str) -> float:
    raise ValueError(f"{text} is no number of JSON")


def _files(file: Path, listed: object) -> dict[str, str]:
    """Name and SHA-256 of every file that belongs to a bundle, all of them inside its folder."""
    files = listed if isinstance(listed, dict) else {}
    needed = [WEIGHTS, GRAPH, GRAPH.replace(".xml", ".bin"), *(f"{REFERENCES}/{name}" for name in REFERENCE_FILES)]
    if missing := [name for name in needed if name not in files]:
        raise BundleError(f"{file}: files: expected the SHA-256 of {missing[0]}, found none: copy the bundle again")
    for name in files:
        parts = PurePosixPath(name).parts
        if not parts or PurePosixPath(name).is_absolute() or ".." in parts or any(sign in name for sign in "\\:\0"):
            raise BundleError(f"{file}: files: expected names inside the bundle, found {name!r}: do not use it")
    return files


def _no_bundle(path: Path) -> str:
    if path.is_file():
        advice = (
            "give its folder"
            if path.name == CONFIG
            else ("a checkpoint is taken by Model.from_checkpoint and by lookalike eval ckpt_path=")
        )
        return f"{path}: expected the folder of a bundle such as models/mine, found a file: {advice}"
    names = [entry.parent.name for entry in sorted(path.parent.glob(f"*/{CONFIG}"))] if path.parent.is_dir() else []
    hint = (
        f"bundles in {path.parent}: {', '.join(names)}"
        if names
        else "train one with lookalike train data.root=<folder>"
    )
    return f"{path}: no bundle here (expected config.json in it): {hint}"
