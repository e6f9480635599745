"""What a service gives, as types: the text of its OpenAPI document."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

SCHEMA = 1  # of all answers: raised when a client of an earlier version would misread one


class _Answer(BaseModel):
    model_config = ConfigDict(extra="forbid")


class ErrorText(_Answer):
    """Why not."""

    code: str = Field(examples=["no_label"], description="for programs")
    message: str = Field(examples=["shop: has no label 'leek'; did you mean Leek?"])
    fields: dict[str, Any] = Field(examples=[{"label": "leek"}], description="what the message names")


class ErrorAnswer(_Answer):
    """What is answered where nothing is done."""

    error: ErrorText


class NeighbourAnswer(_Answer):
    """An enrolled image near a query."""

    rank: int = Field(examples=[1])
    label: str = Field(examples=["Kiwi"])
    source: str = Field(examples=["/photos/Kiwi/Kiwi_001.jpg"], description="where it came from")
    similarity: float = Field(examples=[0.91])
    number: int | None = Field(default=None, examples=[17])
    camera: int | None = Field(default=None, description="what took it, where that is known")


class ItemAnswer(_Answer):
    """What one image shows; `error` where it could not be used."""

    image: str = Field(examples=["new.jpg"])
    box: list[float] | None = None
    box_number: int | None = Field(default=None, description="of several boxes of an image")
    label: str | None = Field(examples=["Kiwi"])
    score: float | None = Field(examples=[1.0])
    truth: str | None = None
    neighbours: list[NeighbourAnswer]
    error: str | None = None


class PredictAnswer(_Answer):
    """What `lookalike predict` writes."""

    schema_: int = Field(alias="schema", examples=[1])
    created: str = Field(examples=["2026-05-04T09:30:00+02:00"])
    bundle: str = Field(examples=["shop"])
    fingerprint: str
    precision: str = Field(examples=["float32"])
    k: int = Field(examples=[10])
    vote: dict[str, Any] | None = None
    threshold: float | None = None
    unknown: dict[str, Any] | None = None
    index: dict[str, Any] | None = Field(default=None, description="how it was searched, where index was given")
    kept: list[str] | None = Field(default=None, description="names of unknown images that are kept")
    not_kept: int | None = Field(default=None, description="unknown images that were not kept, as there is no room")
    items: list[ItemAnswer]


class MatchAnswer(_Answer):
    """Two regions that look alike: row and column of each, from 0."""

    image: list[int]
    other: list[int]
    similarity: float = Field(description="what this pair adds")


class ExplainAnswer(_Answer):
    """Which regions of an image and of an enrolled one make them similar."""

    image: str = Field(examples=["new.jpg"])
    other: str = Field(examples=["/photos/Kiwi/Kiwi_001.jpg"])
    number: int = Field(description="of the enrolled image")
    similarity: float = Field(examples=[0.91])
    explained: float = Field(description="what the regions of either image, and constant, add up to")
    constant: float
    method: str = Field(examples=["exact"], description="exact = a sum over regions; occlusion = regions painted over")
    precision: str = Field(examples=["float32"])
    map_precision: str = Field(examples=["float32"])
    from_small_picture: bool = Field(description="whether the enrolled image is the small picture that is kept")
    reason: str | None = Field(default=None, description="why not exact")
    note: str = Field(description="why explained is not similarity; empty where it is")
    image_regions: list[list[float]]
    other_regions: list[list[float]]
    matches: list[MatchAnswer]
    pictures: list[str] = Field(description="both as the network sees them, what counts lit: JPEG, base64")


class EmbeddedItem(_Answer):
    """The embedding of an image, or why there is none."""

    image: str
    embedding: list[float] | None = None
    error: str | None = None


class EmbedAnswer(_Answer):
    """Embeddings of unit length."""

    fingerprint: str
    precision: str
    dimensions: int
    items: list[EmbeddedItem]


class FoundItem(_Answer):
    """The nearest of an embedding."""

    neighbours: list[NeighbourAnswer]


class SearchAnswer(_Answer):
    """One item per embedding."""

    items: list[FoundItem]


class GalleryAnswer(_Answer):
    """The gallery of a service."""

    schema_: int = Field(alias="schema", examples=[1], description="of all answers")
    name: str
    images: int
    labels: int
    fingerprint: str
    dimensions: int
    gallery_version: int = Field(description="number of the last change, by whomever")
    model: dict[str, Any]
    lookalike_version: str = Field(description="of the program that answers")
    max_images: int = Field(description="in one request")
    max_bytes: int = Field(description="of one request")
    index: dict[str, Any] | None = Field(description="of approximate search; null where none is built")
    max_neighbours: int = Field(description="in one answer of a search: embeddings times k")
    right: str = Field(description="read or write: what this token may do")
    keeps_unknown: bool
    unknown: int = Field(description="kept unknown images that are not enrolled")


class LabelAnswer(_Answer):
    """A label and how many images it has."""

    label: str
    images: int
    number: int = Field(description="of its first image, whose picture stands for it")


class LabelsAnswer(_Answer):
    """All labels, sorted."""

    labels: list[LabelAnswer]


class EnrolledAnswer(_Answer):
    """An enrolled image."""

    number: int
    label: str
    source: str
    camera: int | None
    time: str
    columns: dict[str, Any]


class ImagesAnswer(_Answer):
    """Some images of a label, in the order they were enrolled."""

    total: int
    items: list[EnrolledAnswer]


class ChangeAnswer(_Answer):
    """What was changed: `change` takes it back, null where nothing was changed."""

    change: int | None
    images: int


class UnusableAnswer(_Answer):
    """An image that could not be used."""

    place: int = Field(description="among those of the request, from 0")
    image: str = Field(examples=["new.jpg"])
    error: str


class AddAnswer(ChangeAnswer):
    """What was enrolled: the number of each image, 0 for one that could not be used."""

    numbers: list[int]
    described: int = Field(description="images that were there, and have another camera or other columns now")
    errors: list[UnusableAnswer]
    notes: list[str] = Field(description="such as that a label differs from another only in case")


class MovedAnswer(_Answer):
    """Images that a change treated alike; a label is null where they were not in the gallery."""

    before: str | None
    after: str | None
    images: int


class LoggedAnswer(_Answer):
    """A change of the log."""

    number: int
    time: str
    action: str
    note: str
    text: str
    images: int
    forgotten: int | None = Field(description="images that it forgot; null for any other change")
    described: int = Field(description="images whose camera or columns it set, and whose labels it left")
    moves: list[MovedAnswer] = Field(description="what it did; empty where nothing of it is known any more")


class LogAnswer(_Answer):
    """The latest changes, the latest first."""

    changes: list[LoggedAnswer]


class UnknownGroup(_Answer):
    """Kept images that probably show the same."""

    suggestion: str
    nearest: str | None
    similarity: float | None
    names: list[str]


class KeptAnswer(_Answer):
    """A kept unknown image that is not enrolled."""

    name: str
    bytes: int


class KeptImagesAnswer(_Answer):
    """Kept unknown images, sorted by name."""

    total: int
    items: list[KeptAnswer]


class UnknownAnswer(_Answer):
    """Kept unknown images, in groups."""

    total: int
    groups: list[UnknownGroup]
    alone: list[str]


class DayAnswer(_Answer):
    """One day of a service."""

    day: str
    images: int
    unknown: int


class DoubtAnswer(_Answer):
    """An enrolled image that its neighbours call otherwise."""

    number: int
    label: str
    suggestion: str
    similarity: float


class KeptFiguresAnswer(_Answer):
    """How much room kept unknown images take, and may take."""

    images: int
    bytes: int
    most_images: int
    most_bytes: int
    not_kept: int = Field(description="since the service began, as there was no room")


class HealthAnswer(_Answer):
    """How well a gallery is kept."""

    images: int
    asked: int = Field(description="of which their neighbours were asked")
    few: list[LabelAnswer]
    doubts: list[DoubtAnswer] = Field(description="images that nobody called right, the most similar to others first")
    days: list[DayAnswer]
    kept: KeptFiguresAnswer
