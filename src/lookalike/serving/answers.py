"""What a service takes and gives, as types: the text of its OpenAPI document, and the check of what is sent."""

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from lookalike.serving.uploads import Options, few, json_field

Text = Annotated[str, Field(min_length=1, max_length=1000)]
Note = Annotated[str, Field(max_length=2000, description="why, for the log")]
Number = Annotated[int, Field(ge=1, lt=2**63)]
Most = Annotated[int, Field(ge=1, le=10_000)]
Scalar = str | int | float | bool | None
Names = Annotated[list[Text], Field(fail_fast=True, min_length=1, max_length=1000)]
_ManyNames = Annotated[list[Text], Field(fail_fast=True, min_length=1, max_length=10_000)]
Numbers = Annotated[list[Number], Field(fail_fast=True, min_length=1, max_length=10_000)]
_Row = Annotated[list[float], Field(fail_fast=True)]  # a list of a million wrong values is one error, not a million
_Values = Annotated[list[Scalar], Field(fail_fast=True, max_length=10_000)]
Filter = Annotated[dict[str, Scalar | _Values], BeforeValidator(few)]
Columns = Annotated[dict[Text, Scalar | _Values], BeforeValidator(few)]
K = Annotated[int, Field(ge=1, le=1000)]
MOST_NEIGHBOURS = 100_000  # in one answer of a search: embeddings times k
SCHEMA = 1  # of all answers: raised when a client of an earlier version would misread one
_EXAMPLE = {"label": ["Kiwi", "Leek"]}


class PredictOptions(Options):
    """Beside the images of /v1/predict."""

    k: K | None = Field(default=None, description="neighbours, each with one vote; none = ten, voting as was best")
    threshold: Annotated[float, Field(ge=-1, le=1)] | None = Field(
        default=None, description="similarity that the nearest must exceed, else the label is unknown"
    )
    false_accept_rate: Annotated[float, Field(gt=0, lt=1)] | None = Field(
        default=None, description="share of unknown images that may get a name; chooses the threshold"
    )
    where: Filter | None = json_field(f"JSON: search only images with these values, such as {_EXAMPLE}")
    unless: Filter | None = json_field('JSON: leave out images with these values, such as {"camera": 3}')
    keep_unknown: bool = Field(default=False, description="keep images that are called unknown; needs a write token")


class AddOptions(Options):
    """Beside the images of /v1/gallery/add."""

    label: Text | None = Field(default=None, description="of all images of the request")
    labels: Names | None = json_field("JSON: a label for each image, in place of label")
    camera: int | None = Field(default=None, description="what took them")
    cameras: Annotated[list[int | None], Field(fail_fast=True, max_length=10_000)] | None = json_field(
        "JSON: what took each image, in place of camera"
    )
    columns: Columns | None = json_field(
        'JSON: what else is known of them, such as {"shelf": "B3"}: a value for all, or a list of one each'
    )
    note: Note = ""
    keep_copies: bool = Field(default=False, description="enrol images once more that are there already")
    all_or_nothing: bool = Field(default=False, description="enrol none where one image cannot be used")

    @model_validator(mode="after")
    def _clear(self) -> "AddOptions":
        if (self.label is None) == (self.labels is None):
            raise ValueError("expected label, or labels with one for each image")
        if self.camera is not None and self.cameras is not None:
            raise ValueError("expected camera, or cameras with one for each image, got both")
        return self


class SearchOptions(Options):
    """The body of /v1/search."""

    embeddings: Annotated[list[_Row], Field(fail_fast=True, min_length=1, max_length=1000)] = Field(
        description="float32 [Q, D] of unit length, made by the model of the gallery"
    )
    k: K = 10
    where: Filter | None = None
    unless: Filter | None = None


class RenameOptions(Options):
    """The body of /v1/gallery/rename."""

    label: Text
    to: Text
    note: Note = ""


class MergeOptions(Options):
    """The body of /v1/gallery/merge."""

    labels: Names
    to: Text
    note: Note = ""


class MoveOptions(Options):
    """The body of /v1/gallery/move."""

    images: Numbers
    to: Text
    note: Note = ""


class RemoveOptions(Options):
    """The body of /v1/gallery/remove and /v1/gallery/forget: exactly one of label, images and source."""

    label: Text | _ManyNames | None = Field(default=None, description="one, or a list of several")
    images: Numbers | None = None
    source: Text | None = None
    note: Note = ""

    def chosen(self) -> dict[str, Any]:
        """As `Gallery.remove` and `Gallery.forget` take it."""
        return {"label": self.label, "image": self.images, "source": self.source, "note": self.note}


class UndoOptions(Options):
    """The body of /v1/gallery/undo."""

    change: Number
    note: Note = ""


class EnrolUnknownOptions(Options):
    """The body of /v1/unknown/enrol."""

    names: Names = Field(description="of kept images")
    label: Text
    note: Note = ""


class DiscardUnknownOptions(Options):
    """The body of /v1/unknown/discard."""

    names: Names = Field(description="of kept images")


class NoOptions(Options):
    """Nothing stands in the address."""


class ImagesOptions(Options):
    """The address of /v1/gallery/images."""

    label: Text
    first: Annotated[int, Field(ge=0, lt=2**63)] = 0
    most: Most = 100


class LogOptions(Options):
    """The address of /v1/gallery/log."""

    most: Most = 50
    before: Number | None = Field(default=None, description="only changes with a smaller number; none = the latest")


class UnknownOptions(Options):
    """The address of /v1/unknown."""

    least: Annotated[int, Field(ge=1, le=1000)] = Field(default=2, description="images that make a group")


class _Answer(BaseModel):
    model_config = ConfigDict(extra="forbid")


class ErrorText(_Answer):
    """Why not."""

    kind: str = Field(examples=["gallery"])
    message: str = Field(examples=["shop: has no label 'leek'; did you mean Leek?"])


class ErrorAnswer(_Answer):
    """What is answered where nothing is done."""

    error: ErrorText


class NeighbourAnswer(_Answer):
    """An enrolled image near a query."""

    rank: int = Field(examples=[1])
    label: str = Field(examples=["Kiwi"])
    path: str = Field(examples=["/photos/Kiwi/Kiwi_001.jpg"])
    similarity: float = Field(examples=[0.91])
    number: int | None = Field(default=None, examples=[17])
    camera: int | None = Field(default=None, description="what took it, where that is known")


class ItemAnswer(_Answer):
    """What one image shows; `error` where it could not be used."""

    image: str = Field(examples=["new.jpg"])
    box: list[float] | None = None
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
    kept: list[str] | None = Field(default=None, description="names of unknown images that were kept")
    items: list[ItemAnswer]


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
    images: list[EnrolledAnswer]


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
    moves: list[MovedAnswer] = Field(description="what it did; empty where nothing of it is known any more")


class LogAnswer(_Answer):
    """The latest changes, the latest first."""

    changes: list[LoggedAnswer]


class UnknownGroup(_Answer):
    """Kept images that probably show the same."""

    suggestion: str
    nearest: str | None
    similarity: float | None
    images: list[str]


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


class WrongAnswer(_Answer):
    """An enrolled image that its neighbours call otherwise."""

    number: int
    label: str
    suggestion: str
    similarity: float


class HealthAnswer(_Answer):
    """How well a gallery is kept."""

    images: int
    looked_at: int
    few: list[LabelAnswer]
    wrong: list[WrongAnswer]
    days: list[DayAnswer]
