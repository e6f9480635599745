"""The settings of a bundle, typed: nothing else knows the keys of `config.json`.

Bundles of earlier versions lack what came later; such fields have a default here that means what they meant then.
"""

from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from lookalike.data.pixels import PixelSettings
from lookalike.inference.openvino_network import ServedPrecision
from lookalike.metrics.unknowns import Unknowns
from lookalike.settings.data import HeldOut

SCHEMA = 2  # of config.json: the latest that is read
_FIRST_SCHEMA = 1  # written wherever earlier versions read the bundle as it is meant
CURVES = ("epoch", "train/loss", "validation/accuracy@1", "validation/accuracy@5", "validation/map")  # of every epoch
_LARGEST_SIDE = 8192  # pixels

Share = Annotated[float, Field(ge=0, le=1)]
Cosine = Annotated[float, Field(ge=-1.001, le=1.001)]  # rounding included
Count = Annotated[int, Field(ge=0, lt=2**63)]
Dimensions = Annotated[int, Field(ge=1, le=2**20)]
Channels = Annotated[list[float], Field(min_length=3, max_length=3)]


class _Part(BaseModel):
    # What a later version of the same schema adds is kept when a bundle is written again.
    model_config = ConfigDict(
        extra="allow", frozen=True, protected_namespaces=(), populate_by_name=True, allow_inf_nan=False
    )


class NetworkConfig(_Part):
    """The network: everything that rebuilds it from its weights.

    Attributes:
        backbone: A timm model name.
        embedding_size: Outputs of the linear layer; None for the backbone's own features.
        pooling: `avg` or `gem`.
        bn_neck: Whether a batch norm stands behind the linear layer.
        trainable: What was trained.
        mean: Per channel, in 0..1; None for timm's.
        std: Same.
        weights: Where the first weights were to come from.
        weights_source: Where they came from, in words.
        dimensions: D of the embedding; None in bundles from before it could differ from `embedding_size`.
    """

    backbone: str
    embedding_size: Dimensions | None = None
    pooling: Literal["avg", "gem"] = "avg"
    bn_neck: bool = False
    trainable: list[str] = Field(default_factory=lambda: ["all"])
    mean: Channels | None = None
    std: Channels | None = None
    weights: str = "auto"
    weights_source: str = ""
    dimensions: Dimensions | None = None

    @model_validator(mode="after")
    def _has_a_size(self) -> "NetworkConfig":
        if self.dimensions is None and self.embedding_size is None:
            raise ValueError("expected dimensions or embedding_size, found neither")
        return self

    @property
    def size(self) -> int:
        """D of the embedding."""
        size = self.dimensions or self.embedding_size
        assert size is not None, "written with one of the two since the first version"
        return size

    def embedder_arguments(self) -> dict[str, Any]:
        """What `models.embedder.Embedder` is built from."""
        names = {"backbone", "embedding_size", "pooling", "bn_neck", "trainable", "mean", "std"}
        return self.model_dump(include=names)


class TrainingSummary(_Part):
    """How the weights came about.

    Attributes:
        best_epoch: The epoch that is kept, from 1.
        epochs: How many there were.
        seed: Of the run.
        arithmetic: Of the trained part.
        seconds: Of all sessions; None where they were not counted.
        parameters: Of the network; None where they were not counted.
        trained_parameters: Those that were trained.
        images: Training images, augmented copies included.
        history: A line per epoch: epoch, train/loss, validation/accuracy@1, validation/accuracy@5, validation/map.
        settings: All settings of the run.
    """

    best_epoch: Count
    epochs: Count
    seed: Count
    arithmetic: str = "32-true"
    seconds: float | None = None
    parameters: Count | None = None
    trained_parameters: Count | None = None
    images: Count
    history: list[dict[str, float]] = Field(default_factory=list)
    settings: dict[str, Any] = Field(default_factory=dict)

    @field_validator("history")
    @classmethod
    def _whole_curves(cls, history: list[dict[str, float]]) -> list[dict[str, float]]:
        for line in history:
            if missing := [name for name in CURVES if name not in line]:
                raise ValueError(f"expected {', '.join(CURVES)} of every epoch, found one without {missing[0]}")
        return history

    @field_validator("settings")
    @classmethod
    def _settings_of_data(cls, settings: dict[str, Any]) -> dict[str, Any]:
        try:
            HeldOut.model_validate(settings.get("data", {}))
        except ValidationError as error:
            problem = error.errors()[0]
            raise ValueError(f"{'.'.join(map(str, ('data', *problem['loc'])))}: {problem['msg']}") from error
        return settings

    @property
    def held_out(self) -> HeldOut:
        """Which images were held out."""
        return HeldOut.model_validate(self.settings.get("data", {}))


class Agreement(_Part):
    """How the graph compares with torch on real images.

    Attributes:
        min_cosine: The least cosine of an image's two embeddings.
        mean_cosine: Their mean.
    """

    min_cosine: Cosine
    mean_cosine: Cosine


class Parity(Agreement):
    """The same for float32, on how many images, and for bf16 where the bundle may run in it.

    Attributes:
        images: How many were compared.
        bf16: None where it was not tried or did not agree.
    """

    images: Count
    bf16: Agreement | None = None


class ThresholdConfig(_Part):
    """A similarity below which an image is called unknown; see `metrics.open_set.Threshold`.

    Attributes:
        similarity: The nearest reference must be more similar than this.
        false_accept_rate: What was asked for.
        measured_false_accept_rate: What it is where it was chosen.
        detection_rate: Share of known queries above it that are right, there.
        queries: How many unknown queries it was chosen on.
        labels: Of how many labels; None in bundles from before they were counted.
        trained: Whether these were trained on.
        interval_95: Of the measured rate; None in bundles from before there was one.
    """

    similarity: Cosine
    false_accept_rate: Share
    measured_false_accept_rate: Share
    detection_rate: Share
    queries: Count
    labels: Count | None = None
    trained: bool = True
    interval_95: tuple[Share, Share] | None = None


class UnknownsConfig(_Part):
    """The unknown images that thresholds were chosen by; see `metrics.unknowns.Unknowns`.

    Attributes:
        similarity: Of each to its nearest reference.
        labels: The same number for images of one label.
        trained: Whether the labels were trained on.
        folds: How many other networks, each trained without some of the labels, they come from; 0 for none.
    """

    similarity: list[Cosine]
    labels: list[Count]
    trained: bool
    folds: Count = 0

    def sample(self) -> Unknowns:
        """As arrays."""
        return Unknowns(np.array(self.similarity), np.array(self.labels, np.int64), self.trained)


class OpenSet(_Part):
    """When `predict` says unknown.

    Attributes:
        false_accept_rate: Unless told otherwise; None for never.
        thresholds: One per false accept rate that is commonly asked for.
        unknowns: What any other rate is chosen by; None in bundles from before it was kept.
    """

    false_accept_rate: Share | None = None
    thresholds: list[ThresholdConfig] = Field(default_factory=list)
    unknowns: UnknownsConfig | None = None


class VoteConfig(_Part):
    """How neighbours vote where no k is given; chosen on validation.

    Attributes:
        k: How many.
        weighted: By exp(similarity / 0.07); else each once.
    """

    k: int = Field(default=10, ge=1)
    weighted: bool = False


class MeasuredConfig(_Part):
    """Figures of one split.

    Attributes:
        protocol: In words.
        counts: As in `RetrievalResult`.
        metrics: Name -> value.
        intervals_95: Name -> (low, high).
    """

    protocol: str = ""
    counts: dict[str, Count] = Field(default_factory=dict)
    metrics: dict[str, float] = Field(default_factory=dict)
    intervals_95: dict[str, tuple[float, float]] = Field(default_factory=dict)


class Quantized(_Part):
    """How an int8 graph came about and what it cost.

    Attributes:
        origin: Fingerprint of the bundle it was made from (`from` in the file).
        images: Training images that showed the ranges.
        seed: Which.
        preset: How it was quantised.
        before: Figures of the float32 graph on validation.
        after: The same of the int8 graph.
        min_cosine: The least cosine between both embeddings of a validation query.
        mean_cosine: The mean of them.
    """

    origin: str = Field(alias="from")
    images: Count
    seed: Count
    preset: str
    before: dict[str, float]
    after: dict[str, float]
    min_cosine: Cosine
    mean_cosine: Cosine


class IncludedConfig(_Part):
    """Images of validation that joined the gallery after everything was measured; they are its last ones.

    Attributes:
        images: How many.
        labels: Of how many labels.
        untrained_labels: How many of these labels were not trained on.
        copies: Validation images that did not join, as the gallery holds their very pictures.
    """

    images: Count
    labels: Count = 0
    untrained_labels: Count = 0
    copies: Count = 0

    def __str__(self) -> str:
        if not self.images:
            return "no validation image joined the gallery: all of them are copies of images in it"
        untrained = f" ({self.untrained_labels} of them not trained on)" if self.untrained_labels else ""
        copies = f"; {self.copies} more are copies of images in it" if self.copies else ""
        return (
            f"{self.images} validation images of {self.labels} labels{untrained} joined the gallery after all was "
            f"measured: no figure, threshold or vote is of the gallery that holds them{copies}"
        )


class BundleConfig(_Part):
    """The content of `config.json`.

    Attributes:
        schema_version: Of the file (`schema` in it).
        run: Name of the run.
        model: The network.
        pixels: How images are read.
        loss: Its name and settings.
        labels: The training labels; a label's id is its place.
        training: How the weights came about.
        fingerprint: Identifies weights and pixel settings (64 hex digits).
        parity: How the graph compares with torch.
        precision: Of the arithmetic that made references and thresholds: float32, bf16 or int8.
        metrics: Split -> figures.
        open_set: When `predict` says unknown.
        vote: How neighbours vote where no k is given; None in bundles from before it was chosen: ten, each once.
        versions: Package -> version that wrote the bundle.
        quantized: For an int8 bundle, else None.
        included: Validation images in the gallery; None where it holds training images alone.
    """

    schema_version: Annotated[int, Field(alias="schema")] = _FIRST_SCHEMA
    run: str
    model: NetworkConfig
    pixels: PixelSettings
    loss: dict[str, Any]
    labels: list[str]
    training: TrainingSummary
    fingerprint: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    parity: Parity
    precision: ServedPrecision = "float32"
    metrics: dict[str, MeasuredConfig] = Field(default_factory=dict)
    open_set: OpenSet = OpenSet()
    vote: VoteConfig | None = None
    versions: dict[str, str] = Field(default_factory=dict)
    quantized: Quantized | None = None
    included: IncludedConfig | None = None

    @field_validator("pixels")
    @classmethod
    def _sides(cls, pixels: PixelSettings) -> PixelSettings:
        if not (1 <= pixels.height <= _LARGEST_SIDE and 1 <= pixels.width <= _LARGEST_SIDE):
            raise ValueError(
                f"expected height and width of 1 to {_LARGEST_SIDE} pixels, found {pixels.height} x {pixels.width}"
            )
        return pixels

    @field_validator("loss")
    @classmethod
    def _named(cls, loss: dict[str, Any]) -> dict[str, Any]:
        if not isinstance(loss.get("name"), str):
            raise ValueError(f"expected the name of a loss, found {loss.get('name')!r}")
        return loss

    def to_json(self) -> dict[str, Any]:
        """Plain values as they stand in the file.

        What is optional and absent has no key: earlier versions ask whether the key is there.
        """
        values = self.model_dump(mode="json", by_alias=True)
        values["pixels"] = self.pixels.to_dict()
        if self.pixels.kernel:  # earlier versions would read images by area averaging, and say nothing
            values["schema"] = SCHEMA
        for name in ("quantized", "vote", "included"):
            if values[name] is None:
                del values[name]
        if self.parity.bf16 is None:
            del values["parity"]["bf16"]
        if self.open_set.unknowns is None:
            del values["open_set"]["unknowns"]
        for threshold in values["open_set"]["thresholds"]:
            if threshold["labels"] is None:  # of an earlier version, which knew none of the three
                for name in ("labels", "trained", "interval_95"):
                    del threshold[name]
        return values
